//! Starting on a log that exists: from a store that holds all of it, or, where that cannot be known, by
//! taking it back from the peers before anything is signed. Nobody signs twice.

use super::replica::Replica;
use super::{Config, Node};
use crate::Instant;
use crate::error::Error;
use crate::key::Identity;
use crate::store::{Store, StoreError};
use crate::tables::Tables;

/// How a node whose log exists is to be started; the operator knows.
///
/// ```
/// use verisoo::local::exchange;
/// use verisoo::store::MemoryStore;
/// use verisoo::{Answers, Config, Error, Identity, Instant, Node, Notice, Start};
///
/// # type Member = (Node, MemoryStore);
/// # let (now, config) = (Instant::ZERO, Config::default());
/// let anna_is = Identity::from_seed("anna.example", &[1; 32])?;
/// let bob_is = Identity::from_seed("bob.example", &[2; 32])?;
/// let mut anna: Member = (Node::new(anna_is.clone(), config.clone(), [3; 32], now), MemoryStore::new());
/// let mut bob: Member = (Node::new(bob_is, config.clone(), [4; 32], now), MemoryStore::new());
/// anna.0.append(&mut anna.1, b"the first")?;
/// anna.0.publish(&mut anna.1)?;
/// bob.0.add_peer(&mut bob.1, *anna.0.vkey())?;
/// exchange(now, &mut [&mut bob, &mut anna])?;
///
/// // Anna's disk is lost. Signing on from nothing would be a second history, so she asks first.
/// let mut store = MemoryStore::new();
/// let node = Node::open(anna_is, config, [5; 32], now, &mut store, Start::Recover(Answers::All))?;
/// let mut anna: Member = (node, store);
/// anna.0.add_peer(&mut anna.1, *bob.0.vkey())?;
/// assert_eq!(anna.0.recovery().unwrap().needed, 1);
/// assert_eq!(anna.0.append(&mut anna.1, b"too early"), Err(Error::Recovering));
///
/// let notices = exchange(now, &mut [&mut anna, &mut bob])?;
/// assert!(notices.contains(&(0, Notice::Recovered { size: 1 })));
/// assert_eq!(anna.1.record(&anna.0.id(), 0), Some(&b"the first"[..]));
/// assert_eq!(anna.0.append(&mut anna.1, b"the second")?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// The store is the very one the node wrote to last, and lost nothing: writing goes on from there.
    Resume,
    /// Anything else: an empty disk, a backup, a copy, or doubt. The node reads and serves, and writes only
    /// when enough peers have said what they know of its log and it has been taken back from them.
    Recover(Answers),
}

/// Which peers must have answered, with a fresh signed status, before a recovering node may write. A peer that
/// is itself recovering, or that does not follow this node's log, does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answers {
    /// All that are configured, at least one.
    All,
    /// This many, at least one: the operator takes it on himself that no other peer knows more. With more than
    /// there are peers, the recovery does not end before others are added.
    AtLeast(u16),
}

/// What a recovering node waits for: that `answered` reaches `needed`, and `have` reaches `signed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RecoveryInfo {
    /// Records of its own log it has back.
    pub have: u64,
    /// Size of the largest head known that its key signed. Where no peer holds the records up to there, the
    /// log cannot be continued: it would be signing a second history.
    pub signed: u64,
    /// Peers that have said what they know of the log.
    pub answered: usize,
    /// Peers that must have said so.
    pub needed: usize,
}

/// Whether the node may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    Writing,
    Recovering(Recovery),
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Recovery {
    answers: Answers,
    /// The size of the largest head met that the node's own key signed.
    pub(super) target: u64,
}

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
        self.mode = match start {
            Start::Resume => Mode::Writing,
            Start::Recover(answers) => Mode::Recovering(Recovery { answers, target: 0 }),
        };
        // What a process wrote before it ended can be read, and need not be durable yet.
        self.is_unsynced = true;
        self.load_own(store)?;
        let mut after = None;
        while let Some(log) = store.next_log(after.as_ref())? {
            after = Some(log);
            if log != self.own {
                self.load_log(store, &log)?;
            }
        }
        Ok(())
    }

    fn load_own(&mut self, store: &mut dyn Store) -> Result<(), Error> {
        let own = self.own;
        let is_recovering = self.is_recovering();
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
        if let Some(replica) = self.replicas.find_mut(&own) {
            let loaded = Replica::from_stored(own, &stored);
            replica.take_over(&loaded);
            self.has_evidence |= loaded.has_evidence();
        }
        let heads = [stored.state.complete, stored.state.covering, stored.state.unproven].into_iter().flatten();
        let largest = heads.map(|signed| signed.head.size).max().unwrap_or(0);
        self.raise_target(largest);
        let met_another = !is_recovering && largest > signed;
        if stored.state.stopped || stored.forked || met_another {
            self.mode = Mode::Stopped;
            self.notes.stopped = true;
        }
        self.changed();
        Ok(())
    }

    fn load_log(&mut self, store: &mut dyn Store, log: &crate::LogId) -> Result<(), Error> {
        let (_, stored) = self.key_of(store, log)?;
        if self.replicas.len() >= self.config.max_logs.min(self.replicas.capacity()) {
            return Err(Error::TooManyLogs);
        }
        let slot = self.replicas.insert(Replica::from_stored(*log, &stored)).ok_or(Error::TooManyLogs)?;
        // A crash may have cut short the judging of evidence.
        self.has_evidence |= self.replicas.get(slot).is_some_and(Replica::has_evidence);
        Ok(())
    }

    /// Whether the node is taking its own log back and does not write yet.
    pub fn is_recovering(&self) -> bool {
        matches!(self.mode, Mode::Recovering(_))
    }

    /// What a recovering node waits for; `None` where it is not recovering. For an example, see [`Start`].
    pub fn recovery(&self) -> Option<RecoveryInfo> {
        let Mode::Recovering(recovery) = self.mode else { return None };
        Some(RecoveryInfo {
            have: self.replicas.own().map_or(0, |own| own.have),
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

    /// A head of this size is signed by our own key: the log is taken back up to there at least.
    pub(super) fn raise_target(&mut self, size: u64) {
        if let Mode::Recovering(recovery) = &mut self.mode {
            recovery.target = recovery.target.max(size);
        }
    }

    /// How far the log is to be taken back, as far as is known; 0 unless the node recovers.
    pub(super) fn recovery_target(&self) -> u64 {
        if let Mode::Recovering(recovery) = &self.mode { recovery.target } else { 0 }
    }

    /// Ends the recovery once enough peers have answered and everything our key ever signed is back.
    pub(super) fn end_recovery(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let Mode::Recovering(recovery) = self.mode else { return Ok(()) };
        let Some(own) = self.replicas.own() else { return Ok(()) };
        let is_back = own.complete.size >= recovery.target && own.have == own.complete.size;
        let is_enough =
            self.heard_from() >= self.needed(recovery.answers) || cfg!(verisoo_bug = "recovery-without-answers");
        if is_enough && is_back && !own.is_forked && !own.is_damaged && !own.has_evidence() {
            // What was taken back must be durable before anything is signed on top of it.
            self.settle(store)?;
            self.mode = super::Mode::Writing;
            self.notes.recovered = true;
            for peer in self.peers.iter_mut() {
                peer.has_answered = false;
            }
        }
        Ok(())
    }
}
