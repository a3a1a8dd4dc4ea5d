//! A simulation as it stands: who is there, what is on its way, what comes next, and what has been found. Beside that
//! only how to put something on the list, and how to write down that something happened.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::happening::{Happening, Observer};
use crate::key::{LogId, Scheme};
use crate::sim::adversary::{Adversary, Outcome};
use crate::sim::disk::{Disk, SimDisk};
use crate::sim::hash::Digest;
use crate::sim::member::Member;
use crate::sim::metrics::Metrics;
use crate::sim::network::Network;
use crate::sim::oracle::{Broken, Oracle, Traffic, Violation};
use crate::sim::plan::{Plan, Restart};
use crate::sim::scheme::SimScheme;
use crate::store::MemoryStore;

/// A plan being carried out: by nodes with the signature scheme `S`, on disks of the type `D`.
pub struct Simulation<S: Scheme = SimScheme, D: Disk = SimDisk> {
    pub(super) plan: Plan,
    pub(super) now: u64,
    pub(super) sequence: u64,
    pub(super) queue: BinaryHeap<Reverse<Scheduled>>,
    /// The plan's entries in the order in which they come due; the next of them only is in the queue.
    pub(super) entries: vec::IntoIter<u32>,
    pub(super) packets: Vec<Packet>,
    pub(super) free: Vec<u32>,
    pub(super) members: Vec<Member<S, D>>,
    /// What a member's disk is to be restored from, and whether it read falsely at times.
    pub(super) disks: Vec<DiskHistory>,
    pub(super) wakes: Vec<u64>,
    pub(super) traffic: Vec<Traffic>,
    pub(super) adversaries: Vec<Adversary<S>>,
    /// Everybody's id.
    pub(super) ids: Vec<LogId>,
    pub(super) network: Network,
    pub(super) oracle: Oracle,
    pub(super) metrics: Metrics,
    pub(super) digest: Digest,
    pub(super) violation: Option<Violation>,
    pub(super) is_calm: bool,
    /// Honest nodes that are connected with each other.
    pub(super) core: Vec<u32>,
    pub(super) scratch: Vec<u8>,
    pub(super) observer: Option<Observer>,
}

impl<S: Scheme, D: Disk> Simulation<S, D> {
    pub(super) fn schedule(&mut self, at: u64, what: What) {
        self.sequence += 1;
        self.queue.push(Reverse(Scheduled { at: at.max(self.now), sequence: self.sequence, what }));
    }

    pub(super) fn schedule_entry(&mut self) {
        if let Some(index) = self.entries.next() {
            let at = self.plan.entries[index as usize].at;
            self.queue.push(Reverse(Scheduled { at, sequence: u64::from(index), what: What::Entry(index) }));
        }
    }

    pub(super) fn watch(&mut self, happening: &Happening<'_>) {
        if let Some(observer) = &mut self.observer {
            observer(self.now, happening);
        }
    }

    pub(super) fn trace(&mut self, kind: u64, index: u32) {
        self.metrics.events += 1;
        self.digest.number(self.now);
        self.digest.number(kind << 32 | u64::from(index));
    }

    pub(super) fn broken(&mut self, node: u32, (invariant, what): Broken) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, at: self.now, node, what });
        }
    }
}

#[derive(Default)]
pub(super) struct DiskHistory {
    pub(super) backup: Option<MemoryStore>,
    pub(super) restart: Option<Restart>,
    pub(super) has_rotted: bool,
    pub(super) is_failing: bool,
    /// The disk is an old copy, and what it lacks has not been taken back yet.
    pub(super) is_old: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scheduled {
    pub(super) at: u64,
    pub(super) sequence: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Packet(u32),
    Wake(u32),
    Entry(u32),
    Restart(u32),
    /// What an entry began ends.
    End(u32),
    Calm,
    Sample,
}

/// A message on its way.
#[derive(Default)]
pub(super) struct Packet {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) outcome: Option<Outcome>,
    /// It has arrived before.
    pub(super) is_again: bool,
}
