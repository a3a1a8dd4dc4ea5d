//! The place of one log in a fixed store.
//!
//! The records from `first` on are in one ring. The other holds, one behind the other, the hashes that
//! stand for what was dropped (the peaks of the tree of `first` leaves, from left to right), the stored
//! hashes from `first` on in post-order, and the kept proof. How many hashes are which follows from
//! `first` and `have`, so that none of the three needs room of its own.

use super::ring::Ring;
use crate::key::{LogId, Name};
use crate::log::{Hash, Position, peaks, stored_count};
use crate::record::LENGTH_LEN;
use crate::store::error::StoreError;
use crate::store::state::{Commit, LogState, Origin, RecordsRead, StoredLog, check_truncation, subtree_end};

/// Room for one log; all bits zero while there is none, so that a static store needs no flash.
#[derive(Clone)]
pub(super) struct Slot<const BYTES: usize, const HASHES: usize> {
    // Not an `Option`: its `None` need not be zero.
    about: heapless::Vec<About, 1>,
    records: Ring<[u8; BYTES]>,
    hashes: Ring<[[u8; Hash::LEN]; HASHES]>,
}

/// What is known of a log besides records and hashes.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) id: LogId,
    pub(super) stored: StoredLog,
    /// Peers hold this many of its records: the most that may be dropped of the node's own log.
    pub(super) acknowledged: u64,
    /// Where in the store's pool its fork proof is.
    pub(super) fork: Option<Fork>,
    proof_len: usize,
}

/// A run of bytes in the pool of fork proofs.
#[derive(Clone, Copy)]
pub(super) struct Fork {
    pub(super) start: usize,
    pub(super) len: usize,
}

impl<const BYTES: usize, const HASHES: usize> Slot<BYTES, HASHES> {
    pub(super) const EMPTY: Self =
        Self { about: heapless::Vec::new(), records: Ring::new(0), hashes: Ring::new([0; Hash::LEN]) };

    pub(super) fn log(&self) -> Option<Log<'_>> {
        let about = self.about.first()?;
        Some(Log { about, records: &self.records, hashes: &self.hashes })
    }

    pub(super) fn log_mut(&mut self) -> Option<LogMut<'_>> {
        let about = self.about.first_mut()?;
        Some(LogMut { about, records: &mut self.records, hashes: &mut self.hashes })
    }

    /// Puts an empty log into the slot, unless there is one.
    pub(super) fn fill(&mut self, id: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
        let state = LogState::default();
        let stored = StoredLog { name: *name, key: *key, origin, first: 0, bytes: 0, forked: false, state };
        let about = About { id: *id, stored, acknowledged: 0, fork: None, proof_len: 0 };
        self.about.push(about).map_err(|_| StoreError::Full)
    }

    /// Takes the log with this id, if it is here, out of the slot.
    pub(super) fn release(&mut self, id: &LogId) {
        if self.about.first().is_some_and(|about| about.id == *id) {
            self.about.clear();
            let (records, hashes): (&mut Ring<[u8]>, &mut Ring<[_]>) = (&mut self.records, &mut self.hashes);
            records.clear();
            hashes.clear();
        }
    }
}

/// A log in its slot, to be read.
#[derive(Clone, Copy)]
pub(super) struct Log<'a> {
    pub(super) about: &'a About,
    records: &'a Ring<[u8]>,
    hashes: &'a Ring<[[u8; Hash::LEN]]>,
}

