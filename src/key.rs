//! Names, keys and who a node is: C2SP signed-note keys.
//!
//! What is valid is decided here once, strictly, for all nodes: nodes that disagree on which keys and
//! signatures are valid do not converge. A [`Vkey`] that exists is one that can be used.

#![warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects)]

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash as StdHash, Hasher};
use core::marker::PhantomData;
use core::str::FromStr;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;

use crate::log::Hash;

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
pub trait Scheme: Clone + Copy + fmt::Debug + Default + PartialEq + Eq + StdHash + 'static {
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
/// is anybody's is asked of a [`Vkey`].
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

/// Why a name, a key or a vkey string is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, longer than 63 bytes, or holds white space, a control character or `+`.
    Name,
    /// Not the shape of a vkey string: `name+hex8+base64`, the base64 padded and of 33 bytes.
    Malformed,
    /// Not a key of the expected algorithm.
    Algorithm,
    /// The key id is not that of name and key.
    KeyId,
    /// The key is not the canonical encoding of a point, or the point is of small order.
    Key,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a key name is 1 to 63 bytes without white space, control characters or '+'",
            Self::Malformed => "not a vkey string (name+key id+key)",
            Self::Algorithm => "a key of another algorithm",
            Self::KeyId => "the key id is not that of this name and key",
            Self::Key => "the public key is not valid",
        })
    }
}

impl core::error::Error for KeyError {}

/// A key name: 1 to [`Name::MAX_LEN`] bytes of UTF-8 without white space, control characters or `+`
/// (C2SP signed-note, which knows no longest name; a name without an end would have no place in a node
/// of bounded memory).
///
/// ```
/// use verisoo::{Name, key::KeyError};
///
/// assert_eq!(Name::new("example.com/log")?.as_str(), "example.com/log");
/// assert_eq!(Name::new("two words"), Err(KeyError::Name));
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    // Zeros behind the name, and its length last: so the derived order is that of the strings.
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 63;

    /// Checks and copies a name; [`KeyError::Name`] where it is not one.
    pub fn new(name: &str) -> Result<Self, KeyError> {
        if name.is_empty() || !is_note_name(name) || name.chars().any(char::is_control) {
            return Err(KeyError::Name);
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..name.len()).ok_or(KeyError::Name)?.copy_from_slice(name.as_bytes());
        Ok(Self { bytes, len: u8::try_from(name.len()).map_err(|_| KeyError::Name)? })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for Name {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        Self::new(name)
    }
}

/// The rule of signed-note for key names, ours and those of other signers.
pub(crate) fn is_note_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|char: char| char.is_whitespace() || char == '+')
}

/// The id of a log, of the node that writes it, and of its key: `SHA-256(name ‖ 0A ‖ algorithm ‖ key)`.
///
/// `Display` shows all 64 hex digits, `Debug` and [`LogId::shorten`] the first 16.
///
/// ```
/// use verisoo::{LogId, Vkey};
///
/// let vkey = Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")?;
/// let id = vkey.id();
/// // The vkey's key id is where it begins.
/// assert!(id.to_string().starts_with("c74f20a3"));
/// assert_eq!(id.shorten().to_string(), id.to_string()[..16]);
///
/// assert_eq!(LogId::from_hex(&id.to_string()), Some(id));
/// assert_eq!(LogId::from_hex(&id.to_string().to_uppercase()), None);
/// assert_eq!(LogId::from_hex("c74f20a3"), None);
/// # Ok::<(), verisoo::key::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(Hash);

impl Ord for LogId {
    /// The order of the bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        // Ids are hashes: their first bytes decide, without a call, wherever they are not equal.
        self.front().cmp(&other.front()).then_with(|| self.as_bytes().cmp(other.as_bytes()))
    }
}

