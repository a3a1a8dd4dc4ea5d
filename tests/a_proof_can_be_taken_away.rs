//! tlog-proofs: a record's place in a log, shown by a text.

use proptest::prelude::*;
use verisoo::head::{MAX_TLOG_PROOF, NoteError, TlogProof, TlogProofError, tlog_proof};
use verisoo::log::{ProofError, leaf_hash, node_hash};
use verisoo::{Ed25519, Hash, Head, Identity, SignedHead};

/// A log of three records, by hand.
struct Log {
    identity: Identity,
    leaves: [Hash; 3],
    signed: SignedHead,
}

impl Log {
    fn new() -> Self {
        let identity = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32]).unwrap();
        let leaves = [leaf_hash(b"zero"), leaf_hash(b"one"), leaf_hash(b"two")];
        let root = node_hash(&node_hash(&leaves[0], &leaves[1]), &leaves[2]);
        let signed = SignedHead::sign(&identity, Head { size: 3, root });
        Self { identity, leaves, signed }
    }

    fn proof(&self, index: usize) -> Vec<[u8; 32]> {
        let [zero, one, two] = self.leaves;
        let proof = match index {
            0 => vec![one, two],
            1 => vec![zero, two],
            _ => vec![node_hash(&zero, &one)],
        };
        proof.iter().map(|hash| *hash.as_bytes()).collect()
    }

    fn text(&self, index: usize, extra: &[u8]) -> String {
        let note = self.signed.to_note(self.identity.vkey());
        tlog_proof(index as u64, &self.proof(index), note, extra).to_string()
    }
}

#[test]
fn a_proof_verifies_for_its_record_and_no_other() {
    let log = Log::new();
    for index in 0..3 {
        let text = log.text(index, b"");
        let proof = TlogProof::parse(text.as_bytes()).unwrap();
        assert_eq!(proof.index(), index as u64);
        assert_eq!(proof.hashes().map(|hash| *hash.as_bytes()).collect::<Vec<_>>(), log.proof(index));
        assert_eq!(proof.checkpoint().origin(), "example.com/log");
        for (other, leaf) in log.leaves.iter().enumerate() {
            let expected =
                if other == index { Ok(log.signed) } else { Err(TlogProofError::Inclusion(ProofError::WrongRoot)) };
            assert_eq!(proof.verify(log.identity.vkey(), leaf), expected);
        }
        let stranger = Identity::<Ed25519>::from_seed("example.com/log", &[8; 32]).unwrap();
        assert_eq!(
            proof.verify(stranger.vkey(), &log.leaves[index]),
            Err(TlogProofError::Checkpoint(NoteError::Unsigned))
        );
    }
}

#[test]
fn the_text_is_that_of_the_specification() {
    let log = Log::new();
    let hash = |text: &str| text.lines().nth(2).unwrap().to_string();
    let text = log.text(2, b"");
    let note = log.signed.to_note(log.identity.vkey()).to_string();
    assert_eq!(text, format!("c2sp.org/tlog-proof@v1\nindex 2\n{}\n\n{note}", hash(&text)));
    assert_eq!(hash(&text).len(), 44);
    assert!(log.text(2, b"\xff\x00").starts_with("c2sp.org/tlog-proof@v1\nextra /wA=\nindex 2\n"));
}

#[test]
fn extra_data_are_carried_along() {
    let log = Log::new();
    let thousand = vec![0xa5; 1_000];
    for extra in [&b""[..], b"a", b"ab", b"abc", &thousand] {
        let text = log.text(1, extra);
        let proof = TlogProof::parse(text.as_bytes()).unwrap();
        assert_eq!(proof.extra().is_some(), !extra.is_empty());
        let mut buf = vec![0; extra.len()];
        assert_eq!(proof.decode_extra(&mut buf), Some(extra.len()));
        assert_eq!(buf, extra);
        if !extra.is_empty() {
            assert_eq!(proof.decode_extra(&mut buf[1..]), None);
        }
        assert_eq!(proof.to_string(), text);
        assert!(proof.verify(log.identity.vkey(), &log.leaves[1]).is_ok());
    }
}

