//! Inputs to begin with: what nodes say to each other in simulations, true texts, and bytes drawn at random
//! for the targets that make their own sense of them.

use verisoo::Attestation;
use verisoo::head::tlog_proof;
use verisoo::log::leaf_hash;
use verisoo::sim::SimScheme;

use super::naive::{self, Log};
use super::net::signing::identity;
use super::writer::Writer;

/// Seeds, each with the target it is for.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = super::simulated::inputs();
    seeds.extend(texts().into_iter().map(|text| ("notes", text)));
    seeds.extend(statements().into_iter().map(|statement| ("attestation", statement)));
    for (at, target) in ["fork_proofs", "frontier", "node_ops", "pair", "proofs", "store"].into_iter().enumerate() {
        let mut state = at as u64 + 1;
        seeds.extend((1..=24).map(|len| (target, (0..len * 24).map(|_| draw(&mut state)).collect())));
    }
    seeds
}

fn draw(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    state.to_be_bytes()[0]
}

/// A byte says which parser; see `notes`.
fn texts() -> Vec<Vec<u8>> {
    let mut writer = Writer::new("a.example/log");
    (0..5).for_each(|index| writer.append(&[index]));
    let note = writer.sign(5).to_note(writer.identity.vkey()).to_string();
    let log = Log::of_size(5, 0);
    let hashes = naive::bytes(&naive::inclusion(2, &log.leaves));
    let proof = tlog_proof(2, &hashes, &note, b"extra").to_string();
    let ed25519 = verisoo::Identity::<verisoo::Ed25519>::from_seed("b.example", &[1; 32]).expect("a name");
    let texts = [
        (0, note.as_str()),
        (0, "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a b3RoZXI=\n"),
        (1, &ed25519.vkey().to_string()),
        (1, &writer.identity.vkey().to_string()),
        (1, "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"),
        (1, &writer.id().to_string()),
        (2, &proof),
    ]
    .map(|(parser, text)| [&[parser], text.as_bytes()].concat());
    let structured = [3, 4, 5].map(|parser| vec![parser, 40, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 9, 0, 0, 1]);
    texts.into_iter().chain(structured).collect()
}

fn statements() -> Vec<Vec<u8>> {
    let signer = identity::<SimScheme>("signer.example");
    let signed = Attestation::sign(&signer, "application/json", b"{\"passed\":true}").expect("short");
    let mut record = vec![0; 256];
    let len = signed.encode(&mut record).expect("short");
    let envelope = signed.to_json(&leaf_hash(b"hint").to_string());
    let structured = [2, 3].map(|how| vec![how, 4, b't', b'e', b'x', b't', 3, 1, 2, 3, 2, 9, 0, 0, 1]);
    [[&[0], &record[..len]].concat(), [&[1], envelope.as_bytes()].concat()].into_iter().chain(structured).collect()
}

/// (So that a change of the reader shows.)
#[cfg(test)]
#[test]
fn a_corpus_keeps_its_meaning() {
    let mut input = super::input::Input::new(&[5, 200, 64, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((input.below(3), input.between(10, 20), input.number()), (2, 12, 0x0807_0605_0403_0201));
    assert!(input.is_empty() && input.byte() == 0);
}
