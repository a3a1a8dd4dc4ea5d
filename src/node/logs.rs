//! Which logs a node follows: follow, unfollow, quotas, and what is written of them.

use super::replica::{Note, Replica};
use super::view::ViewTable;
use super::{Introductions, Node, SyncError};
use crate::error::Error;
use crate::key::Vkey;
use crate::log::Position;
use crate::store::{Commit, LogState, Origin, Store, StoreError, StoredLog};
use crate::tables::Tables;
use crate::{Hash, Head, LogId};

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
    /// Records held, from the start of the log (those included that the store has dropped since).
    pub have: u64,
    /// Bytes of framed records held: each record's own, and 2 in front of it.
    pub bytes: u64,
    /// A fork proof is held: the log is frozen.
    pub is_forked: bool,
    /// What the store holds does not fit the log's heads: it is not served.
    pub is_damaged: bool,
    /// Nobody asked provides what leads to a head ahead.
    pub is_stalled: bool,
}

impl<T: Tables> Node<T> {
    /// Follows a log by hand: its records are fetched from whoever has them, and it counts against no
    /// quota. A log that was introduced stays, and is by hand from now on.
    ///
    /// Following the log of a peer, a log that is followed by hand already, or the node's own changes nothing.
    ///
    /// Errors: [`Error::TooManyLogs`], [`Error::Store`].
    ///
    /// ```
    /// use verisoo::store::{MemoryStore, Origin};
    /// use verisoo::{Config, Error, Identity, Instant, Node, Vkey};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// let vkey = Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")?;
    /// node.follow(&mut store, &vkey)?;
    /// let info = node.log(&vkey.id()).unwrap();
    /// assert_eq!((info.origin, info.have), (Origin::Pinned, 0));
    /// // The node's own log is one of them.
    /// assert_eq!(node.logs().count(), 2);
    ///
    /// node.unfollow(&mut store, &vkey.id())?;
    /// assert_eq!(node.log(&vkey.id()), None);
    /// assert_eq!(node.unfollow(&mut store, &vkey.id()), Err(Error::UnknownLog));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow(&mut self, store: &mut dyn Store, vkey: &Vkey<T::Scheme>) -> Result<(), Error> {
        self.follow_as(store, vkey, Origin::Pinned)
    }

    /// Stops following a log and removes all that is held of it, a fork proof too. A peer whose log it is stays
    /// a peer. A log that a peer still lists may be introduced again, as
    /// [`Config::introductions`](crate::Config) says.
    ///
    /// Errors: [`Error::OwnKey`] for the node's own log, [`Error::UnknownLog`], [`Error::Store`].
    pub fn unfollow(&mut self, store: &mut dyn Store, log: &LogId) -> Result<(), Error> {
        if *log == self.own {
            return Err(Error::OwnKey);
        }
        let origin = self.replicas.find(log).ok_or(Error::UnknownLog)?.origin;
        store.remove(log)?;
        self.wrote();
        let cursors = self.peers.iter_mut().map(|peer| &mut peer.offered);
        let removed = self.replicas.remove(log, cursors);
        if let (Some(replica), Origin::Introduced(by)) = (removed, origin)
            && let Some(peer) = self.peers.iter_mut().find(|peer| peer.node == by)
        {
            peer.introduced_logs = peer.introduced_logs.saturating_sub(1);
            peer.introduced_bytes = peer.introduced_bytes.saturating_sub(replica.bytes);
        }
        for view in self.views.iter_mut().filter(|view| view.log == *log) {
            view.end_sync(Some(SyncError::Removed));
        }
        self.views.retain(|view| view.log != *log || view.sync.is_some());
        self.drop_requests(|request| request.ask.log() == Some(*log));
        self.changed();
        Ok(())
    }

    /// The logs followed, the node's own included, in order of id.
    pub fn logs(&self) -> impl Iterator<Item = LogInfo> + '_ {
        self.replicas.iter_after(None).map(Replica::info)
    }

    /// One log; `None` where it is not followed.
    pub fn log(&self, log: &LogId) -> Option<LogInfo> {
        self.replicas.find(log).map(Replica::info)
    }

    /// Makes everything written durable: called before anything is revealed that depends on it.
    pub(super) fn settle(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        if self.unsynced.is_some() {
            store.sync()?;
            self.unsynced = None;
            // What waited to be told until it is durable can be told now.
            self.cache.idle_until = None;
        }
        Ok(())
    }

    /// Something was written that the store has not made durable yet; it is to be within a second, or an
    /// interval, even if nobody asks.
    pub(super) fn wrote(&mut self) {
        let latest = self.clock.now + self.config.interval.min(core::time::Duration::from_secs(1));
        self.unsynced.get_or_insert(latest);
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
            && let Some(peer) = self.peers.iter_mut().find(|peer| peer.node == by)
        {
            peer.introduced_bytes += bytes;
        }
        self.changed();
    }

    /// A log's complete head, or whether it is forked, changed: peers are to be offered it.
    pub(super) fn touch(&mut self, slot: u32) {
        let cursors = self.peers.iter_mut().map(|peer| &mut peer.offered);
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
        for peer in self.peers.iter_mut() {
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
        for peer in self.peers.iter_mut() {
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
        let is_orphan = self.peers.iter().all(|peer| peer.node != by);
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
        let introducer = self.peers.iter().find(|peer| peer.node == by);
        introducer.is_some_and(|peer| peer.introduced_bytes.saturating_add(bytes) <= quota)
    }

    /// Says, once a round at most, that the introducer of this log has used up its quota.
    pub(super) fn quota_full(&mut self, replica_origin: Origin) {
        let Origin::Introduced(by) = replica_origin else { return };
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.node == by) {
            peer.notes.quota |= !core::mem::replace(&mut peer.notes.quota_told, true);
        }
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
            self.wrote();
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

/// A proof cannot be built: the store's failure, or, if the sizes did not fit, its content.
pub(super) fn read_error(error: crate::log::ProveError<StoreError>) -> StoreError {
    match error {
        crate::log::ProveError::Read(error) => error,
        crate::log::ProveError::OutOfRange | crate::log::ProveError::WrongLength => StoreError::Damaged,
    }
}
