//! Attestations: the DSSE encoding that is signed, and the record.
#![expect(clippy::needless_pass_by_value, reason = "quickcheck gives its values away")]

mod signing;

use quickcheck::TestResult;
use verisoo::attestation::{Attestation, AttestationError, pae, pae_len};
use verisoo::{Ed25519, Identity, MAX_RECORD, Signature};

fn builder() -> Identity {
    signing::identity("example.com/builder")
}

fn encoded(attestation: &Attestation<'_>) -> Vec<u8> {
    let mut buf = vec![0xee; MAX_RECORD];
    let len = attestation.encode(&mut buf).unwrap();
    assert_eq!(attestation.encoded_len(), Ok(len));
    assert!(buf[len..].iter().all(|&byte| byte == 0xee));
    buf.truncate(len);
    buf
}

#[test]
fn what_is_signed_is_the_encoding_of_dsse() {
    let long = vec![b'x'; 1_000];
    let table: [(&str, &[u8], &str); 6] = [
        // The example of the DSSE specification.
        ("http://example.com/HelloWorld", b"hello world", "DSSEv1 29 http://example.com/HelloWorld 11 hello world"),
        ("", b"", "DSSEv1 0  0 "),
        ("a", b"", "DSSEv1 1 a 0 "),
        ("", b"123456789", "DSSEv1 0  9 123456789"),
        ("é", b"1234567890", "DSSEv1 2 é 10 1234567890"),
        ("a 1 b", &long, &format!("DSSEv1 5 a 1 b 1000 {}", "x".repeat(1_000))),
    ];
    for (payload_type, payload, expected) in table {
        assert_eq!(pae_len(payload_type, payload), expected.len());
        let mut buf = vec![0xee; expected.len() + 1];
        assert_eq!(pae(payload_type, payload, &mut buf), Some(expected.as_bytes()));
        assert_eq!(buf[expected.len()], 0xee);
        for short in 0..expected.len().min(20) {
            assert_eq!(pae(payload_type, payload, &mut buf[..short]), None);
        }
        assert_eq!(pae(payload_type, payload, &mut buf[..expected.len() - 1]), None);

        let signed = Attestation::sign_with(&builder(), payload_type, payload, &mut buf).unwrap();
        assert_eq!(signed.signature, builder().sign(expected.as_bytes()));
        assert_eq!(signed.verify_with(builder().vkey(), &mut buf), Ok(()));
    }
}

#[test]
fn a_scratch_buffer_too_short_is_an_error_and_nothing_else() {
    let builder = builder();
    let mut scratch = vec![0; pae_len("text", b"payload")];
    let signed = Attestation::sign_with(&builder, "text", b"payload", &mut scratch).unwrap();
    let short = &mut scratch[1..];
    assert_eq!(Attestation::sign_with(&builder, "text", b"payload", short), Err(AttestationError::BufferTooShort));
    assert_eq!(signed.verify_with(builder.vkey(), short), Err(AttestationError::BufferTooShort));
    let len = signed.encoded_len().unwrap();
    assert_eq!(signed.encode(&mut vec![0; len - 1]), Err(AttestationError::BufferTooShort));
    assert_eq!(signed.encode(&mut vec![0; len]), Ok(len));
}

#[test]
fn a_signature_is_for_one_type_one_payload_and_one_key() {
    let builder = builder();
    let mut scratch = [0; 128];
    let signed = Attestation::sign_with(&builder, "text/plain", b"one two", &mut scratch).unwrap();
    let mut verify = |attestation: Attestation<'_>, by: &Identity| attestation.verify_with(by.vkey(), &mut scratch);
    assert_eq!(verify(signed, &builder), Ok(()));
    let refused = Err(AttestationError::Signature);
    assert_eq!(verify(Attestation { payload_type: "text/html", ..signed }, &builder), refused);
    assert_eq!(verify(Attestation { payload: b"one", ..signed }, &builder), refused);
    assert_eq!(verify(Attestation { payload: b"two 7 one two", ..signed }, &builder), refused);
    assert_eq!(verify(Attestation { signature: Signature::from_bytes([0; 64]), ..signed }, &builder), refused);
    let other = Identity::<Ed25519>::from_seed("example.com/builder", &[8; 32]).unwrap();
    assert_eq!(verify(signed, &other), refused);
}

