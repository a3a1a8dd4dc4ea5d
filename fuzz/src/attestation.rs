//! Attestations: one record for one statement, and no change to a record or an envelope leaves a
//! signature true for another statement.

use verisoo::Attestation;
use verisoo::attestation::{OwnedAttestation, pae, pae_len};
use verisoo::sim::SimScheme;

use super::input::Input;
use super::net::signing::identity;

pub fn attestation(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(4) {
        0 => record(input.rest()),
        1 => envelope(input.rest()),
        2 => altered_record(&mut input),
        _ => altered_envelope(&mut input),
    }
}

fn record(bytes: &[u8]) {
    let Ok(read) = Attestation::decode(bytes) else { return };
    let mut buf = vec![0; bytes.len()];
    assert_eq!(read.encode(&mut buf), Ok(bytes.len()));
    assert_eq!(buf, bytes);
    encoding(&read);
    // Out of the log and in again, if it is signed.
    let signer = identity::<SimScheme>("signer.example");
    let json = read.to_json("a hint");
    let again = OwnedAttestation::from_json(json.as_bytes(), signer.vkey());
    assert_eq!(again.is_ok(), read.verify(signer.vkey()).is_ok());
}

/// What is signed says what it says: the lengths in it lead back to the type and the payload.
fn encoding(read: &Attestation<'_>) {
    let mut buf = vec![0; pae_len(read.payload_type, read.payload)];
    let len = buf.len();
    let message = pae(read.payload_type, read.payload, &mut buf).expect("the length is exact");
    assert_eq!(message.len(), len);
    let rest = message.strip_prefix(b"DSSEv1 ").expect("the prefix");
    let (payload_type, rest) = counted(rest);
    assert_eq!(payload_type, read.payload_type.as_bytes());
    let (payload, rest) = counted(rest.strip_prefix(b" ").expect("a space"));
    assert_eq!((payload, rest), (read.payload, &b""[..]));
}

fn counted(bytes: &[u8]) -> (&[u8], &[u8]) {
    let digits = bytes.iter().position(|byte| *byte == b' ').expect("a space after the length");
    let len: usize = std::str::from_utf8(&bytes[..digits]).unwrap().parse().unwrap();
    bytes[digits + 1..].split_at(len)
}

fn envelope(json: &[u8]) {
    let signer = identity::<SimScheme>("signer.example");
    let Ok(read) = OwnedAttestation::from_json(json, signer.vkey()) else { return };
    assert_eq!(read.as_attestation().verify(signer.vkey()), Ok(()));
    // What was taken is what any JSON reader sees.
    let text = std::str::from_utf8(json).expect("JSON is UTF-8");
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => assert_eq!(value["payloadType"].as_str().unwrap_or_default(), read.payload_type),
        // In fields that are ignored, half a surrogate pair is well-formed, if not a string.
        Err(error) => assert!(text.contains("\\u"), "{error}"),
    }
    let written = read.as_attestation().to_json("");
    assert_eq!(OwnedAttestation::from_json(written.as_bytes(), signer.vkey()).as_ref(), Ok(&read));
    let mut buf = vec![0; usize::from(u16::MAX)];
    let len = read.as_attestation().encode(&mut buf).expect("an envelope that is read fits a record");
    assert_eq!(Attestation::decode(&buf[..len]), Ok(read.as_attestation()));
}

struct Statement<'a> {
    payload_type: String,
    payload: &'a [u8],
}

fn statement<'a>(input: &mut Input<'a>) -> Statement<'a> {
    let len = input.below(12);
    let payload_type = String::from_utf8_lossy(input.bytes(len)).into_owned();
    let len = input.below(40);
    Statement { payload_type, payload: input.bytes(len) }
}

fn altered_record(input: &mut Input<'_>) {
    let signer = identity::<SimScheme>("signer.example");
    let Statement { payload_type, payload } = statement(input);
    let signed = Attestation::sign(&signer, &payload_type, payload).unwrap();
    let mut bytes = vec![0; signed.encoded_len().unwrap()];
    signed.encode(&mut bytes).unwrap();
    assert_eq!(Attestation::decode(&bytes), Ok(signed));
    input.mutate(&mut bytes, 4);
    record(&bytes);
    if let Ok(read) = Attestation::decode(&bytes)
        && read.verify(signer.vkey()).is_ok()
    {
        assert_eq!(read, signed, "a changed statement verifies");
    }
}

fn altered_envelope(input: &mut Input<'_>) {
    let signer = identity::<SimScheme>("signer.example");
    let Statement { payload_type, payload } = statement(input);
    let signed = Attestation::sign(&signer, &payload_type, payload).unwrap();
    let mut json = signed.to_json("a hint").into_bytes();
    assert_eq!(OwnedAttestation::from_json(&json, signer.vkey()).unwrap().as_attestation(), signed);
    input.mutate(&mut json, 4);
    envelope(&json);
    if let Ok(read) = OwnedAttestation::from_json(&json, signer.vkey()) {
        assert_eq!(read.as_attestation(), signed, "a changed statement verifies");
    }
}
