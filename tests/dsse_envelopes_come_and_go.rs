//! DSSE's JSON envelope: out of the log and into it.
#![cfg(feature = "alloc")]

mod signing;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use verisoo::attestation::{Attestation, AttestationError, MAX_ENVELOPE, MAX_ENVELOPE_SIGNATURES, OwnedAttestation};
use verisoo::{Identity, Signature};

const TYPE: &str = "application/vnd.in-toto+json";
/// Its base64 has both of the characters in which the two alphabets differ.
const PAYLOAD: &[u8] = b"\xfb\xef\xff~ statement";

fn builder() -> Identity {
    signing::identity("example.com/builder")
}

fn signed() -> Attestation<'static> {
    Attestation::sign(&builder(), TYPE, PAYLOAD).unwrap()
}

fn read(json: &str) -> Result<OwnedAttestation, AttestationError> {
    OwnedAttestation::from_json(json.as_bytes(), builder().vkey())
}

fn sig() -> String {
    STANDARD.encode(signed().signature.as_bytes())
}

#[test]
fn an_envelope_has_the_fields_of_dsse() {
    let id = builder().vkey().id().to_string();
    assert_eq!(id.len(), 64);
    let envelope: Value = serde_json::from_str(&signed().to_json(&id)).unwrap();
    let expected = json!({
        "payloadType": TYPE,
        "payload": STANDARD.encode(PAYLOAD),
        "signatures": [{ "keyid": id, "sig": sig() }],
    });
    assert_eq!(envelope, expected);
    assert_eq!(read(&signed().to_json("any hint")).unwrap().as_attestation(), signed());
}

#[test]
fn a_type_that_needs_escaping_comes_back() {
    let payload_type = "a \"quoted\"\\\u{0}\n/é\u{1f600}";
    let signed = Attestation::sign(&builder(), payload_type, b"").unwrap();
    assert_eq!(read(&signed.to_json("\"")).unwrap().as_attestation(), signed);
}

#[test]
fn the_longest_record_fits_an_envelope() {
    // Every character of the type is escaped to six.
    let payload_type = "\u{1}".repeat(60_000);
    let signed = Attestation::sign(&builder(), &payload_type, &[0xff; 5_400]).unwrap();
    let json = signed.to_json("");
    assert!(json.len() <= MAX_ENVELOPE);
    assert_eq!(read(&json).unwrap().as_attestation(), signed);
}

#[test]
fn both_alphabets_and_unknown_fields_are_read() {
    let payload = STANDARD.encode(PAYLOAD);
    assert!(payload.contains('+') && payload.contains('/'));
    let other = STANDARD.encode([3; 64]);
    let signature = *signed().signature.as_bytes();
    for envelope in [
        json!({ "payloadType": TYPE, "payload": payload, "signatures": [{ "sig": sig() }] }),
        json!({ "payloadType": TYPE, "payload": URL_SAFE.encode(PAYLOAD), "signatures": [{ "sig": URL_SAFE.encode(signature) }] }),
        json!({ "payloadType": TYPE, "payload": URL_SAFE_NO_PAD.encode(PAYLOAD),
            "signatures": [{ "sig": URL_SAFE_NO_PAD.encode(signature) }] }),
        json!({ "payloadType": TYPE, "payload": payload, "signatures": [{ "sig": sig(), "keyid": null, "cert": [[{}]] }],
            "version": 2, "nested": { "payload": "x" } }),
        json!({ "payloadType": TYPE, "payload": payload, "signatures": [{ "sig": sig(), "keyid": 7 }] }),
        // Ours is found among others: of other keys, other lengths, no base64 at all, absent.
        json!({ "payloadType": TYPE, "payload": payload, "signatures": [
            { "keyid": builder().vkey().id().to_string(), "sig": other }, { "sig": "AAAA" }, { "sig": "!" }, {}, { "sig": sig() }] }),
        json!({ "payloadType": TYPE, "payload": payload,
            "signatures": vec![json!({ "sig": sig() }); MAX_ENVELOPE_SIGNATURES] }),
    ] {
        let json = envelope.to_string();
        assert_eq!(read(&json).map(|read| read.as_attestation() == signed()), Ok(true), "{json}");
    }
    let empty = Attestation::sign(&builder(), "", b"").unwrap();
    let json = json!({ "signatures": [{ "sig": STANDARD.encode(empty.signature.as_bytes()) }] }).to_string();
    assert_eq!(read(&json).unwrap().as_attestation(), empty);
}

