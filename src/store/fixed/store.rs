//! The store over its slots: which log is in which, and the fork proofs, which share one pool.

use core::fmt;

use super::slot::{Fork, Log, LogMut, Slot};
use crate::head::ForkProof;
use crate::key::{LogId, Name};
use crate::log::{Hash, Position};
use crate::store::contract::Store;
use crate::store::error::StoreError;
use crate::store::state::{Commit, Origin, RecordsRead, StoredLog, copy_to, may_become};

/// Logs in a fixed amount of memory: of each the newest records, and enough hashes to extend the log and
/// to prove every size from the first kept record on.
///
/// A log's records are in a ring. Where a commit needs room, the oldest are dropped, together with the
/// hashes that only they need; what was dropped is answered [`StoreError::Dropped`], roots and consistency
/// proofs from [`StoredLog::first`] on stay possible. Of the node's own log only records are dropped that
/// a peer has [acknowledged](Store::acknowledged); until then a commit that needs room is
/// [`StoreError::Full`]. Of another's log there is room for any batch: what does not fit is dropped as it
/// comes, down to the heads alone, as long as there is room for the hashes that stand for all records
/// (one for each one in the binary digits of the log's size) and for the kept proof.
///
/// | parameter | what | unit |
/// | --- | --- | --- |
/// | `LOGS` | logs besides the node's own | logs |
/// | `BYTES` | records of each of them, framed (2 bytes and its own a record) | bytes |
/// | `HASHES` | hashes of each of them | hashes |
/// | `OWN_BYTES` | records of the node's own log, framed | bytes |
/// | `OWN_HASHES` | hashes of the node's own log | hashes |
/// | `FORK_BYTES` | fork proofs of all logs together, each at most [`ForkProof::MAX_LEN`], usually about 1,000 | bytes |
///
/// Of hashes a log takes at most 2 for each record kept, 2 for each binary digit of its size, and those of
/// the [kept proof](Commit::proof): while it catches up, as many as its writer's log has binary digits, and
/// one. So 48 keep 8 records of a log of 1,000, and 21 are enough for its heads.
///
/// The memory, in bytes, is at most `LOGS × (BYTES + 32 × HASHES) + OWN_BYTES + 32 × OWN_HASHES + FORK_BYTES`
/// (each of them a multiple of 8) and 616 for each of the `LOGS + 1` logs, and 16; a little less where pointers
/// have 32 bits. Some examples:
///
/// | `FixedStore<…>` | bytes |
/// | --- | --- |
/// | `<1, 512, 32, 1_024, 64, 0>` | 5,856 |
/// | `<4, 512, 48, 2_048, 96, 1_104>` | 17,512 |
/// | `<8, 512, 32, 2_048, 64, 1_104>` | 23,048 |
/// | `<8, 1_024, 48, 4_096, 128, 4_400>` | 38,632 |
///
/// [`FixedStore::new`] is const and leaves all of it zero, so that a static (in a cell of the user's choice)
/// takes no flash and needs no stack to be made.
///
/// ```
/// use verisoo::log::leaf_hash;
/// use verisoo::store::{Commit, FixedStore, LogState, Origin, Store, StoreError};
/// use verisoo::{LogId, Name, Records};
///
/// // Room for 8 bytes of framed records: two of these.
/// let mut store: FixedStore<1, 8, 16, 0, 0, 0> = FixedStore::new();
/// let log = LogId::from_bytes([7; 32]);
/// store.create(&log, &Name::new("sensor-7").unwrap(), &[0; 32], Origin::Pinned)?;
///
/// let leaf = *leaf_hash(b"hi").as_bytes();
/// let root = *verisoo::log::node_hash(&leaf_hash(b"hi"), &leaf_hash(b"hi")).as_bytes();
/// for (start, hashes) in [(0, &[leaf][..]), (1, &[leaf, root]), (2, &[leaf])] {
///     let state = LogState { have: start + 1, ..LogState::default() };
///     store.commit(&log, &Commit { start, records: Records::new(b"\x02\x00hi"), hashes, state, proof: &[] })?;
/// }
/// let mut buf = [0; 100];
/// assert_eq!(store.records(&log, 1, 3, &mut buf)?.count, 2);
/// assert_eq!(store.records(&log, 0, 3, &mut buf), Err(StoreError::Dropped { first: 1 }));
/// # Ok::<(), StoreError>(())
/// ```
#[derive(Clone)]
pub struct FixedStore<
    const LOGS: usize,
    const BYTES: usize,
    const HASHES: usize,
    const OWN_BYTES: usize,
    const OWN_HASHES: usize,
    const FORK_BYTES: usize,
