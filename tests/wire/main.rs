//! The wire format: a message has one encoding, and whatever else is refused.

mod parts;
mod plain;

use parts::Parts;
use plain::{Plain, padded, varint};
use proptest::prelude::*;
use quickcheck::quickcheck;
use verisoo::head::ForkProof;
use verisoo::log::{MAX_PROOF, MAX_SIZE};
use verisoo::wire::{
    Batch, DecodeError, Entries, Entry, Frame, MIN_MESSAGE, Message, Proof, PushWord, Request, RequestId, Response,
    Signed, StatusBody,
};
use verisoo::{Hash, Head, LogId, MAX_RECORD, Name, Records};

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut buf = vec![0xee; 100_000];
    let len = frame.encode(&mut buf).unwrap().len();
    buf.truncate(len);
    buf
}

fn samples() -> impl Iterator<Item = Parts> {
    (0..Parts::KINDS).map(Parts::sample)
}

/// Whatever decodes is the one encoding of what it decodes to.
fn assert_canonical_or_refused(bytes: &[u8]) {
    if let Ok(frame) = Frame::decode(bytes) {
        assert_eq!(encode(&frame), bytes, "{frame:?}");
    }
}

quickcheck! {
    fn a_frame_is_read_back_as_it_was_written(parts: Parts) -> bool {
        let frame = parts.frame();
        let bytes = encode(&frame);
        bytes == Plain::frame(&frame).bytes && Frame::decode(&bytes) == Ok(frame)
    }

    fn a_status_is_read_back_as_it_was_written(parts: Parts, more: Vec<Parts>) -> bool {
        let logs = (1_u8..).map(|number| LogId::from_bytes([number; 32]));
        let entries: Vec<Entry> = more.iter().take(200).zip(logs).map(|(parts, log)| parts.entry(log)).collect();
        let mut listed = Plain::default();
        for entry in &entries {
 listed.entry(entry);
}
        let body = parts.status(&listed.bytes);
        let plain = Plain::status(&body, &entries);
        let decoded = StatusBody::decode(&plain.bytes);
        decoded == Ok(body)
            && body.entries.iter().map(Result::unwrap).eq(entries)
            && postcard::to_slice(&body, &mut vec![0; 100_000]).unwrap() == plain.bytes
    }

    fn a_push_word_is_read_back_as_it_was_written(parts: Parts) -> bool {
        let word = PushWord { log: parts.logs[0], complete: parts.heads[0].head, have: parts.sizes[0] };
        let plain = Plain::word(&word);
        PushWord::decode(&plain.bytes) == Ok(word) && postcard::to_slice(&word, &mut [0; 200]).unwrap() == plain.bytes
    }
}

#[test]
fn every_kind_of_frame_has_been_tried() {
    // The samples are of all kinds, and each is written as it should be.
    for parts in samples() {
        let frame = parts.frame();
        assert_eq!(encode(&frame), Plain::frame(&frame).bytes);
        assert_eq!(Frame::decode(&encode(&frame)), Ok(frame));
    }
}

#[test]
fn a_frame_fits_or_nothing_is_said_to_be_written() {
    for parts in samples() {
        let frame = parts.frame();
        let len = encode(&frame).len();
        for room in 0..len {
            assert_eq!(frame.encode(&mut vec![0; room]), None);
        }
        assert_eq!(frame.encode(&mut vec![0; len]).map(<[u8]>::len), Some(len));
    }
}

#[test]
fn frames_of_another_version_are_refused() {
    assert_eq!(Frame::decode(&[]), Err(DecodeError::Version));
    for parts in samples() {
        let mut bytes = encode(&parts.frame());
        for version in (0..=255).filter(|version| *version != 1) {
            bytes[0] = version;
            assert_eq!(Frame::decode(&bytes), Err(DecodeError::Version));
        }
    }
}

#[test]
fn frames_cut_short_or_with_bytes_behind_are_refused() {
    for parts in samples() {
        let mut bytes = encode(&parts.frame());
        for len in 1..bytes.len() {
            assert_eq!(Frame::decode(&bytes[..len]), Err(DecodeError::Malformed), "{len} of {parts:?}");
        }
        bytes.push(0);
        assert_eq!(Frame::decode(&bytes), Err(DecodeError::NotCanonical));
        bytes.extend_from_within(..);
        assert_eq!(Frame::decode(&bytes), Err(DecodeError::NotCanonical));
    }
}

