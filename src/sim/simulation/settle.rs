//! What an honest node does when something has happened to it, until it wants nothing more; and whether it may, which
//! is asked after each step.

use alloc::format;

use super::happening::Happening;
use super::state::{Simulation, What};
use crate::key::Scheme;
use crate::sim::disk::Disk;
use crate::sim::member::Polled;
use crate::sim::oracle::Invariant;
use crate::sim::plan::Profile;
use crate::store::StoreError;
use crate::wire::Frame;
use crate::words::Notice;

/// A node may want so many things done at one moment.
const MOST_COMMANDS: u32 = 20_000;

impl<S: Scheme, D: Disk> Simulation<S, D> {
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

    /// Holds what a node is about to send against the oracle.
    pub(super) fn departs(&mut self, at: usize, to: u32, len: usize) {
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
            // (Where nothing has rotted, a disk of somebody's own may say it of no log in particular.)
            Notice::StoreFailed { error: error @ (StoreError::Damaged | StoreError::Mismatch) }
                if self.disks[at].has_rotted && !self.members[at].node.logs().any(|info| info.is_damaged) =>
            {
                let what = format!("met what it tells of as '{error}', and takes no log for damaged");
                self.broken(node, (Invariant::Damage, what));
            }
            Notice::ForkDetected { .. } => self.metrics.detections += 1,
            Notice::Published { head } => self.metrics.published(at, head.size),
            _ => {}
        }
    }
}
