//! Heads, and heads that are signed (RFC 9162 section 4.10). The signature is over the text of a checkpoint
//! (C2SP tlog-checkpoint), which is made here without an allocation.

use core::fmt;

use crate::decimal::Decimal;
use crate::key::{Identity, Name, Scheme, Signature, Vkey};
use crate::log::{Hash, MAX_SIZE};

/// A tree head: how many leaves, and their root (of RFC 9162 section 4.9, what C2SP tlog-checkpoint signs:
/// neither time nor extensions). Plain data: nothing is checked until a [`SignedHead`] is.
///
/// ```
/// use verisoo::Head;
/// use verisoo::log::{Frontier, leaf_hash};
///
/// let mut frontier = Frontier::new();
/// assert_eq!(Head { size: 0, root: frontier.root() }, Head::EMPTY);
/// frontier.push(leaf_hash(b"a record"), |_| ())?;
/// let head = Head { size: frontier.size(), root: frontier.root() };
/// assert!(head.is_well_formed());
///
/// // No log has no records and another root than the empty tree's.
/// assert!(!Head { size: 0, ..head }.is_well_formed());
/// # Ok::<(), verisoo::log::TooLarge>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// Number of leaves: 0 to 2^62.
    pub size: u64,
    /// Root of the tree of the first `size` leaves.
    pub root: Hash,
}

impl Head {
    /// The head of the empty log.
    pub const EMPTY: Self = Self { size: 0, root: Hash::EMPTY_ROOT };

    /// Whether a log can have this head: a size of at most 2^62, and at size 0 the empty tree's root.
    /// (The empty tree's root at another size is nothing that could be told from any other false root.)
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.size <= MAX_SIZE && (self.size != 0 || self.root == Hash::EMPTY_ROOT)
    }
}

/// Why a signed head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadError {
    /// The size is beyond 2^62, or it is 0 and the root is not that of the empty tree.
    Malformed,
    /// The signature is not the log key's over this head.
    Signature,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "no log can have this head",
            Self::Signature => "the head is not signed by the log's key",
        })
    }
}

impl core::error::Error for HeadError {}

/// A head and the log key's signature over its checkpoint text (C2SP tlog-checkpoint): what RFC 9162 section
/// 4.10 calls a signed tree head.
///
/// ```
/// use verisoo::head::HeadError;
/// use verisoo::log::leaf_hash;
/// use verisoo::{Ed25519, Head, Identity, SignedHead};
///
/// let identity = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
/// let signed = SignedHead::sign(&identity, Head { size: 1, root: leaf_hash(b"a record") });
/// assert_eq!(signed.verify(identity.vkey()), Ok(()));
///
/// // It is signed for this size, this root, and the log of this name and key.
/// let longer = SignedHead { head: Head { size: 2, ..signed.head }, ..signed };
/// assert_eq!(longer.verify(identity.vkey()), Err(HeadError::Signature));
/// let renamed = Identity::<Ed25519>::from_seed("example.com/other", &[7; 32])?;
/// assert_eq!(signed.verify(renamed.vkey()), Err(HeadError::Signature));
/// # Ok::<(), verisoo::key::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignedHead {
    /// The head.
    pub head: Head,
    /// The signature over the checkpoint text.
    pub signature: Signature,
}

impl SignedHead {
    /// Signs a head as the log of `identity`. Nothing is checked: two heads of one log that are not of
    /// one history are a fork, and this is where it is made.
    pub fn sign<S: Scheme>(identity: &Identity<S>, head: Head) -> Self {
        let text = CheckpointText::new(identity.vkey().name(), &head);
        Self { head, signature: identity.sign(text.as_bytes()) }
    }

    /// Checks the head's form ([`Head::is_well_formed`]), then the signature of the log's key.
    ///
    /// Errors: [`HeadError::Malformed`], [`HeadError::Signature`].
    pub fn verify<S: Scheme>(&self, vkey: &Vkey<S>) -> Result<(), HeadError> {
        if !self.head.is_well_formed() {
            return Err(HeadError::Malformed);
        }
        let text = CheckpointText::new(vkey.name(), &self.head);
        if vkey.verify(text.as_bytes(), &self.signature) { Ok(()) } else { Err(HeadError::Signature) }
    }
}

/// What is signed: `name\nsize\nbase64(root)\n`, without an allocation.
struct CheckpointText(heapless::Vec<u8, { Self::MAX_LEN }>);

impl CheckpointText {
    /// A name, the 20 digits of the largest `u64`, the root, and three newlines.
    const MAX_LEN: usize = Name::MAX_LEN + 20 + 44 + 3;

    fn new(name: &Name, head: &Head) -> Self {
        let root = base64_of(head.root.as_bytes());
        let size = Decimal::new(head.size);
        let mut text = heapless::Vec::new();
        for part in [name.as_str().as_bytes(), b"\n", size.as_bytes(), b"\n", &root, b"\n"] {
            // The longest text fits, so this cannot fail.
            let written = text.extend_from_slice(part);
            debug_assert!(written.is_ok());
        }
        Self(text)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Base64 of 32 bytes. On its own, since a general encoder is half a kilobyte of a device's flash.
fn base64_of(bytes: &[u8; 32]) -> [u8; 44] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'='; 44];
    for (bytes, text) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        let mut bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(bytes.get(at).copied().unwrap_or(0))) << 8;
        // So many characters as hold the bytes; what is left stays padding.
        for char in text.iter_mut().take(bytes.len().saturating_add(1)) {
            bits = bits.rotate_left(6);
            *char = usize::try_from(bits & 63).ok().and_then(|sextet| ALPHABET.get(sextet)).copied().unwrap_or(b'=');
        }
    }
    text
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn base64_is_that_of_the_standard() {
        for seed in 0..=u8::MAX {
            let bytes = *Hash::of(&[&[seed]]).as_bytes();
            assert_eq!(base64_of(&bytes), STANDARD.encode(bytes).as_bytes());
        }
    }
}
