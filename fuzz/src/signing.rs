//! Who signs here, and what is signed. Whoever knows a key can sign with it, and the fuzzer knows only what
//! the targets let it have.

use sha2::{Digest, Sha256};
use verisoo::wire::{Nonce, VERSION};
use verisoo::{Identity, LogId};

use super::sim::SimScheme;

pub fn identity(name: &str) -> Identity<SimScheme> {
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