#[test]
fn numbers_longer_than_they_need_be_are_refused() {
    for parts in samples() {
        let plain = Plain::frame(&parts.frame());
        for place in &plain.varints {
            let mut number = plain.bytes[place.clone()].to_vec();
            while number.len() < 12 {
                number = padded(&number);
                let decoded = Frame::decode(&plain.with(place, &number)).map(|_| ());
                assert!(matches!(decoded, Err(DecodeError::NotCanonical | DecodeError::Malformed)), "{parts:?}");
            }
        }
    }
}

#[test]
fn numbers_beyond_64_bits_are_refused() {
    for parts in samples() {
        let plain = Plain::frame(&parts.frame());
        for place in &plain.varints {
            for last in [2, 3, 0x7f, 0x80, 0xff] {
                let mut number = [0x80; 10];
                number[9] = last;
                assert_eq!(Frame::decode(&plain.with(place, &number)).map(|_| ()), Err(DecodeError::Malformed));
            }
        }
    }
}

#[test]
fn unknown_variants_are_refused() {
    for parts in samples() {
        let plain = Plain::frame(&parts.frame());
        for (place, of) in &plain.variants {
            for variant in [*of, of + 1, 127, 128, u64::from(u32::MAX), 1 << 32, u64::MAX] {
                let bytes = plain.with(place, &varint(variant));
                assert_eq!(Frame::decode(&bytes), Err(DecodeError::Malformed), "{variant} of {of}");
            }
        }
    }
}

#[test]
fn flags_are_zero_or_one() {
    for parts in samples() {
        let plain = Plain::frame(&parts.frame());
        for at in &plain.flags {
            for flag in 2..=255 {
                let bytes = plain.with(&(*at..at + 1), &[flag]);
                assert_eq!(Frame::decode(&bytes), Err(DecodeError::Malformed));
            }
        }
    }
}

#[test]
fn lengths_beyond_the_end_are_refused() {
    for parts in samples() {
        let plain = Plain::frame(&parts.frame());
        for place in &plain.lengths {
            let behind = (plain.bytes.len() - place.end) as u64;
            for len in [behind + 1, behind + 32, 1 << 31, 1 << 32, u64::MAX - 32, u64::MAX] {
                let bytes = plain.with(place, &varint(len));
                assert_eq!(Frame::decode(&bytes), Err(DecodeError::Malformed), "{len}");
            }
        }
    }
}

#[test]
fn a_name_is_utf_8() {
    for name in [&b"\xff"[..], b"\xc0\xaf", b"caf\xe9", b"\xed\xa0\x80"] {
        let mut parts = Parts::sample(10);
        parts.name = "x".repeat(name.len());
        let plain = Plain::frame(&parts.frame());
        let start = plain.lengths[0].end;
        let bytes = plain.with(&(start..start + name.len()), name);
        assert_eq!(Frame::decode(&bytes), Err(DecodeError::Malformed));
    }
}

/// Heads that no log can have.
fn false_heads() -> [Head; 5] {
    let head = |size, fill| Head { size, root: Hash::from_bytes([fill; 32]) };
    [head(MAX_SIZE + 1, 1), head(u64::MAX, 1), head(1 << 63, 1), head(0, 0), head(0, 0xe3)]
}

#[test]
fn sizes_and_indices_beyond_2_to_the_62_are_refused() {
    for kind in [1, 2, 5, 8, 9, 16, 18] {
        let mut parts = Parts::sample(kind);
        parts.sizes = [MAX_SIZE; 2];
        assert!(Frame::decode(&Plain::frame(&parts.frame()).bytes).is_ok(), "kind {kind}");
        parts.sizes = [MAX_SIZE + 1; 2];
        let bytes = Plain::frame(&parts.frame()).bytes;
        assert_eq!(Frame::decode(&bytes), Err(DecodeError::Malformed), "kind {kind}");
    }
    let mut parts = Parts::sample(0);
    parts.flags = [true; 3];
    let log = parts.logs[0];
    let word = PushWord { log, complete: parts.heads[0].head, have: MAX_SIZE + 1 };
    assert_eq!(PushWord::decode(&Plain::word(&word).bytes), Err(DecodeError::Malformed));
    for sizes in [[MAX_SIZE + 1, 0], [0, MAX_SIZE + 1]] {
        // Of an entry, and of the asker's own log.
        let entry = Entry { have: sizes[0], ..parts.entry(log) };
        let status = Parts { sizes: [0, sizes[1]], ..parts.clone() };
        let plain = Plain::status(&status.status(&[]), &[entry]);
        assert_eq!(StatusBody::decode(&plain.bytes), Err(DecodeError::Malformed), "{sizes:?}");
    }
}

