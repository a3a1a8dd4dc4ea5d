//! Fork proofs.

use super::{Hash, ProofError};
use crate::{Scheme, SignedHead, Vkey};

/// Two heads signed by one log's key that cannot both be true, and what shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ForkProof<'a> {
    /// The two heads.
    pub heads: [SignedHead; 2],
    /// A size both reach: 1 ≤ size ≤ both heads' sizes.
    pub size: u64,
    /// The two roots at `size`.
    pub roots: [Hash; 2],
    /// The consistency proof from each root to its head; empty where `size` is that head's size.
    pub proofs: [&'a [[u8; Hash::LEN]]; 2],
}

/// Why a fork proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForkError {
    /// The encoding is malformed.
    Malformed,
    /// The size is 0 or beyond one of the heads.
    OutOfRange,
    /// The two roots are equal.
    SameRoot,
    /// A head is not signed by the log's key.
    Signature,
    /// A root does not lead to its head.
    Proof(ProofError),
}

impl<'a> ForkProof<'a> {
    /// The longest encoding, in bytes.
    pub const MAX_LEN: usize = 4_400;

    /// Checks the proof with nothing but the log's key.
    pub fn verify<S: Scheme>(&self, vkey: &Vkey<S>) -> Result<(), ForkError> {
        let _ = vkey;
        todo!()
    }

    /// Writes the encoding; returns its length, or `None` where `buf` is too short.
    pub fn encode(&self, buf: &mut [u8]) -> Option<usize> {
        let _ = buf;
        todo!()
    }

    /// Reads what `encode` wrote; anything else, also another encoding of the same proof, is refused.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ForkError> {
        let _ = bytes;
        todo!()
    }
}
