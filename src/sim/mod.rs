//! A deterministic simulator of federations: production nodes and production wire bytes, in virtual time,
//! under faults, with an oracle that knows what is true.
//!
//! One seed [expands](Plan::expand) into a [`Plan`]: who is there and who knows whom, what is appended,
//! what crashes, is cut off, fails or lies, and when. A [`Simulation`] carries it out. After every event
//! the node it touched is held against the safety [invariants](Invariant); from the moment the plan says
//! that faults end, the honest nodes that are connected have a bounded time to converge. The same plan
//! gives the same trace, to the byte: its digest is in the [`Report`].
//!
//! ```
//! use verisoo::sim::{Plan, Profile, Simulation};
//!
//! let plan = Plan::expand(7, Profile::Lite, None);
//! let report = Simulation::new(plan.clone()).run();
//! assert!(report.violation.is_none());
//! assert_eq!(Simulation::new(plan).run().digest, report.digest);
//! ```
//!
//! To try a store of your own, implement [`Disk`] for it and use [`Simulation::with`]; to try a policy,
//! change the plan. `examples/simulate.rs` is the command line for all this.
//!
//! # What is simulated
//!
//! - The network loses (evenly and in bursts), duplicates, replays much later, reorders, delays, is narrow,
//!   and is cut one way or both ways. A packet's fate is drawn from the seed, its link and its number there.
//! - Nodes crash and restart, stand still, and have clocks that are off, drift and jump.
//! - Disks lose unsynced writes, fail, are full, are not ready, flip bits, and are replaced by old copies
//!   ([`DiskFault`], [`SimDisk`]).
//! - Adversaries are production nodes behind which somebody else sits: [`Misdeed`] and [`Habit`].

mod adversary;
mod disk;
mod expand;
mod hash;
mod member;
mod metrics;
mod network;
mod oracle;
mod plan;
mod scheme;
mod shrink;
mod tamper;

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

pub use disk::{Disk, DiskFault, SimDisk};
pub use metrics::{Report, Sample};
pub use oracle::{Invariant, Violation};
pub use plan::{Act, Entry, Habit, Link, Misdeed, NodePlan, Plan, Profile, Restart, Weather};
pub use scheme::SimScheme;
pub use shrink::shrink;

use crate::store::MemoryStore;
use crate::wire::{Frame, Message, RequestId, Response};
use crate::{Event, LogId, Notice, Scheme, Start};
use adversary::{Adversary, Outgoing};
use hash::{Digest, draw, scale};
use member::{Member, Polled};
use metrics::Metrics;
use network::Network;
use oracle::{Broken, Oracle};
use tamper::Outcome;

/// A node may want so many things done at one moment.
const MOST_COMMANDS: u32 = 20_000;

/// A node may wake up so often in one interval.
const MOST_WAKES: u64 = 5_000;

/// Intervals of silence that are watched after all have converged.
const IDLE_INTERVALS: u64 = 4;

/// Something that happened, for those who watch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// A message arrived.
    Message {
        /// From whom.
        from: u32,
        /// At whom.
        to: u32,
        /// What; `None` where the bytes are no frame.
        frame: Option<Frame<'a>>,
    },
    /// A node woke up.
    Wake {
        /// Who.
        node: u32,
    },
    /// An entry of the plan came due.
    Entry(&'a Entry),
    /// A node started again.
    Restart {
        /// Who.
        node: u32,
    },
    /// A node told its application something.
    Notice {
        /// Who.
        node: u32,
        /// What.
        notice: Notice,
    },
}

