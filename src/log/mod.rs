//! The Merkle log: hashing, tree coordinates and proofs (RFC 6962, RFC 9162).
//!
//! Knows nothing of peers, storage or signatures. A log is grown
//! with a [`Frontier`], which emits the hashes to keep; whatever is to be proven later is built from
//! those, read back by [`Position`] through a closure that may fail. Proofs are slices of 32-byte hashes,
//! so that they can be checked where they lie in a receive buffer.
//!
//! ```
//! use verisoo::log::{Frontier, Position, leaf_hash, prove_inclusion, verify_inclusion};
//!
//! let mut stored = Vec::new();
//! let mut frontier = Frontier::new();
//! for record in ["one", "two", "three"] {
//!     frontier.push(leaf_hash(record.as_bytes()), |hash| stored.push(hash))?;
//! }
//!
//! let read = |position: Position| stored.get(position.stored_index() as usize).copied().ok_or("not stored");
//! let mut proof = Vec::new();
//! prove_inclusion(1, 3, read, |hash| proof.push(*hash.as_bytes())).unwrap();
//!
//! let root = frontier.root();
//! assert!(verify_inclusion(1, 3, &leaf_hash(b"two"), &root, &proof).is_ok());
//! assert!(verify_inclusion(1, 3, &leaf_hash(b"too"), &root, &proof).is_err());
//! # Ok::<(), verisoo::log::TooLarge>(())
//! ```
// Hashes and proofs come from strangers: nothing here may panic. The numbers that come with them are
// checked in `proof`; a position or a frontier is within its limits by construction.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod error;
mod hash;
#[warn(clippy::arithmetic_side_effects)]
mod proof;
mod tree;

pub use error::{ProofError, ProveError, TooLarge};
pub use hash::{Hash, leaf_hash, node_hash};
pub use proof::{
    consistency_proof_len, extend_consistency, inclusion_proof_len, prove_consistency, prove_inclusion, root_at,
    verify_consistency, verify_inclusion,
};
pub use tree::{Frontier, MAX_PROOF, MAX_SIZE, Position, peaks, stored_count};
