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
//! # What is checked
//!
//! After every event, on the node it touched: each replica is a prefix of what its writer appended, byte for
//! byte, and its root is the oracle's; heads are signed and nothing shrinks; a frozen log stays frozen;
//! nobody honest is accused; every fork proof verifies by itself; tables and answers keep to their bounds, and
//! what a node sends of its own accord to twice what it is sent and writes, for each peer, and its rounds; a
//! node stops wanting things and stops waking up, and has left nothing undone when it does. Of everything that
//! leaves an honest node: it is durable, its heads are its history's, its nonces are new. Of what an adversary
//! sends: its outcome.
//!
//! At the end: within [`Plan::patience`] intervals after the faults, everything that one node of the core holds
//! is held by all that are connected with it through followers of that log, or they all hold the fork proof;
//! and three intervals later, when no push that was put off can be left, they fall silent: at most one question
//! and answer a link and round, of at most 400 bytes on average. (The *core* is the largest set of honest nodes connected by honest nodes, less those whose disks
//! read falsely at times: these stop serving what they find damaged, by design.) What a [`Report`] calls
//! pending says what is missing and why.
//!
//! [`Profile::Perf`] checks nothing: it is there to be timed. What is counted there as in all other profiles is
//! a message delivered, a node's wake-up that came due, a record appended, or an entry of the plan come due;
//! what falls away unseen (a packet lost, a wake-up overtaken by an earlier one) is not.
//!
//! That these checks can fail is shown by `tests/planted_bugs.sh`, which builds the crate with one bug after
//! the other (`cfg(verisoo_bug = "…")`) and prints after how many seeds each was caught:
//!
//! | bug | seeds until caught | by |
//! | --- | --- | --- |
//! | back-off-never-reset | 17 | `Liveness` |
//! | deadlines-never-pass | 1 | `Liveness` |
//! | equal-sizes-taken-for-equal | 10 | `Liveness` |
//! | evidence-not-relayed | 1 | `Liveness` |
//! | frozen-log-grows | 81 | `Frozen` |
//! | head-signature-unchecked | 6 | `FalseAccusation` |
//! | limit-ignored | 1 | `Bound` |
//! | one-root-compared | 49 | `FalseAccusation` |
//! | proof-length-unchecked | 173 | `FalseAccusation` |
//! | pushed-before-durable | 1 | `Durability` |
//! | pushed-without-progress | 1257 | `Bound` |
//! | quota-unchecked | 45 | `Bound` |
//! | recovery-without-answers | 3 | `FalseAccusation` |
//! | sent-taken-for-received | 1 | `Outcome` |
//! | stale-answer-accepted | 1 | `Nonce` |
//! | stored-before-proven | 5 | `Replica` |
//! | word-not-clamped | 6 | `Outcome` |
//! | writer-blamed-for-relay | 18 | `FalseAccusation` |
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
mod forks;
mod hash;
mod liveness;
mod member;
mod metrics;
mod misdeeds;
mod network;
mod oracle;
mod outcome;
mod packets;
mod plan;
mod scheme;
mod script;
mod shrink;
mod tamper;
mod traffic;

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

pub use disk::{Disk, DiskFault, SimDisk};
pub use metrics::{Report, Sample};
pub use oracle::{Invariant, Violation};
pub use plan::{Act, Entry, Habit, Link, Misdeed, NodePlan, Plan, Profile, Restart, Weather};
pub use scheme::SimScheme;
pub use shrink::{shrink, shrink_with};

use traffic::Traffic;

use crate::store::MemoryStore;
use crate::wire::{Frame, Response};
use crate::{LogId, Notice, Scheme};
use adversary::Adversary;
use hash::Digest;
use member::Member;
use metrics::Metrics;
use network::Network;
use oracle::{Broken, Oracle};
use packets::Packet;

/// A node may want so many things done at one moment.
const MOST_COMMANDS: u32 = 20_000;

/// A node may wake up so often in one interval.
const MOST_WAKES: u64 = 5_000;

/// Intervals of silence that are watched after all have converged.
const IDLE_INTERVALS: u64 = 4;

/// Intervals after convergence in which a push that was put off may still come.
const SETTLING_INTERVALS: u64 = 3;

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