/// Who watches: is told the time and what happens.
pub type Observer = Box<dyn FnMut(u64, &Happening<'_>)>;

/// A plan being carried out.
pub struct Simulation<S: Scheme = SimScheme, D: Disk = SimDisk> {
    plan: Plan,
    now: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    packets: Vec<Packet>,
    free: Vec<u32>,
    members: Vec<Member<S, D>>,
    /// What a member's disk is to be restored from, and whether it read falsely at times.
    disks: Vec<DiskHistory>,
    wakes: Vec<u64>,
    adversaries: Vec<Adversary<S>>,
    /// Everybody's id.
    ids: Vec<LogId>,
    network: Network,
    oracle: Oracle,
    metrics: Metrics,
    digest: Digest,
    violation: Option<Violation>,
    is_calm: bool,
    /// Honest nodes that are connected with each other.
    core: Vec<u32>,
    scratch: Vec<u8>,
    observer: Option<Observer>,
}

#[derive(Default)]
struct DiskHistory {
    backup: Option<MemoryStore>,
    restart: Option<Restart>,
    has_rotted: bool,
    is_failing: bool,
    /// The disk is an old copy, and what it lacks has not been taken back yet.
    is_old: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Scheduled {
    at: u64,
    sequence: u64,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Packet(u32),
    Wake(u32),
    Entry(u32),
    Restart(u32),
    /// What an entry began ends.
    End(u32),
    Calm,
    Sample,
}

#[derive(Default)]
struct Packet {
    from: u32,
    to: u32,
    bytes: Vec<u8>,
    outcome: Option<Outcome>,
    /// It has arrived before.
    is_again: bool,
}

impl Simulation {
    /// A plan to be carried out by nodes with the stand-in signature scheme on simulated disks.
    pub fn new(plan: Plan) -> Self {
        Self::with(plan, |_, plan| SimDisk::for_plan(plan))
    }
}

impl<S: Scheme, D: Disk> Simulation<S, D> {
    /// The same with another signature scheme, or on other disks: `disk` makes one for each honest node.
    pub fn with(plan: Plan, mut disk: impl FnMut(u32, &Plan) -> D) -> Self {
        let honest = usize::try_from(plan.honest()).unwrap_or(0);
        let count = u32::try_from(plan.nodes.len()).unwrap_or(u32::MAX);
        let mut members = Vec::new();
        let mut adversaries = Vec::new();
        for (index, node) in (0..).zip(&plan.nodes) {
            let name = member::name(index, node.is_adversary);
            if node.is_adversary {
                let face = Member::new(index, plan.seed, &name, node, plan.interval, MemoryStore::new());
                adversaries.push(Adversary::new(face, node.clone(), plan.interval, plan.seed));
            } else {
                members.push(Member::new(index, plan.seed, &name, node, plan.interval, disk(index, &plan)));
            }
        }
        let mut oracle = Oracle::new(honest);
        members.iter().for_each(|member: &Member<S, D>| oracle.know(member.node.id(), Some(member.index)));
        adversaries.iter().for_each(|adversary: &Adversary<S>| oracle.know(adversary.id(), None));
        let ids = members.iter().map(|member| member.node.id()).chain(adversaries.iter().map(Adversary::id)).collect();
        let core = connected(&plan);
        let mut simulation = Self {
            now: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            packets: Vec::new(),
            free: Vec::new(),
            disks: (0..honest).map(|_| DiskHistory::default()).collect(),
            wakes: vec![0; honest],
            network: Network::new(plan.seed, plan.weather, count),
            metrics: Metrics::default(),
            digest: Digest::new(),
            violation: None,
            is_calm: false,
            scratch: vec![0; 1 << 17],
            observer: None,
            members,
            adversaries,
            ids,
            oracle,
            core,
            plan,
        };
        simulation.begin();
        simulation
    }

    /// Who is to be told of everything that happens.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Microseconds of simulated time.
    pub fn now(&self) -> u64 {
        self.now
    }

    fn begin(&mut self) {
        for at in 0..self.members.len() {
            self.dial(at);
        }
        for at in 0..self.adversaries.len() {
            self.dial_adversary(at);
        }
        for at in 0..self.plan.entries.len() {
            let (due, index) = (self.plan.entries[at].at, u32::try_from(at).unwrap_or(u32::MAX));
            self.schedule(due, What::Entry(index));
        }
        self.schedule(self.plan.calm_at, What::Calm);
        self.schedule(self.plan.interval / 2, What::Sample);
        for index in 0..u32::try_from(self.plan.nodes.len()).unwrap_or(0) {
            self.schedule(0, What::Wake(index));
        }
    }

    /// Makes the plan's links known to a node that has just started. `false` where its disk did not let it.
    fn dial(&mut self, at: usize) -> bool {
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        let links: Vec<u32> =
            self.plan.links.iter().filter(|link| link.from == index).map(|link| link.to).collect();
        let mut is_done = true;
        for to in links {
            let vkey = self.vkey(to);
            is_done &= self.members[at].dial(to, vkey).is_ok();
        }
        if self.plan.nodes[at].pins {
            for other in 0..self.members.len() {
                let vkey = self.members[other].vkey();
                let member = &mut self.members[at];
                is_done &= member.node.follow(&mut member.disk, &vkey).is_ok();
            }
        }
        is_done
    }

    fn dial_adversary(&mut self, at: usize) {
        let index = self.adversaries[at].index();
        let peers: Vec<_> = self
            .plan
            .links
            .iter()
            .filter(|link| link.from == index)
            .map(|link| (link.to, self.vkey(link.to)))
            .collect();
        let honest: Vec<_> = self.members.iter().map(Member::vkey).collect();
        self.adversaries[at].dial(&peers, &honest);
    }

    fn vkey(&self, index: u32) -> crate::Vkey<S> {
        let at = index as usize;
        match self.members.get(at) {
            Some(member) => member.vkey(),
            None => self.adversaries[at - self.members.len()].vkey(),
        }
    }

    fn schedule(&mut self, at: u64, what: What) {
        self.sequence += 1;
        self.queue.push(Reverse(Scheduled { at: at.max(self.now), sequence: self.sequence, what }));
    }

    /// Carries the plan out to its end: until all of the core has converged and fallen silent after the
    /// faults ended, until the time for that is over, or until an invariant is broken.
    pub fn run(mut self) -> Report {
        while self.step() {}
        self.report()
    }

    /// Lets the next event happen; `false` at the end.
    pub fn step(&mut self) -> bool {
        if self.violation.is_some() || self.metrics.ended_at.is_some() {
            return false;
        }
        let Some(Reverse(next)) = self.queue.pop() else { return false };
        self.now = next.at;
        match next.what {
            What::Packet(packet) => self.deliver(packet),
            What::Wake(index) => self.wake(index),
            What::Entry(entry) => self.act(entry),
            What::End(entry) => self.end(entry),
            What::Restart(index) => self.restart(index),
            What::Calm => self.calm(),
            What::Sample => self.sample(),
        }
        true
    }

    fn watch(&mut self, happening: &Happening<'_>) {
        if let Some(observer) = &mut self.observer {
            observer(self.now, happening);
        }
    }

    fn trace(&mut self, kind: u64, index: u32) {
        self.metrics.events += 1;
        self.digest.number(self.now);
        self.digest.number(kind << 32 | u64::from(index));
    }

    fn broken(&mut self, node: u32, (invariant, what): Broken) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, at: self.now, node, what });
        }
    }

    // Packets.

    /// Takes the bytes in `scratch[..len]` to a member.
    fn send(&mut self, from: u32, to: u32, len: usize, delay: u64, outcome: Option<Outcome>) {
        let fate = self.network.send(self.now, from, to, len);
        self.metrics.sent(len, self.is_idle_link(from, to));
        for (is_again, arrives) in [(false, fate.first), (true, fate.again)] {
            let Some(arrives) = arrives else { continue };
            let at = self.free.pop().unwrap_or_else(|| {
                self.packets.push(Packet::default());
                u32::try_from(self.packets.len() - 1).unwrap_or(u32::MAX)
            });
            let packet = &mut self.packets[at as usize];
            (packet.from, packet.to, packet.outcome, packet.is_again) = (from, to, outcome, is_again);
            packet.bytes.clear();
            packet.bytes.extend_from_slice(&self.scratch[..len]);
            self.schedule(arrives + delay, What::Packet(at));
        }
    }

    fn is_idle_link(&self, from: u32, to: u32) -> bool {
        let honest = self.members.len();
        (from as usize) < honest && (to as usize) < honest
    }

    fn deliver(&mut self, at: u32) {
        let to = self.packets[at as usize].to;
        if let Some(member) = self.members.get(to as usize).filter(|member| member.paused_until > self.now) {
            return self.schedule(member.paused_until, What::Packet(at));
        }
        let mut packet = core::mem::take(&mut self.packets[at as usize]);
        if self.is_calm && packet.is_again {
            // The last of the faults.
            return self.free.push(at);
        }
        self.trace(1, to);
        self.digest.number(u64::from(packet.from));
        self.digest.bytes(&packet.bytes);
        self.metrics.messages += 1;
        if self.observer.is_some() {
            let frame = Frame::decode(&packet.bytes).ok();
            self.watch(&Happening::Message { from: packet.from, to, frame });
        }
        if (to as usize) < self.members.len() {
            self.receive(&packet);
        } else {
            self.adversary_receives(&packet);
        }
        packet.bytes.clear();
        self.packets[at as usize] = packet;
        self.free.push(at);
    }

    fn receive(&mut self, packet: &Packet) {
        let at = packet.to as usize;
        if !self.members[at].is_up {
            return;
        }
        let frame = Frame::decode(&packet.bytes);
        if packet.outcome == Some(Outcome::NoFrame) && frame.is_ok() {
            return self.broken(packet.to, (Invariant::Outcome, "took for a frame what is none".into()));
        }
        let Ok(frame) = frame else { return };
        match frame.message {
            Message::Request(request) => {
                let local = self.members[at].now(self.now);
                let member = &mut self.members[at];
                let asked = match &request {
                    crate::wire::Request::Status(asked) => asked.limit,
                    crate::wire::Request::Proof { limit, .. } | crate::wire::Request::Records { limit, .. } => *limit,
                    _ => u32::MAX,
                };
                let limit = asked.min(member.config().max_message).max(64) as usize;
                let Some(answer) = member.node.respond(local, &mut member.disk, frame.id, &request, &mut self.scratch)
                else {
                    return self.broken(packet.to, (Invariant::Outcome, "gave no answer at all".into()));
                };
                let len = answer.len();
                if len > limit {
                    let what = format!("answered {len} bytes where at most {limit} were asked for");
                    return self.broken(packet.to, (Invariant::Bound, what));
                }
                self.departs(at, packet.from, len);
                self.send(packet.to, packet.from, len, 0, None);
            }
            Message::Response(response) => self.answer(packet, frame.id, response),
        }
        self.settle(at);
    }

    fn answer(&mut self, packet: &Packet, id: RequestId, response: Response<'_>) {
        let at = packet.to as usize;
        let local = self.members[at].now(self.now);
        let member = &mut self.members[at];
        let Some(peer) = member.handle_of(packet.from) else { return };
        let is_awaited = member.node.awaits(peer, id);
        let expected = packet.outcome.filter(|_| is_awaited && !self.disks[at].is_failing).and_then(|outcome| {
            outcome.expected(&member.node, member.is_authenticated(), &response)
        });
        // A store that is not ready: the answer is lost, and its deadline passes.
        let result = member.node.handle(local, &mut member.disk, Event::answer(peer, id, response));
        if let Some(fault) = expected
            && result.is_ok()
        {
            let health = member.node.peer(peer).map(|peer| peer.health);
            if health != Some(crate::Health::AtFault(fault)) {
                let what = format!("{:?} went unpunished: {health:?} instead of {fault:?}", packet.outcome);
                self.broken(packet.to, (Invariant::Outcome, what));
            }
        }
    }

    /// Holds what a node is about to send against the oracle.
    fn departs(&mut self, at: usize, to: u32, len: usize) {
        if self.plan.profile == Profile::Perf {
            return;
        }
        let Ok(frame) = Frame::decode(&self.scratch[..len]) else {
            let what = "sent what is no frame".into();
            return self.broken(u32::try_from(at).unwrap_or(0), (Invariant::Outcome, what));
        };
        let to = self.ids[to as usize];
        let result = self.oracle.departs(&mut self.members[at], &to, &frame);
        if let Err(broken) = result {
            self.broken(u32::try_from(at).unwrap_or(0), broken);
        }
    }

    /// After something happened to a node: lets it do all that it wants done, and looks at it.
    fn settle(&mut self, at: usize) {
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        self.check(at);
        for count in 0.. {
            if count > MOST_COMMANDS {
                return self.broken(index, (Invariant::Polling, "wants things done without end".into()));
            }
            let member = &mut self.members[at];
            match member.poll(self.now, &mut self.scratch) {
                None => break,
                Some(Polled::Nothing) => {}
                Some(Polled::Notice(notice)) => self.notice(at, notice),
                Some(Polled::Send { to, bytes }) => {
                    let len = bytes.len();
                    self.departs(at, to, len);
                    self.send(index, to, len, 0, None);
                }
            }
            self.check(at);
        }
        let member = &mut self.members[at];
        if let Some(wake) = member.next_wake(self.now)
            && (wake < member.wake_at || member.wake_at <= self.now)
        {
            member.wake_at = wake;
            self.schedule(wake, What::Wake(index));
        }
    }

    fn check(&mut self, at: usize) {
        if self.plan.profile == Profile::Perf {
            return;
        }
        match self.oracle.check(&mut self.members[at]) {
            Ok(false) => {}
            Ok(true) => self.oracle.measure(self.now, &self.members, &self.core),
            Err(broken) => self.broken(u32::try_from(at).unwrap_or(0), broken),
        }
    }

    fn notice(&mut self, at: usize, notice: Notice) {
        let node = u32::try_from(at).unwrap_or(u32::MAX);
        self.watch(&Happening::Notice { node, notice });
        match notice {
            Notice::PeerAtFault { peer, fault } => {
                let Some(accused) = self.members[at].route(peer) else { return };
                self.metrics.accusations += 1;
                let is_true = self.disks.get(accused as usize).is_none_or(|disk| disk.has_rotted);
                if !is_true && !self.disks[at].has_rotted {
                    let what = format!("says that honest node {accused} {fault}");
                    self.metrics.false_accusations += 1;
                    self.broken(node, (Invariant::FalseAccusation, what));
                }
            }
            Notice::WritingStopped => {
                self.broken(node, (Invariant::FalseAccusation, "holds that somebody else signs with its key".into()));
            }
            Notice::LogDamaged { log } if !self.disks[at].has_rotted => {
                let what = format!("holds that its disk is damaged in {log:?}");
                self.broken(node, (Invariant::FalseAccusation, what));
            }
            Notice::ForkDetected { .. } => self.metrics.detections += 1,
            _ => {}
        }
    }

    fn wake(&mut self, index: u32) {
        let at = index as usize;
        if at >= self.members.len() {
            return self.wake_adversary(at - self.members.len());
        }
        let member = &mut self.members[at];
        if member.wake_at != self.now && self.now != 0 || !member.is_up {
            return;
        }
        member.wake_at = u64::MAX;
        if member.paused_until > self.now {
            let until = member.paused_until;
            member.wake_at = until;
            return self.schedule(until, What::Wake(index));
        }
        self.trace(2, index);
        self.watch(&Happening::Wake { node: index });
        self.wakes[at] += 1;
        if self.wakes[at] > MOST_WAKES {
            return self.broken(index, (Invariant::Polling, "wakes up without end".into()));
        }
        self.settle(at);
    }

    // The plan.

    fn act(&mut self, at: u32) {
        let Some(entry) = self.plan.entries.get(at as usize).cloned() else { return };
        self.trace(3, entry.id);
        self.watch(&Happening::Entry(&entry));
        match entry.act {
            Act::Append { node, count, len } => self.append(node, entry.id, count, len),
            Act::Crash { node, down, restart } => self.crash(node, entry.id, down, restart),
            Act::Backup { node } => {
                let at = node as usize;
                self.disks[at].backup = self.members[at].disk.backup();
            }
            Act::Cut { ref from, ref to, both, time } => {
                self.cut(from, to, both, true);
                self.schedule(self.now + time, What::End(at));
            }
            Act::Pause { node, time } => {
                let member = &mut self.members[node as usize];
                member.paused_until = member.paused_until.max(self.now + time);
            }
            Act::Clock { node, by } => {
                self.members[node as usize].set_clock(self.now, by);
                self.touch(node);
            }
            Act::Disk { node, fault, time } => {
                let history = &mut self.disks[node as usize];
                history.is_failing = true;
                history.has_rotted |= matches!(fault, DiskFault::Rot { .. });
                self.members[node as usize].disk.fail(Some(fault), draw(&[self.plan.seed, u64::from(entry.id)]));
                self.schedule(self.now + time, What::End(at));
            }
            Act::Sync { node, peer } => {
                let member = &mut self.members[node as usize];
                let count = member.peers().len().max(1);
                let peers = member.peers();
                if let Some(peer) = peers.get(peer as usize % count).and_then(|to| member.handle_of(*to)) {
                    // It is there, as far as anybody knows.
                    let _ = member.node.sync_now(peer);
                }
                self.touch(node);
            }
            Act::Misdeed { node, misdeed } => self.misdeed(node, entry.id, misdeed),
            Act::Habit { node, habit, permille } => {
                let at = node as usize - self.members.len();
                self.adversaries[at].take_to(habit, permille);
            }
        }
    }

    fn end(&mut self, at: u32) {
        let Some(entry) = self.plan.entries.get(at as usize).cloned() else { return };
        match entry.act {
            // After the calm there are no cuts to end.
            Act::Cut { ref from, ref to, both, .. } if !self.is_calm => self.cut(from, to, both, false),
            Act::Disk { node, .. } => self.mend(node as usize),
            _ => {}
        }
    }

    fn mend(&mut self, at: usize) {
        self.members[at].disk.fail(None, 0);
        self.disks[at].is_failing = false;
    }

    fn cut(&mut self, from: &[u32], to: &[u32], both: bool, begins: bool) {
        for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))) {
            self.network.cut(from, to, begins);
            if both {
                self.network.cut(to, from, begins);
            }
        }
    }

    /// A node is looked at because something was done to it.
    fn touch(&mut self, node: u32) {
        let at = node as usize;
        if self.members[at].is_up && self.members[at].paused_until <= self.now {
            self.settle(at);
        }
    }

    fn append(&mut self, node: u32, id: u32, count: u32, len: u32) {
        let at = node as usize;
        if !self.members[at].is_up {
            return;
        }
        let log = self.members[at].node.id();
        for number in 0..count {
            let drawn = draw(&[self.plan.seed, u64::from(id), u64::from(number), 0x7265_6373]);
            let record = record(drawn, len);
            let member = &mut self.members[at];
            // A node that must not write, or a disk that cannot: the application gives up.
            let Ok(index) = member.node.append(&mut member.disk, &record) else { break };
            self.trace(4, node);
            self.digest.number(index);
            if let Err(broken) = self.oracle.appended(&log, index, record, self.now) {
                return self.broken(node, broken);
            }
        }
        self.touch(node);
    }

    fn crash(&mut self, node: u32, id: u32, down: u64, restart: Restart) {
        let at = node as usize;
        if !self.members[at].is_up {
            return;
        }
        self.metrics.crashes += 1;
        self.disks[at].is_old &= self.members[at].node.is_recovering();
        self.members[at].is_up = false;
        self.members[at].disk.crash(draw(&[self.plan.seed, u64::from(id), 0x6372_6173]));
        self.disks[at].is_failing = false;
        self.disks[at].restart = Some(restart);
        self.schedule(self.now + down, What::Restart(node));
    }

    fn restart(&mut self, node: u32) {
        let at = node as usize;
        let Some(restart) = self.disks[at].restart else { return };
        if restart == Restart::Backup && self.is_held_elsewhere(at) {
            let backup = self.disks[at].backup.clone().unwrap_or_default();
            self.disks[at].is_old |= self.members[at].disk.restore(backup);
        }
        // Once, however often the disk has to be tried.
        self.disks[at].restart = Some(if restart == Restart::Backup { Restart::Recover } else { restart });
        let is_intact = !self.disks[at].is_old;
        let start = match restart {
            // The operator knows that the log has not been taken back yet.
            Restart::Resume if is_intact => Start::Resume,
            _ => Start::Recover(crate::Answers::All),
        };
        if self.members[at].restart(self.now, start).is_err() || !self.dial(at) {
            // The disk failed: once more, later.
            self.members[at].is_up = false;
            return self.schedule(self.now + 1_000_000, What::Restart(node));
        }
        self.disks[at].restart = None;
        self.trace(5, node);
        self.watch(&Happening::Restart { node });
        if let Err(broken) = self.oracle.restarted(&self.members[at], is_intact) {
            return self.broken(node, broken);
        }
        self.members[at].wake_at = u64::MAX;
        self.touch(node);
    }

    /// Whether a running honest peer durably holds all that this node ever let out of its own log, and
    /// every other node with that much to lose keeps its disk until this one is back.
    fn is_held_elsewhere(&mut self, at: usize) -> bool {
        let log = self.members[at].node.id();
        let left = self.oracle.logs.get(&log).map_or(0, |truth| truth.left);
        let peers: Vec<u32> = self.members[at].peers().to_vec();
        let is_another_lost = (0..self.members.len()).any(|other| {
            other != at && (self.members[other].node.is_recovering() || !self.members[other].is_up)
        });
        let has_adversary = peers.iter().any(|peer| *peer as usize >= self.members.len());
        if is_another_lost || has_adversary || self.is_calm {
            return false;
        }
        peers.iter().any(|peer| {
            self.members.get_mut(*peer as usize).is_some_and(|peer| {
                let durable = peer.disk.durable(&log).flatten().and_then(|stored| stored.state.complete);
                durable.map_or(0, |complete| complete.head.size) >= left
            })
        })
    }

    /// Faults end; adversaries go on.
    fn calm(&mut self) {
        self.is_calm = true;
        self.network.calm();
        for at in 0..self.members.len() {
            self.mend(at);
            self.members[at].paused_until = self.members[at].paused_until.min(self.now);
        }
    }

    fn sample(&mut self) {
        self.wakes.iter_mut().for_each(|wakes| *wakes = 0);
        let (converged, pending) = self.convergence();
        self.metrics.samples.push(Sample { at: self.now, converged });
        if self.is_calm && self.plan.profile != Profile::Perf {
            self.judge_liveness(&pending);
        } else if self.is_calm && pending.is_empty() {
            self.metrics.ended_at = Some(self.now);
        }
        if self.metrics.ended_at.is_none() {
            self.schedule(self.now + self.plan.interval / 2, What::Sample);
        }
    }

    fn judge_liveness(&mut self, pending: &[String]) {
        let (now, interval) = (self.now, self.plan.interval);
        let Some(converged_at) = self.metrics.converged_at else {
            if pending.is_empty() {
                self.metrics.converged_at = Some(now);
                self.metrics.begin_idle();
            } else if now > self.plan.calm_at + self.plan.patience * interval {
                let node = self.core.first().copied().unwrap_or(0);
                self.metrics.pending = pending.to_vec();
                self.broken(node, (Invariant::Liveness, pending.join("; ")));
            }
            return;
        };
        if now < converged_at + IDLE_INTERVALS * interval {
            return;
        }
        self.metrics.ended_at = Some(now);
        // While adversaries go on, or a damaged log is asked for in vain, there is something to talk about.
        let links = self.plan.links.iter().filter(|link| self.is_idle_link(link.from, link.to)).count() as u64;
        let (messages, bytes) = self.metrics.idle();
        let most = links * 2 * (IDLE_INTERVALS * 4 / 3 + 2);
        let is_quiet = self.adversaries.is_empty() && !self.disks.iter().any(|disk| disk.has_rotted);
        if is_quiet && (messages > most || bytes > messages * 400) {
            let what = format!("{messages} messages of {bytes} bytes on {links} links in {IDLE_INTERVALS} intervals");
            self.broken(0, (Invariant::IdleTraffic, what));
        }
    }

    /// How much of what the core should agree on it does agree on, in thousandths, and what is missing.
    fn convergence(&mut self) -> (u32, Vec<String>) {
        let mut pending = Vec::new();
        let (mut pairs, mut agreed) = (0_u32, 0_u32);
        let members = &self.members;
        let core: Vec<&Member<S, D>> = self.core.iter().map(|at| &members[*at as usize]).collect();
        for (log, truth) in &self.oracle.logs {
            let infos: Vec<_> = core.iter().filter_map(|member| Some((member, member.node.log(log)?))).collect();
            let is_forked = infos.iter().any(|(_, info)| info.is_forked);
            let best = infos.iter().map(|(_, info)| (info.have, info.complete.size)).max().unwrap_or_default();
            let root = infos.iter().find(|(_, info)| (info.have, info.complete.size) == best).map(|(_, i)| i.complete);
            if truth.writer.is_some_and(|writer| self.core.contains(&writer)) && infos.len() < core.len() {
                pending.push(format!("{log:?} is followed by {} of {}", infos.len(), core.len()));
            }
            for (member, info) in &infos {
                pairs += 1;
                let agrees = if is_forked {
                    info.is_forked
                } else {
                    // A head alone may be ahead where its writer withholds what leads to it.
                    (info.have, info.complete.size) == best && Some(info.complete) == root
                };
                let is_excused = info.is_damaged;
                if agrees || is_excused {
                    agreed += 1;
                } else {
                    let reason = if is_forked {
                        "no fork proof"
                    } else if !member.is_up {
                        "down"
                    } else if info.is_stalled {
                        "stalled"
                    } else {
                        "behind"
                    };
                    pending.push(format!(
                        "node {} {reason} on {log:?}: {} (head {}) of {} (head {})",
                        member.index, info.have, info.complete.size, best.0, best.1
                    ));
                }
            }
        }
        for member in core.iter().filter(|member| !member.is_up) {
            pending.push(format!("node {} is down", member.index));
        }
        if let Some(forked) = self.oracle.logs.values().filter_map(|truth| truth.forked_at).min()
            && self.metrics.proven_at.is_none()
            && self.core.iter().any(|at| members[*at as usize].node.logs().any(|info| info.is_forked))
            && pending.is_empty()
        {
            self.metrics.proven_at = Some(self.now.saturating_sub(forked));
        }
        (if pairs == 0 { 1_000 } else { agreed * 1_000 / pairs }, pending)
    }

    // Adversaries.

    fn adversary_receives(&mut self, packet: &Packet) {
        let at = packet.to as usize - self.members.len();
        let Ok(frame) = Frame::decode(&packet.bytes) else { return };
        let mut out = Vec::new();
        let broken = self.adversaries[at].receive(self.now, packet.from, &frame, &mut out);
        self.dispatch(at, out);
        if let Some(what) = broken {
            self.broken(packet.from, (Invariant::Outcome, what));
        }
        self.settle_adversary(at);
    }

    fn wake_adversary(&mut self, at: usize) {
        let index = self.adversaries[at].index();
        if !self.adversaries[at].is_due(self.now) {
            return;
        }
        self.trace(2, index);
        self.settle_adversary(at);
    }

    fn settle_adversary(&mut self, at: usize) {
        let mut out = Vec::new();
        let wake = self.adversaries[at].poll(self.now, &mut self.scratch, &mut out);
        self.dispatch(at, out);
        if let Some(wake) = wake {
            let index = self.adversaries[at].index();
            self.schedule(wake, What::Wake(index));
        }
    }

    fn dispatch(&mut self, at: usize, out: Vec<Outgoing>) {
        let from = self.adversaries[at].index();
        for Outgoing { to, delay, bytes, outcome } in out {
            let len = bytes.len().min(self.scratch.len());
            self.scratch[..len].copy_from_slice(&bytes[..len]);
            self.send(from, to, len, delay, outcome);
        }
    }

    fn misdeed(&mut self, node: u32, id: u32, misdeed: Misdeed) {
        let at = node as usize - self.members.len();
        if let Misdeed::Collude { with } = misdeed {
            let other = with as usize - self.members.len();
            self.adversaries[other].show_second_face_to(node);
            self.adversaries[at].take_to(Habit::HideForks, 1_000);
            return;
        }
        let mut out = Vec::new();
        let salt = draw(&[self.plan.seed, u64::from(id), 0x6d69_7364]);
        let has_forked = self.adversaries[at].misbehave(self.now, misdeed, salt, &mut out);
        let log = self.adversaries[at].id();
        if has_forked
            && let Some(truth) = self.oracle.logs.get_mut(&log)
        {
            self.metrics.forks_made += u64::from(truth.forked_at.is_none());
            truth.forked_at.get_or_insert(self.now);
        }
        self.dispatch(at, out);
        self.settle_adversary(at);
    }

    fn report(mut self) -> Report {
        let (_, pending) = self.convergence();
        let proven = |log: &LogId| {
            self.core.iter().all(|at| self.members[*at as usize].node.log(log).is_none_or(|info| info.is_forked))
        };
        let forks = self.oracle.logs.iter().filter(|(_, truth)| truth.forked_at.is_some());
        let forks_proven = forks.filter(|(log, _)| proven(log)).count() as u64;
        let others = (self.members.len() as u64).saturating_sub(1);
        let record_bytes: u64 = self.oracle.logs.values().map(oracle::Truth::bytes).sum();
        let mut metrics = self.metrics;
        metrics.digest = self.digest.value();
        metrics.record_bytes = record_bytes * others;
        metrics.forks_proven = forks_proven;
        if metrics.pending.is_empty() {
            metrics.pending = pending;
        }
        let latencies = core::mem::take(&mut self.oracle.latencies);
        metrics.into_report(self.plan.seed, self.plan.profile, self.now, latencies, self.violation)
    }
}