#[test]
fn the_record_is_type_payload_and_signature() {
    let signature = Signature::from_bytes(core::array::from_fn(|i| u8::try_from(i).unwrap()));
    let attestation = Attestation { payload_type: "té", payload: &[9; 200], signature };
    let mut expected = vec![3];
    expected.extend("té".as_bytes());
    expected.extend([0xc8, 0x01]);
    expected.extend([9; 200]);
    expected.extend(0..64);
    assert_eq!(encoded(&attestation), expected);
    assert_eq!(Attestation::decode(&expected), Ok(attestation));
}

#[test]
fn another_encoding_of_the_same_attestation_is_refused() {
    let signature = Signature::from_bytes([5; 64]);
    let record = encoded(&Attestation { payload_type: "ab", payload: b"cd", signature });
    assert_eq!(record[..6], [2, b'a', b'b', 2, b'c', b'd']);
    assert!(Attestation::decode(&record).is_ok());
    let with = |front: &[u8], from: usize| [front, &record[from..]].concat();
    let mut trailing = record.clone();
    trailing.push(0);
    for (what, record) in [
        ("nothing", vec![]),
        ("something behind", trailing),
        ("a byte short", record[..record.len() - 1].to_vec()),
        ("a padded type length", with(&[0x82, 0x00], 1)),
        ("a twice padded type length", with(&[0x82, 0x80, 0x00], 1)),
        ("a padded payload length", with(&[2, b'a', b'b', 0x82, 0x00], 4)),
        ("a type that is not UTF-8", with(&[2, b'a', 0xff], 3)),
        ("a type beyond the end", with(&[0x7f], 1)),
        ("a length beyond any", with(&[0xff; 10], 1)),
    ] {
        assert_eq!(Attestation::decode(&record), Err(AttestationError::Malformed), "{what}");
    }
    for len in 0..record.len() {
        assert_eq!(Attestation::decode(&record[..len]), Err(AttestationError::Malformed));
    }
}

#[test]
fn an_attestation_fits_a_record_or_is_refused() {
    let builder = builder();
    let mut scratch = vec![0; 2 * MAX_RECORD];
    // A length of one byte, one of three, and the signature.
    let room = MAX_RECORD - (1 + 3 + 64);
    let payload = vec![1; room + 1];
    let longest = Attestation::sign_with(&builder, "", &payload[..room], &mut scratch).unwrap();
    let record = encoded(&longest);
    assert_eq!(record.len(), MAX_RECORD);
    assert_eq!(Attestation::decode(&record), Ok(longest));
    assert_eq!(longest.verify_with(builder.vkey(), &mut scratch), Ok(()));

    let too_long = Attestation { payload: &payload, ..longest };
    assert_eq!(Attestation::sign_with(&builder, "", &payload, &mut scratch), Err(AttestationError::TooLong));
    assert_eq!(too_long.encode(&mut scratch), Err(AttestationError::TooLong));
    assert_eq!(Attestation::decode(&vec![0; MAX_RECORD + 1]), Err(AttestationError::TooLong));
}

#[test]
fn any_attestation_is_read_as_it_was_written() {
    fn law(payload_type: String, payload: Vec<u8>, signature: u8) -> bool {
        let signature = Signature::from_bytes([signature; 64]);
        let attestation = Attestation { payload_type: &payload_type, payload: &payload, signature };
        Attestation::decode(&encoded(&attestation)) == Ok(attestation)
    }
    quickcheck::quickcheck(law as fn(String, Vec<u8>, u8) -> bool);
}

#[test]
fn what_is_read_is_written_again_as_it_was() {
    fn law(payload_type: String, payload: Vec<u8>, place: usize, byte: u8) -> TestResult {
        let signature = Signature::from_bytes([1; 64]);
        let mut record = encoded(&Attestation { payload_type: &payload_type, payload: &payload, signature });
        let place = place % record.len();
        record[place] = byte;
        Attestation::decode(&record)
            .map_or_else(|_| TestResult::discard(), |read| TestResult::from_bool(encoded(&read) == record))
    }
    quickcheck::quickcheck(law as fn(String, Vec<u8>, usize, u8) -> TestResult);
}
