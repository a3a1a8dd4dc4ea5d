//! A stand-in for Ed25519 that costs two hashes: whoever knows a key can sign with it, and the fuzzer
//! knows only what the targets let it have.

use sha2::{Digest, Sha256};
use verisoo::log::leaf_hash;
use verisoo::wire::{Nonce, VERSION};
use verisoo::{Identity, LogId, Scheme};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cheap;

impl Scheme for Cheap {
    const ALGORITHM: u8 = 0xF0;
    type SigningKey = [u8; 32];
    type VerifyingKey = [u8; 32];

    fn signing_key(seed: &[u8; 32]) -> [u8; 32] {
        *leaf_hash(seed).as_bytes()
    }

    fn public_key(key: &[u8; 32]) -> [u8; 32] {
        *key
    }

    fn sign(key: &[u8; 32], message: &[u8]) -> [u8; 64] {
        let first = leaf_hash(&[key, message].concat());
        let second = leaf_hash(first.as_bytes());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(first.as_bytes());
        signature[32..].copy_from_slice(second.as_bytes());
        signature
    }

    fn verifying_key(public: &[u8; 32]) -> Option<[u8; 32]> {
        Some(*public)
    }

    fn verify_with(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        Self::sign(key, message) == *signature
    }
}

pub fn identity(name: &str) -> Identity<Cheap> {
    let mut seed = [0; 32];
    seed.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    Identity::from_seed(name, &seed).expect("a name")
}

/// What a signed answer's signature is over, written here once more from its description.
pub fn signed_text(context: [u8; 14], answerer: &LogId, asker: &LogId, nonce: &Nonce, body: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Sha256::digest(body).into();
    let parts: [&[u8]; 7] = [&[0xFF], &context, &[VERSION], answerer.as_bytes(), asker.as_bytes(), &nonce.0, &digest];
    parts.concat()
}