impl Log<'_> {
    /// See [`Store::records`](crate::store::Store::records).
    pub(super) fn read(self, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
        let StoredLog { first, state, .. } = self.about.stored;
        if start > end || end > state.have {
            return Err(StoreError::Mismatch);
        }
        if start < first {
            return Err(StoreError::Dropped { first });
        }
        let mut at = 0;
        for _ in first..start {
            at += self.framed_len(at)?;
        }
        let mut read = RecordsRead::default();
        for _ in start..end {
            let len = read.len + self.framed_len(at + read.len)?;
            if len > buf.len() {
                break;
            }
            read = RecordsRead { count: read.count + 1, len };
        }
        self.records.read(at, buf.get_mut(..read.len).ok_or(StoreError::Damaged)?)?;
        Ok(read)
    }

    /// See [`Store::hash`](crate::store::Store::hash).
    pub(super) fn hash(self, position: Position) -> Result<Hash, StoreError> {
        if subtree_end(position) > self.about.stored.state.have {
            return Err(StoreError::Mismatch);
        }
        let at = self.hash_at(position).ok_or(StoreError::Dropped { first: self.about.stored.first })?;
        self.hashes.get(at).map(Hash::from_bytes).ok_or(StoreError::Damaged)
    }

    /// See [`Store::proof`](crate::store::Store::proof).
    pub(super) fn proof(self, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError> {
        let len = self.about.proof_len;
        let at = self.hashes.len() - len;
        self.hashes.read(at, buf.get_mut(..len).ok_or(StoreError::Mismatch)?)?;
        Ok(len)
    }

    /// Whether two slots hold the same, their fork proofs aside.
    pub(super) fn is_same(self, other: Log<'_>) -> bool {
        let known = |about: &About| (about.id, about.stored, about.acknowledged, about.proof_len);
        known(self.about) == known(other.about) && self.records == other.records && self.hashes == other.hashes
    }

    /// Which of the ring's hashes is that of `position`; `None` if it was dropped.
    fn hash_at(self, position: Position) -> Option<usize> {
        let first = self.about.stored.first;
        if subtree_end(position) <= first {
            return peaks(first)?.position(|peak| peak == position);
        }
        // Completed by a leaf from `first` on, hence stored after all that went before.
        let at = u64::from(first.count_ones()) + position.stored_index() - stored_count(first);
        usize::try_from(at).ok()
    }

    /// Bytes of the record that begins at `at`, its length included.
    fn framed_len(self, at: usize) -> Result<usize, StoreError> {
        let mut length = [0; LENGTH_LEN];
        self.records.read(at, &mut length)?;
        Ok(LENGTH_LEN + usize::from(u16::from_le_bytes(length)))
    }
}

/// A log in its slot, to be changed.
pub(super) struct LogMut<'a> {
    pub(super) about: &'a mut About,
    records: &'a mut Ring<[u8]>,
    hashes: &'a mut Ring<[[u8; Hash::LEN]]>,
}

/// What is dropped to make room: all before `first`, the oldest `bytes` in the ring, and of what is being
/// committed the first `skipped` bytes.
struct Cut {
    first: u64,
    bytes: usize,
    skipped: usize,
}