> {
    own: Slot<OWN_BYTES, OWN_HASHES>,
    followed: [Slot<BYTES, HASHES>; LOGS],
    /// Fork proofs, one behind the other.
    forks: heapless::Vec<u8, FORK_BYTES>,
}

impl<
    const LOGS: usize,
    const BYTES: usize,
    const HASHES: usize,
    const OWN_BYTES: usize,
    const OWN_HASHES: usize,
    const FORK_BYTES: usize,
> FixedStore<LOGS, BYTES, HASHES, OWN_BYTES, OWN_HASHES, FORK_BYTES>
{
    /// An empty store, all zero.
    pub const fn new() -> Self {
        Self { own: Slot::EMPTY, followed: [const { Slot::EMPTY }; LOGS], forks: heapless::Vec::new() }
    }

    fn logs(&self) -> impl Iterator<Item = Log<'_>> {
        self.own.log().into_iter().chain(self.followed.iter().filter_map(Slot::log))
    }

    fn logs_mut(&mut self) -> impl Iterator<Item = LogMut<'_>> {
        self.own.log_mut().into_iter().chain(self.followed.iter_mut().filter_map(Slot::log_mut))
    }

    fn find(&self, id: &LogId) -> Result<Log<'_>, StoreError> {
        self.logs().find(|log| log.about.id == *id).ok_or(StoreError::UnknownLog)
    }

    fn find_mut(&mut self, id: &LogId) -> Result<LogMut<'_>, StoreError> {
        self.logs_mut().find(|log| log.about.id == *id).ok_or(StoreError::UnknownLog)
    }

    fn fork_of(&self, log: &Log<'_>) -> Option<&[u8]> {
        let Fork { start, len } = log.about.fork?;
        self.forks.get(start..)?.get(..len)
    }

    /// Takes a fork proof out of the pool and closes the gap.
    fn release_fork(&mut self, released: Fork) {
        self.forks.drain(released.start..released.start + released.len);
        for fork in self.logs_mut().filter_map(|log| log.about.fork.as_mut()) {
            if fork.start > released.start {
                fork.start -= released.len;
            }
        }
    }
}

impl<
    const LOGS: usize,
    const BYTES: usize,
    const HASHES: usize,
    const OWN_BYTES: usize,
    const OWN_HASHES: usize,
    const FORK_BYTES: usize,