#[test]
fn heads_no_log_can_have_are_refused() {
    for kind in [5, 8, 9] {
        let mut parts = Parts::sample(kind);
        for size in [1, MAX_SIZE] {
            parts.heads[0].head.size = size;
            assert!(Frame::decode(&Plain::frame(&parts.frame()).bytes).is_ok());
        }
        for head in false_heads() {
            parts.heads[0].head = head;
            let bytes = Plain::frame(&parts.frame()).bytes;
            assert_eq!(Frame::decode(&bytes), Err(DecodeError::Malformed), "{head:?}");
        }
    }
    let sample = Parts::sample(0);
    let log = sample.logs[0];
    for head in false_heads() {
        let word = PushWord { log, complete: head, have: 0 };
        assert_eq!(PushWord::decode(&Plain::word(&word).bytes), Err(DecodeError::Malformed));
        // The three heads of an entry, then that of the asker's own log.
        for place in 0..3 {
            let mut parts = sample.clone();
            parts.heads[place].head = head;
            let entry = parts.entry(log);
            let plain = Plain::status(&sample.status(&[]), &[entry]);
            assert_eq!(StatusBody::decode(&plain.bytes), Err(DecodeError::Malformed), "{head:?}");
        }
        let mut parts = sample.clone();
        parts.heads[1].head = head;
        let plain = Plain::status(&parts.status(&[]), &[]);
        assert_eq!(StatusBody::decode(&plain.bytes), Err(DecodeError::Malformed), "{head:?}");
    }
}

#[test]
fn a_proof_has_at_most_63_whole_hashes() {
    assert_eq!(Proof::new(&[[0; 32]; MAX_PROOF + 1]), None);
    for kind in [5, 8, 9] {
        let mut parts = Parts::sample(kind);
        parts.proof = vec![[7; 32]; MAX_PROOF];
        let plain = Plain::frame(&parts.frame());
        assert!(Frame::decode(&plain.bytes).is_ok());
        let place = plain.lengths[0].start..plain.lengths[0].end + MAX_PROOF * 32;
        for len in [1, 31, 33, MAX_PROOF * 32 - 1, MAX_PROOF * 32 + 1, (MAX_PROOF + 1) * 32, 10_000] {
            let mut string = varint(len as u64);
            string.resize(string.len() + len, 7);
            assert_eq!(Frame::decode(&plain.with(&place, &string)), Err(DecodeError::Malformed), "{len}");
        }
    }
}

#[test]
fn entries_are_in_order_and_canonical() {
    let sample = Parts::sample(0);
    let decode = |entries: &[u8]| {
        let mut bytes = Plain::status(&sample.status(&[]), &[]).bytes;
        bytes.pop();
        bytes.extend(varint(entries.len() as u64));
        bytes.extend(entries);
        StatusBody::decode(&bytes).map(|_| ())
    };
    let list = |numbers: &[u8]| {
        let mut listed = Plain::default();
        for number in numbers {
            listed.entry(&sample.entry(LogId::from_bytes([*number; 32])));
        }
        listed
    };
    assert_eq!(decode(&[]), Ok(()));
    assert_eq!(decode(&list(&[1]).bytes), Ok(()));
    assert_eq!(decode(&list(&[0, 1, 2, 0x80, 0xff]).bytes), Ok(()));
    for numbers in [&[1, 1][..], &[2, 1], &[1, 3, 2], &[1, 2, 3, 3], &[0xff, 0x7f]] {
        assert_eq!(decode(&list(numbers).bytes), Err(DecodeError::Malformed), "{numbers:?}");
    }

    let listed = list(&[1, 2]);
    for len in 1..listed.bytes.len() {
        let whole = len == listed.bytes.len() / 2;
        assert_eq!(decode(&listed.bytes[..len]).is_ok(), whole, "{len}");
    }
    for place in &listed.varints {
        let entries = listed.with(place, &padded(&listed.bytes[place.clone()]));
        assert_eq!(decode(&entries), Err(DecodeError::NotCanonical));
    }
    for at in &listed.flags {
        assert_eq!(decode(&listed.with(&(*at..at + 1), &[2])), Err(DecodeError::Malformed));
    }
}

