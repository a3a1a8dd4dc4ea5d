//! What a store has to do, and what the node relies on: a trait, and in words what a compiler cannot check of it.
//! What every store must refuse is asked of [`Commit::check`] and its like, once for all of them.

use super::error::StoreError;
use super::state::{Commit, Origin, RecordsRead, StoredLog};
use crate::key::{LogId, Name};
use crate::log::{Hash, Position};

/// Storage for the logs of one node.
///
/// Reads take `&mut self`, since a flash driver or a cache needs it. The trait is object-safe: the node
/// takes `&mut dyn Store`.
///
/// A call that fails leaves the store as it was. Besides the errors named with each method, any may fail
/// with [`StoreError::NotReady`], [`StoreError::Damaged`] or [`StoreError::Failed`], and all that name a
/// log, except where they say otherwise, with [`StoreError::UnknownLog`].
///
/// # What an implementer keeps
///
/// - **Reads see every write that succeeded**, synced or not, in this process.
/// - **A commit is there whole or not at all**: records, hashes, state and proof, after a crash as well. Begin
///   it with [`Commit::check`].
/// - **What [`sync`](Store::sync) has answered `Ok` for outlasts a crash**: every write before it, of every
///   kind. Of later ones any may be lost, but of one log never an earlier commit without the later ones. The
///   node signs, sends and acknowledges only what was synced, so a store that says so too soon makes it sign
///   two histories after a crash.
/// - **A bit that has flipped is [`StoreError::Damaged`]**, where the store can tell. Where it cannot, the node
///   finds it by the hashes, and blames nobody.
///
/// With the feature `sim`, a store of one's own can be tried under crashes (`sim::Disk`). Here, one whose
/// device takes a while to flush:
///
/// ```
/// use verisoo::store::{Commit, MemoryStore, Store, StoreError};
/// # use verisoo::store::{Origin, RecordsRead, StoredLog};
/// # use verisoo::{Hash, LogId, Name, log::Position};
/// use verisoo::{Config, Error, Identity, Instant, Node};
///
/// struct Slow {
///     inner: MemoryStore,
///     is_flushed: bool,
/// }
///
/// impl Store for Slow {
///     fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
///         self.is_flushed = false;
///         self.inner.commit(log, commit)
///     }
///     fn sync(&mut self) -> Result<(), StoreError> {
///         // The device has been told to flush, and has said that it is done, or not yet.
///         if self.is_flushed { Ok(()) } else { Err(StoreError::NotReady) }
///     }
///     // … the others pass the call on.
/// #     fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
/// #         self.inner.next_log(after)
/// #     }
/// #     fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError> { self.inner.log(log) }
/// #     fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
/// #         self.inner.create(log, name, key, origin)
/// #     }
/// #     fn set_origin(&mut self, log: &LogId, to: Origin) -> Result<(), StoreError> { self.inner.set_origin(log, to) }
/// #     fn remove(&mut self, log: &LogId) -> Result<(), StoreError> { self.inner.remove(log) }
/// #     fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> { self.inner.truncate(log, size) }
/// #     fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
/// #         self.inner.records(log, start, end, buf)
/// #     }
/// #     fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError> {
/// #         self.inner.hash(log, position)
/// #     }
/// #     fn proof(&mut self, log: &LogId, buf: &mut [[u8; 32]]) -> Result<usize, StoreError> {
/// #         self.inner.proof(log, buf)
/// #     }
/// #     fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError> {
/// #         self.inner.put_fork(log, proof)
/// #     }
/// #     fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
/// #         self.inner.fork(log, buf)
/// #     }
/// }
///
/// let mut store = Slow { inner: MemoryStore::new(), is_flushed: true };
/// let identity = Identity::from_seed("anna.example", &[1; 32])?;
/// let mut node: Node = Node::new(identity, Config::default(), [2; 32], Instant::ZERO);
/// let log = node.id();
///
/// // Nothing is signed before it is durable, and no head is shown before that is.
/// node.append(&mut store, b"a record")?;
/// assert_eq!(node.publish(&mut store), Err(Error::Store(StoreError::NotReady)));
/// store.is_flushed = true;
/// node.publish(&mut store)?;
/// assert_eq!(node.checkpoint(&mut store, &log), Err(Error::Store(StoreError::NotReady)));
/// store.is_flushed = true;
/// assert_eq!(node.checkpoint(&mut store, &log)?.unwrap().head.size, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Store {
    /// The log with the smallest id after `after` (the smallest of all for `None`); `None` at the end.
    /// `after` need not be there (any more).
    fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError>;

    /// What is held of `log`; `None` if it is unknown.
    fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError>;

    /// Adds an empty log. [`StoreError::Mismatch`] if it is there already, [`StoreError::Full`] if there
    /// is no room for one more.
    fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError>;

    /// Changes a log's origin (a log that was introduced is now followed by hand).
    /// [`StoreError::Mismatch`] to or from [`Origin::Own`]: whose log it is does not change, and a store
    /// may keep the node's own log elsewhere than the others.
    fn set_origin(&mut self, log: &LogId, origin: Origin) -> Result<(), StoreError>;

    /// Removes a log and all that is held of it; unknown logs are no error.
    fn remove(&mut self, log: &LogId) -> Result<(), StoreError>;

    /// Applies `commit` whole, or fails and changes nothing; also across a crash.
    /// [`StoreError::Mismatch`] where [`Commit::check`] says so, [`StoreError::Full`] where there is no
    /// room.
    fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError>;

    /// Shortens a log to its first `size` records, with their hashes; `have` becomes `size` and the rest of
    /// the state stays. Only ever called on the node's own log, before anything else, for records that no
    /// signed head covers. [`StoreError::Mismatch`] where `size` is beyond what is held or below the
    /// complete head, or where there is a covering head.
    fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError>;

    /// Writes records from `start`, framed, into `buf`: as many whole ones before `end` as fit. A `count`
    /// of 0 with `start < end` says that the first does not fit. [`StoreError::Mismatch`] where `end` is
    /// beyond what is held or before `start`, otherwise [`StoreError::Dropped`] where `start` is before
    /// the first record held. What is in `buf` behind the bytes written, or after an error, is undefined.
    fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError>;

    /// The hash of the perfect subtree at `position`, all of whose leaves are below `have`; otherwise
    /// [`StoreError::Mismatch`].
    ///
    /// Where records before `first` were dropped, a subtree that ends at or before `first` is answered
    /// only if it is a peak of the tree of `first` leaves, otherwise [`StoreError::Dropped`]; one that
    /// ends beyond `first` is always answered. So roots and proofs for sizes from `first` on can be built.
    ///
    /// ```
    /// use verisoo::log::{leaf_hash, node_hash, root_at};
    /// use verisoo::store::{MemoryStore, Store};
    /// use verisoo::{Config, Identity, Instant, Node};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let mut store = MemoryStore::new();
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], Instant::ZERO);
    /// for record in ["a", "b", "c"] {
    ///     node.append(&mut store, record.as_bytes())?;
    /// }
    /// // What the root of a log was when it had two records.
    /// let log = node.id();
    /// let root = root_at(2, |position| store.hash(&log, position))?;
    /// assert_eq!(root, node_hash(&leaf_hash(b"a"), &leaf_hash(b"b")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError>;

    /// Copies the kept consistency proof (see [`Commit::proof`]) into the front of `buf`, which has room
    /// for [`MAX_PROOF`](crate::log::MAX_PROOF) hashes; the number of hashes. [`StoreError::Mismatch`] where
    /// `buf` is too short.
    fn proof(&mut self, log: &LogId, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError>;

    /// Keeps the encoded fork proof of a log; one is kept, and a second call changes nothing.
    /// [`StoreError::Mismatch`] where it is longer than [`ForkProof::MAX_LEN`](crate::head::ForkProof::MAX_LEN),
    /// [`StoreError::Full`] where there is no room.
    fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError>;

    /// Copies the encoded fork proof into the front of `buf`, which has room for
    /// [`ForkProof::MAX_LEN`](crate::head::ForkProof::MAX_LEN) bytes; its length, or `None` if there is none.
    /// [`StoreError::Mismatch`] where `buf` is too short.
    fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError>;

    /// Makes all that was written before durable, whatever call wrote it. [`StoreError::NotReady`] while that
    /// is under way: the node then reveals nothing of what it wrote, and calls again.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// A peer has acknowledged, with its own signed word, that it holds the first `size` records of this
    /// node's own log: a store that drops old records may drop those. `size` may be beyond what is held
    /// here (while the node takes its log back from its peers); of several, the largest counts. It need
    /// not outlast a restart. Unknown logs, and those of others, are no error. Does nothing by default.
    fn acknowledged(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        let _ = (log, size);
        Ok(())
    }
}
