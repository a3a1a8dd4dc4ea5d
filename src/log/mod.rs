//! The Merkle log: hashing, tree coordinates, proofs and fork proofs (RFC 6962, RFC 9162). Knows nothing
//! of peers, storage or signatures' keys beyond what a fork proof needs.

mod fork;
mod hash;
mod proof;
mod tree;

pub use fork::{ForkError, ForkProof};
pub use hash::{Hash, leaf_hash, node_hash};
pub use proof::{
    ProofError, ProveError, consistency_proof_len, extend_consistency, inclusion_proof_len, prove_consistency,
    prove_inclusion, root_at, verify_consistency, verify_inclusion,
};
pub use tree::{Frontier, MAX_PROOF, MAX_SIZE, Position, TooLarge, peaks, stored_count};