impl PartialOrd for LogId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl LogId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash::from_bytes(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Its first eight bytes, as a number in whose order they are.
    fn front(&self) -> u64 {
        self.as_bytes().first_chunk().map_or(0, |front| u64::from_be_bytes(*front))
    }

    /// Reads 64 lower-case hex digits; anything else is `None`.
    pub fn from_hex(text: &str) -> Option<Self> {
        Hash::from_hex(text).map(Self)
    }

    /// The first 16 of its 64 digits, for people to read. Too short to be trusted as an id: that many
    /// digits can be made to match.
    ///
    /// ```
    /// use verisoo::LogId;
    ///
    /// assert_eq!(LogId::from_bytes([0xab; 32]).shorten().to_string(), "abababababababab");
    /// ```
    pub fn shorten(&self) -> impl fmt::Display + '_ {
        Shortened(self)
    }
}

struct Shortened<'a>(&'a LogId);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.0, f)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.shorten(), f)
    }
}

/// A verifier key: a name and a public key that can be used.
///
/// Its text is the C2SP vkey string `name+key id+base64(algorithm ‖ key)`: what an operator copies into
/// a configuration to pin a peer.
///
/// ```
/// use verisoo::Vkey;
///
/// // The key of Go's checksum database.
/// let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
/// let vkey = Vkey::parse(text)?;
/// assert_eq!(vkey.name().as_str(), "sum.golang.org");
/// assert_eq!(vkey.to_string(), text);
/// # Ok::<(), verisoo::key::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vkey<S = Ed25519> {
    name: Name,
    key: [u8; 32],
    scheme: PhantomData<S>,
}

impl Vkey<Ed25519> {
    /// Parses a C2SP vkey string, exactly as `Display` writes it: lower-case key id, canonical base64.
    /// (Of another [`Scheme`], keys are parsed with [`str::parse`].)
    ///
    /// Errors: [`KeyError::Name`], [`KeyError::Malformed`], [`KeyError::Algorithm`], [`KeyError::KeyId`],
    /// [`KeyError::Key`].
    ///
    /// ```
    /// use verisoo::Vkey;
    /// use verisoo::key::KeyError;
    ///
    /// let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    /// assert!(Vkey::parse(text).is_ok());
    /// // Name, key id and key belong together.
    /// assert_eq!(Vkey::parse(&text.replace("Neumann", "Newman")), Err(KeyError::KeyId));
    /// assert_eq!(Vkey::parse(&text[..60]), Err(KeyError::Malformed));
    /// ```
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl<S: Scheme> Vkey<S> {
    /// The vkey of a name and a public key; [`KeyError::Key`] where the key must not be used.
    pub fn new(name: Name, key: [u8; 32]) -> Result<Self, KeyError> {
        if S::is_valid(&key) { Ok(Self { name, key, scheme: PhantomData }) } else { Err(KeyError::Key) }
    }

    /// The vkey of a key that was checked before it was stored.
    pub(crate) fn trusted(name: Name, key: [u8; 32]) -> Self {
        Self { name, key, scheme: PhantomData }
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The public key.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The id of the key, of its node and of its log. Costs a SHA-256 of at most 97 bytes.
    pub fn id(&self) -> LogId {
        key_hash::<S>(&self.name, &self.key)
    }

    /// The first four bytes of the id: C2SP's key id, by which a note's signature line names its key.
    /// It is a hint; anybody can make a key whose id begins so.
    pub fn key_id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = *self.id().as_bytes();
        [a, b, c, d]
    }

    /// Whether `signature` is this key's over `message`. Decodes the key each time; see
    /// [`Attestation::verify_all`](crate::Attestation::verify_all) for many under one key, and
    /// [`Identity`] for an example.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        S::verify(&self.key, message, signature.as_bytes())
    }
}

impl<S: Scheme> fmt::Display for Vkey<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = [S::ALGORITHM; 33];
        if let Some((_, rest)) = key.split_first_mut() {
            rest.copy_from_slice(&self.key);
        }
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.key_id()), Base64Display::new(&key, &STANDARD))
    }
}

impl<S: Scheme> fmt::Debug for Vkey<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vkey({self})")
    }
}