impl LogMut<'_> {
    /// See [`Store::commit`](crate::store::Store::commit). Nothing can fail after the cut is found.
    pub(super) fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        commit.check(self.about.stored.state.have)?;
        let cut = self.find_cut(commit)?;
        let records = commit.records.as_bytes().get(cut.skipped..).ok_or(StoreError::Mismatch)?;
        self.hashes.drop_back(self.about.proof_len);
        self.drop_before(&cut, commit.start)?;
        self.records.push(records)?;
        self.push_hashes(&cut, commit)?;
        self.hashes.push(commit.proof)?;
        self.about.proof_len = commit.proof.len();
        self.about.stored.bytes = self.records.len() as u64;
        self.about.stored.state = commit.state;
        Ok(())
    }

    /// See [`Store::truncate`](crate::store::Store::truncate).
    pub(super) fn truncate(&mut self, size: u64) -> Result<(), StoreError> {
        let StoredLog { first, state, .. } = self.about.stored;
        check_truncation(&self.about.stored, size)?;
        let mut kept = 0;
        for _ in first..size {
            kept += self.as_log().framed_len(kept)?;
        }
        let dropped = stored_count(state.have) - stored_count(size);
        let dropped = usize::try_from(dropped).map_err(|_| StoreError::Damaged)?;
        self.hashes.drop_back(self.about.proof_len + dropped);
        self.about.proof_len = 0;
        self.records.drop_back(self.records.len() - kept);
        self.about.stored.bytes = self.records.len() as u64;
        self.about.stored.state.have = size;
        Ok(())
    }

    fn as_log(&self) -> Log<'_> {
        Log { about: self.about, records: self.records, hashes: self.hashes }
    }

    /// The least to drop so that `commit` fits.
    fn find_cut(&self, commit: &Commit<'_>) -> Result<Cut, StoreError> {
        let StoredLog { origin, first, .. } = self.about.stored;
        // What nobody else holds is not dropped. Of another's log not even all that comes at once need be kept.
        let limit = if origin == Origin::Own { commit.start.min(self.about.acknowledged) } else { commit.state.have };
        let mut cut = Cut { first, bytes: 0, skipped: 0 };
        let mut coming = commit.records.iter();
        while !self.fits(&cut, commit) {
            if cut.first >= limit {
                return Err(StoreError::Full);
            }
            if cut.first < commit.start {
                cut.bytes += self.as_log().framed_len(cut.bytes)?;
            } else {
                let record = coming.next().and_then(Result::ok).ok_or(StoreError::Mismatch)?;
                cut.skipped += LENGTH_LEN + record.len();
            }
            cut.first += 1;
        }
        Ok(cut)
    }

    fn fits(&self, cut: &Cut, commit: &Commit<'_>) -> bool {
        let bytes = self.records.len() - cut.bytes + commit.records.as_bytes().len() - cut.skipped;
        let stored = stored_count(commit.state.have) - stored_count(cut.first);
        let hashes = u64::from(cut.first.count_ones()) + stored + commit.proof.len() as u64;
        bytes <= self.records.capacity() && hashes <= self.hashes.capacity() as u64
    }

    /// Drops the records before the cut, and all hashes before it but the peaks. The kept proof is gone
    /// already, and the log ends at `have`, before or beyond the cut.
    fn drop_before(&mut self, cut: &Cut, have: u64) -> Result<(), StoreError> {
        let old = self.about.stored.first;
        let dropped = u64::from(old.count_ones()) + stored_count(cut.first.min(have)) - stored_count(old);
        let mut to = usize::try_from(dropped).map_err(|_| StoreError::Damaged)?;
        // The new peaks are among the hashes to be dropped and in the same order: moved to their end one
        // by one, the last (lowest) first, none is overwritten before it has moved. Those that what is
        // being committed completes are not here yet.
        let peaks = peaks(cut.first).ok_or(StoreError::Damaged)?;
        for position in peaks.rev().filter(|peak| subtree_end(*peak) <= have) {
            let peak = self.as_log().hash(position)?;
            to = to.checked_sub(1).ok_or(StoreError::Damaged)?;
            self.hashes.set(to, *peak.as_bytes())?;
        }
        self.hashes.drop_front(to);
        self.records.drop_front(cut.bytes);
        self.about.stored.first = cut.first;
        Ok(())
    }

    /// Appends what the commit brings of hashes: all, or, where the cut is beyond its beginning, the peaks
    /// that it completes and all from the cut on.
    fn push_hashes(&mut self, cut: &Cut, commit: &Commit<'_>) -> Result<(), StoreError> {
        let stored = stored_count(commit.start);
        let place = |index: u64| index.checked_sub(stored).and_then(|at| usize::try_from(at).ok());
        let Some(from) = place(stored_count(cut.first)) else { return self.hashes.push(commit.hashes) };
        let peaks = peaks(cut.first).ok_or(StoreError::Damaged)?;
        for position in peaks.filter(|peak| subtree_end(*peak) > commit.start) {
            let at = place(position.stored_index()).ok_or(StoreError::Damaged)?;
            let peak = commit.hashes.get(at).ok_or(StoreError::Mismatch)?;
            self.hashes.push(core::slice::from_ref(peak))?;
        }
        self.hashes.push(commit.hashes.get(from..).ok_or(StoreError::Mismatch)?)
    }
}
