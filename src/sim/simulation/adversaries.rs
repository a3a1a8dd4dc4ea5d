//! What adversaries do: with what arrives at them, when they wake up, and when the plan says so. Whatever that is,
//! the oracle is told only that a second history was signed.

use alloc::vec::Vec;

use super::state::{Packet, Simulation, What};
use crate::key::Scheme;
use crate::sim::adversary::Outgoing;
use crate::sim::disk::Disk;
use crate::sim::hash::draw;
use crate::sim::oracle::Invariant;
use crate::sim::plan::{Habit, Misdeed};
use crate::wire::Frame;

impl<S: Scheme, D: Disk> Simulation<S, D> {
    pub(super) fn adversary_receives(&mut self, packet: &Packet) {
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

    pub(super) fn wake_adversary(&mut self, at: usize) {
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

    pub(super) fn misdeed(&mut self, node: u32, id: u32, misdeed: Misdeed) {
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
        if has_forked && let Some(truth) = self.oracle.logs.get_mut(&log) {
            self.metrics.forks_made += u64::from(truth.forked_at.is_none());
            truth.forked_at.get_or_insert(self.now);
        }
        self.dispatch(at, out);
        self.settle_adversary(at);
    }
}
