//! Verifier keys and their text, C2SP's vkey string: what a peer or a log is known by.
//!
//! A text has one reading and a key one text; a key that must not be used is none. Nothing else has to ask again.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::error::KeyError;
use super::id::LogId;
use super::name::Name;
use super::scheme::{Ed25519, Scheme, Signature};
use crate::log::Hash;

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
    /// [`Identity`](super::Identity) for an example.
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
