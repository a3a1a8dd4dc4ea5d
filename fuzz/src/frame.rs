//! Frames: what is decoded would be encoded the same, borrows from the input, and cannot be cut short.

use verisoo::head::ForkProof;
use verisoo::wire::{DecodeError, Frame, Message, PushWord, Request, Response, Signed, StatusBody};
use verisoo::{Records, wire};

pub fn frame(data: &[u8]) {
    let Ok(frame) = Frame::decode(data) else { return };
    let mut buf = vec![0; data.len()];
    assert_eq!(frame.encode(&mut buf), Some(data), "another encoding was accepted");
    if let Some(shorter) = data.len().checked_sub(1) {
        assert_eq!(frame.encode(&mut buf[..shorter]), None, "more bytes than were written");
        assert!(Frame::decode(&data[..shorter]).is_err(), "a frame cut short is one");
    }
    let longer = [data, &[0]].concat();
    assert_eq!(Frame::decode(&longer), Err(DecodeError::NotCanonical));

    match frame.message {
        Message::Request(Request::Push(push)) => batch(data, &push.batch),
        Message::Request(Request::PushFork { proof, .. }) | Message::Response(Response::Fork { proof, .. }) => {
            fork(data, proof);
        }
        Message::Response(Response::Records(answer)) => batch(data, &answer),
        Message::Response(Response::Proof(answer)) => {
            is_within(data, answer.proof.hashes().as_flattened());
            assert!(answer.head.head.is_well_formed());
        }
        Message::Response(Response::Status(signed) | Response::Pushed(signed)) => body(data, &signed),
        _ => {}
    }
}

fn batch(data: &[u8], batch: &wire::Batch<'_>) {
    is_within(data, batch.records);
    is_within(data, batch.proof.hashes().as_flattened());
    assert!(batch.head.head.is_well_formed());
    // What is read of the records, framed again, is what was there.
    let mut again = Vec::new();
    for record in Records::new(batch.records) {
        let Ok(record) = record else { return };
        is_within(data, record);
        let mut buf = vec![0; record.len() + 2];
        let len = Records::frame(record, &mut buf).unwrap();
        again.extend_from_slice(&buf[..len]);
    }
    assert_eq!(again, batch.records);
}

fn body(data: &[u8], signed: &Signed<'_>) {
    is_within(data, signed.body);
    let mut buf = vec![0; signed.body.len()];
    if let Ok(word) = PushWord::decode(signed.body) {
        assert_eq!(postcard::to_slice(&word, &mut buf).map(|bytes| &*bytes), Ok(signed.body));
        assert!(word.complete.is_well_formed());
    }
    let Ok(status) = StatusBody::decode(signed.body) else { return };
    assert_eq!(postcard::to_slice(&status, &mut buf).map(|bytes| &*bytes), Ok(signed.body));
    let mut last = None;
    for entry in status.entries.iter() {
        let entry = entry.expect("a status that was decoded has entries that are");
        assert!(last < Some(entry.log), "entries out of order");
        assert!(entry.complete.is_well_formed());
        last = Some(entry.log);
    }
}

fn fork(data: &[u8], bytes: &[u8]) {
    is_within(data, bytes);
    let Ok(proof) = ForkProof::decode(bytes) else { return };
    assert!(bytes.len() <= ForkProof::MAX_LEN);
    let mut buf = [0; ForkProof::MAX_LEN];
    let len = proof.encode(&mut buf).expect("what was decoded can be encoded");
    assert_eq!(&buf[..len], bytes);
}

/// Decoding borrows: nothing is copied, so nothing is allocated.
fn is_within(whole: &[u8], part: &[u8]) {
    let (outer, inner) = (whole.as_ptr_range(), part.as_ptr_range());
    assert!(part.is_empty() || (outer.start <= inner.start && inner.end <= outer.end));
}
