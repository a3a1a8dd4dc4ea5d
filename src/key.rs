//! Identities and keys.

use crate::Hash;
use crate::head::Signature;

/// A signature scheme with 32-byte keys and 64-byte signatures.
pub trait Scheme: Clone + Copy + core::fmt::Debug + Default + PartialEq + Eq + core::hash::Hash + 'static {
    /// The signature type byte of signed notes.
    const ALGORITHM: u8;
    /// What signing needs, derived once from the seed.
    type SigningKey: Clone;
    /// The signing key of a seed.
    fn signing_key(seed: &[u8; 32]) -> Self::SigningKey;
    /// The public key.
    fn public_key(key: &Self::SigningKey) -> [u8; 32];
    /// Signs.
    fn sign(key: &Self::SigningKey, message: &[u8]) -> [u8; 64];
    /// Is this a public key that can be used?
    fn is_valid(public: &[u8; 32]) -> bool;
    /// Is the signature valid?
    fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
}

/// Ed25519 (RFC 8032), verified strictly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ed25519;

impl Scheme for Ed25519 {
    const ALGORITHM: u8 = 0x01;
    type SigningKey = ed25519_dalek::SigningKey;
    fn signing_key(seed: &[u8; 32]) -> Self::SigningKey {
        let _ = seed;
        todo!()
    }
    fn public_key(key: &Self::SigningKey) -> [u8; 32] {
        let _ = key;
        todo!()
    }
    fn sign(key: &Self::SigningKey, message: &[u8]) -> [u8; 64] {
        let _ = (key, message);
        todo!()
    }
    fn is_valid(public: &[u8; 32]) -> bool {
        let _ = public;
        todo!()
    }
    fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let _ = (public, message, signature);
        todo!()
    }
}

/// Why a name, key or vkey string is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, longer than 63 bytes, or holds white space or `+`.
    Name,
    /// Not the shape of a vkey string.
    Malformed,
    /// Not a key of the expected algorithm.
    Algorithm,
    /// The key id is not that of name and key.
    KeyId,
    /// The key is not a valid point, or of small order.
    Key,
}

/// A key name: 1 to 63 bytes of UTF-8 without white space or `+` (C2SP signed-note).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    len: u8,
    bytes: [u8; 63],
}

impl Name {
    /// Checks and copies a name.
    pub fn new(name: &str) -> Result<Self, KeyError> {
        todo!("{name}")
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        todo!()
    }
}

impl core::fmt::Debug for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The id of a log, of the node that writes it and of its key: `SHA-256(name ‖ 0A ‖ algorithm ‖ key)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(Hash);

impl LogId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash::from_bytes(bytes))
    }
    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
    /// Reads 64 lower-case hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        Hash::from_hex(text).map(Self)
    }
}

impl core::fmt::Display for LogId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl core::fmt::Debug for LogId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A verifier key: a name and a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vkey<S = Ed25519> {
    name: Name,
    key: [u8; 32],
    scheme: core::marker::PhantomData<S>,
}

impl Vkey<Ed25519> {
    /// Parses a C2SP vkey string.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        todo!("{text}")
    }
}

impl<S: Scheme> Vkey<S> {
    /// Checks a key.
    pub fn new(name: Name, key: [u8; 32]) -> Result<Self, KeyError> {
        let _ = (name, key);
        todo!()
    }
    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }
    /// The public key.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }
    /// The id.
    pub fn id(&self) -> LogId {
        todo!()
    }
    /// Does the key say so?
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let _ = (message, signature);
        todo!()
    }
}

/// A signing key and its name: who a node is. `Debug` does not show the key.
#[derive(Clone)]
pub struct Identity<S: Scheme = Ed25519> {
    vkey: Vkey<S>,
    signing_key: S::SigningKey,
}

impl<S: Scheme> Identity<S> {
    /// Derives an identity from 32 secret bytes.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let _ = (name, seed);
        todo!()
    }
    /// The public half.
    pub fn vkey(&self) -> &Vkey<S> {
        &self.vkey
    }
    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let _ = (message, &self.signing_key);
        todo!()
    }
}