#[test]
fn entries_end_at_the_first_that_is_none() {
    let sample = Parts::sample(0);
    let mut listed = Plain::default();
    listed.entry(&sample.entry(LogId::from_bytes([1; 32])));
    let len = listed.bytes.len();
    listed.entry(&sample.entry(LogId::from_bytes([2; 32])));
    let entries = Entries::new(&listed.bytes[..len + 3]);
    let read: Vec<_> = entries.iter().map(|entry| entry.map(|entry| entry.log)).collect();
    assert_eq!(read, [Ok(LogId::from_bytes([1; 32])), Err(DecodeError::Malformed)]);
}

#[test]
fn the_body_of_a_status_has_one_encoding() {
    let sample = Parts::sample(0);
    let entry = sample.entry(sample.logs[0]);
    let mut listed = Plain::default();
    listed.entry(&entry);
    let plain = Plain::status(&sample.status(&listed.bytes), &[entry]);
    assert!(StatusBody::decode(&plain.bytes).is_ok());
    for len in 0..plain.bytes.len() {
        assert!(StatusBody::decode(&plain.bytes[..len]).is_err());
    }
    assert_eq!(StatusBody::decode(&[&plain.bytes[..], &[0]].concat()), Err(DecodeError::NotCanonical));
    for place in &plain.varints {
        let bytes = plain.with(place, &padded(&plain.bytes[place.clone()]));
        assert_eq!(StatusBody::decode(&bytes), Err(DecodeError::NotCanonical));
    }
    for at in &plain.flags {
        assert_eq!(StatusBody::decode(&plain.with(&(*at..at + 1), &[2])), Err(DecodeError::Malformed));
    }
}

#[test]
fn every_message_but_one_with_a_long_record_fits_the_smallest_limit() {
    let limit = MIN_MESSAGE as usize;
    let largest = Parts {
        numbers: [u64::MAX; 2],
        sizes: [MAX_SIZE; 2],
        limit: u32::MAX,
        proof: vec![[0xff; 32]; MAX_PROOF],
        name: "n".repeat(Name::MAX_LEN),
        bytes: vec![0xff; ForkProof::MAX_LEN],
        ..Parts::sample(0)
    };
    let mut head = largest.heads[1];
    head.head.size = MAX_SIZE;
    let largest = Parts { heads: [head; 3], ..largest };
    for kind in (0..Parts::KINDS).filter(|kind| ![5, 7, 9, 12].contains(kind)) {
        let len = encode(&Parts { kind, ..largest.clone() }.frame()).len();
        assert!(len <= limit, "kind {kind}: {len}");
    }

    // A batch: the longest proof and a record as long as `append` takes with this limit. As a push it is
    // larger than as an answer.
    let record = vec![0; limit - 2_304];
    let mut records = vec![0; record.len() + 2];
    Records::frame(&record, &mut records).unwrap();
    let push = Parts { kind: 5, bytes: records, ..largest.clone() };
    assert!(encode(&push.frame()).len() <= limit);

    // A status with all there can be, and one entry at least.
    let entry = largest.entry(largest.logs[0]);
    let mut listed = Plain::default();
    listed.entry(&entry);
    let body = Plain::status(&largest.status(&listed.bytes), &[entry]).bytes;
    let frame = Parts { kind: 7, bytes: body, ..largest.clone() };
    assert!(encode(&frame.frame()).len() <= limit);

    let word = PushWord { log: largest.logs[0], complete: head.head, have: u64::MAX };
    let frame = Parts { kind: 12, bytes: Plain::word(&word).bytes, ..largest };
    assert!(encode(&frame.frame()).len() <= limit);
}

#[test]
fn the_longest_record_fits_the_usual_limit() {
    let usual = verisoo::Config::default().max_message as usize;
    let mut records = vec![0; MAX_RECORD + 2];
    Records::frame(&vec![0; MAX_RECORD], &mut records).unwrap();
    let parts = Parts { kind: 5, proof: vec![[0; 32]; MAX_PROOF], bytes: records, ..Parts::sample(5) };
    assert!(encode(&parts.frame()).len() <= usual);
}

