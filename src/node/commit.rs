//! What is written: committed to the store first and to memory then, made durable before anything is revealed that
//! depends on it, and what follows where the store fails or is damaged.

use super::value::Node;
use crate::judge::{Shelf, Trouble};
use crate::log::{Hash, MAX_PROOF};
use crate::record::Records;
use crate::state::Tables;
use crate::store::{Commit, LogState, Origin, Store, StoreError};
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
        shelf: &mut Shelf<'_>,
        commit: &Commit<'_>,
        source: Option<PeerId>,
    ) -> Result<(), Trouble> {
        shelf.commit(commit)?;
        self.committed(shelf.slot, &commit.state, commit.records.as_bytes().len() as u64, source);
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
        shelf: &mut Shelf<'_>,
        change: &mut dyn FnMut(&mut LogState),
    ) -> Result<(), Trouble> {
        shelf.reread()?;
        let mut state = *shelf.state();
        change(&mut state);
        let mut kept = [[0; Hash::LEN]; MAX_PROOF];
        let len = shelf.kept_proof(&state, &mut kept)?;
        let proof = kept.get(..len).unwrap_or_default();
        let commit = Commit { start: state.have, records: Records::default(), hashes: &[], state, proof };
        self.commit(shelf, &commit, None)
    }

    /// A followed log as the store holds it, to be judged. The node's own may not be there before its first
    /// record; what comes of it from outside must be judged all the same.
    #[inline(never)]
    pub(super) fn shelf<'s>(&mut self, store: &'s mut dyn Store, slot: u32) -> Result<Shelf<'s>, Trouble> {
        let at = |error| Trouble::at(slot, error);
        let log = self.logs.get(slot).map(|replica| replica.id).ok_or(at(StoreError::UnknownLog))?;
        if log == self.writing.id() && store.log(&log).map_err(at)?.is_none() {
            self.create_own(store).map_err(at)?;
            self.wrote();
        }
        Shelf::open_checked::<T::Scheme>(store, slot, log)
    }

    pub(super) fn create_own(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let vkey = self.writing.vkey();
        store.create(&self.writing.id(), vkey.name(), vkey.key(), Origin::Own)
    }

    /// Takes note of the damage that a failure of the store has shown, if it has: whoever ends a call does.
    pub(super) fn noted(&mut self, trouble: Trouble) -> StoreError {
        let (error, damaged) = trouble.into_parts();
        if let Some(slot) = damaged {
            self.logs.damaged(slot);
        }
        error
    }

    /// Whether a failure of the store is damage, of which note is taken then: where that must not end all else.
    #[inline(never)]
    pub(super) fn notes_damage(&mut self, trouble: Trouble) -> bool {
        if trouble.is_damage() {
            self.noted(trouble);
        }
        trouble.is_damage()
    }

    /// The store failed at something that a poll does, which is tried again after a while.
    pub(super) fn store_failed(&mut self, error: StoreError) {
        self.disk.failed(error, self.clock.now, self.config.interval);
    }

    /// The store failed at one log: that one waits, and the others go on.
    pub(super) fn store_failed_for(&mut self, at: usize, trouble: Trouble) {
        let until = self.clock.now + self.config.interval;
        let error = self.noted(trouble);
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
