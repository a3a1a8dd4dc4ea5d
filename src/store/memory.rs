//! A store in memory that grows as needed. Nothing outlives the process.

use alloc::collections::{BTreeMap, TryReserveError};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;

use super::contract::Store;
use super::error::StoreError;
use super::state::{
    Commit, LogState, Origin, RecordsRead, StoredLog, check_truncation, copy_to, may_become, subtree_end,
};
use crate::head::ForkProof;
use crate::key::{LogId, Name};
use crate::log::{Hash, Position, stored_count};
use crate::record::{LENGTH_LEN, Records};

/// Logs in memory, for tests, simulations and nodes that take everything back from their peers after a
/// restart.
///
/// Records are kept framed as they came: a commit copies them once and allocates nothing for any one of
/// them. Besides the records, a log takes 64 bytes a record for its hashes, half a byte for the index by
/// which a read finds its first record, and what growing vectors have in reserve.
///
/// ```
/// use verisoo::log::leaf_hash;
/// use verisoo::store::{Commit, LogState, MemoryStore, Origin, Store};
/// use verisoo::{LogId, Name, Records};
///
/// let mut store = MemoryStore::new();
/// let log = LogId::from_bytes([7; 32]);
/// store.create(&log, &Name::new("sensor-7").unwrap(), &[0; 32], Origin::Pinned)?;
///
/// let records = Records::new(b"\x02\x00hi");
/// let hashes = [*leaf_hash(b"hi").as_bytes()];
/// let state = LogState { have: 1, ..LogState::default() };
/// store.commit(&log, &Commit { start: 0, records, hashes: &hashes, state, proof: &[] })?;
///
/// assert_eq!(store.record(&log, 0), Some(&b"hi"[..]));
/// assert_eq!(store.record(&log, 1), None);
/// # Ok::<(), verisoo::store::StoreError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemoryStore {
    logs: BTreeMap<LogId, Log>,
    bytes: u64,
    limit: Option<u64>,
}

impl MemoryStore {
    /// What each log counts in [`bytes`](Self::bytes), besides what it holds.
    const LOG_LEN: u64 = 1_024;

    /// An empty store that grows as long as there is memory.
    pub const fn new() -> Self {
        Self { logs: BTreeMap::new(), bytes: 0, limit: None }
    }

    /// An empty store that is [`StoreError::Full`] rather than count more than `limit` bytes (see
    /// [`bytes`](Self::bytes)).
    ///
    /// ```
    /// use verisoo::store::{MemoryStore, Origin, Store, StoreError};
    /// use verisoo::{LogId, Name};
    ///
    /// let mut store = MemoryStore::with_limit(1_500);
    /// let name = Name::new("sensor-7").unwrap();
    /// store.create(&LogId::from_bytes([1; 32]), &name, &[0; 32], Origin::Peer)?;
    /// let second = store.create(&LogId::from_bytes([2; 32]), &name, &[0; 32], Origin::Peer);
    /// assert_eq!(second, Err(StoreError::Full));
    /// # Ok::<(), StoreError>(())
    /// ```
    pub const fn with_limit(limit: u64) -> Self {
        Self { logs: BTreeMap::new(), bytes: 0, limit: Some(limit) }
    }

    /// Bytes held: framed records, hashes, kept proofs and fork proofs, and 1,024 for each log.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The record at `index` of `log`; `None` if the log is unknown or has no such record.
    pub fn record(&self, log: &LogId, index: u64) -> Option<&[u8]> {
        self.logs.get(log)?.records_from(index)?.iter().next()?.ok()
    }

    /// The count of bytes after `added` came and `freed` went.
    fn count(&self, added: u64, freed: u64) -> Result<u64, StoreError> {
        let bytes = self.bytes.saturating_sub(freed).saturating_add(added);
        if self.limit.is_some_and(|limit| bytes > limit) { Err(StoreError::Full) } else { Ok(bytes) }
    }

    fn find(&self, log: &LogId) -> Result<&Log, StoreError> {
        self.logs.get(log).ok_or(StoreError::UnknownLog)
    }

    fn find_mut(&mut self, log: &LogId) -> Result<&mut Log, StoreError> {
        self.logs.get_mut(log).ok_or(StoreError::UnknownLog)
    }
}

