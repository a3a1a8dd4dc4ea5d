//! RFC 6962 section 2.1 (and RFC 9162 section 2.1.1) hashing: SHA-256 with one byte in front that tells
//! a leaf from a node, so that neither can be passed off as the other.

use core::fmt;

use sha2::{Digest, Sha256};

/// A SHA-256 value: of a leaf, of a node, or the root of a tree.
///
/// ```
/// use verisoo::Hash;
/// use verisoo::log::leaf_hash;
///
/// let leaf = leaf_hash(b"");
/// assert_eq!(leaf.to_string(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
/// assert_eq!(Hash::from_hex(&leaf.to_string()), Some(leaf));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; Hash::LEN]);

impl Hash {
    /// Bytes in a hash.
    pub const LEN: usize = 32;

    /// The root of the tree with no leaves: SHA-256 of the empty string.
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
        0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// SHA-256 of the concatenation of `parts`.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Reads the 64 lower-case hex digits that `Display` writes; anything else is `None`.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        match base16ct::lower::decode(text, &mut bytes) {
            Ok(decoded) if decoded.len() == Self::LEN => Some(Self(bytes)),
            _ => None,
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    /// The first 16 of its 64 digits: enough to tell hashes apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of a leaf: `SHA-256(00 ‖ record)` (RFC 9162 section 2.1.1). A record may be empty, and of any length.
#[must_use]
pub fn leaf_hash(record: &[u8]) -> Hash {
    Hash::of(&[&[0x00], record])
}

/// The hash of an inner node: `SHA-256(01 ‖ left ‖ right)` (RFC 9162 section 2.1.1).
///
/// ```
/// use verisoo::log::{Frontier, leaf_hash, node_hash};
///
/// let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
/// let root = node_hash(&left, &right);
///
/// let mut frontier = Frontier::new();
/// frontier.push(left, |_| ())?;
/// frontier.push(right, |_| ())?;
/// assert_eq!(frontier.root(), root);
///
/// // A record made of a node's two hashes is not that node.
/// let record = [*left.as_bytes(), *right.as_bytes()].concat();
/// assert_ne!(leaf_hash(&record), root);
/// # Ok::<(), verisoo::log::TooLarge>(())
/// ```
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    // One buffer and one update: two SHA-256 blocks, no bookkeeping between the parts.
    let mut block = [0x01; 1 + 2 * Hash::LEN];
    block[1..=Hash::LEN].copy_from_slice(left.as_bytes());
    block[1 + Hash::LEN..].copy_from_slice(right.as_bytes());
    Hash(Sha256::digest(block).into())
}
