//! Who signs: a name and its secret key. The one place that holds a signing key; whether to sign is not asked here,
//! but by whoever knows what has been signed before.

use core::fmt;
use core::hash::{Hash, Hasher};

use super::error::KeyError;
use super::name::Name;
use super::scheme::{Ed25519, Scheme, Signature};
use super::vkey::Vkey;

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

impl<S: Scheme> Hash for Identity<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.vkey.hash(state);
    }
}

impl<S: Scheme> fmt::Debug for Identity<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("vkey", &self.vkey).finish_non_exhaustive()
    }
}
