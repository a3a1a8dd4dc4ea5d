//! The node's own log: append, and sign heads over what was appended. A head is an RFC 9162 tree head, signed as a C2SP
//! checkpoint.
//!
//! A head is signed only over what is durable, only where the store leads to it from the head signed before, and in
//! steps that one push carries: what was signed can then be found with the peers. Whether the node may write at all is
//! kept in [`state`](crate::state); how it takes its log back is said in `recover`.

use super::value::Node;
use crate::error::Error;
use crate::head::{Head, SignedHead};
use crate::judge::{Shelf, Trouble, read_error};
use crate::key::LogId;
use crate::log::{Frontier, Hash, MAX_SIZE, leaf_hash};
use crate::record::{LENGTH_LEN, MAX_RECORD, Records};
use crate::state::{List, Tables};
use crate::store::{Commit, LogState, Store, StoreError, StoredLog};
use crate::time::Instant;
use crate::wire::BYTES_PER_RECORD;

/// Bytes that a message needs besides one record in it: frame, ids, head and the longest proof.
const MESSAGE_OVERHEAD: usize = 2_304;

impl<T: Tables> Node<T> {
    /// Appends a record to the node's own log; its index. The next [`Node::poll`] (or
    /// [`Node::publish`]) signs a head over it, and [`Notice::Published`](crate::Notice) with a larger size
    /// than the index says that record and head are durable: a crash before that may lose it.
    ///
    /// A record has 0 to 65,535 bytes, and at least 2,304 less than [`Config::max_message`](crate::Config); with
    /// [`Fixed`](crate::Fixed) tables, no more than they say. The tree does not look inside; two equal records
    /// are two records.
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`], [`Error::Damaged`], [`Error::RecordTooLong`],
    /// [`Error::LogExists`] where a [new](Node::new) node meets a store with its log, [`Error::LogFull`],
    /// [`Error::Store`].
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Command, Config, Error, Identity, Instant, Node, Notice};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// assert_eq!(node.append(&mut store, b"the first")?, 0);
    /// assert_eq!(node.append(&mut store, b"the second")?, 1);
    /// assert_eq!(node.append(&mut store, &[0; 65_536]), Err(Error::RecordTooLong));
    ///
    /// // Whoever appended may be told that it is done when this comes.
    /// let Some(Command::Notify(Notice::Published { head })) = node.poll(now, &mut store) else { panic!() };
    /// assert_eq!(head.size, 2);
    /// assert_eq!(store.record(&node.id(), 1), Some(&b"the second"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(never)]
    pub fn append(&mut self, store: &mut dyn Store, record: &[u8]) -> Result<u64, Error> {
        self.check_writing()?;
        let longest = usize::try_from(self.config.max_message).unwrap_or(usize::MAX).saturating_sub(MESSAGE_OVERHEAD);
        if record.len() > MAX_RECORD.min(longest) {
            return Err(Error::RecordTooLong);
        }
        let (own, stored) = (self.writing.id(), self.own_stored(store)?);
        let start = stored.state.have;
        if start >= MAX_SIZE {
            return Err(Error::LogFull);
        }
        let mut frontier = Frontier::load(start, |position| store.hash(&own, position)).map_err(read_error)?;
        // What is built upon is what was appended before, not what a failing device makes of it.
        let complete = stored.state.complete.map(|signed| signed.head).filter(|head| head.size == start);
        if self.writing.root().or(complete.map(|head| head.root)).is_some_and(|root| root != frontier.root()) {
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
            records: Records::new(framed.as_flattened().get(..len).unwrap_or_default()),
            hashes: hashes.get(..count).unwrap_or_default(),
            state: LogState { have: start + 1, ..stored.state },
            proof: &[],
        };
        let result = store.commit(&own, &commit);
        self.cache.hashes.clear();
        result?;
        self.wrote();
        self.writing.appended(frontier.root());
        if let Some(replica) = self.logs.find_mut(&own) {
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
    /// There is no need to call it: each [`Node::poll`] signs what is due, in steps that peers can take in. For
    /// an example, see [`Node::checkpoint`].
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`], [`Error::Damaged`] where the store does not lead
    /// from the last signed head to this one, [`Error::LogExists`], [`Error::Store`]; with
    /// [`StoreError::NotReady`] the store is still making the records durable.
    #[inline(never)]
    pub fn publish(&mut self, store: &mut dyn Store) -> Result<Head, Error> {
        self.check_writing()?;
        let Some(replica) = self.logs.own() else { return Err(Error::UnknownLog) };
        if replica.have == replica.complete.size {
            return Ok(replica.complete);
        }
        let unsynced = self.disk.unsynced();
        // A call that fails changes nothing, not even what is known to be durable.
        let size = replica.have;
        self.sign_head(store, size).inspect_err(|_| self.disk.still_unsynced(unsynced))
    }

    /// Signs a head over the first `size` records of the node's own log.
    fn sign_head(&mut self, store: &mut dyn Store, size: u64) -> Result<Head, Error> {
        // Nothing is signed that is not durable.
        self.settle(store)?;
        let (log, stored) = (self.writing.id(), self.own_stored(store)?);
        let slot = self.logs.slot(&log).ok_or(Error::UnknownLog)?;
        let mut shelf = Shelf { store, slot, log, stored };
        let head = Head { size, root: shelf.root_at(size).map_err(failed)? };
        // This head leads to all that was appended, and the head signed last leads to this one.
        let mut leads = true;
        if let Some(root) = self.writing.root() {
            let all = Head { size: shelf.state().have, root };
            leads = shelf.leads(&head, &all).map_err(failed)?;
        }
        if let Some(before) = shelf.state().complete.filter(|_| leads) {
            leads = shelf.leads(&before.head, &head).map_err(failed)?;
        }
        if !leads {
            // Signed, this would be a second history: what the store says now is not what was signed before.
            self.logs.damaged(shelf.slot);
            return Err(Error::Damaged);
        }
        let signed = SignedHead::sign(self.writing.identity(), head);
        let state = LogState { complete: Some(signed), ..*shelf.state() };
        let commit = Commit { start: state.have, records: Records::default(), hashes: &[], state, proof: &[] };
        self.commit(&mut shelf, &commit, None).map_err(failed)?;
        self.writing.published(head, self.clock.now);
        Ok(head)
    }

    /// When the next head may be signed; `None` where there is nothing to sign. Where peers take our log, one of
    /// them is to have all that was signed before: a writer that loses its memory then finds it there, and not a
    /// signed head whose records nobody holds. Peers that say nothing are not waited for longer than for an answer.
    pub(super) fn publish_at(&self) -> Option<Instant> {
        let own = self.logs.own().filter(|own| own.have > own.complete.size)?;
        let healthy = self.peers.iter().filter(|peer| peer.is_healthy());
        let held = healthy.filter_map(|peer| peer.acknowledged).max();
        let is_awaited = held.is_some_and(|held| held < own.complete.size);
        let answer_by = if is_awaited { self.writing.published_at() + self.config.timeout } else { Instant::ZERO };
        Some(own.blocked_until.max(answer_by))
    }

    /// How far the next head reaches: over as many records as one push carries to any peer that takes our
    /// log, so that whoever learns of a head by a push has its records too.
    fn next_size(&mut self, store: &mut dyn Store) -> Result<u64, StoreError> {
        let Some(own) = self.logs.own() else { return Ok(0) };
        let (signed, have) = (own.complete.size, own.have);
        if have == signed + 1 {
            // One record is reached whatever its size.
            return Ok(have);
        }
        let peers = self.peers.iter().filter(|peer| peer.acknowledged.is_some());
        let message = peers.map(|peer| peer.max_message).fold(self.config.max_message, u32::min);
        let room = usize::try_from(message).unwrap_or(usize::MAX).saturating_sub(MESSAGE_OVERHEAD);
        let scratch = &mut self.cache.hashes;
        while scratch.len() < room / Hash::LEN && scratch.push([0; Hash::LEN]).is_ok() {}
        let read = store.records(&self.writing.id(), signed, have, scratch.as_flattened_mut());
        scratch.clear();
        // A record that no push carries is fetched by those who can take it.
        Ok(signed + read?.count.clamp(1, u64::from(message / BYTES_PER_RECORD)))
    }

    /// The newest signed head of a followed log, all of whose records are held, once it is durable; `None`
    /// where there is none yet. As a checkpoint's text (C2SP tlog-checkpoint) it is [`SignedHead::to_note`].
    ///
    /// Errors: [`Error::UnknownLog`], [`Error::Store`].
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Config, Identity, Instant, Node, SignedHead};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// let log = node.id();
    /// assert_eq!(node.checkpoint(&mut store, &log)?, None);
    /// node.append(&mut store, b"a record")?;
    /// let head = node.publish(&mut store)?;
    ///
    /// // As a text, it is what any checkpoint verifier takes.
    /// let signed = node.checkpoint(&mut store, &log)?.unwrap();
    /// let note = signed.to_note(node.vkey()).to_string();
    /// assert!(note.starts_with("anna.example\n1\n"));
    /// assert_eq!(SignedHead::from_note(note.as_bytes(), node.vkey())?.head, head);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checkpoint(&mut self, store: &mut dyn Store, log: &LogId) -> Result<Option<SignedHead>, Error> {
        self.logs.find(log).ok_or(Error::UnknownLog)?;
        self.settle(store)?;
        Ok(store.log(log)?.and_then(|stored| stored.state.complete))
    }

    /// Signs a head if there are records that have none. A store that fails at it keeps nothing else from
    /// being done.
    pub(super) fn publish_due(&mut self, store: &mut dyn Store) -> Result<(), Trouble> {
        if self.publish_at().is_none_or(|at| at > self.clock.now) || self.check_writing().is_err() {
            return Ok(());
        }
        let Some(slot) = self.logs.slot(&self.writing.id()) else { return Ok(()) };
        match self.next_size(store).map_err(Error::Store).and_then(|size| self.sign_head(store, size)) {
            Err(Error::Store(error)) if error == StoreError::NotReady => Err(Trouble::at(slot, error)),
            Err(Error::Store(error)) => {
                let error = self.noted(Trouble::at(slot, error));
                self.block(slot, error);
                Ok(())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What the store holds of the node's own log, which is created there with its first record.
    #[inline(never)]
    fn own_stored(&mut self, store: &mut dyn Store) -> Result<StoredLog, Error> {
        let have = self.logs.own().map_or(0, |own| own.have);
        let stored = store.log(&self.writing.id())?;
        match stored {
            // A store that knows this log while the node has none: the node was begun anew on it.
            Some(stored) if stored.state.have != have => Err(Error::LogExists),
            Some(stored) => Ok(stored),
            None => {
                self.create_own(store)?;
                Ok(store.log(&self.writing.id())?.ok_or(StoreError::Mismatch)?)
            }
        }
    }

    /// Tries to have the store remember that writing has ended; if it cannot now, polls try again.
    pub(super) fn save_stop_soon(&mut self, store: &mut dyn Store) {
        // (Where it fails, the next poll tries again, and says so.)
        let _ = self.save_stop(store);
    }

    /// Has the store remember that writing has ended.
    pub(super) fn save_stop(&mut self, store: &mut dyn Store) -> Result<(), Trouble> {
        let own = self.writing.id();
        if self.writing.is_stop_unsaved()
            && let Some(slot) = self.logs.slot(&own)
        {
            if let Some(mut shelf) = Shelf::open(store, slot, own)? {
                match self.restate(&mut shelf, &mut |state| state.stopped = true) {
                    // That what is held of the log is damaged ends its writing as well.
                    Err(trouble) if self.notes_damage(trouble) => {}
                    saved => saved?,
                }
            }
            self.writing.stop_saved();
        }
        Ok(())
    }

    /// Whether the node may write to its own log now: what [`Node::append`] and [`Node::publish`] ask first.
    ///
    /// Errors: [`Error::Recovering`], [`Error::Stopped`], [`Error::Damaged`].
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Answers, Config, Error, Identity, Instant, Node, Start};
    ///
    /// let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// let (mut store, start) = (MemoryStore::new(), Start::Recover(Answers::All));
    /// let mut node: Node = Node::open(identity, Config::default(), [2; 32], Instant::ZERO, &mut store, start)?;
    ///
    /// // Of no use to show a form for new records yet.
    /// assert_eq!(node.check_writing(), Err(Error::Recovering));
    /// assert_eq!(node.append(&mut store, b"a record"), Err(Error::Recovering));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_writing(&self) -> Result<(), Error> {
        let own = self.logs.own();
        if own.is_some_and(|own| own.is_forked) {
            return Err(Error::Stopped);
        }
        if own.is_some_and(|own| own.is_damaged) {
            return Err(Error::Damaged);
        }
        self.writing.check()
    }
}

/// The store's failure, in a call whose caller is told of it.
fn failed(trouble: Trouble) -> Error {
    trouble.into_parts().0.into()
}

/// Frames a record in the scratch space of hashes.
fn frame_into<'a, L: List<[u8; Hash::LEN]>>(scratch: &'a mut L, record: &[u8]) -> Option<&'a L> {
    scratch.clear();
    for _ in 0..(LENGTH_LEN + record.len()).div_ceil(Hash::LEN) {
        scratch.push([0; Hash::LEN]).ok()?;
    }
    Records::frame(record, scratch.as_flattened_mut())?;
    Some(scratch)
}
