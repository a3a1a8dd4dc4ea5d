//! Who signs in tests, and what is signed. Whoever knows a name here knows its key, and liars sign with it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use sha2::{Digest, Sha256};
use verisoo::wire::{Nonce, VERSION};
use verisoo::{Identity, LogId, Scheme};

/// The one whose key comes of its name.
pub fn identity<S: Scheme>(name: &str) -> Identity<S> {
    let mut seed = [0; 32];
    seed.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    Identity::from_seed(name, &seed).expect("a name")
}

/// The one with this number.
pub fn nth<S: Scheme>(number: u8) -> Identity<S> {
    identity(&format!("node-{number}"))
}

/// What a signed answer's signature is over, written here once more from its description.
pub fn signed_text(context: [u8; 14], answerer: &LogId, asker: &LogId, nonce: &Nonce, body: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Sha256::digest(body).into();
    let parts: [&[u8]; 7] = [&[0xFF], &context, &[VERSION], answerer.as_bytes(), asker.as_bytes(), &nonce.0, &digest];
    parts.concat()
}