impl<S: Scheme> FromStr for Vkey<S> {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Malformed)?;
        let (key_id, base64) = rest.split_once('+').ok_or(KeyError::Malformed)?;
        let name = Name::new(name)?;
        let mut id = [0; 4];
        if key_id.len() != 8 || base16ct::lower::decode(key_id, &mut id).is_err() {
            return Err(KeyError::Malformed);
        }
        // Keys of other algorithms have other lengths; say what is the matter with them all the same.
        let [algorithm, ..] = base64.get(..4).and_then(decode_base64::<3>).ok_or(KeyError::Malformed)?;
        if algorithm != S::ALGORITHM {
            return Err(KeyError::Algorithm);
        }
        let [_, key @ ..] = decode_base64::<33>(base64).ok_or(KeyError::Malformed)?;
        if !key_hash::<S>(&name, &key).as_bytes().starts_with(&id) {
            return Err(KeyError::KeyId);
        }
        Self::new(name, key)
    }
}

fn key_hash<S: Scheme>(name: &Name, key: &[u8; 32]) -> LogId {
    LogId(Hash::of(&[name.as_str().as_bytes(), b"\n", &[S::ALGORITHM], key]))
}

/// Decodes base64 of exactly `N` bytes, padded and with no bits left over: one text for one value.
pub(crate) fn decode_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (STANDARD.decode_slice(text, &mut bytes).ok()? == N).then_some(bytes)
}

/// A signing key and its name: who a node is.
///
/// Equality is that of the [`Vkey`]. `Debug` shows the vkey alone; the secret is erased on drop.
///
/// Two values of one identity must never sign for one log independently: that is a fork.
///
/// ```
/// use verisoo::{Ed25519, Identity};
///
/// let identity = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
/// let signature = identity.sign(b"hello");
/// assert!(identity.vkey().verify(b"hello", &signature));
/// assert!(!identity.vkey().verify(b"hullo", &signature));
/// # Ok::<(), verisoo::key::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Identity<S: Scheme = Ed25519> {
    vkey: Vkey<S>,
    signing_key: S::SigningKey,
}

impl<S: Scheme> Identity<S> {
    /// Derives an identity from 32 secret bytes, which are to come from a good source of randomness and to be
    /// kept: the same name and seed are the same identity. (For [`Ed25519`] they are what RFC 8032 calls the
    /// private key.) Erasing the caller's copy of the seed is the caller's business.
    ///
    /// Errors: [`KeyError::Name`] where the name is not one. ([`KeyError::Key`] only with a [`Scheme`] that
    /// makes keys which it refuses itself.)
    ///
    /// ```
    /// use verisoo::{Ed25519, Identity};
    ///
    /// let anna = Identity::<Ed25519>::from_seed("anna.example", &[7; 32])?;
    /// assert_eq!(anna, Identity::from_seed("anna.example", &[7; 32])?);
    /// // One key under two names is two identities, with two logs.
    /// let anna2 = Identity::<Ed25519>::from_seed("anna2.example", &[7; 32])?;
    /// assert_eq!(anna.vkey().key(), anna2.vkey().key());
    /// assert_ne!(anna.vkey().id(), anna2.vkey().id());
    /// # Ok::<(), verisoo::key::KeyError>(())
    /// ```
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let signing_key = S::signing_key(seed);
        let vkey = Vkey::new(Name::new(name)?, S::public_key(&signing_key))?;
        Ok(Self { vkey, signing_key })
    }

    /// The public half.
    pub fn vkey(&self) -> &Vkey<S> {
        &self.vkey
    }

    /// Signs `message` as it is. What is signed must say what it is: a head's text and a DSSE statement
    /// do, and neither can be taken for the other.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(S::sign(&self.signing_key, message))
    }
}

impl<S: Scheme> PartialEq for Identity<S> {
    fn eq(&self, other: &Self) -> bool {
        self.vkey == other.vkey
    }
}

impl<S: Scheme> Eq for Identity<S> {}

impl<S: Scheme> StdHash for Identity<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.vkey.hash(state);
    }
}

impl<S: Scheme> fmt::Debug for Identity<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("vkey", &self.vkey).finish_non_exhaustive()
    }
}
