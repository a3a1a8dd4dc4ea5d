//! A batch against what is held: its records are hashed onto the log (RFC 9162 section 2.1.1) and must lead to the
//! signed head that came with them, by the proof that came with them (section 2.1.4).
//!
//! Says what the log would be with them, and writes nothing. The head's signature has been checked before.

use super::shelf::{Shelf, Trouble, read_error};
use crate::head::SignedHead;
use crate::key::LogId;
use crate::log::{Hash, MAX_SIZE, Position, leaf_hash, node_hash, root_at, stored_count, verify_consistency};
use crate::record::Records;
use crate::state::List;
use crate::store::{LogState, Store, StoreError};

/// What is true of a log with a batch that verified. Its hashes are in the scratch space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighed {
    pub(crate) state: LogState,
    /// Records that are new.
    pub(crate) count: u64,
}

/// Why the records of a batch are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// They are more than are ever asked for at once.
    Excess,
    /// They cannot be a log's, whatever its history.
    False,
    /// They do not lead from what is held to the head: false, or of another branch.
    Undecided,
}

/// What hashing the records of a batch found.
struct Hashed {
    end: u64,
    root: Hash,
    /// Roots at the sizes of the heads known before that the batch reaches.
    reached: [Option<Hash>; 2],
}

/// Weighs the records that follow what is held, of which `most` may come at once: they lead to `head` by `proof`, or
/// they are not taken.
pub(crate) fn weigh<L: List<[u8; Hash::LEN]>>(
    shelf: &mut Shelf<'_>,
    head: &SignedHead,
    records: Records<'_>,
    proof: &[[u8; Hash::LEN]],
    most: u64,
    hashes: &mut L,
) -> Result<Result<Weighed, Rejected>, Trouble> {
    let Shelf { store, log, stored, .. } = shelf;
    let hashed = match hash_records(*store, log, &stored.state, most, records, hashes) {
        Ok(Ok(hashed)) => hashed,
        Ok(Err(rejected)) => return Ok(Err(rejected)),
        Err(error) => return Err(shelf.trouble(error)),
    };
    if verify_consistency(hashed.end, &hashed.root, head.head.size, &head.head.root, proof).is_err() {
        return Ok(Err(Rejected::Undecided));
    }
    let before = shelf.state();
    Ok(Ok(Weighed { state: next_state(before, *head, &hashed), count: hashed.end - before.have }))
}

/// Hashes records onto what is held, checking their framing on the way.
#[inline(never)]
fn hash_records<L: List<[u8; Hash::LEN]>>(
    store: &mut dyn Store,
    log: &LogId,
    state: &LogState,
    most: u64,
    records: Records<'_>,
    hashes: &mut L,
) -> Result<Result<Hashed, Rejected>, StoreError> {
    let known = [&state.covering, &state.unproven];
    let mut grown = Grown { store, log, have: state.have, size: state.have, hashes };
    let mut reached = [None; 2];
    for record in records {
        let Ok(record) = record else { return Ok(Err(Rejected::False)) };
        if grown.size - grown.have >= most || !grown.has_room() {
            // More than this node ever asks for.
            return Ok(Err(Rejected::Excess));
        }
        if !grown.push(leaf_hash(record))? {
            return Ok(Err(Rejected::False));
        }
        for (known, reached) in known.into_iter().zip(&mut reached) {
            if known.is_some_and(|known| known.head.size == grown.size) {
                *reached = Some(grown.root()?);
            }
        }
    }
    Ok(Ok(Hashed { end: grown.size, root: grown.root()?, reached }))
}

/// A log with what a batch would add to it: hashes below `have` are in the store, the others in scratch
/// space in the order in which they will be stored. (A frontier of its own would take 2 KB of stack.)
struct Grown<'a, L> {
    store: &'a mut dyn Store,
    log: &'a LogId,
    have: u64,
    size: u64,
    hashes: &'a mut L,
}

impl<L: List<[u8; Hash::LEN]>> Grown<'_, L> {
    /// Whether the hashes that the next leaf adds fit.
    fn has_room(&self) -> bool {
        let adds = 1 + self.size.trailing_ones() as usize;
        self.hashes.len() + adds <= self.hashes.capacity_limit()
    }

    /// Adds a leaf; `false` where the log has 2^62.
    fn push(&mut self, leaf: Hash) -> Result<bool, StoreError> {
        let index = self.size;
        if index >= MAX_SIZE {
            return Ok(false);
        }
        let mut hash = leaf;
        let _ = self.hashes.push(*hash.as_bytes());
        for level in 0..index.trailing_ones() {
            // The subtree to the left of the one that this leaf has just completed.
            let left = u8::try_from(level).ok().and_then(|level| Position::new(level, (index >> level) - 1));
            let left = self.read(left.ok_or(StoreError::Mismatch)?)?;
            hash = node_hash(&left, &hash);
            // There is room: it was checked before.
            let _ = self.hashes.push(*hash.as_bytes());
        }
        self.size = index + 1;
        Ok(true)
    }

    fn root(&mut self) -> Result<Hash, StoreError> {
        root_at(self.size, |position| self.read(position)).map_err(read_error)
    }

    fn read(&mut self, position: Position) -> Result<Hash, StoreError> {
        let added = position.stored_index().checked_sub(stored_count(self.have));
        let Some(added) = added else { return self.store.hash(self.log, position) };
        let hash = usize::try_from(added).ok().and_then(|at| self.hashes.get(at));
        hash.map(|hash| Hash::from_bytes(*hash)).ok_or(StoreError::Mismatch)
    }
}

/// The state after a batch that verified: what its head is now, and what became of the heads known before.
/// One that the records contradict stays, as evidence to be judged once they are in.
fn next_state(before: &LogState, head: SignedHead, hashed: &Hashed) -> LogState {
    let mut state = LogState { have: hashed.end, covering: None, unproven: None, ..*before };
    let mut contradiction = None;
    let complete = |state: &mut LogState, head: SignedHead| {
        if state.complete.is_none_or(|complete| complete.head.size < head.head.size) {
            state.complete = Some(head);
        }
    };
    for (known, root) in [before.covering, before.unproven].into_iter().zip(hashed.reached) {
        match (known, root) {
            (Some(known), Some(root)) if known.head.root == root => complete(&mut state, known),
            (Some(known), Some(_)) => contradiction = Some(known),
            (Some(known), None) if known.head.size == head.head.size && known.head != head.head => {
                contradiction = Some(known);
            }
            (Some(known), None) if known.head.size > hashed.end && known.head != head.head => {
                let is_sooner = |unproven: SignedHead| unproven.head.size > known.head.size;
                if state.unproven.is_none_or(is_sooner) {
                    state.unproven = Some(known);
                }
            }
            _ => {}
        }
    }
    if head.head.size == hashed.end {
        complete(&mut state, head);
    } else {
        state.covering = Some(head);
    }
    // Evidence is not lost to a crash before the fork proof is kept.
    state.unproven = contradiction.or(state.unproven);
    state
}

/// A head that is known to be signed, with the signature that is known to be true.
pub(crate) fn known_head(state: &LogState, head: &SignedHead) -> SignedHead {
    let known = [state.complete, state.covering, state.unproven].into_iter().flatten();
    known.into_iter().find(|known| known.head == head.head).unwrap_or(*head)
}
