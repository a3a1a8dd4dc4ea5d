//! Which logs a node follows, and its own: follow, unfollow, append, publish.

use super::replica::{Note, Replica};
use super::view::ViewTable;
use super::{Introductions, Mode, Node, SyncError};
use crate::error::Error;
use crate::key::Vkey;
use crate::log::{MAX_SIZE, Position, leaf_hash, node_hash};
use crate::record::{LENGTH_LEN, MAX_RECORD};
use crate::store::{Commit, LogState, Origin, Store, StoreError, StoredLog};
use crate::tables::{List, Tables};
use crate::{Hash, Head, LogId, Records, SignedHead};

/// What can be asked about a followed log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LogInfo {
    /// The log.
    pub log: LogId,
    /// How it came to be followed.
    pub origin: Origin,
    /// The signed head all of whose records are held; [`Head::EMPTY`] where there is none.
    pub complete: Head,
    /// Records held.
    pub have: u64,
    /// Bytes of framed records held.
    pub bytes: u64,
    /// A fork proof is held: the log is frozen.
    pub is_forked: bool,
    /// What the store holds does not fit the log's heads: it is not served.
    pub is_damaged: bool,
    /// Nobody asked provides what leads to a head ahead.
    pub is_stalled: bool,
}

/// Bytes that a message needs besides one record in it: frame, ids, head and the longest proof.
const MESSAGE_OVERHEAD: usize = 2_304;

impl<T: Tables> Node<T> {
    /// Follows a log by hand: its records are fetched from whoever has them, and it counts against no
    /// quota. A log that was introduced stays, and is by hand from now on.
    ///
    /// Errors: [`Error::TooManyLogs`], [`Error::Store`].
    pub fn follow(&mut self, store: &mut dyn Store, vkey: &Vkey<T::Scheme>) -> Result<(), Error> {
        self.follow_as(store, vkey, Origin::Pinned)
    }

    /// Stops following a log and removes all that is held of it.
    ///
    /// Errors: [`Error::OwnKey`] for the node's own log, [`Error::UnknownLog`], [`Error::Store`].
    pub fn unfollow(&mut self, store: &mut dyn Store, log: &LogId) -> Result<(), Error> {
        if *log == self.own {
            return Err(Error::OwnKey);
        }
        let origin = self.replicas.find(log).ok_or(Error::UnknownLog)?.origin;
        store.remove(log)?;
        self.is_unsynced = true;
        let cursors = self.peers.as_mut_slice().iter_mut().map(|peer| &mut peer.offered);
        let removed = self.replicas.remove(log, cursors);
        if let (Some(replica), Origin::Introduced(by)) = (removed, origin)
            && let Some(peer) = self.peers.as_mut_slice().iter_mut().find(|peer| peer.node == by)
        {
            peer.introduced_logs = peer.introduced_logs.saturating_sub(1);
            peer.introduced_bytes = peer.introduced_bytes.saturating_sub(replica.bytes);
        }
        for view in self.views.as_mut_slice().iter_mut().filter(|view| view.log == *log) {
            view.end_sync(Some(SyncError::Removed));
        }
        self.views.retain(|view| view.log != *log || view.sync.is_some());
        self.drop_requests(|request| request.asked.log() == Some(*log));
        self.changed();
        Ok(())
    }

