//! Texts: what is parsed would be written the same; what verifies is what was signed.

use verisoo::head::{Checkpoint, MAX_NOTE, TlogProof, tlog_proof};
use verisoo::log::leaf_hash;
use verisoo::sim::SimScheme;
use verisoo::{Ed25519, Head, LogId, Name, SignedHead, Vkey};

use super::input::Input;
use super::naive::{self, Log};
use super::net::signing::identity;

pub fn notes(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(6) {
        0 => checkpoint(input.rest()),
        1 => vkey(input.rest()),
        2 => proof(input.rest()),
        3 => signed_checkpoint(&mut input),
        4 => signed_proof(&mut input),
        _ => altered_vkey(&mut input),
    }
}

fn checkpoint(bytes: &[u8]) {
    let Ok(checkpoint) = Checkpoint::parse(bytes) else { return };
    assert!(bytes.len() <= MAX_NOTE);
    assert_eq!(checkpoint.to_string().as_bytes(), bytes);
    assert!(checkpoint.head().is_well_formed());
    assert!(checkpoint.signatures().count() > 0);
    for line in checkpoint.signatures() {
        assert!(!line.name().is_empty());
        let _ = line.signature();
    }
}

fn vkey(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(vkey) = text.parse::<Vkey<SimScheme>>() {
        assert_eq!(vkey.to_string(), text);
        assert!(vkey.id().as_bytes().starts_with(&vkey.key_id()));
    }
    if let Ok(vkey) = Vkey::<Ed25519>::parse(text) {
        assert_eq!(vkey.to_string(), text);
    }
    if let Ok(name) = Name::new(text) {
        assert_eq!(name.as_str(), text);
        assert!(text.len() <= Name::MAX_LEN && !text.contains(['+', ' ', '\n']));
    }
    if let Some(id) = LogId::from_hex(text) {
        assert_eq!(id.to_string(), text);
    }
}

fn proof(bytes: &[u8]) {
    let Ok(proof) = TlogProof::parse(bytes) else { return };
    assert_eq!(proof.to_string().as_bytes(), bytes);
    assert!(proof.hashes().count() <= 62);
    let mut extra = vec![0; bytes.len()];
    assert_eq!(proof.decode_extra(&mut extra).is_some_and(|len| len > 0), proof.extra().is_some());
}

/// A checkpoint that is true, then changed: it verifies only as what was signed.
fn signed_checkpoint(input: &mut Input<'_>) {
    let writer = identity::<SimScheme>("a.example/log");
    let size = input.number() >> 2;
    let root = if size == 0 { verisoo::Hash::EMPTY_ROOT } else { leaf_hash(&[input.byte()]) };
    let signed = SignedHead::sign(&writer, Head { size, root });
    let mut note = signed.to_note(writer.vkey()).to_string().into_bytes();
    assert_eq!(SignedHead::from_note(&note, writer.vkey()), Ok(signed));
    input.mutate(&mut note, 4);
    checkpoint(&note);
    if let Ok(read) = SignedHead::from_note(&note, writer.vkey()) {
        assert_eq!(read, signed, "a changed head verifies");
    }
}

fn signed_proof(input: &mut Input<'_>) {
    let writer = identity::<SimScheme>("a.example/log");
    let size = input.between(1, 40);
    let index = input.between(0, size - 1);
    let log = Log::of_size(size, 0);
    let signed = SignedHead::sign(&writer, Head { size, root: log.root_at(size) });
    let hashes = naive::bytes(&naive::inclusion(index, &log.leaves));
    let extra = input.byte();
    let extra = input.bytes(usize::from(extra % 20));
    let mut text = tlog_proof(index, &hashes, signed.to_note(writer.vkey()), extra).to_string().into_bytes();
    let leaf = log.leaves[naive::place(index)];
    let read = TlogProof::parse(&text).expect("what is written can be read");
    assert_eq!(read.verify(writer.vkey(), &leaf), Ok(signed));
    input.mutate(&mut text, 4);
    proof(&text);
    let Ok(read) = TlogProof::parse(&text) else { return };
    let place = usize::try_from(read.index()).unwrap_or(usize::MAX);
    if let Ok(verified) = read.verify(writer.vkey(), &leaf) {
        assert_eq!(verified, signed);
        assert_eq!(log.leaves.get(place), Some(&leaf), "a record verifies where it is not");
    }
    let foreign = leaf_hash(b"not in the log");
    assert!(read.verify(writer.vkey(), &foreign).is_err());
}

fn altered_vkey(input: &mut Input<'_>) {
    let text = if input.flag() {
        identity::<SimScheme>("a.example/log").vkey().to_string()
    } else {
        verisoo::Identity::<Ed25519>::from_seed("b.example", &[input.byte(); 32]).unwrap().vkey().to_string()
    };
    let mut bytes = text.clone().into_bytes();
    input.mutate(&mut bytes, 3);
    vkey(&bytes);
}