> Store for FixedStore<LOGS, BYTES, HASHES, OWN_BYTES, OWN_HASHES, FORK_BYTES>
{
    fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
        let ids = self.logs().map(|log| log.about.id);
        Ok(ids.filter(|id| after.is_none_or(|after| id > after)).min())
    }

    fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError> {
        Ok(self.find(log).ok().map(|log| log.about.stored))
    }

    /// [`StoreError::Full`] also where `origin` is [`Origin::Own`] and there is an own log already.
    fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
        if self.find(log).is_ok() {
            return Err(StoreError::Mismatch);
        }
        if origin == Origin::Own {
            return self.own.fill(log, name, key, origin);
        }
        let free = self.followed.iter_mut().find(|slot| slot.log().is_none());
        free.ok_or(StoreError::Full)?.fill(log, name, key, origin)
    }

    fn set_origin(&mut self, log: &LogId, origin: Origin) -> Result<(), StoreError> {
        let stored = &mut self.find_mut(log)?.about.stored;
        if !may_become(stored.origin, origin) {
            return Err(StoreError::Mismatch);
        }
        stored.origin = origin;
        Ok(())
    }

    fn remove(&mut self, log: &LogId) -> Result<(), StoreError> {
        let fork = self.find(log).ok().and_then(|log| log.about.fork);
        self.own.release(log);
        self.followed.iter_mut().for_each(|slot| slot.release(log));
        if let Some(fork) = fork {
            self.release_fork(fork);
        }
        Ok(())
    }

    fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.find_mut(log)?.commit(commit)
    }

    fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        self.find_mut(log)?.truncate(size)
    }

    fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
        self.find(log)?.read(start, end, buf)
    }

    fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError> {
        self.find(log)?.hash(position)
    }

    fn proof(&mut self, log: &LogId, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError> {
        self.find(log)?.proof(buf)
    }

    fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError> {
        if self.find(log)?.about.fork.is_some() {
            return Ok(());
        }
        if proof.len() > ForkProof::MAX_LEN {
            return Err(StoreError::Mismatch);
        }
        let fork = Fork { start: self.forks.len(), len: proof.len() };
        self.forks.extend_from_slice(proof).map_err(|_| StoreError::Full)?;
        let about = self.find_mut(log)?.about;
        about.fork = Some(fork);
        about.stored.forked = true;
        Ok(())
    }

    fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let log = self.find(log)?;
        self.fork_of(&log).map(|proof| copy_to(proof, buf)).transpose()
    }

    /// Done at once: the store is as durable as the memory it lies in.
    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn acknowledged(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        let own = self.own.log_mut().filter(|own| own.about.id == *log);
        if let Some(own) = own {
            own.about.acknowledged = own.about.acknowledged.max(size);
        }
        Ok(())
    }
}

impl<
    const LOGS: usize,
    const BYTES: usize,
    const HASHES: usize,
    const OWN_BYTES: usize,
    const OWN_HASHES: usize,
    const FORK_BYTES: usize,
> Default for FixedStore<LOGS, BYTES, HASHES, OWN_BYTES, OWN_HASHES, FORK_BYTES>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    const LOGS: usize,
    const BYTES: usize,
    const HASHES: usize,
    const OWN_BYTES: usize,
    const OWN_HASHES: usize,
    const FORK_BYTES: usize,
> fmt::Debug for FixedStore<LOGS, BYTES, HASHES, OWN_BYTES, OWN_HASHES, FORK_BYTES>
{
    /// What is known of each log, without its records and hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.logs().map(|log| (&log.about.id, &log.about.stored))).finish()
    }
}

/// Two stores are equal if they hold the same, wherever in their memory.
impl<
    const LOGS: usize,
    const BYTES: usize,
    const HASHES: usize,
    const OWN_BYTES: usize,
    const OWN_HASHES: usize,
    const FORK_BYTES: usize,
> PartialEq for FixedStore<LOGS, BYTES, HASHES, OWN_BYTES, OWN_HASHES, FORK_BYTES>
{
    fn eq(&self, other: &Self) -> bool {
        let is_in_other = |log: Log<'_>| {
            let same = other.find(&log.about.id).ok().filter(|theirs| log.is_same(*theirs));
            same.is_some_and(|theirs| self.fork_of(&log) == other.fork_of(&theirs))
        };
        self.logs().count() == other.logs().count() && self.logs().all(is_in_other)
    }
}

impl<
    const LOGS: usize,
    const BYTES: usize,
    const HASHES: usize,
    const OWN_BYTES: usize,
    const OWN_HASHES: usize,
    const FORK_BYTES: usize,
> Eq for FixedStore<LOGS, BYTES, HASHES, OWN_BYTES, OWN_HASHES, FORK_BYTES>
{
}
