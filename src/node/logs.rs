//! Which logs a node follows, and its own: follow, unfollow, append, publish.

use super::replica::{Note, Replica};
use super::view::ViewTable;
use super::{Introductions, Mode, Node, SyncError};
use crate::error::Error;
use crate::key::Vkey;
use crate::log::{Frontier, MAX_PROOF, MAX_SIZE, Position, leaf_hash, prove_consistency, verify_consistency};
use crate::record::{LENGTH_LEN, MAX_RECORD};
use crate::store::{Commit, LogState, Origin, Store, StoreError, StoredLog};
use crate::tables::{List, Tables};
use crate::wire::BYTES_PER_RECORD;
use crate::{Hash, Head, Instant, LogId, Records, SignedHead};

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
        self.wrote();
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
    /// [`Node::publish`]) signs a head over it, and [`Notice::Published`](crate::Notice) with a larger size
    /// than the index says that record and head are durable: a crash before that may lose it.
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`], [`Error::Damaged`], [`Error::RecordTooLong`],
    /// [`Error::LogFull`], [`Error::Store`].
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
        let mut frontier = Frontier::load(start, |position| store.hash(&own, position)).map_err(read_error)?;
        // What is built upon is what was appended before, not what a failing device makes of it.
        let complete = stored.state.complete.map(|signed| signed.head).filter(|head| head.size == start);
        if self.own_root.or(complete.map(|head| head.root)).is_some_and(|root| root != frontier.root()) {
            return Err(StoreError::Damaged.into());
        }
        let mut hashes = [[0; Hash::LEN]; 63];
        let mut count = 0;
        let pushed = frontier.push(leaf_hash(record), |hash| {
            if let Some(slot) = hashes.get_mut(count) {
                *slot = *hash.as_bytes();
                count += 1;
            }
        });
        pushed.map_err(|_| Error::LogFull)?;
        let Some(framed) = frame_into(&mut self.cache.hashes, record) else {
            self.cache.hashes.clear();
            return Err(Error::RecordTooLong);
        };
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
        self.wrote();
        self.own_root = Some(frontier.root());
        if let Some(replica) = self.replicas.find_mut(&own) {
            replica.have = start + 1;
            replica.bytes += len as u64;
        }
        self.changed();
        Ok(start)
    }

    /// Signs a head over all records of the node's own log, once they are durable. The head, or the one
    /// before where there is nothing new. It is durable before any peer sees it; that it is, is said by
    /// [`Notice::Published`](crate::Notice).
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`], [`Error::Damaged`] where the store does not lead
    /// from the last signed head to this one, [`Error::Store`]; with [`StoreError::NotReady`] the store is
    /// still making the records durable.
    #[inline(never)]
    pub fn publish(&mut self, store: &mut dyn Store) -> Result<Head, Error> {
        self.check_writing()?;
        let Some(replica) = self.replicas.find(&self.own) else { return Err(Error::UnknownLog) };
        if replica.have == replica.complete.size {
            return Ok(replica.complete);
        }
        let is_unsynced = self.is_unsynced;
        // A call that fails changes nothing, not even what is known to be durable.
        let size = replica.have;
        self.sign_head(store, size).inspect_err(|_| self.is_unsynced = is_unsynced)
    }

    /// Signs a head over the first `size` records of the node's own log.
    fn sign_head(&mut self, store: &mut dyn Store, size: u64) -> Result<Head, Error> {
        // Nothing is signed that is not durable.
        self.settle(store)?;
        let stored = self.own_stored(store)?;
        let own = self.own;
        let slot = self.replicas.slot(&own).ok_or(Error::UnknownLog)?;
        let head = Head { size, root: root_of(store, &own, size)? };
        let leads_on = match self.own_root {
            Some(root) => leads_to(store, &own, Some(head), &Head { size: stored.state.have, root })?,
            None => true,
        };
        let signed = stored.state.complete.map(|signed| signed.head);
        if !leads_on || !leads_to(store, &own, signed, &head)? {
            // Signed, this would be a second history: what the store says now is not what was signed before.
            self.damaged(slot);
            return Err(Error::Damaged);
        }
        let signed = SignedHead::sign(&self.identity, head);
        let state = LogState { complete: Some(signed), ..stored.state };
        let commit = Commit { start: state.have, records: Records::default(), hashes: &[], state, proof: &[] };
        self.commit(store, slot, &commit, None)?;
        self.notes.published = Some(head);
        self.published_at = self.clock.now;
        Ok(head)
    }

    /// Whether the next head may be signed, or at what time. Where peers take our log, one of them is to have
    /// all that was signed before: a writer that loses its memory then finds it there, and not a signed head
    /// whose records nobody holds. Peers that say nothing are not waited for longer than for an answer.
    pub(super) fn publish_at(&self) -> Instant {
        let signed = self.replicas.find(&self.own).map_or(0, |own| own.complete.size);
        let healthy = self.peers.as_slice().iter().filter(|peer| peer.is_healthy());
        let held = healthy.filter_map(|peer| peer.acknowledged).max();
        if held.is_some_and(|held| held < signed) { self.published_at + self.config.timeout } else { Instant::ZERO }
    }

    /// How far the next head reaches: over as many records as one push carries to any peer that takes our
    /// log, so that whoever learns of a head by a push has its records too.
    fn next_size(&mut self, store: &mut dyn Store) -> Result<u64, StoreError> {
        let Some(own) = self.replicas.find(&self.own) else { return Ok(0) };
        let (signed, have) = (own.complete.size, own.have);
        let peers = self.peers.as_slice().iter().filter(|peer| peer.acknowledged.is_some());
        let message = peers.map(|peer| peer.max_message).fold(self.config.max_message, u32::min);
        let room = usize::try_from(message).unwrap_or(usize::MAX).saturating_sub(MESSAGE_OVERHEAD);
        let scratch = &mut self.cache.hashes;
        while scratch.as_slice().len() < room / Hash::LEN && scratch.push([0; Hash::LEN]).is_ok() {}
        let read = store.records(&self.own, signed, have, scratch.as_mut_slice().as_flattened_mut());
        scratch.clear();
        // A record that no push carries is fetched by those who can take it.
        Ok(signed + read?.count.clamp(1, u64::from(message / BYTES_PER_RECORD)))
    }

    /// The newest signed head of a followed log, all of whose records are held, once it is durable; `None`
    /// where there is none yet. As a checkpoint's text it is [`SignedHead::to_note`].
    ///
    /// Errors: [`Error::UnknownLog`], [`Error::Store`].
    pub fn checkpoint(&mut self, store: &mut dyn Store, log: &LogId) -> Result<Option<SignedHead>, Error> {
        self.replicas.find(log).ok_or(Error::UnknownLog)?;
        self.settle(store)?;
        Ok(store.log(log)?.and_then(|stored| stored.state.complete))
    }

    /// Signs a head if there are records that have none. A store that fails at it keeps nothing else from
    /// being done.
    pub(super) fn publish_due(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let now = self.clock.now;
        let Some(slot) = self.replicas.slot(&self.own) else { return Ok(()) };
        let is_due =
            self.replicas.get(slot).is_some_and(|own| own.have > own.complete.size && own.blocked_until <= now);
        if !is_due || self.check_writing().is_err() || self.publish_at() > now {
            return Ok(());
        }
        match self.next_size(store).map_err(Error::Store).and_then(|size| self.sign_head(store, size)) {
            Err(Error::Store(StoreError::NotReady)) => Err(StoreError::NotReady),
            Err(Error::Store(error)) => {
                let own = self.own;
                self.note_damage(&own, error);
                self.block(slot, error);
                Ok(())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether the node may write to its own log now.
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`], [`Error::Damaged`].
    pub fn check_writing(&self) -> Result<(), Error> {
        let own = self.replicas.find(&self.own);
        if own.is_some_and(|own| own.is_forked) {
            return Err(Error::Stopped);
        }
        if own.is_some_and(|own| own.is_damaged) {
            return Err(Error::Damaged);
        }
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

    /// Something was written that the store has not made durable yet; it is to be within a second, or an
    /// interval, even if nobody asks.
    pub(super) fn wrote(&mut self) {
        if !core::mem::replace(&mut self.is_unsynced, true) {
            self.sync_at = self.clock.now + self.config.interval.min(core::time::Duration::from_secs(1));
        }
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
        let before = replica.complete;
        replica.set_state(state);
        replica.bytes += bytes;
        replica.progress_at = self.clock.now;
        self.has_evidence |= replica.has_evidence();
        self.may_stall |= replica.unproven.size > 0;
        if bytes > 0 {
            replica.is_stalled = false;
            replica.is_too_long = false;
        }
        let (origin, has_new_head, is_own) = (replica.origin, replica.complete != before, replica.is_own());
        if has_new_head {
            replica.source = source;
        }
        self.wrote();
        if has_new_head {
            if is_own {
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
        self.wrote();
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

    /// A log that was introduced is from now on followed for another reason.
    fn adopt(&mut self, store: &mut dyn Store, log: &LogId, origin: Origin) -> Result<(), Error> {
        store.set_origin(log, origin)?;
        self.wrote();
        let Some(replica) = self.replicas.find_mut(log) else { return Err(Error::UnknownLog) };
        let (before, bytes) = (core::mem::replace(&mut replica.origin, origin), replica.bytes);
        for peer in self.peers.as_mut_slice() {
            if before == Origin::Introduced(peer.node) {
                peer.introduced_logs = peer.introduced_logs.saturating_sub(1);
                peer.introduced_bytes = peer.introduced_bytes.saturating_sub(bytes);
                // There is room for another: what it lists is to be heard again.
                peer.compared = None;
            }
            if origin == Origin::Introduced(peer.node) {
                peer.introduced_logs += 1;
                peer.introduced_bytes += bytes;
            }
        }
        self.cache.idle_until = None;
        Ok(())
    }

    /// A log whose introducer is no peer any more counts against the quota of another that lists it.
    pub(super) fn introduce_again(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        peer: crate::PeerId,
    ) -> Result<(), Error> {
        let Some(replica) = self.replicas.get(slot) else { return Ok(()) };
        let Origin::Introduced(by) = replica.origin else { return Ok(()) };
        let is_orphan = self.peers.as_slice().iter().all(|peer| peer.node != by);
        let (log, node) = (replica.id, self.peer_ref(peer).map(|peer| peer.node));
        match node.filter(|_| is_orphan && self.may_introduce(peer)) {
            Some(node) => self.adopt(store, &log, Origin::Introduced(node)),
            None => Ok(()),
        }
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
        let logs = if cfg!(verisoo_bug = "quota-unchecked") { usize::MAX } else { logs };
        self.peer_ref(peer).is_some_and(|peer| {
            peer.introduced_logs < logs && peer.introduced_bytes < bytes && self.replicas.len() < limit - limit / 4
        })
    }

    /// Whether so many more bytes of this log may be stored: introduced ones have a quota.
    pub(super) fn has_room_for(&self, replica: &Replica, bytes: u64) -> bool {
        let Origin::Introduced(by) = replica.origin else { return true };
        let Introductions::Accept { bytes: quota, .. } = self.config.introductions else { return false };
        let introducer = self.peers.as_slice().iter().find(|peer| peer.node == by);
        introducer.is_some_and(|peer| peer.introduced_bytes.saturating_add(bytes) <= quota)
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
                self.create_own(store)?;
                Ok(store.log(&self.own)?.ok_or(StoreError::Mismatch)?)
            }
        }
    }

    pub(super) fn create_own(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let vkey = self.identity.vkey();
        store.create(&self.own, vkey.name(), vkey.key(), Origin::Own)
    }

    /// The key of a followed log, which was checked before it was stored. The node's own log may not be
    /// there before its first record; what comes of it from outside must be judged all the same.
    pub(super) fn key_of(
        &mut self,
        store: &mut dyn Store,
        log: &LogId,
    ) -> Result<(Vkey<T::Scheme>, StoredLog), StoreError> {
        if *log == self.own && store.log(log)?.is_none() {
            self.create_own(store)?;
            self.is_unsynced = true;
        }
        let stored = store.log(log)?.ok_or(StoreError::UnknownLog)?;
        let vkey = Vkey::trusted(stored.name, stored.key);
        if vkey.id() == *log { Ok((vkey, stored)) } else { Err(StoreError::Damaged) }
    }

    /// The key alone.
    #[inline(never)]
    pub(super) fn vkey_of(&mut self, store: &mut dyn Store, log: &LogId) -> Result<Vkey<T::Scheme>, StoreError> {
        self.key_of(store, log).map(|(vkey, _)| vkey)
    }

    /// An error in reading a log that means that the store is damaged there.
    pub(super) fn note_damage(&mut self, log: &LogId, error: StoreError) {
        if matches!(error, StoreError::Damaged | StoreError::Mismatch)
            && let Some(slot) = self.replicas.slot(log)
        {
            self.damaged(slot);
        }
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

/// Whether a log, as the store has it, leads from the head signed last to this one.
#[inline(never)]
fn leads_to(store: &mut dyn Store, log: &LogId, before: Option<Head>, head: &Head) -> Result<bool, StoreError> {
    let Some(before) = before else { return Ok(true) };
    let mut proof = [[0; Hash::LEN]; MAX_PROOF];
    let mut count = 0;
    let emit = |hash: Hash| {
        if let Some(slot) = proof.get_mut(count) {
            *slot = *hash.as_bytes();
            count += 1;
        }
    };
    prove_consistency(before.size, head.size, reader(store, log), emit).map_err(read_error)?;
    let proof = proof.get(..count).unwrap_or_default();
    Ok(verify_consistency(before.size, &before.root, head.size, &head.root, proof).is_ok())
}

/// A proof cannot be built: the store's failure, or, if the sizes did not fit, its content.
pub(super) fn read_error(error: crate::log::ProveError<StoreError>) -> StoreError {
    match error {
        crate::log::ProveError::Read(error) => error,
        crate::log::ProveError::OutOfRange | crate::log::ProveError::WrongLength => StoreError::Damaged,
    }
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
