//! What a store holds of a log, what changes it, and what every store has to refuse. Plain data: whether it is true
//! the node decides.

use super::error::StoreError;
use crate::head::SignedHead;
use crate::key::{LogId, Name};
use crate::log::{Hash, MAX_PROOF, MAX_SIZE, Position, stored_count};
use crate::record::Records;

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
/// makes them; [`MemoryStore`](super::MemoryStore) shows one made by hand.
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

/// What [`Store::records`](super::Store::records) wrote into the caller's buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RecordsRead {
    /// Whole records written.
    pub count: u64,
    /// Bytes written, framing included.
    pub len: usize,
}

/// The number of leaves up to and including the last of the subtree at `position`.
pub(super) fn subtree_end(position: Position) -> u64 {
    // A position's leaves lie below 2^62, so neither step overflows.
    (position.index() + 1) << position.level()
}

/// Whether a log may change its origin so: whose log it is stays.
pub(super) fn may_become(from: Origin, to: Origin) -> bool {
    (from == Origin::Own) == (to == Origin::Own)
}

/// Whether a log may be shortened to `size` records: only those go that no signed head covers.
pub(super) fn check_truncation(stored: &StoredLog, size: u64) -> Result<(), StoreError> {
    let LogState { have, complete, covering, .. } = stored.state;
    let signed = complete.map_or(0, |complete| complete.head.size);
    let fits = size <= have && size >= signed.max(stored.first) && covering.is_none();
    if fits { Ok(()) } else { Err(StoreError::Mismatch) }
}

/// Copies `from` into the front of `buf`; its length.
pub(super) fn copy_to<T: Copy>(from: &[T], buf: &mut [T]) -> Result<usize, StoreError> {
    buf.get_mut(..from.len()).ok_or(StoreError::Mismatch)?.copy_from_slice(from);
    Ok(from.len())
}
