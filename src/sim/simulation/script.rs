//! Carrying out a plan's entries: what begins, what ends by itself, and what calms. What is drawn for an entry depends
//! on its number alone, so that the others can be left out.

use alloc::vec;
use alloc::vec::Vec;

use super::happening::Happening;
use super::state::{Simulation, What};
use crate::key::Scheme;
use crate::sim::disk::Disk;
use crate::sim::hash::{draw, scale};
use crate::sim::plan::{Act, DiskFault, Restart};
use crate::words::{Answers, Start};

impl<S: Scheme, D: Disk> Simulation<S, D> {
    pub(super) fn act(&mut self, at: u32) {
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

    pub(super) fn end(&mut self, at: u32) {
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
    pub(super) fn touch(&mut self, node: u32) {
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
            self.traffic[at].appended(record.len());
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

    pub(super) fn restart(&mut self, node: u32) {
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
            _ => Start::Recover(Answers::All),
        };
        if self.members[at].restart(self.now, start).is_err() || !self.dial(at) {
            // The disk failed: once more, later.
            self.members[at].is_up = false;
            return self.schedule(self.now + 1_000_000, What::Restart(node));
        }
        self.disks[at].restart = None;
        self.trace(5, node);
        self.watch(&Happening::Restart { node });
        if let Err(broken) = self.oracle.restarted(&self.members[at], is_intact, self.now) {
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
        let is_another_lost = (0..self.members.len())
            .any(|other| other != at && (self.members[other].node.is_recovering() || !self.members[other].is_up));
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
    pub(super) fn calm(&mut self) {
        self.is_calm = true;
        self.network.calm();
        for at in 0..self.members.len() {
            self.mend(at);
            self.members[at].paused_until = self.members[at].paused_until.min(self.now);
        }
    }
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
