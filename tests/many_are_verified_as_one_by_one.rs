//! Verifying many attestations gives the answer of verifying each, also for signatures made to be
//! judged differently.
#![cfg(feature = "alloc")]

mod signing;

use core::ops::{Add, Mul};

use ed25519_dalek::{SigningKey, VerifyingKey};
use proptest::prelude::*;
use sha2::{Digest, Sha512};
use signing::nth;
use verisoo::attestation::{Attestation, pae, pae_len};
use verisoo::{Ed25519, Identity, Name, Scheme, Signature, Vkey};

const TYPE: &str = "text/plain";

/// A point of order 8.
const TORSION: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac,
    0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];

/// A signature whose key, or whose R, or both, have a component of order 8 beside the honest one.
struct Crafted {
    vkey: Vkey,
    signature: Signature,
    /// k mod 8, where k is the challenge that multiplies the key.
    challenge: u8,
}

fn crafted(payload: &[u8], torsion_in_key: bool, torsion_in_r: bool) -> Crafted {
    let torsion = VerifyingKey::from_bytes(&TORSION).unwrap().to_edwards();
    let honest = SigningKey::from_bytes(&[1; 32]);
    let nonce = SigningKey::from_bytes(&[2; 32]);
    let (mut key, mut r) = (honest.verifying_key().to_edwards(), nonce.verifying_key().to_edwards());
    if torsion_in_key {
        key += torsion;
    }
    if torsion_in_r {
        r += torsion;
    }
    let (key, r) = (key.compress().to_bytes(), r.compress().to_bytes());

    let mut message = vec![0; pae_len(TYPE, payload)];
    let message = pae(TYPE, payload, &mut message).unwrap();
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    let k = reduce(&honest.to_scalar(), hash.as_slice());
    let s = nonce.to_scalar() + k * honest.to_scalar();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s.to_bytes());

    // What is left of the equation s·B = R + k·A is of small order: verification that multiplies by the
    // cofactor, as verification of a random combination may, accepts.
    let base = VerifyingKey::from_bytes(&BASE).unwrap().to_edwards();
    let point = |bytes| VerifyingKey::from_bytes(bytes).unwrap().to_edwards();
    assert!((base * s - point(&key) * k - point(&r)).is_small_order());

    let vkey = Vkey::new(Name::new("crafted").unwrap(), key).unwrap();
    Crafted { vkey, signature: Signature::from_bytes(signature), challenge: k.to_bytes()[0] % 8 }
}

/// The base point: y = 4/5.
const BASE: [u8; 32] = {
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    bytes
};

/// The number in little-endian `bytes`, modulo the order of the base point.
fn reduce<S: From<u64> + Copy + Add<Output = S> + Mul<Output = S>>(_like: &S, bytes: &[u8]) -> S {
    let shift = S::from(1 << 32) * S::from(1 << 32);
    let words = bytes.chunks(8).rev().map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    words.fold(S::from(0), |sum, word| sum * shift + S::from(word))
}

fn verdicts(items: &[(Vkey, Attestation<'_>)]) {
    let together = Attestation::verify_all(items.iter().map(|(vkey, attestation)| (vkey, *attestation)));
    let first = items.iter().position(|(vkey, attestation)| attestation.verify(vkey).is_err());
    assert_eq!(together, first.map_or(Ok(()), Err));
}

#[test]
fn signatures_with_a_component_of_small_order_are_judged_alike() {
    let good = Attestation::sign(&nth::<Ed25519>(3), TYPE, b"good").unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for count in 0..32u8 {
        let payload = [count];
        for (in_key, in_r) in [(false, false), (true, false), (false, true), (true, true)] {
            let Crafted { vkey, signature, challenge } = crafted(&payload, in_key, in_r);
            let attestation = Attestation { payload_type: TYPE, payload: &payload, signature };
            // The equation holds to the last component exactly where R's is −k times the key's.
            let holds = match (in_key, in_r) {
                (false, false) => true,
                (true, false) => challenge == 0,
                (false, true) => false,
                (true, true) => challenge == 7,
            };
            assert_eq!(attestation.verify(&vkey).is_ok(), holds, "{count} {in_key} {in_r} {challenge}");
            if holds {
                accepted += 1;
            } else {
                refused += 1;
            }

            verdicts(&[(vkey, attestation)]);
            verdicts(&[(*nth::<Ed25519>(3).vkey(), good), (vkey, attestation), (*nth::<Ed25519>(3).vkey(), good)]);
            // Two whose components would cancel in a sum.
            verdicts(&[(vkey, attestation), (vkey, attestation)]);
        }
    }
    assert!(accepted > 32 && refused > 32, "both happen: {accepted} {refused}");
}

#[test]
fn r_of_small_order_is_refused() {
    // R = identity and s = k·a satisfy the equation.
    let key = SigningKey::from_bytes(&[1; 32]);
    let public = key.verifying_key().to_bytes();
    let mut r = [0; 32];
    r[0] = 1;
    let hash = Sha512::new().chain_update(r).chain_update(public).chain_update(b"message").finalize();
    let s = reduce(&key.to_scalar(), hash.as_slice()) * key.to_scalar();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s.to_bytes());
    let lax = ed25519_dalek::Verifier::verify(
        &key.verifying_key(),
        b"message",
        &ed25519_dalek::Signature::from_bytes(&signature),
    );
    assert!(lax.is_ok());
    assert!(!Ed25519::verify(&public, b"message", &signature));
}

#[test]
fn nothing_is_verified_where_there_is_nothing() {
    assert_eq!(Attestation::verify_all::<Ed25519>([]), Ok(()));
}

proptest! {
    #[test]
    fn the_first_false_one_is_named(
        items in proptest::collection::vec((0u8..4, any::<Vec<u8>>(), 0usize..2_000), 0..8),
    ) {
        let signed: Vec<_> = items
            .iter()
            .map(|(seed, payload, bit)| {
                let signer: Identity = nth(*seed);
                let mut signature = *Attestation::sign(&signer, TYPE, payload).unwrap().signature.as_bytes();
                // Most are left as they are.
                if let Some(byte) = signature.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                let signature = Signature::from_bytes(signature);
                (*signer.vkey(), Attestation { payload_type: TYPE, payload, signature })
            })
            .collect();
        let bad = items.iter().position(|(_, _, bit)| *bit < 512);
        verdicts(&signed);
        let together = Attestation::verify_all(signed.iter().map(|(vkey, attestation)| (vkey, *attestation)));
        prop_assert_eq!(together, bad.map_or(Ok(()), Err));
    }
}
