//! Signed tree heads: C2SP tlog-checkpoint and signed-note.

use crate::{Hash, Identity, Scheme, Vkey};

/// A tree head: how many leaves, and their root. Plain data: nothing is checked until a
/// [`SignedHead`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree of the first `size` leaves.
    pub root: Hash,
}

impl Head {
    /// The head of the empty log.
    pub const EMPTY: Self = Self { size: 0, root: Hash::EMPTY_ROOT };
}

/// A 64-byte signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// The signature with these bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl core::fmt::Debug for Signature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadError {
    /// The size is beyond 2^62, or it is 0 and the root is not that of the empty tree.
    Malformed,
    /// The signature is not the log key's over this head.
    Signature,
}

/// A head and the log key's signature over its checkpoint text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignedHead {
    /// The head.
    pub head: Head,
    /// The signature over the checkpoint text.
    pub signature: Signature,
}

impl SignedHead {
    /// Signs a head as the log of `identity`.
    pub fn sign<S: Scheme>(identity: &Identity<S>, head: Head) -> Self {
        let _ = (identity, head);
        todo!()
    }

    /// Checks form and signature.
    pub fn verify<S: Scheme>(&self, vkey: &Vkey<S>) -> Result<(), HeadError> {
        let _ = vkey;
        todo!()
    }
}
