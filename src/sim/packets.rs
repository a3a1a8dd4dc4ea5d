//! What arrives at a node, what it does about it, and what leaves it.

use alloc::format;
use alloc::vec::Vec;

use super::disk::Disk;
use super::member::Polled;
use super::oracle::Invariant;
use super::outcome::Outcome;
use super::plan::Profile;
use super::{Happening, MOST_COMMANDS, MOST_WAKES, Simulation, What};
use crate::wire::{Frame, Message, RequestId, Response};
use crate::{Event, Notice, Scheme};

#[derive(Default)]
pub(super) struct Packet {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) bytes: Vec<u8>,
    outcome: Option<Outcome>,
    /// It has arrived before.
    is_again: bool,
}

impl<S: Scheme, D: Disk> Simulation<S, D> {
    /// Takes the bytes in `scratch[..len]` to a member.
    pub(super) fn send(&mut self, from: u32, to: u32, len: usize, delay: u64, outcome: Option<Outcome>) {
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

    pub(super) fn is_idle_link(&self, from: u32, to: u32) -> bool {
        let honest = self.members.len();
        (from as usize) < honest && (to as usize) < honest
    }

    pub(super) fn deliver(&mut self, at: u32) {
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
        self.traffic[at].received(packet.bytes.len());
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
        let awaited = packet
            .outcome
            .filter(|_| is_awaited && !self.disks[at].is_failing)
            .map(|outcome| outcome.awaited(&member.node, peer, member.is_authenticated(), &response));
        // A store that is not ready: the answer is lost, and its deadline passes.
        let result = member.node.handle(local, &mut member.disk, Event::Answer { peer, request: id, response });
        let judged = awaited.map_or(Ok(()), |awaited| awaited.judge(&member.node, peer, &response));
        if let Err(what) = judged
            && result.is_ok()
        {
            self.broken(packet.to, (Invariant::Outcome, what));
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
    pub(super) fn settle(&mut self, at: usize) {
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
                    self.traffic[at].sent(len);
                    self.departs(at, to, len);
                    self.send(index, to, len, 0, None);
                }
            }
            self.check(at);
        }
        self.check_done(at);
        let member = &mut self.members[at];
        if let Some(wake) = member.next_wake(self.now)
            && (wake < member.wake_at || member.wake_at <= self.now)
        {
            member.wake_at = wake;
            self.schedule(wake, What::Wake(index));
        }
    }

    /// A node that has just wanted nothing more wants nothing more, even where it forgets that it said so.
    fn check_done(&mut self, at: usize) {
        if self.plan.profile == Profile::Perf || self.disks[at].is_failing {
            return;
        }
        let member = &mut self.members[at];
        member.node.resume();
        let now = member.now(self.now);
        if let Some(command) = member.node.poll(now, &mut member.disk) {
            let what = format!("had more to do than it said: {command:?}");
            self.broken(u32::try_from(at).unwrap_or(0), (Invariant::Polling, what));
        }
    }

    /// What nodes send of their own accord keeps to what they are sent, what they write, and their rounds.
    pub(super) fn check_traffic(&mut self) {
        if self.plan.profile == Profile::Perf {
            return;
        }
        let rounds = self.now / self.plan.interval;
        let mut broken = None;
        for (member, traffic) in self.members.iter().zip(&self.traffic) {
            let peers = member.peers().len() as u64;
            if let Err(what) = traffic.check(peers, rounds + member.incarnation) {
                broken = Some((member.index, what));
            }
        }
        if let Some((node, what)) = broken {
            self.broken(node, what);
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
            Notice::Published { head } => self.metrics.published(at, head.size),
            _ => {}
        }
    }

    pub(super) fn wake(&mut self, index: u32) {
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
}
