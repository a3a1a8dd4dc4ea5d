//! What others must not foresee, and what must not happen in step: nonces, choices and jitter, all of them derived
//! from the identity and the seed that the caller gives at the start.

use core::fmt;

use crate::key::{Identity, Scheme};
use crate::log::Hash;
use crate::rng::Rng;
use crate::wire::{Nonce, RequestId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chance {
    secret: Secret,
    /// For jitter and choices: no secret.
    pub(crate) rng: Rng,
}

/// What only this node knows; never sent, and not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Secret(Hash);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Chance {
    pub(crate) fn new<S: Scheme>(identity: &Identity<S>, seed: &[u8; 32]) -> Self {
        // A deterministic signature over the seed is a secret only this key's holder can compute.
        let secret = Secret(Hash::of(&[b"verisoo/secret", identity.sign(seed).as_bytes(), seed]));
        let mut rng_seed = [0; 8];
        rng_seed.copy_from_slice(&Hash::of(&[b"verisoo/jitter", secret.0.as_bytes()]).as_bytes()[..8]);
        Self { secret, rng: Rng::new(u64::from_le_bytes(rng_seed)) }
    }

    /// The nonce of a request: nobody can have an answer to it ready.
    pub(crate) fn nonce(&self, request: RequestId) -> Nonce {
        let hash = Hash::of(&[b"verisoo/nonce", self.secret.0.as_bytes(), &request.get().to_le_bytes()]);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&hash.as_bytes()[..16]);
        Nonce(nonce)
    }

    /// Different on each node: what all draw by the same hash, each draws otherwise.
    pub(crate) fn salt(&self) -> u64 {
        let mut salt = [0; 8];
        salt.copy_from_slice(&self.secret.0.as_bytes()[8..16]);
        u64::from_le_bytes(salt)
    }
}