#[test]
fn a_request_says_which_log_it_is_about() {
    for parts in samples() {
        if let Message::Request(request) = parts.frame().message {
            assert_eq!(request.log(), (parts.kind != 0).then_some(parts.logs[0]));
        }
    }
}

/// What may happen to bytes on their way.
#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Cut(usize),
    Copy(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let place = || any::<usize>();
    let telling = proptest::sample::select(vec![0_u8, 1, 2, 3, 7, 8, 0x7f, 0x80, 0x81, 0xff]);
    prop_oneof![
        (place(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (place(), telling.clone()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (place(), telling).prop_map(|(at, byte)| Change::Insert(at, byte)),
        place().prop_map(Change::Remove),
        place().prop_map(Change::Cut),
        (place(), place(), 1_usize..40).prop_map(|(from, to, len)| Change::Copy(from, to, len)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    // The first bytes decide most, so every second change is to them.
    let place = |at: usize, len: usize| if at.is_multiple_of(2) { (at / 2) % len } else { (at / 2) % len.min(48) };
    let len = bytes.len();
    if len == 0 {
        return;
    }
    match *change {
        Change::Flip(at, bit) => bytes[place(at, len)] ^= 1 << bit,
        Change::Set(at, byte) => bytes[place(at, len)] = byte,
        Change::Insert(at, byte) => bytes.insert(place(at, len), byte),
        Change::Remove(at) => drop(bytes.remove(place(at, len))),
        Change::Cut(at) => bytes.truncate(at % len),
        Change::Copy(from, to, count) => {
            let from = place(from, len);
            let copied = bytes[from..(from + count).min(len)].to_vec();
            let to = place(to, len);
            bytes.splice(to..to, copied);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_canonical_or_refused(
        kind in 0..Parts::KINDS,
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let mut bytes = encode(&Parts::sample(kind).frame());
        for change in &changes {
 apply(&mut bytes, change);
}
        assert_canonical_or_refused(&bytes);
    }

    #[test]
    fn any_bytes_are_canonical_or_refused(
        id in 0_u8..0x80,
        variants in (0_u8..3, 0_u8..9, 0_u8..8),
        rest in proptest::collection::vec(prop_oneof![3 => 0_u8..4, 1 => any::<u8>()], 0..400),
    ) {
        let bytes = [&[1, id, variants.0, variants.1, variants.2], &rest[..]].concat();
        assert_canonical_or_refused(&bytes);
    }

    #[test]
    fn a_changed_status_is_canonical_or_refused(changes in proptest::collection::vec(change(), 1..4)) {
        let sample = Parts::sample(0);
        let entries = [1, 2].map(|number| sample.entry(LogId::from_bytes([number; 32])));
        let mut listed = Plain::default();
        for entry in &entries {
 listed.entry(entry);
}
        let mut bytes = Plain::status(&sample.status(&listed.bytes), &entries).bytes;
        for change in &changes {
 apply(&mut bytes, change);
}
        if let Ok(body) = StatusBody::decode(&bytes) {
            let entries: Vec<Entry> = body.entries.iter().map(Result::unwrap).collect();
            prop_assert_eq!(&Plain::status(&body, &entries).bytes, &bytes);
        }
    }
}

#[test]
fn a_frame_borrows_from_the_bytes_it_came_in() {
    let parts = Parts::sample(9);
    let bytes = encode(&parts.frame());
    let Ok(Frame { id, message: Message::Response(Response::Records(Batch { records, proof, .. })) }) =
        Frame::decode(&bytes)
    else {
        panic!("it is a batch");
    };
    assert_eq!(id, RequestId::new(300));
    let within = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr());
    assert!(within(records) && within(proof.hashes().as_flattened()));
    let bytes = encode(&Parts::sample(12).frame());
    assert!(matches!(
        Frame::decode(&bytes),
        Ok(Frame { message: Message::Response(Response::Pushed(Signed { body: b"\x03\x00abc\x00\x00", .. })), .. })
    ));
    let bytes = encode(&Parts::sample(6).frame());
    assert!(matches!(
        Frame::decode(&bytes),
        Ok(Frame { message: Message::Request(Request::PushFork { proof: b"\x03\x00abc\x00\x00", .. }), .. })
    ));
}
