//! Where logs live: the [`Store`] trait and the stores that come with the crate.
//!
//! The node decides what is true; a store keeps it. It never checks a signature or a proof, but it must
//! keep the promises of [`Store::commit`] (all or nothing) and [`Store::sync`] (durable means durable),
//! and it must answer what it was told, or say that it cannot.
//!
//! Records are kept framed as they travel ([`Records`]), hashes in the order in which a growing tree
//! completes them (post-order, see [`Position::stored_index`]): both are only ever appended to, so that a
//! store can be a flat file or a flash page. [`MemoryStore`] grows; [`FixedStore`] has its capacities in
//! its type and needs no allocator.

mod around;
mod fixed;
#[cfg(feature = "alloc")]
mod memory;

use core::fmt;

pub use around::{Answer, Around, Call};
pub use fixed::FixedStore;
#[cfg(feature = "alloc")]
pub use memory::MemoryStore;

use crate::head::ForkProof;
use crate::log::{MAX_PROOF, MAX_SIZE, Position, stored_count};
use crate::{Hash, LogId, Name, Records, SignedHead};

/// How a followed log came to be followed; decides which quota it counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The node's own log.
    Own,
    /// The log of a peer the operator added.
    Peer,
    /// Followed by hand.
    Pinned,
    /// Learnt from the status of the peer with this id.
    Introduced(LogId),
}

/// What a node knows of one log besides its records, written as a whole with each commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogState {
    /// Records held, counted from the start of the log (dropped ones included).
    pub have: u64,
    /// The largest signed head all of whose records are (or were) held.
    pub complete: Option<SignedHead>,
    /// Where `have` is beyond the complete head: the signed head the records are proven to lead to.
    /// `None` on a log's own writer, which has not signed a head for them yet.
    pub covering: Option<SignedHead>,
    /// A signed head beyond `have` that nothing proves yet.
    pub unproven: Option<SignedHead>,
    /// The node writes no more to this log, which is its own: its key has signed elsewhere.
    pub stopped: bool,
}

/// One log as a store holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoredLog {
    /// The key name.
    pub name: Name,
    /// The public key, 32 bytes of the node's signature scheme.
    pub key: [u8; 32],
    /// How it came to be followed.
    pub origin: Origin,
    /// Index of the first record still held: 0 unless the store drops old ones, at most `state.have`.
    pub first: u64,
    /// Bytes of framed records held, from `first` on.
    pub bytes: u64,
    /// Whether a fork proof is kept.
    pub forked: bool,
    /// Heads and counts.
    pub state: LogState,
}

/// A change to one log: records to append, their hashes, and the state that is true from then on. The node
/// makes them; [`MemoryStore`] shows one made by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit<'a> {
    /// Where the records begin: what the store holds must end here.
    pub start: u64,
    /// The records, framed; may be empty.
    pub records: Records<'a>,
    /// The hashes to append to the stored (post-order) sequence: for leaf `i` its own hash and those of
    /// the `i.trailing_ones()` subtrees it completes.
    pub hashes: &'a [[u8; Hash::LEN]],
    /// The state from now on; `state.have` is `start` plus the number of records.
    pub state: LogState,
    /// The consistency proof from `state.have` to the covering head; empty without one. At most 63
    /// hashes; replaces what was kept before.
    pub proof: &'a [[u8; Hash::LEN]],
}

impl Commit<'_> {
    /// Checks what every store must refuse, where the log holds `have` records: a commit that begins
    /// elsewhere, records cut short, and counts that do not fit together. Returns the number of records.
    ///
    /// # Errors
    ///
    /// [`StoreError::Mismatch`].
    pub fn check(&self, have: u64) -> Result<u64, StoreError> {
        let mut size = self.start;
        for record in self.records {
            record.map_err(|_| StoreError::Mismatch)?;
            size = size.checked_add(1).filter(|size| *size <= MAX_SIZE).ok_or(StoreError::Mismatch)?;
        }
        let hashes = stored_count(size).checked_sub(stored_count(self.start));
        let fits = self.start == have
            && self.state.have == size
            && hashes == u64::try_from(self.hashes.len()).ok()
            && self.proof.len() <= MAX_PROOF;
        if fits { Ok(size - self.start) } else { Err(StoreError::Mismatch) }
    }
}

