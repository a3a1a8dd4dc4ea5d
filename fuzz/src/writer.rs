//! A log as its writer made it: the truth that what nodes hold is compared with.

use verisoo::log::{prove_consistency, stored_count};
use verisoo::sim::SimScheme;
use verisoo::{Hash, Head, Identity, LogId, Records, SignedHead};

use super::naive::{Log, collect, place};
use super::net::signing::identity;

#[derive(Clone)]
pub struct Writer {
    pub identity: Identity<SimScheme>,
    pub records: Vec<Vec<u8>>,
    leaves: Vec<Hash>,
    stored: Vec<Hash>,
    roots: Vec<Hash>,
    frontier: verisoo::log::Frontier,
}

impl Writer {
    pub fn new(name: &str) -> Self {
        let Log { leaves, stored, frontier } = Log::default();
        Self { identity: identity(name), records: Vec::new(), leaves, stored, roots: vec![Hash::EMPTY_ROOT], frontier }
    }

    pub fn id(&self) -> LogId {
        self.identity.vkey().id()
    }

    pub fn size(&self) -> u64 {
        self.records.len() as u64
    }

    pub fn append(&mut self, record: &[u8]) {
        let leaf = verisoo::log::leaf_hash(record);
        self.leaves.push(leaf);
        self.frontier.push(leaf, |hash| self.stored.push(hash)).expect("small");
        self.roots.push(self.frontier.root());
        self.records.push(record.to_vec());
    }

    /// The same log as it was when it had `size` records.
    pub fn truncated(&self, size: u64) -> Self {
        let mut writer = Self {
            identity: self.identity.clone(),
            records: Vec::new(),
            leaves: Vec::new(),
            stored: Vec::new(),
            roots: vec![Hash::EMPTY_ROOT],
            frontier: verisoo::log::Frontier::default(),
        };
        self.records[..place(size)].iter().for_each(|record| writer.append(record));
        writer
    }

    pub fn root(&self, size: u64) -> Hash {
        self.roots[place(size)]
    }

    pub fn head(&self, size: u64) -> Head {
        Head { size, root: self.root(size) }
    }

    pub fn sign(&self, size: u64) -> SignedHead {
        SignedHead::sign(&self.identity, self.head(size))
    }

    /// The consistency proof from `old` to `new`; empty where there is none.
    pub fn proof(&self, old: u64, new: u64) -> Vec<[u8; 32]> {
        if old == 0 || old > new {
            return Vec::new();
        }
        let read = |position: verisoo::log::Position| {
            assert!(position.stored_index() < stored_count(new));
            Ok::<_, ()>(self.stored[place(position.stored_index())])
        };
        collect(|emit| prove_consistency(old, new, read, emit)).expect("within the log")
    }

    /// Records framed.
    pub fn framed(&self, start: u64, end: u64) -> Vec<u8> {
        frame_all(&self.records[place(start)..place(end)])
    }

    /// Whether these are records of this log from `start` on.
    pub fn has(&self, start: u64, framed: &[u8]) -> bool {
        let mut records = Records::new(framed).iter().zip(place(start)..);
        records.all(|(record, index)| {
            record.ok().is_some_and(|record| self.records.get(index).is_some_and(|own| own == record))
        })
    }
}

pub fn frame_all(records: &[Vec<u8>]) -> Vec<u8> {
    let mut framed = Vec::new();
    for record in records {
        framed.extend_from_slice(&u16::try_from(record.len()).expect("short").to_le_bytes());
        framed.extend_from_slice(record);
    }
    framed
}