/// A plan being carried out: by nodes with the signature scheme `S`, on disks of the type `D`.
pub struct Simulation<S: Scheme = SimScheme, D: Disk = SimDisk> {
    plan: Plan,
    now: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    /// The plan's entries in the order in which they come due; the next of them only is in the queue.
    entries: vec::IntoIter<u32>,
    packets: Vec<Packet>,
    free: Vec<u32>,
    members: Vec<Member<S, D>>,
    /// What a member's disk is to be restored from, and whether it read falsely at times.
    disks: Vec<DiskHistory>,
    wakes: Vec<u64>,
    traffic: Vec<Traffic>,
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

impl Simulation {
    /// A plan to be carried out by nodes with the stand-in signature scheme on simulated disks.
    pub fn new(plan: Plan) -> Self {
        Self::with(plan, |_, plan| SimDisk::for_plan(plan))
    }
}

impl<S: Scheme, D: Disk> Simulation<S, D> {
    /// The same with another signature scheme, or on other disks: `disk` makes one for each honest node, given its
    /// number. For an example, see [`Disk`].
    ///
    /// # Panics
    ///
    /// Where the plan is not sound ([`Plan::is_sound`]).
    pub fn with(plan: Plan, mut disk: impl FnMut(u32, &Plan) -> D) -> Self {
        assert!(plan.is_sound(), "the plan names what there is not, or its nodes are not in order");
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
        for member in &members {
            let member: &Member<S, D> = member;
            oracle.know(member.node.id(), Some(member.index));
        }
        for adversary in &adversaries {
            let adversary: &Adversary<S> = adversary;
            oracle.know(adversary.id(), None);
        }
        let ids = members.iter().map(|member| member.node.id()).chain(adversaries.iter().map(Adversary::id)).collect();
        let core = liveness::connected(&plan);
        let mut simulation = Self {
            now: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            entries: Vec::new().into_iter(),
            packets: Vec::new(),
            free: Vec::new(),
            disks: (0..honest).map(|_| DiskHistory::default()).collect(),
            wakes: vec![0; honest],
            traffic: vec![Traffic::default(); honest],
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

    /// Who is to be told of everything that happens, with the time in microseconds, from now on; takes the place
    /// of whoever was told before. What is told changes nothing: the trace is the same.
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use verisoo::Notice;
    /// use verisoo::sim::{Happening, Plan, Profile, Simulation};
    ///
    /// let published = Rc::new(Cell::new(0));
    /// let counter = Rc::clone(&published);
    /// let mut simulation = Simulation::new(Plan::expand(7, Profile::Lite, None));
    /// simulation.observe(Box::new(move |_at, happening| {
    ///     if let Happening::Notice { notice: Notice::Published { .. }, .. } = happening {
    ///         counter.set(counter.get() + 1);
    ///     }
    /// }));
    /// simulation.run();
    /// assert!(published.get() > 0);
    /// ```
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
        let mut entries: Vec<u32> = (0..u32::try_from(self.plan.entries.len()).unwrap_or(u32::MAX)).collect();
        entries.sort_by_key(|index| self.plan.entries[*index as usize].at);
        // Of what is due at one moment the plan's entries come first, in their order.
        self.sequence = entries.len() as u64;
        self.entries = entries.into_iter();
        self.schedule_entry();
        self.schedule(self.plan.calm_at, What::Calm);
        self.schedule(self.plan.interval / 2, What::Sample);
        for index in 0..u32::try_from(self.plan.nodes.len()).unwrap_or(0) {
            self.schedule(0, What::Wake(index));
        }
    }

    /// Makes the plan's links known to a node that has just started. `false` where its disk did not let it.
    fn dial(&mut self, at: usize) -> bool {
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        let links: Vec<u32> = self.plan.links.iter().filter(|link| link.from == index).map(|link| link.to).collect();
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

    fn schedule_entry(&mut self) {
        if let Some(index) = self.entries.next() {
            let at = self.plan.entries[index as usize].at;
            self.queue.push(Reverse(Scheduled { at, sequence: u64::from(index), what: What::Entry(index) }));
        }
    }

    /// Carries the plan out to its end: until all of the core has converged and fallen silent after the
    /// faults ended, until the time for that is over, or until an invariant is broken.
    pub fn run(mut self) -> Report {
        while self.step() {}
        self.report()
    }

    /// Lets the next event happen; `false` at the end. [`Simulation::run`] then gives the report.
    ///
    /// ```
    /// use verisoo::sim::{Plan, Profile, Simulation};
    ///
    /// let mut simulation = Simulation::new(Plan::expand(7, Profile::Lite, None));
    /// // To the end of the first simulated minute, and then to the end.
    /// while simulation.now() < 60_000_000 && simulation.step() {}
    /// let report = simulation.run();
    /// assert!(report.ended_at > 60_000_000 && report.violation.is_none());
    /// ```
    pub fn step(&mut self) -> bool {
        if self.violation.is_some() || self.metrics.ended_at.is_some() {
            return false;
        }
        let Some(Reverse(next)) = self.queue.pop() else { return false };
        self.now = next.at;
        match next.what {
            What::Packet(packet) => self.deliver(packet),
            What::Wake(index) => self.wake(index),
            What::Entry(entry) => {
                self.schedule_entry();
                self.act(entry);
            }
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

    fn report(mut self) -> Report {
        let (_, pending) = self.convergence();
        let (forks_visible, forks_proven) = self.forks();
        let others = (self.members.len() as u64).saturating_sub(1);
        let record_bytes: u64 = self.oracle.logs.values().map(oracle::Truth::bytes).sum();
        let mut metrics = self.metrics;
        metrics.digest = self.digest.value();
        metrics.record_bytes = record_bytes * others;
        metrics.replicas = others;
        metrics.forks_visible = forks_visible;
        metrics.forks_proven = forks_proven;
        if metrics.pending.is_empty() {
            metrics.pending = pending;
        }
        let latencies = core::mem::take(&mut self.oracle.latencies);
        metrics.into_report(self.plan.seed, self.plan.profile, self.now, latencies, self.violation)
    }
}

/// A refusal is what forged things are met with.
fn is_refusal(response: &Response<'_>) -> bool {
    matches!(response, Response::Refused(_))
}
