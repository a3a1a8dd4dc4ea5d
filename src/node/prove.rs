//! Proofs from what a store holds.

use crate::head::SignedHead;
use crate::key::LogId;
use crate::log::{Hash, MAX_PROOF, Position, extend_consistency, prove_consistency};
use crate::store::{LogState, Store, StoreError};

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

/// The signed head that `size` leads to (the complete head where it is large enough, the covering head
/// beyond it) and the length of the proof, which is written to `hashes`.
#[inline(never)]
pub(super) fn prove_to_head(
    store: &mut dyn Store,
    log: &LogId,
    state: &LogState,
    size: u64,
    hashes: &mut [[u8; Hash::LEN]],
) -> Result<Option<(SignedHead, usize)>, StoreError> {
    let room = hashes.len();
    let mut count = 0;
    let mut emit = |hash: Hash| {
        if let Some(slot) = hashes.get_mut(count) {
            *slot = *hash.as_bytes();
        }
        count += 1;
    };
    if let Some(head) = state.complete.filter(|complete| complete.head.size >= size) {
        prove_consistency(size, head.head.size, reader(store, log), &mut emit).map_err(read_error)?;
        // Not for the longest proof, where a table of fixed capacity is the room.
        return if count <= room { Ok(Some((head, count))) } else { Err(StoreError::Full) };
    }
    let Some(head) = state.covering.filter(|_| size <= state.have) else { return Ok(None) };
    let mut kept = [[0; Hash::LEN]; MAX_PROOF];
    let kept_len = store.proof(log, &mut kept)?;
    let kept = kept.get(..kept_len).unwrap_or_default();
    extend_consistency(size, state.have, head.head.size, kept, reader(store, log), &mut emit).map_err(read_error)?;
    if count <= room { Ok(Some((head, count))) } else { Err(StoreError::Full) }
}
