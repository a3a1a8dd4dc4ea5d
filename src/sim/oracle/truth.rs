//! What is true of a log: what its honest writer appended, in order, and the roots that this makes (RFC 9162 section
//! 2.1.1); and what a crash made it forget before anybody knew of it.

use alloc::vec;
use alloc::vec::Vec;

use crate::log::{Frontier, Hash, leaf_hash};

/// The history of an honest writer's log, or what is known of an adversary's.
pub(in crate::sim) struct Truth {
    /// The honest writer; `None` for an adversary's log.
    pub(in crate::sim) writer: Option<u32>,
    pub(super) records: Vec<Vec<u8>>,
    /// Roots by size, from 0.
    roots: Vec<Hash>,
    frontier: Frontier,
    /// When each record was appended.
    pub(super) times: Vec<u64>,
    /// The largest size of a signed head that left the writer.
    pub(in crate::sim) left: u64,
    /// Records that every core node holds.
    pub(super) reached: u64,
    /// When its writer signed a second history.
    pub(in crate::sim) forked_at: Option<u64>,
    /// What its writer forgot, with its index: that it was forgotten may be lost in the next crash.
    forgotten: Vec<(u64, Vec<u8>)>,
}

impl Truth {
    pub(super) fn new(writer: Option<u32>) -> Self {
        Self {
            writer,
            records: Vec::new(),
            roots: vec![Hash::EMPTY_ROOT],
            frontier: Frontier::new(),
            times: Vec::new(),
            left: 0,
            reached: 0,
            forked_at: None,
            forgotten: Vec::new(),
        }
    }

    pub(in crate::sim) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    pub(in crate::sim) fn bytes(&self) -> u64 {
        self.records.iter().map(|record| record.len() as u64).sum()
    }

    pub(super) fn root(&self, size: u64) -> Option<Hash> {
        self.roots.get(usize::try_from(size).ok()?).copied()
    }

    pub(super) fn append(&mut self, record: Vec<u8>, now: u64) {
        // A simulation does not reach 2^62 records.
        let _ = self.frontier.push(leaf_hash(&record), |_| {});
        self.roots.push(self.frontier.root());
        self.records.push(record);
        self.times.push(now);
    }

    /// The writer forgot what it never showed to anybody.
    pub(super) fn truncate(&mut self, size: u64) {
        let Ok(size) = usize::try_from(size) else { return };
        if size >= self.records.len() {
            return;
        }
        self.forgotten.extend((size as u64..).zip(self.records.drain(size..)));
        self.times.truncate(size);
        self.roots.truncate(size + 1);
        self.frontier = Frontier::new();
        for record in &self.records {
            let _ = self.frontier.push(leaf_hash(record), |_| {});
        }
        self.reached = self.reached.min(size as u64);
    }

    /// The writer holds again what it forgot, and never let anybody know that it did.
    pub(super) fn recall(&mut self, size: u64, now: u64) {
        while self.len() < size {
            let next = self.len();
            let Some(at) = self.forgotten.iter().rposition(|(index, _)| *index == next) else { return };
            let (_, record) = self.forgotten.remove(at);
            self.append(record, now);
        }
    }
}
