//! What a store should hold, in the plainest form, and commits made from it.

use verisoo::head::ForkProof;
use verisoo::log::{MAX_PROOF, Position, leaf_hash, node_hash, prove_consistency, root_at, verify_consistency};
use verisoo::store::{Commit, LogState, Origin, RecordsRead, Store, StoreError};
use verisoo::{Hash, Head, LogId, Name, Records, Signature, SignedHead};

/// What a log should be, in the plainest form.
#[derive(Clone, Debug)]
pub struct Model {
    pub origin: Origin,
    pub records: Vec<Vec<u8>>,
    pub first: u64,
    pub state: LogState,
    pub proof: Vec<[u8; 32]>,
    pub fork: Option<Vec<u8>>,
    pub acknowledged: u64,
}

impl Model {
    pub fn new(origin: Origin) -> Self {
        let (records, proof) = (Vec::new(), Vec::new());
        Self { origin, records, first: 0, state: LogState::default(), proof, fork: None, acknowledged: 0 }
    }

    pub fn have(&self) -> u64 {
        self.records.len() as u64
    }

    pub fn held(&self) -> &[Vec<u8>] {
        &self.records[self.first as usize..]
    }

    /// The root of the perfect subtree at `position`.
    pub fn hash(&self, position: Position) -> Hash {
        let start = (position.index() as usize) << position.level();
        merkle_tree_hash(&self.records[start..start + (1 << position.level())])
    }

    /// The first record that should be kept after `batch`: the smallest for which all fits.
    pub fn first_after(&self, batch: &Batch, room: Option<(usize, usize)>) -> Option<u64> {
        let Some((bytes, hashes)) = room else { return Some(self.first) };
        let have = self.have();
        let after = have + batch.records.len() as u64;
        let limit = if self.origin == Origin::Own { self.acknowledged.min(have) } else { after };
        let all = [&self.records[..], &batch.records].concat();
        (self.first..=limit.max(self.first)).find(|first| {
            let framed = framed(&all[*first as usize..]).len();
            let stored: u32 = (*first..after).map(|leaf| 1 + leaf.trailing_ones()).sum();
            framed <= bytes && peaks(*first).len() + stored as usize + batch.proof.len() <= hashes
        })
    }

    pub fn set_origin(&mut self, origin: Origin) -> Result<(), StoreError> {
        if (self.origin == Origin::Own) != (origin == Origin::Own) {
            return Err(StoreError::Mismatch);
        }
        self.origin = origin;
        Ok(())
    }

    /// The first one is kept, where there is room for it.
    pub fn put_fork(&mut self, proof: Vec<u8>, room: usize) -> Result<(), StoreError> {
        if self.fork.is_none() && proof.len() > room {
            return Err(StoreError::Full);
        }
        self.fork.get_or_insert(proof);
        Ok(())
    }

    /// Only what no signed head covers, and what is held, can be taken back.
    pub fn truncate(&mut self, size: u64) -> Result<(), StoreError> {
        let signed = self.state.complete.map_or(0, |complete| complete.head.size);
        if !(self.first.max(signed)..=self.have()).contains(&size) || self.state.covering.is_some() {
            return Err(StoreError::Mismatch);
        }
        self.records.truncate(size as usize);
        self.state.have = size;
        self.proof.clear();
        Ok(())
    }

    /// Takes a batch that is right, where there is room for it or can be made.
    pub fn commit(&mut self, batch: Batch, room: Option<(usize, usize)>) -> Result<(), StoreError> {
        let first = self.first_after(&batch, room).ok_or(StoreError::Full)?;
        self.apply(batch, first);
        Ok(())
    }

    pub fn apply(&mut self, batch: Batch, first: u64) {
        self.records.extend(batch.records);
        self.first = first;
        self.state = batch.state;
        self.proof = batch.proof;
    }
}

/// A commit that owns what it consists of.
#[derive(Clone, Debug)]
pub struct Batch {
    pub start: u64,
    pub records: Vec<Vec<u8>>,
    pub framed: Vec<u8>,
    pub hashes: Vec<[u8; 32]>,
    pub state: LogState,
    pub proof: Vec<[u8; 32]>,
}

impl Batch {
    /// Records of these lengths to be appended to `model`, and a proof of so many hashes.
    pub fn new(model: &Model, lens: &[usize], proof: usize) -> Self {
        let start = model.have();
        let record = |(i, len): (usize, &usize)| vec![(start as usize + i) as u8; *len];
        let records: Vec<_> = lens.iter().enumerate().map(record).collect();
        let mut after = model.clone();
        after.records.extend(records.clone());
        let completed = |leaf: u64| (0..=leaf.trailing_ones() as u8).map(move |level| (level, leaf >> level));
        let positions = (start..after.have()).flat_map(completed);
        let hash = |(level, index)| *after.hash(Position::new(level, index).unwrap()).as_bytes();
        let mut state = model.state;
        state.have = after.have();
        let proof = (0..proof).map(|i| [start as u8 ^ i as u8; 32]).collect();
        Self { start, framed: framed(&records), records, hashes: positions.map(hash).collect(), state, proof }
    }

