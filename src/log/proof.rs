//! Inclusion and consistency proofs (RFC 9162 section 2.1.3 and 2.1.4).

use super::{Hash, Position};

/// Why a proof does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProofError {
    /// Sizes or index are out of range for such a proof.
    OutOfRange,
    /// The proof does not have exactly the length that sizes and index ask for.
    WrongLength,
    /// The proof leads to another root.
    WrongRoot,
}

/// Why a proof cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProveError<E> {
    /// Sizes or index are out of range for such a proof.
    OutOfRange,
    /// A hash could not be read.
    Read(E),
}

/// Hashes in the consistency proof from size `old` to size `new`; `None` unless 1 ≤ old ≤ new ≤ 2^62.
pub fn consistency_proof_len(old: u64, new: u64) -> Option<usize> {
    todo!("{old} {new}")
}

/// Hashes in the inclusion proof of `index` in a tree of `size`; `None` unless index < size ≤ 2^62.
pub fn inclusion_proof_len(index: u64, size: u64) -> Option<usize> {
    todo!("{index} {size}")
}

/// Root of the first `size` leaves, its subtrees read through `read`.
pub fn root_at<E>(size: u64, read: impl FnMut(Position) -> Result<Hash, E>) -> Result<Hash, E> {
    let _ = (size, read);
    todo!()
}

/// Builds the consistency proof from `old` to `new`.
pub fn prove_consistency<E>(
    old: u64,
    new: u64,
    read: impl FnMut(Position) -> Result<Hash, E>,
    emit: impl FnMut(Hash),
) -> Result<(), ProveError<E>> {
    let _ = (old, new, read, emit);
    todo!()
}

/// Builds the inclusion proof of `index` in the tree of `size`.
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    read: impl FnMut(Position) -> Result<Hash, E>,
    emit: impl FnMut(Hash),
) -> Result<(), ProveError<E>> {
    let _ = (index, size, read, emit);
    todo!()
}

/// From a kept consistency proof `held` → `new` and the hashes of the first `held` leaves: the
/// consistency proof from any `old` ≤ `held` to `new`.
pub fn extend_consistency<E>(
    old: u64,
    held: u64,
    new: u64,
    kept: &[[u8; Hash::LEN]],
    read: impl FnMut(Position) -> Result<Hash, E>,
    emit: impl FnMut(Hash),
) -> Result<(), ProveError<E>> {
    let _ = (old, held, new, kept, read, emit);
    todo!()
}

/// Checks that the tree of `old` leaves with `old_root` is a prefix of the tree of `new` leaves with `new_root`.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[[u8; Hash::LEN]],
) -> Result<(), ProofError> {
    let _ = (old, old_root, new, new_root, proof);
    todo!()
}

/// Checks that `leaf` is at `index` in the tree of `size` leaves with `root`.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    root: &Hash,
    proof: &[[u8; Hash::LEN]],
) -> Result<(), ProofError> {
    let _ = (index, size, leaf, root, proof);
    todo!()
}