#[test]
fn every_other_envelope_is_refused() {
    let payload = STANDARD.encode(PAYLOAD);
    let good = signed().to_json("");
    let mixed = payload.replacen('+', "-", 1);
    let sigs = |count: usize| vec![json!({ "sig": sig() }); count];
    let with = |payload: &str, signatures: Value| {
        json!({ "payloadType": TYPE, "payload": payload, "signatures": signatures }).to_string()
    };
    assert!(read(&with(&payload, json!(sigs(1)))).is_ok());
    let table = [
        (String::new(), AttestationError::Envelope),
        ("null".into(), AttestationError::Envelope),
        ("[]".into(), AttestationError::Envelope),
        // The right values, in an array instead of an object.
        (json!([TYPE, payload, sigs(1)]).to_string(), AttestationError::Envelope),
        (with(&payload, json!([[sig()]])), AttestationError::Envelope),
        (good[..good.len() - 1].into(), AttestationError::Envelope),
        (format!("{good}{{}}"), AttestationError::Envelope),
        (good.replacen('{', "{\"payload\":\"\",", 1), AttestationError::Envelope),
        (good.replace(&payload, &mixed), AttestationError::Envelope),
        (good.replace(&payload, &format!("{payload}\\n")), AttestationError::Envelope),
        (with("A", json!(sigs(1))), AttestationError::Envelope),
        (with("AB==", json!(sigs(1))), AttestationError::Envelope),
        (
            json!({ "payloadType": 1, "payload": payload, "signatures": sigs(1) }).to_string(),
            AttestationError::Envelope,
        ),
        (with(&payload, json!({ "sig": sig() })), AttestationError::Envelope),
        (with(&payload, json!([sig()])), AttestationError::Envelope),
        (format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), AttestationError::Envelope),
        // Somebody else's, or nobody's.
        (with(&payload, json!([])), AttestationError::Signature),
        (json!({ "payloadType": TYPE, "payload": payload }).to_string(), AttestationError::Signature),
        (with(&payload, json!([{ "sig": STANDARD.encode([0; 64]) }])), AttestationError::Signature),
        (good.replace("in-toto", "in-tutu"), AttestationError::Signature),
        (good.replace(&payload, "AAAA"), AttestationError::Signature),
        (good.replace(&sig(), &sig().replace('=', "")[1..]), AttestationError::Signature),
        // The example of the DSSE specification: ECDSA, also with 64 bytes.
        (
            r#"{"payload": "aGVsbG8gd29ybGQ=", "payloadType": "http://example.com/HelloWorld", "signatures": [{"sig":
            "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}"#
                .into(),
            AttestationError::Signature,
        ),
        // Too much of something.
        (with(&STANDARD.encode(vec![0; 65_536]), json!(sigs(1))), AttestationError::TooLong),
        (with(&payload, json!(sigs(MAX_ENVELOPE_SIGNATURES + 1))), AttestationError::EnvelopeTooLong),
        (format!("{}{good}", " ".repeat(MAX_ENVELOPE)), AttestationError::EnvelopeTooLong),
    ];
    for (json, error) in table {
        assert_eq!(read(&json), Err(error), "{json:.300}");
    }
    assert!(read(&format!(" \n{good}\n ")).is_ok());
}

#[test]
fn signing_and_verifying_need_no_buffer_where_there_is_an_allocator() {
    let mut scratch = [0; 256];
    let signed = signed();
    assert_eq!(Attestation::sign_with(&builder(), TYPE, PAYLOAD, &mut scratch), Ok(signed));
    assert_eq!(signed.verify(builder().vkey()), Ok(()));
    let false_one = Attestation { signature: Signature::from_bytes([9; 64]), ..signed };
    assert_eq!(false_one.verify(builder().vkey()), Err(AttestationError::Signature));
    let long = vec![0; 65_536];
    assert_eq!(Attestation::sign(&builder(), TYPE, &long), Err(AttestationError::TooLong));
}