    pub fn commit(&self) -> Commit<'_> {
        let records = Records::new(&self.framed);
        Commit { start: self.start, records, hashes: &self.hashes, state: self.state, proof: &self.proof }
    }

    pub fn spoil(&mut self, wrong: Wrong) {
        match wrong {
            Wrong::StartsLater => self.start += 1,
            Wrong::AllShifted => {
                self.start += 2;
                self.state.have += 2;
            }
            Wrong::HasMore => self.state.have += 1,
            Wrong::HasFewer => self.state.have = self.state.have.wrapping_sub(1),
            Wrong::HashMissing if !self.hashes.is_empty() => drop(self.hashes.pop()),
            Wrong::HashMissing | Wrong::HashTooMany => self.hashes.push([0; 32]),
            Wrong::RecordMissing => self.framed.extend([0, 0]),
            Wrong::RecordTruncated => self.framed.extend([1, 0]),
            Wrong::ProofTooLong => self.proof = vec![[0; 32]; MAX_PROOF + 1],
        }
    }
}

/// What may be wrong with a commit.
#[derive(Clone, Copy, Debug)]
pub enum Wrong {
    StartsLater,
    AllShifted,
    HasMore,
    HasFewer,
    HashMissing,
    HashTooMany,
    RecordMissing,
    RecordTruncated,
    ProofTooLong,
}

impl Wrong {
    pub const ALL: [Self; 9] = [
        Self::StartsLater,
        Self::AllShifted,
        Self::HasMore,
        Self::HasFewer,
        Self::HashMissing,
        Self::HashTooMany,
        Self::RecordMissing,
        Self::RecordTruncated,
        Self::ProofTooLong,
    ];
}

/// Compares all that is read of a log with the model.
pub fn check_log(store: &mut dyn Store, log: LogId, model: &Model) {
    let about = store.log(&log).unwrap().unwrap();
    let held = framed(model.held());
    assert_eq!((about.origin, about.first, about.state), (model.origin, model.first, model.state));
    assert_eq!((about.bytes, about.forked), (held.len() as u64, model.fork.is_some()));

    let (first, have) = (model.first, model.have());
    let mut buf = vec![0; held.len() + 1];
    for start in 0..=have {
        let read = store.records(&log, start, have, &mut buf);
        if start < first {
            assert_eq!(read, Err(StoreError::Dropped { first }));
        } else {
            let expected = framed(&model.records[start as usize..]);
            assert_eq!(read, Ok(RecordsRead { count: have - start, len: expected.len() }));
            assert_eq!(buf[..expected.len()], expected);
        }
    }
    let mut proof = [[0; 32]; MAX_PROOF];
    let len = store.proof(&log, &mut proof).unwrap();
    assert_eq!(proof[..len], model.proof);
    let mut buf = [0; ForkProof::MAX_LEN];
    let len = store.fork(&log, &mut buf).unwrap();
    assert_eq!(len.map(|len| buf[..len].to_vec()), model.fork);
}

/// Compares each hash, and roots and proofs of all sizes that can be proven.
pub fn check_proofs(store: &mut dyn Store, log: LogId, model: &Model) {
    let (first, have) = (model.first, model.have());
    for level in 0..8 {
        for index in 0..=have >> level {
            let position = Position::new(level, index).unwrap();
            let end = (index + 1) << level;
            let expected = if end > have {
                Err(StoreError::Mismatch)
            } else if end <= first && !peaks(first).contains(&position) {
                Err(StoreError::Dropped { first })
            } else {
                Ok(model.hash(position))
            };
            assert_eq!(store.hash(&log, position), expected, "{position:?}");
        }
    }
    let root = |size: u64| merkle_tree_hash(&model.records[..size as usize]);
    for old in first..=have {
        assert_eq!(root_at(old, |position| store.hash(&log, position)), Ok(root(old)));
        for new in old.max(1)..=have {
            if old == 0 {
                continue;
            }
            let mut proof = Vec::new();
            let read = |position| store.hash(&log, position);
            assert_eq!(prove_consistency(old, new, read, |hash| proof.push(*hash.as_bytes())), Ok(()));
            assert_eq!(verify_consistency(old, &root(old), new, &root(new), &proof), Ok(()));
        }
    }
}

/// RFC 9162 section 2.1.1, word for word.
pub fn merkle_tree_hash(records: &[Vec<u8>]) -> Hash {
    match records {
        [] => Hash::EMPTY_ROOT,
        [record] => leaf_hash(record),
        _ => {
            let (left, right) = records.split_at(records.len().next_power_of_two() / 2);
            node_hash(&merkle_tree_hash(left), &merkle_tree_hash(right))
        }
    }
}

/// The perfect subtrees of a tree of `size` leaves, found from the left.
pub fn peaks(size: u64) -> Vec<Position> {
    let (mut start, mut peaks) = (0, Vec::new());
    for level in (0..62).rev() {
        if size - start >= 1 << level {
            peaks.push(Position::new(level, start >> level).unwrap());
            start += 1 << level;
        }
    }
    peaks
}

pub fn framed(records: &[Vec<u8>]) -> Vec<u8> {
    let mut framed = Vec::new();
    for record in records {
        let start = framed.len();
        framed.resize(start + 2 + record.len(), 0);
        Records::frame(record, &mut framed[start..]).unwrap();
    }
    framed
}

pub fn create(store: &mut dyn Store, log: u8, origin: Origin) {
    store.create(&id(log), &name(), &[1; 32], origin).unwrap();
}

pub fn id(number: u8) -> LogId {
    LogId::from_bytes([number; 32])
}

pub fn name() -> Name {
    Name::new("sensor-7").unwrap()
}

/// A head as a store sees it: it does not look inside.
pub fn head(size: u64) -> SignedHead {
    let head = Head { size, root: Hash::from_bytes([size as u8; 32]) };
    SignedHead { head, signature: Signature::from_bytes([7; 64]) }
}