impl Store for MemoryStore {
    fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.logs.range((after, Bound::Unbounded)).next().map(|(id, _)| *id))
    }

    fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError> {
        let Some(log) = self.logs.get(log) else { return Ok(None) };
        Ok(Some(log.about))
    }

    fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
        if self.logs.contains_key(log) {
            return Err(StoreError::Mismatch);
        }
        self.bytes = self.count(Self::LOG_LEN, 0)?;
        self.logs.insert(*log, Log::new(*name, *key, origin));
        Ok(())
    }

    fn set_origin(&mut self, log: &LogId, origin: Origin) -> Result<(), StoreError> {
        let about = &mut self.find_mut(log)?.about;
        if !may_become(about.origin, origin) {
            return Err(StoreError::Mismatch);
        }
        about.origin = origin;
        Ok(())
    }

    fn remove(&mut self, log: &LogId) -> Result<(), StoreError> {
        if let Some(log) = self.logs.remove(log) {
            self.bytes = self.bytes.saturating_sub(Self::LOG_LEN + log.bytes());
        }
        Ok(())
    }

    fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
        let held = self.find(log)?;
        commit.check(held.about.state.have)?;
        let added = len(commit.records.as_bytes()) + hashes_len(commit.hashes) + hashes_len(commit.proof);
        let bytes = self.count(added, hashes_len(&held.proof))?;
        self.find_mut(log)?.apply(commit)?;
        self.bytes = bytes;
        Ok(())
    }

    fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        let held = self.find(log)?;
        check_truncation(&held.about, size)?;
        let before = held.bytes();
        let log = self.find_mut(log)?;
        log.truncate(size)?;
        let after = log.bytes();
        self.bytes = self.bytes.saturating_sub(before.saturating_sub(after));
        Ok(())
    }

    fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
        let log = self.find(log)?;
        if start > end || end > log.about.state.have {
            return Err(StoreError::Mismatch);
        }
        let mut read = RecordsRead::default();
        if start == end {
            return Ok(read);
        }
        let records = log.records_from(start).ok_or(StoreError::Damaged)?;
        for (_, record) in (start..end).zip(records) {
            let len = read.len + LENGTH_LEN + record.map_err(|_| StoreError::Damaged)?.len();
            if len > buf.len() {
                break;
            }
            read = RecordsRead { count: read.count + 1, len };
        }
        copy_to(records.as_bytes().get(..read.len).ok_or(StoreError::Damaged)?, buf)?;
        Ok(read)
    }

    fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError> {
        let log = self.find(log)?;
        if subtree_end(position) > log.about.state.have {
            return Err(StoreError::Mismatch);
        }
        let hash = usize::try_from(position.stored_index()).ok().and_then(|index| log.hashes.get(index));
        hash.map(|hash| Hash::from_bytes(*hash)).ok_or(StoreError::Damaged)
    }

    fn proof(&mut self, log: &LogId, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError> {
        copy_to(&self.find(log)?.proof, buf)
    }

    fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError> {
        if self.find(log)?.fork.is_some() {
            return Ok(());
        }
        if proof.len() > ForkProof::MAX_LEN {
            return Err(StoreError::Mismatch);
        }
        let bytes = self.count(len(proof), 0)?;
        let log = self.find_mut(log)?;
        log.fork = Some(proof.to_vec());
        log.about.forked = true;
        self.bytes = bytes;
        Ok(())
    }

    fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.find(log)?.fork.as_ref().map(|proof| copy_to(proof, buf)).transpose()
    }

    /// Done at once: in memory, what is written is as durable as it gets.
    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// One log.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Log {
    about: StoredLog,
    /// All records, framed.
    records: Vec<u8>,
    /// Where in `records` each [`Log::STRIDE`]th record begins.
    starts: Vec<usize>,
    hashes: Vec<[u8; Hash::LEN]>,
    proof: Vec<[u8; Hash::LEN]>,
    fork: Option<Vec<u8>>,
}

impl Log {
    /// Records to an entry of the index: a read walks over fewer than this many.
    const STRIDE: u64 = 16;

    fn new(name: Name, key: [u8; 32], origin: Origin) -> Self {
        let state = LogState::default();
        Self {
            about: StoredLog { name, key, origin, first: 0, bytes: 0, forked: false, state },
            records: Vec::new(),
            starts: Vec::new(),
            hashes: Vec::new(),
            proof: Vec::new(),
            fork: None,
        }
    }

    /// The records from `index` on; `None` beyond the last.
    fn records_from(&self, index: u64) -> Option<Records<'_>> {
        let start = self.starts.get(usize::try_from(index / Self::STRIDE).ok()?)?;
        Records::new(self.records.get(*start..)?).skip(index % Self::STRIDE).ok()
    }

    /// Shortens the log to a size that was checked.
    fn truncate(&mut self, size: u64) -> Result<(), StoreError> {
        let all = self.records.len();
        let rest = if size < self.about.state.have { self.records_from(size) } else { Some(Records::default()) };
        let kept = all - rest.ok_or(StoreError::Damaged)?.as_bytes().len();
        self.records.truncate(kept);
        self.starts.truncate(usize::try_from(size.div_ceil(Self::STRIDE)).unwrap_or(usize::MAX));
        self.hashes.truncate(usize::try_from(stored_count(size)).unwrap_or(usize::MAX));
        self.proof.clear();
        self.about.bytes = len(&self.records);
        self.about.state.have = size;
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let fork = self.fork.as_deref().map_or(0, len);
        len(&self.records) + hashes_len(&self.hashes) + hashes_len(&self.proof) + fork
    }

    /// Applies a checked commit. Memory is reserved before anything changes, so that a system that
    /// refuses it finds the log as it was.
    fn apply(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.reserve(commit).map_err(|_| StoreError::Full)?;
        let mut start = self.records.len();
        for (index, record) in (commit.start..).zip(commit.records).filter_map(|(i, r)| Some((i, r.ok()?))) {
            if index % Self::STRIDE == 0 {
                self.starts.push(start);
            }
            start += LENGTH_LEN + record.len();
        }
        self.records.extend_from_slice(commit.records.as_bytes());
        self.hashes.extend_from_slice(commit.hashes);
        self.proof.clear();
        self.proof.extend_from_slice(commit.proof);
        self.about.bytes = len(&self.records);
        self.about.state = commit.state;
        Ok(())
    }

    fn reserve(&mut self, commit: &Commit<'_>) -> Result<(), TryReserveError> {
        let count = (commit.state.have - commit.start).div_ceil(Self::STRIDE);
        self.starts.try_reserve(usize::try_from(count).unwrap_or(usize::MAX))?;
        self.records.try_reserve(commit.records.as_bytes().len())?;
        self.hashes.try_reserve(commit.hashes.len())?;
        self.proof.try_reserve(commit.proof.len())
    }
}

impl fmt::Debug for Log {
    /// What is known of the log, without its records and hashes: they may be gigabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.about.fmt(f)
    }
}

fn len(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

fn hashes_len(hashes: &[[u8; Hash::LEN]]) -> u64 {
    len(hashes.as_flattened())
}
