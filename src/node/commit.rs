//! What is written: committed to the store first and to memory then, made durable before anything is revealed that
//! depends on it, and what follows where the store fails or is damaged.

use super::prove::root_of;
use super::value::Node;
use crate::head::Head;
use crate::key::{LogId, Vkey};
use crate::log::{Hash, MAX_PROOF, verify_consistency};
use crate::record::Records;
use crate::state::{Note, Tables};
use crate::store::{Commit, LogState, Origin, Store, StoreError, StoredLog};
use crate::words::{PeerId, SyncError};

impl<T: Tables> Node<T> {
    /// Makes everything written durable: called before anything is revealed that depends on it.
    pub(super) fn settle(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        if self.disk.settle(store)? {
            // What waited to be told until it is durable can be told now.
            self.cache.idle_until = None;
        }
        Ok(())
    }

    /// Something was written that the store has not made durable yet; it is to be within a second, or an
    /// interval, even if nobody asks.
    pub(super) fn wrote(&mut self) {
        self.disk.wrote(self.clock.now, self.config.interval);
    }

    /// Commits to the store, and only then to memory.
    pub(super) fn commit(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        commit: &Commit<'_>,
        source: Option<PeerId>,
    ) -> Result<(), StoreError> {
        let Some(replica) = self.logs.get(slot) else { return Err(StoreError::UnknownLog) };
        store.commit(&replica.id, commit)?;
        self.committed(slot, &commit.state, commit.records.as_bytes().len() as u64, source);
        Ok(())
    }

    /// Takes over what the store has just committed: a state, and so many bytes of records.
    pub(super) fn committed(&mut self, slot: u32, state: &LogState, bytes: u64, source: Option<PeerId>) {
        let Some((origin, has_new_head)) = self.logs.committed(slot, state, bytes, source, self.clock.now) else {
            return;
        };
        self.wrote();
        if has_new_head {
            if origin == Origin::Own {
                self.owe_all();
            } else {
                self.touch(slot);
            }
        }
        if let Some(peer) = self.peers.introducer_mut(origin) {
            peer.introduced.add(0, bytes);
        }
        self.changed();
    }

    /// Changes a log's state in the store, from what it is there now; the proof kept for the covering head
    /// stays.
    #[inline(never)]
    pub(super) fn restate(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        change: &mut dyn FnMut(&mut LogState),
    ) -> Result<(), StoreError> {
        let Some(log) = self.logs.get(slot).map(|replica| replica.id) else { return Ok(()) };
        let mut state = store.log(&log)?.ok_or(StoreError::UnknownLog)?.state;
        change(&mut state);
        let mut kept = [[0; Hash::LEN]; MAX_PROOF];
        let count = if state.covering.is_some() { store.proof(&log, &mut kept)? } else { 0 };
        let proof = kept.get(..count).unwrap_or_default();
        if let Some(Head { size, root }) = state.covering.map(|covering| covering.head).filter(|_| state.have > 0) {
            // What was read falsely once must not be written back, to be false for good.
            let held = root_of(store, &log, state.have)?;
            verify_consistency(state.have, &held, size, &root, proof).map_err(|_| StoreError::Damaged)?;
        }
        let commit = Commit { start: state.have, records: Records::default(), hashes: &[], state, proof };
        self.commit(store, slot, &commit, None)
    }

    /// The key of a followed log, which was checked before it was stored. The node's own log may not be
    /// there before its first record; what comes of it from outside must be judged all the same.
    pub(super) fn key_of(
        &mut self,
        store: &mut dyn Store,
        log: &LogId,
    ) -> Result<(Vkey<T::Scheme>, StoredLog), StoreError> {
        if *log == self.writing.id() && store.log(log)?.is_none() {
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

    pub(super) fn create_own(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let vkey = self.writing.vkey();
        store.create(&self.writing.id(), vkey.name(), vkey.key(), Origin::Own)
    }

    /// An error in reading a log that means that the store is damaged there.
    pub(super) fn note_damage(&mut self, log: &LogId, error: StoreError) {
        if matches!(error, StoreError::Damaged | StoreError::Mismatch)
            && let Some(slot) = self.logs.slot(log)
        {
            self.damaged(slot);
        }
    }

    /// The store's content does not fit the log's heads: it is served no more.
    pub(super) fn damaged(&mut self, slot: u32) {
        if let Some(replica) = self.logs.get_mut(slot)
            && !core::mem::replace(&mut replica.is_damaged, true)
        {
            self.logs.note(slot, Note::Damaged);
        }
    }

    pub(super) fn store_failed(&mut self, error: StoreError) {
        self.disk.failed(error, self.clock.now, self.config.interval);
    }

    /// The store failed at one log: that one waits, and the others go on.
    pub(super) fn store_failed_for(&mut self, at: usize, error: StoreError) {
        let until = self.clock.now + self.config.interval;
        let Some(view) = self.views.get_mut(at) else { return };
        view.retry_at = until;
        view.end_sync(Some(SyncError::Store));
        let log = view.log;
        if let Some(slot) = self.logs.slot(&log) {
            self.block(slot, error);
        }
    }

    /// The store has no room for a log, or failed: nothing is fetched for it for a while.
    pub(super) fn block(&mut self, slot: u32, error: StoreError) {
        self.disk.report(error);
        let until = self.clock.now + self.config.interval;
        if let Some(replica) = self.logs.get_mut(slot) {
            replica.blocked_until = until;
        }
    }
}
