//! What arrives at a member, and when a member wakes up: each such event ends with the node being
//! [settled](Simulation::settle).

use alloc::format;

use super::happening::Happening;
use super::state::{Packet, Simulation, What};
use crate::key::Scheme;
use crate::sim::adversary::Outcome;
use crate::sim::disk::Disk;
use crate::sim::oracle::Invariant;
use crate::wire::{Frame, Message, Request, RequestId, Response};
use crate::words::Event;

/// A node may wake up so often in one interval.
const MOST_WAKES: u64 = 5_000;

impl<S: Scheme, D: Disk> Simulation<S, D> {
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
                    Request::Status(asked) => asked.limit,
                    Request::Proof { limit, .. } | Request::Records { limit, .. } => *limit,
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
