//! A stand-in for signatures that costs next to nothing.

use crate::key::Scheme;
use crate::rng::mix;

/// **Not a signature scheme**: a keyed hash whose key is public, for simulations. Anybody can forge it,
/// and only what wants to does: the simulator's adversaries sign with nobody's key but their own.
///
/// Everything else about a node that runs with it is the production code, wire bytes and sizes included.
/// Its algorithm byte is `0xFF`, which C2SP signed-note sets aside for algorithms without a number of
/// their own, so no such key can be taken for an Ed25519 one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SimScheme;

impl Scheme for SimScheme {
    const ALGORITHM: u8 = 0xFF;
    type SigningKey = [u8; 32];
    type VerifyingKey = [u8; 32];

    fn signing_key(seed: &[u8; 32]) -> [u8; 32] {
        let mut key = [0; 32];
        let wide = expand(hash(&[0; 32], seed));
        key.copy_from_slice(&wide[..32]);
        key
    }

    fn public_key(key: &[u8; 32]) -> [u8; 32] {
        *key
    }

    fn sign(key: &[u8; 32], message: &[u8]) -> [u8; 64] {
        expand(hash(key, message))
    }

    fn verifying_key(public: &[u8; 32]) -> Option<[u8; 32]> {
        Some(*public)
    }

    fn verify_with(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        expand(hash(key, message)) == *signature
    }
}

fn hash(key: &[u8; 32], message: &[u8]) -> u64 {
    let absorb = |state: u64, word: u64| (state ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(31);
    let (key, _) = key.as_chunks::<8>();
    let state = key.iter().fold(0x3c6e_f372_fe94_f82b, |state, word| absorb(state, u64::from_le_bytes(*word)));
    let (words, rest) = message.as_chunks::<8>();
    let state = words.iter().fold(state, |state, word| absorb(state, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(absorb(absorb(state, u64::from_le_bytes(last)), message.len() as u64))
}

fn expand(hash: u64) -> [u8; 64] {
    let mut signature = [0; 64];
    let (words, _) = signature.as_chunks_mut::<8>();
    for (number, word) in (0..).zip(words) {
        *word = mix(hash ^ number).to_le_bytes();
    }
    signature
}