#[test]
fn every_departure_from_the_form_is_refused() {
    let log = Log::new();
    let text = log.text(0, b"extra");
    let plain = log.text(0, b"");
    let hash = text.lines().nth(3).unwrap();
    let hashes = |count: usize| text.replacen(&format!("{hash}\n"), &format!("{hash}\n").repeat(count), 1);
    assert!(TlogProof::parse(hashes(61).as_bytes()).is_ok());
    let table: Vec<(String, TlogProofError)> = vec![
        (String::new(), TlogProofError::Header),
        ("c2sp.org/tlog-proof@v1\n".into(), TlogProofError::Header),
        (text.replace("@v1", "@v2"), TlogProofError::Header),
        (text.replace("@v1", "@v1 "), TlogProofError::Header),
        (format!("\n{text}"), TlogProofError::Header),
        (format!("\u{feff}{text}"), TlogProofError::Header),
        (text.replace('\n', "\r\n"), TlogProofError::Header),
        (text.replace("ZXh0cmE=", ""), TlogProofError::Extra),
        (text.replace("ZXh0cmE=", "ZXh0cmE"), TlogProofError::Extra),
        (text.replace("ZXh0cmE=", "ZXh0cmF="), TlogProofError::Extra),
        (text.replace("ZXh0cmE=", "ZXh0cmE= "), TlogProofError::Extra),
        (text.replace("extra Z", "extra  Z"), TlogProofError::Extra),
        (text.replace("extra ", "Extra "), TlogProofError::Index),
        (text.replace("index", "extra ZXh0cmE=\nindex"), TlogProofError::Index),
        (text.replace("index 0\n", ""), TlogProofError::Index),
        (text.replace("index 0", "index"), TlogProofError::Index),
        (text.replace("index 0", "index "), TlogProofError::Index),
        (text.replace("index 0", "index 00"), TlogProofError::Index),
        (text.replace("index 0", "index +0"), TlogProofError::Index),
        (text.replace("index 0", "index -1"), TlogProofError::Index),
        (text.replace("index 0", "index 0 "), TlogProofError::Index),
        (text.replace("index 0", "index 18446744073709551616"), TlogProofError::Index),
        (plain.replace("index 0\n", "index 0\nextra ZXh0cmE=\n"), TlogProofError::Hash),
        (text.replacen("=\n", "\n", 2), TlogProofError::Extra),
        (text.replacen(hash, &hash[1..], 1), TlogProofError::Hash),
        (text.replacen(hash, &hash.replace('=', ""), 1), TlogProofError::Hash),
        (text.replacen(hash, &format!("{hash} "), 1), TlogProofError::Hash),
        (text.replacen(hash, "AAAA", 1), TlogProofError::Hash),
        (hashes(62), TlogProofError::Hash),
        (text.replacen("\n\n", "\n", 1), TlogProofError::Hash),
        (text.replacen("\n\n", "\n\n\n", 1), TlogProofError::Checkpoint(NoteError::Origin)),
        (text.replacen("index 0\n", "index 0\n\n", 1), TlogProofError::Checkpoint(NoteError::Size)),
        (text.replace("log\n3\n", "log\n03\n"), TlogProofError::Checkpoint(NoteError::Size)),
        (text.trim_end().into(), TlogProofError::Checkpoint(NoteError::SignatureLine)),
        (" ".repeat(MAX_TLOG_PROOF + 1), TlogProofError::TooLong),
    ];
    for (text, error) in table {
        assert_eq!(TlogProof::parse(text.as_bytes()), Err(error), "{text}");
    }
    let mut bytes = text.into_bytes();
    bytes[0] = 0xff;
    assert_eq!(TlogProof::parse(&bytes), Err(TlogProofError::Checkpoint(NoteError::Encoding)));
}

#[test]
fn a_proof_too_long_or_too_short_is_refused() {
    let log = Log::new();
    let mut proof = log.proof(0);
    let note = || log.signed.to_note(log.identity.vkey());
    let verify = |proof: &[[u8; 32]], index| {
        let text = tlog_proof(index, proof, note(), b"").to_string();
        TlogProof::parse(text.as_bytes()).unwrap().verify(log.identity.vkey(), &log.leaves[0])
    };
    assert_eq!(verify(&proof, 0), Ok(log.signed));
    assert_eq!(verify(&proof[..1], 0), Err(TlogProofError::Inclusion(ProofError::WrongLength)));
    proof.push([0; 32]);
    assert_eq!(verify(&proof, 0), Err(TlogProofError::Inclusion(ProofError::WrongLength)));
    assert_eq!(verify(&proof, 3), Err(TlogProofError::Inclusion(ProofError::OutOfRange)));
    assert_eq!(verify(&proof, u64::MAX), Err(TlogProofError::Inclusion(ProofError::OutOfRange)));
}

proptest! {
    #[test]
    fn no_change_to_a_proof_is_accepted(place in any::<usize>(), kind in 0..3, byte in any::<u8>(), index in 0usize..3) {
        let log = Log::new();
        let text = log.text(index, b"");
        let mut bytes = text.clone().into_bytes();
        let place = place % bytes.len();
        match kind {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            _ => drop(bytes.remove(place)),
        }
        if bytes != text.as_bytes() {
            let verified = TlogProof::parse(&bytes)
                .and_then(|proof| proof.verify(log.identity.vkey(), &log.leaves[index]));
            prop_assert!(verified.is_err(), "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn what_is_read_is_written_again_as_it_was(extra in any::<Vec<u8>>(), index in any::<u64>(), proof in any::<Vec<[u8; 32]>>()) {
        let log = Log::new();
        let proof = &proof[..proof.len().min(62)];
        let text = tlog_proof(index, proof, log.signed.to_note(log.identity.vkey()), &extra).to_string();
        prop_assert_eq!(TlogProof::parse(text.as_bytes()).unwrap().to_string(), text);
    }
}