/// The largest set of honest nodes that are connected through honest nodes. One whose disk reads falsely at
/// times is none of them: it stops serving what it finds damaged, and says so.
fn connected(plan: &Plan) -> Vec<u32> {
    let honest = u32::try_from(plan.honest()).unwrap_or(0);
    let rots = |node: u32| {
        plan.entries.iter().any(|entry| {
            matches!(entry.act, Act::Disk { node: rotten, fault: DiskFault::Rot { .. }, .. } if rotten == node)
        })
    };
    let mut largest: Vec<u32> = Vec::new();
    for start in (0..honest).filter(|start| !rots(*start)) {
        let mut reached = vec![start];
        let mut next = 0;
        while let Some(at) = reached.get(next).copied() {
            next += 1;
            for link in plan.links.iter().filter(|link| link.from.max(link.to) < honest) {
                let other = if link.from == at {
                    link.to
                } else if link.to == at {
                    link.from
                } else {
                    continue;
                };
                if !rots(other) && !reached.contains(&other) {
                    reached.push(other);
                }
            }
        }
        if reached.len() > largest.len() {
            reached.sort_unstable();
            largest = reached;
        }
    }
    largest
}

/// A record drawn from a number, of at most `len` bytes.
fn record(drawn: u64, len: u32) -> Vec<u8> {
    let len = usize::try_from(scale(draw(&[drawn]), u64::from(len) + 1)).unwrap_or(0);
    let mut bytes = vec![0; len];
    for (number, chunk) in (0..).zip(bytes.chunks_mut(8)) {
        let word = draw(&[drawn, number]).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    bytes
}

/// A refusal is what forged things are met with.
fn is_refusal(response: &Response<'_>) -> bool {
    matches!(response, Response::Refused(_))
}