    /// The logs followed, the node's own included, in order of id.
    pub fn logs(&self) -> impl Iterator<Item = LogInfo> + '_ {
        self.replicas.iter_after(None).map(Replica::info)
    }

    /// One log.
    pub fn log(&self, log: &LogId) -> Option<LogInfo> {
        self.replicas.find(log).map(Replica::info)
    }

    /// Appends a record to the node's own log; its index. The next [`Node::poll`] (or
    /// [`Node::publish`]) signs a head over it.
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`], [`Error::RecordTooLong`], [`Error::LogFull`],
    /// [`Error::Store`].
    #[inline(never)]
    pub fn append(&mut self, store: &mut dyn Store, record: &[u8]) -> Result<u64, Error> {
        self.check_writing()?;
        let longest = usize::try_from(self.config.max_message).unwrap_or(usize::MAX).saturating_sub(MESSAGE_OVERHEAD);
        if record.len() > MAX_RECORD.min(longest) {
            return Err(Error::RecordTooLong);
        }
        let stored = self.own_stored(store)?;
        let start = stored.state.have;
        if start >= MAX_SIZE {
            return Err(Error::LogFull);
        }
        let own = self.own;
        let mut hashes = [[0; Hash::LEN]; 63];
        let count = append_hashes(start, leaf_hash(record), &mut hashes, |position| store.hash(&own, position))?;
        let framed = frame_into(&mut self.cache.hashes, record).ok_or(Error::RecordTooLong)?;
        let len = LENGTH_LEN + record.len();
        let commit = Commit {
            start,
            records: Records::new(framed.as_slice().as_flattened().get(..len).unwrap_or_default()),
            hashes: hashes.get(..count).unwrap_or_default(),
            state: LogState { have: start + 1, ..stored.state },
            proof: &[],
        };
        let result = store.commit(&own, &commit);
        self.cache.hashes.clear();
        result?;
        self.is_unsynced = true;
        if let Some(replica) = self.replicas.find_mut(&own) {
            replica.have = start + 1;
            replica.bytes += len as u64;
        }
        self.changed();
        Ok(start)
    }

    /// Signs a head over all records of the node's own log, once they are durable, and makes it durable
    /// before anybody sees it. The head, or the one before where there is nothing new.
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`], [`Error::Store`]; with
    /// [`StoreError::NotReady`] the store is still making the records durable.
    #[inline(never)]
    pub fn publish(&mut self, store: &mut dyn Store) -> Result<Head, Error> {
        self.check_writing()?;
        let Some(replica) = self.replicas.find(&self.own) else { return Err(Error::UnknownLog) };
        if replica.have == replica.complete.size {
            return Ok(replica.complete);
        }
        // Nothing is signed that is not durable.
        self.settle(store)?;
        let stored = self.own_stored(store)?;
        let own = self.own;
        let root = root_of(store, &own, stored.state.have)?;
        let head = Head { size: stored.state.have, root };
        let signed = SignedHead::sign(&self.identity, head);
        let state = LogState { complete: Some(signed), ..stored.state };
        let slot = self.replicas.slot(&own).ok_or(Error::UnknownLog)?;
        let commit = Commit { start: state.have, records: Records::default(), hashes: &[], state, proof: &[] };
        self.commit(store, slot, &commit, None)?;
        self.notes.published = Some(head);
        Ok(head)
    }

    /// Signs a head if there are records that have none.
    pub(super) fn publish_due(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let is_due = self.replicas.find(&self.own).is_some_and(|own| own.have > own.complete.size);
        if is_due
            && self.check_writing().is_ok()
            && let Err(Error::Store(error)) = self.publish(store)
        {
            return Err(error);
        }
        Ok(())
    }

    /// Whether the node may write to its own log now.
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`].
    pub fn check_writing(&self) -> Result<(), Error> {
        match self.mode {
            Mode::Writing => Ok(()),
            Mode::Recovering(_) => Err(Error::Recovering),
            Mode::Stopped => Err(Error::Stopped),
        }
    }

    /// Makes everything written durable: called before anything is revealed that depends on it.
    pub(super) fn settle(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        if self.is_unsynced {
            store.sync()?;
            self.is_unsynced = false;
        }
        Ok(())
    }

    /// Commits to the store, and only then to memory.
    pub(super) fn commit(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        commit: &Commit<'_>,
        source: Option<crate::PeerId>,
    ) -> Result<(), StoreError> {
        let Some(replica) = self.replicas.get(slot) else { return Err(StoreError::UnknownLog) };
        store.commit(&replica.id, commit)?;
        self.committed(slot, &commit.state, commit.records.as_bytes().len() as u64, source);
        Ok(())
    }

    /// Takes over what the store has just committed: a state, and so many bytes of records.
    pub(super) fn committed(&mut self, slot: u32, state: &LogState, bytes: u64, source: Option<crate::PeerId>) {
        let Some(replica) = self.replicas.get_mut(slot) else { return };
        self.is_unsynced = true;
        let before = replica.complete;
        replica.set_state(state);
        replica.bytes += bytes;
        replica.progress_at = self.clock.now;
        self.may_stall |= replica.unproven.size > 0;
        if bytes > 0 {
            replica.is_stalled = false;
            replica.is_too_long = false;
        }
        let (origin, has_new_head) = (replica.origin, replica.complete != before);
        if has_new_head {
            replica.source = source;
            if replica.is_own() {
                self.owe_all();
            } else {
                self.touch(slot);
            }
        }
        if let Origin::Introduced(by) = origin
            && let Some(peer) = self.peers.as_mut_slice().iter_mut().find(|peer| peer.node == by)
        {
            peer.introduced_bytes += bytes;
        }
        self.changed();
    }

    /// A log's complete head, or whether it is forked, changed: peers are to be offered it.
    pub(super) fn touch(&mut self, slot: u32) {
        let cursors = self.peers.as_mut_slice().iter_mut().map(|peer| &mut peer.offered);
        self.replicas.touch(slot, cursors);
    }

    #[inline(never)]
    pub(super) fn follow_as(
        &mut self,
        store: &mut dyn Store,
        vkey: &Vkey<T::Scheme>,
        origin: Origin,
    ) -> Result<(), Error> {
        let log = vkey.id();
        if log == self.own {
            return Ok(());
        }
        if let Some(replica) = self.replicas.find(&log) {
            if matches!(replica.origin, Origin::Introduced(_)) && !matches!(origin, Origin::Introduced(_)) {
                self.adopt(store, &log, origin)?;
            }
            return Ok(());
        }
        if self.replicas.len() >= self.config.max_logs.min(self.replicas.capacity()) {
            return Err(Error::TooManyLogs);
        }
        store.create(&log, vkey.name(), vkey.key(), origin)?;
        self.is_unsynced = true;
        let mut replica = Replica::new(log, origin);
        replica.progress_at = self.clock.now;
        self.replicas.insert(replica).ok_or(Error::TooManyLogs)?;
        // What others said of it while it was unknown is to be heard again.
        for peer in self.peers.as_mut_slice() {
            peer.compared = None;
        }
        self.changed();
        Ok(())
    }

    /// A log that was introduced is from now on the operator's own choice.
    fn adopt(&mut self, store: &mut dyn Store, log: &LogId, origin: Origin) -> Result<(), Error> {
        store.set_origin(log, origin)?;
        self.is_unsynced = true;
        let Some(replica) = self.replicas.find_mut(log) else { return Err(Error::UnknownLog) };
        let (before, bytes) = (core::mem::replace(&mut replica.origin, origin), replica.bytes);
        if let Origin::Introduced(by) = before
            && let Some(peer) = self.peers.as_mut_slice().iter_mut().find(|peer| peer.node == by)
        {
            peer.introduced_logs = peer.introduced_logs.saturating_sub(1);
            peer.introduced_bytes = peer.introduced_bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    /// Logs and bytes that the peer with this key introduced.
    pub(super) fn introduced_by(&self, node: &LogId) -> (usize, u64) {
        let introduced = self.replicas.iter_after(None).filter(|replica| replica.origin == Origin::Introduced(*node));
        introduced.fold((0, 0), |(logs, bytes), replica| (logs + 1, bytes + replica.bytes))
    }

    /// Whether a peer may introduce one more log. A quarter of the table stays free for logs that the
    /// operator names.
    pub(super) fn may_introduce(&self, peer: crate::PeerId) -> bool {
        let Introductions::Accept { logs, bytes } = self.config.introductions else { return false };
        let limit = self.config.max_logs.min(self.replicas.capacity());
        self.peer_ref(peer).is_some_and(|peer| {
            peer.introduced_logs < logs && peer.introduced_bytes < bytes && self.replicas.len() < limit - limit / 4
        })
    }

    /// Whether so many more bytes of this log may be stored: introduced ones have a quota.
    pub(super) fn has_room_for(&self, replica: &Replica, bytes: u64) -> bool {
        let Origin::Introduced(by) = replica.origin else { return true };
        let Introductions::Accept { bytes: quota, .. } = self.config.introductions else { return false };
        let introducer = self.peers.as_slice().iter().find(|peer| peer.node == by);
        introducer.is_none_or(|peer| peer.introduced_bytes.saturating_add(bytes) <= quota)
    }

    /// Says, once a round at most, that the introducer of this log has used up its quota.
    pub(super) fn quota_full(&mut self, replica_origin: Origin) {
        let Origin::Introduced(by) = replica_origin else { return };
        if let Some(peer) = self.peers.as_mut_slice().iter_mut().find(|peer| peer.node == by) {
            peer.notes.quota |= !core::mem::replace(&mut peer.notes.quota_told, true);
        }
    }

    /// What the store holds of the node's own log, which is created there with its first record.
    #[inline(never)]
    fn own_stored(&mut self, store: &mut dyn Store) -> Result<StoredLog, Error> {
        let have = self.replicas.find(&self.own).map_or(0, |own| own.have);
        let stored = store.log(&self.own)?;
        match stored {
            // A store that knows this log while the node has none: the node was begun anew on it.
            Some(stored) if stored.state.have != have => Err(Error::LogExists),
            Some(stored) => Ok(stored),
            None => {
                let vkey = self.identity.vkey();
                store.create(&self.own, vkey.name(), vkey.key(), Origin::Own)?;
                Ok(store.log(&self.own)?.ok_or(StoreError::Mismatch)?)
            }
        }
    }

    /// The key of a followed log. It was checked before it was stored.
    pub(super) fn key_of(store: &mut dyn Store, log: &LogId) -> Result<(Vkey<T::Scheme>, StoredLog), StoreError> {
        let stored = store.log(log)?.ok_or(StoreError::UnknownLog)?;
        let vkey = Vkey::trusted(stored.name, stored.key);
        if vkey.id() == *log { Ok((vkey, stored)) } else { Err(StoreError::Damaged) }
    }

    /// The key alone.
    #[inline(never)]
    pub(super) fn vkey_of(store: &mut dyn Store, log: &LogId) -> Result<Vkey<T::Scheme>, StoreError> {
        Self::key_of(store, log).map(|(vkey, _)| vkey)
    }

    /// The store's content does not fit the log's heads: it is served no more.
    pub(super) fn damaged(&mut self, slot: u32) {
        if let Some(replica) = self.replicas.get_mut(slot)
            && !core::mem::replace(&mut replica.is_damaged, true)
        {
            self.replicas.note(slot, Note::Damaged);
        }
    }
}

impl Replica {
    fn info(&self) -> LogInfo {
        LogInfo {
            log: self.id,
            origin: self.origin,
            complete: self.complete,
            have: self.have,
            bytes: self.bytes,
            is_forked: self.is_forked,
            is_damaged: self.is_damaged,
            is_stalled: self.is_stalled,
        }
    }
}

/// The root of the first `size` records of a log.
#[inline(never)]
pub(super) fn root_of(store: &mut dyn Store, log: &LogId, size: u64) -> Result<Hash, StoreError> {
    crate::log::root_at(size, reader(store, log)).map_err(read_error)
}

/// Reads a log's hashes: one type, so that the code of what reads through it is there once.
pub(super) fn reader(store: &mut dyn Store, log: &LogId) -> impl FnMut(Position) -> Result<Hash, StoreError> {
    |position| store.hash(log, position)
}

/// A proof cannot be built: the store's failure, or, if the sizes did not fit, its content.
pub(super) fn read_error(error: crate::log::ProveError<StoreError>) -> StoreError {
    match error {
        crate::log::ProveError::Read(error) => error,
        crate::log::ProveError::OutOfRange | crate::log::ProveError::WrongLength => StoreError::Damaged,
    }
}

/// The hashes that leaf `index` adds to the stored sequence: its own and those of the subtrees it
/// completes, whose left halves are read.
fn append_hashes<E>(
    index: u64,
    leaf: Hash,
    hashes: &mut [[u8; Hash::LEN]; 63],
    mut read: impl FnMut(Position) -> Result<Hash, E>,
) -> Result<usize, Error>
where
    Error: From<E>,
{
    let mut hash = leaf;
    let mut count = 0;
    for (level, slot) in (0..=index.trailing_ones()).zip(hashes.iter_mut()) {
        if level > 0 {
            let below = u8::try_from(level - 1).map_err(|_| Error::LogFull)?;
            let left = Position::new(below, (index >> (level - 1)) - 1).ok_or(Error::LogFull)?;
            hash = node_hash(&read(left)?, &hash);
        }
        *slot = *hash.as_bytes();
        count += 1;
    }
    Ok(count)
}

/// Frames a record in the scratch space of hashes.
fn frame_into<'a, L: List<[u8; Hash::LEN]>>(scratch: &'a mut L, record: &[u8]) -> Option<&'a L> {
    scratch.clear();
    for _ in 0..(LENGTH_LEN + record.len()).div_ceil(Hash::LEN) {
        scratch.push([0; Hash::LEN]).ok()?;
    }
    Records::frame(record, scratch.as_mut_slice().as_flattened_mut())?;
    Some(scratch)
}
