//! Starting on a log that exists: from a store that holds all of it, or, where that cannot be known, by
//! taking it back from the peers before anything is signed. Nobody signs twice.

use super::value::Node;
use crate::error::Error;
use crate::judge::Trouble;
use crate::key::{Identity, LogId, Vkey};
use crate::state::{Replica, Tables};
use crate::store::{Store, StoreError};
use crate::time::Instant;
use crate::words::{Answers, Config, RecoveryInfo, Start};

impl<T: Tables> Node<T> {
    /// A node whose log exists, with what `store` holds of it and of others. Peers are added afterwards;
    /// when recovering, all of them before the first [`Node::poll`], or those that are missing are not
    /// waited for.
    ///
    /// When recovering, records of its own that no signed head covers are dropped: nobody was ever shown
    /// them.
    ///
    /// `seed` and `now` are as for [`Node::new`]. For an example, see [`Start`].
    ///
    /// Errors: [`Error::TooManyLogs`] where the store holds more logs than the node has room for;
    /// [`Error::Store`], with [`StoreError::Damaged`] where a log's key does not have its id.
    pub fn open(
        identity: Identity<T::Scheme>,
        config: Config,
        seed: [u8; 32],
        now: Instant,
        store: &mut dyn Store,
        start: Start,
    ) -> Result<Self, Error> {
        let mut node = Self::new(identity, config, seed, now);
        node.load(store, start)?;
        Ok(node)
    }

    /// What [`Node::open`] does, for a node just made by [`Node::new`] in the place where it is to stay:
    /// where memory is short, a node is too large to be returned. After an error it must not be used. For an
    /// example, see [`Fixed`](crate::Fixed).
    ///
    /// Errors: those of [`Node::open`].
    #[inline(never)]
    pub fn load(&mut self, store: &mut dyn Store, start: Start) -> Result<(), Error> {
        self.writing.start(start);
        // What a process wrote before it ended can be read, and need not be durable yet.
        self.disk.is_inherited();
        self.load_own(store)?;
        let mut after = None;
        while let Some(log) = store.next_log(after.as_ref())? {
            after = Some(log);
            if log != self.writing.id() {
                self.load_log(store, &log)?;
            }
        }
        Ok(())
    }

    fn load_own(&mut self, store: &mut dyn Store) -> Result<(), Error> {
        let own = self.writing.id();
        let is_recovering = self.writing.is_recovering();
        if store.log(&own)?.is_none() {
            self.create_own(store)?;
        }
        let mut stored = store.log(&own)?.ok_or(StoreError::UnknownLog)?;
        let signed = stored.state.complete.map_or(0, |complete| complete.head.size);
        if is_recovering && stored.state.covering.is_none() && stored.state.have > signed {
            store.truncate(&own, signed)?;
            self.wrote();
            stored = store.log(&own)?.ok_or(StoreError::UnknownLog)?;
        }
        if let Some(replica) = self.logs.find_mut(&own) {
            let loaded = Replica::from_stored(own, &stored);
            replica.take_over(&loaded);
            self.logs.has_evidence |= loaded.has_evidence();
        }
        let heads = [stored.state.complete, stored.state.covering, stored.state.unproven].into_iter().flatten();
        let largest = heads.map(|signed| signed.head.size).max().unwrap_or(0);
        self.writing.raise_target(largest);
        let met_another = !is_recovering && largest > signed;
        if stored.state.stopped || stored.forked || met_another {
            self.writing.found_stopped();
        }
        self.changed();
        Ok(())
    }

    fn load_log(&mut self, store: &mut dyn Store, log: &LogId) -> Result<(), Error> {
        let stored = store.log(log)?.ok_or(StoreError::UnknownLog)?;
        if Vkey::<T::Scheme>::trusted(stored.name, stored.key).id() != *log {
            return Err(StoreError::Damaged.into());
        }
        if self.logs.len() >= self.logs.limit(&self.config) {
            return Err(Error::TooManyLogs);
        }
        let slot = self.logs.insert(Replica::from_stored(*log, &stored)).ok_or(Error::TooManyLogs)?;
        // A crash may have cut short the judging of evidence.
        self.logs.has_evidence |= self.logs.get(slot).is_some_and(Replica::has_evidence);
        Ok(())
    }

    /// Ends the recovery once enough peers have answered and everything our key ever signed is back.
    pub(super) fn end_recovery(&mut self, store: &mut dyn Store) -> Result<(), Trouble> {
        let Some(recovery) = self.writing.recovery() else { return Ok(()) };
        let Some(own) = self.logs.own() else { return Ok(()) };
        let is_back = own.complete.size >= recovery.target && own.have == own.complete.size;
        let is_enough = self.heard_from() >= self.needed(recovery.answers);
        if is_enough && is_back && !own.is_forked && !own.is_damaged && !own.has_evidence() {
            // What was taken back must be durable before anything is signed on top of it.
            self.settle(store).map_err(Trouble::anywhere)?;
            self.writing.recovered();
            for peer in self.peers.iter_mut() {
                peer.has_answered = false;
            }
        }
        Ok(())
    }

    /// Whether the node is taking its own log back and does not write yet.
    pub fn is_recovering(&self) -> bool {
        self.writing.is_recovering()
    }

    /// What a recovering node waits for; `None` where it is not recovering. For an example, see [`Start`].
    pub fn recovery(&self) -> Option<RecoveryInfo> {
        let recovery = self.writing.recovery()?;
        Some(RecoveryInfo {
            have: self.logs.own().map_or(0, |own| own.have),
            signed: recovery.target,
            answered: self.heard_from(),
            needed: self.needed(recovery.answers),
        })
    }

    /// Peers that have said what they know of our log.
    fn heard_from(&self) -> usize {
        self.peers.iter().filter(|peer| peer.has_answered).count()
    }

    fn needed(&self, answers: Answers) -> usize {
        match answers {
            Answers::All => self.peers.len().max(1),
            Answers::AtLeast(count) => usize::from(count.max(1)),
        }
    }
}
