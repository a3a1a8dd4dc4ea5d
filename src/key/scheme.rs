//! Signatures: what a scheme has to do, and Ed25519 (RFC 8032), which does it.
//!
//! RFC 8032 leaves open which encodings and which points of small order a verifier takes. Nodes that differ in that
//! do not converge, so the narrowest rule is written here, once.

use core::fmt;
use core::hash::Hash;

use ed25519_dalek::Signer;

/// A signature scheme with 32-byte keys and 64-byte signatures.
///
/// [`Ed25519`] is the one that others understand, and the only one for production. A simulator or a fuzzer may
/// bring a cheap stand-in; the crate's own simulator does (`sim::SimScheme`, with the feature `sim`).
///
/// An implementation must be deterministic, and every node must come to the same answer: whether a
/// signature is valid may depend on nothing but key, message and signature.
///
/// ```
/// use verisoo::log::leaf_hash;
/// use verisoo::{Config, Heap, Identity, Instant, Node, Scheme};
///
/// /// A checksum: for tests that make millions of signatures, and for nothing else.
/// #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
/// struct Checksum;
///
/// impl Scheme for Checksum {
///     const ALGORITHM: u8 = 0xFF;
///     type SigningKey = [u8; 32];
///     type VerifyingKey = [u8; 32];
///
///     fn signing_key(seed: &[u8; 32]) -> [u8; 32] {
///         *seed
///     }
///     fn public_key(key: &[u8; 32]) -> [u8; 32] {
///         *key
///     }
///     fn sign(key: &[u8; 32], message: &[u8]) -> [u8; 64] {
///         let mut signature = [0; 64];
///         signature[..32].copy_from_slice(leaf_hash(&[key, message].concat()).as_bytes());
///         signature
///     }
///     fn verifying_key(public: &[u8; 32]) -> Option<[u8; 32]> {
///         Some(*public)
///     }
///     fn verify_with(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
///         Self::sign(key, message) == *signature
///     }
/// }
///
/// let identity = Identity::<Checksum>::from_seed("fuzz", &[1; 32])?;
/// assert!(identity.vkey().verify(b"hello", &identity.sign(b"hello")));
/// let node: Node<Heap<Checksum>> = Node::new(identity, Config::default(), [2; 32], Instant::ZERO);
/// // Its vkeys say that they are no Ed25519 keys.
/// assert!(verisoo::Vkey::parse(&node.vkey().to_string()).is_err());
/// # Ok::<(), verisoo::key::KeyError>(())
/// ```
pub trait Scheme: Clone + Copy + fmt::Debug + Default + PartialEq + Eq + Hash + 'static {
    /// The signature type byte of C2SP signed-note; it is part of every key id.
    const ALGORITHM: u8;
    /// What signing needs, derived once from the seed. Its `Drop` should erase it.
    type SigningKey: Clone;
    /// What verifying needs, decoded once from the 32 bytes.
    type VerifyingKey: Clone;

    /// The signing key of a seed.
    fn signing_key(seed: &[u8; 32]) -> Self::SigningKey;

    /// The public key of a signing key.
    fn public_key(key: &Self::SigningKey) -> [u8; 32];

    /// Signs `message`.
    fn sign(key: &Self::SigningKey, message: &[u8]) -> [u8; 64];

    /// Decodes a public key; `None` where it must not be used.
    fn verifying_key(public: &[u8; 32]) -> Option<Self::VerifyingKey>;

    /// Whether `signature` is the key's over `message`.
    fn verify_with(key: &Self::VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool;

    /// Whether this is a public key that can be used.
    fn is_valid(public: &[u8; 32]) -> bool {
        Self::verifying_key(public).is_some()
    }

    /// [`Scheme::verify_with`] for a key used once; `false` where the key must not be used.
    fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        Self::verifying_key(public).is_some_and(|key| Self::verify_with(&key, message, signature))
    }
}

/// Ed25519 (RFC 8032), verified strictly.
///
/// Libraries differ in what they accept beyond honest signatures. Here the narrowest rule holds: keys
/// and signatures in their one canonical encoding, neither the key nor the signature's `R` of small
/// order, and the equation without the cofactor.
///
/// ```
/// use verisoo::key::KeyError;
/// use verisoo::{Name, Vkey};
///
/// // An encoding of a point of order 4: under it, signatures can be made that fit many messages.
/// let weak = Vkey::<verisoo::Ed25519>::new(Name::new("example.com/log")?, [0; 32]);
/// assert_eq!(weak, Err(KeyError::Key));
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ed25519;

impl Scheme for Ed25519 {
    const ALGORITHM: u8 = 0x01;
    type SigningKey = ed25519_dalek::SigningKey;
    type VerifyingKey = ed25519_dalek::VerifyingKey;

    fn signing_key(seed: &[u8; 32]) -> Self::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(seed)
    }

    fn public_key(key: &Self::SigningKey) -> [u8; 32] {
        key.verifying_key().to_bytes()
    }

    fn sign(key: &Self::SigningKey, message: &[u8]) -> [u8; 64] {
        key.sign(message).to_bytes()
    }

    fn verifying_key(public: &[u8; 32]) -> Option<Self::VerifyingKey> {
        if !is_canonical(public) {
            return None;
        }
        // Under a key of small order one signature fits almost any message.
        ed25519_dalek::VerifyingKey::from_bytes(public).ok().filter(|key| !key.is_weak())
    }

    fn verify_with(key: &Self::VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
        key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

/// Whether the encoded y is below p = 2^255 − 19. The decoder reduces a larger one, so that one point
/// would have two encodings, hence one key two ids. (The other double encoding, a sign bit on x = 0, is
/// of points of small order.)
fn is_canonical(public: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = public;
    *first < 0xed || middle.iter().any(|&byte| byte != 0xff) || last & 0x7f != 0x7f
}

/// A 64-byte signature, of Ed25519 or of whatever [`Scheme`] is used. Only bytes: whether it
/// is anybody's is asked of a [`Vkey`](super::Vkey).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Bytes in a signature.
    pub const LEN: usize = 64;

    /// The signature with these bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    /// The first 16 of its 128 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