/// What [`Store::records`] wrote into the caller's buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RecordsRead {
    /// Whole records written.
    pub count: u64,
    /// Bytes written, framing included.
    pub len: usize,
}

/// Why a store cannot do what it was asked. The store is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreError {
    /// Not yet: it has started to load (or to write) and keeps what it loaded; the same call succeeds
    /// later.
    NotReady,
    /// There is no room.
    Full,
    /// The store holds no such log.
    UnknownLog,
    /// Records and hashes before `first` were dropped.
    Dropped {
        /// The first record still held.
        first: u64,
    },
    /// The call does not fit what is held: a commit that does not begin where the log ends, a log created
    /// twice, a record or hash never written. A mistake of the caller, or a damaged store.
    Mismatch,
    /// What was read is not what was written.
    Damaged,
    /// The device failed.
    Failed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the store is not ready yet"),
            Self::Full => f.write_str("the store is full"),
            Self::UnknownLog => f.write_str("the store holds no such log"),
            Self::Dropped { first } => write!(f, "records before {first} were dropped"),
            Self::Mismatch => f.write_str("the call does not fit what the store holds"),
            Self::Damaged => f.write_str("the store is damaged"),
            Self::Failed => f.write_str("the storage device failed"),
        }
    }
}

impl core::error::Error for StoreError {}

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
/// use verisoo::store::{Around, Call, MemoryStore, Store, StoreError};
/// use verisoo::{Config, Error, Identity, Instant, Node};
///
/// struct Slow {
///     inner: MemoryStore,
///     is_flushed: bool,
/// }
///
/// // A store that passes everything on to `inner`, and more only where that is said here.
/// impl Around for Slow {
///     fn inner(&mut self) -> &mut dyn Store {
///         &mut self.inner
///     }
///
///     fn before(&mut self, call: &Call<'_>) -> Result<(), StoreError> {
///         match call {
///             Call::Commit { .. } => self.is_flushed = false,
///             // The device has been told to flush, and has said that it is done, or not yet.
///             Call::Sync if !self.is_flushed => return Err(StoreError::NotReady),
///             _ => {}
///         }
///         Ok(())
///     }
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
    /// for [`MAX_PROOF`] hashes; the number of hashes. [`StoreError::Mismatch`] where `buf` is too short.
    fn proof(&mut self, log: &LogId, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError>;

    /// Keeps the encoded fork proof of a log; one is kept, and a second call changes nothing.
    /// [`StoreError::Mismatch`] where it is longer than [`ForkProof::MAX_LEN`], [`StoreError::Full`] where
    /// there is no room.
    fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError>;

    /// Copies the encoded fork proof into the front of `buf`, which has room for [`ForkProof::MAX_LEN`]
    /// bytes; its length, or `None` if there is none. [`StoreError::Mismatch`] where `buf` is too short.
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

/// The number of leaves up to and including the last of the subtree at `position`.
fn subtree_end(position: Position) -> u64 {
    // A position's leaves lie below 2^62, so neither step overflows.
    (position.index() + 1) << position.level()
}

/// Whether a log may change its origin so: whose log it is stays.
fn may_become(from: Origin, to: Origin) -> bool {
    (from == Origin::Own) == (to == Origin::Own)
}

/// Whether a log may be shortened to `size` records: only those go that no signed head covers.
fn check_truncation(stored: &StoredLog, size: u64) -> Result<(), StoreError> {
    let LogState { have, complete, covering, .. } = stored.state;
    let signed = complete.map_or(0, |complete| complete.head.size);
    let fits = size <= have && size >= signed.max(stored.first) && covering.is_none();
    if fits { Ok(()) } else { Err(StoreError::Mismatch) }
}

/// Copies `from` into the front of `buf`; its length.
fn copy_to<T: Copy>(from: &[T], buf: &mut [T]) -> Result<usize, StoreError> {
    buf.get_mut(..from.len()).ok_or(StoreError::Mismatch)?.copy_from_slice(from);
    Ok(from.len())
}
