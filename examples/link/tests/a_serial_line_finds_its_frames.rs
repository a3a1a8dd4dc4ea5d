//! The serial line between a device and its gateway (`examples/link`): what arrives whole
//! is read however it is cut, what is damaged or too long is refused, and after any noise the next frame is
//! found.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use verisoo_link::{Boot, Channel, MAX_PAYLOAD, OVERHEAD, Receiver, Report, Vital};

/// As large as the gateway's.
type Line = Receiver<{ MAX_PAYLOAD + OVERHEAD }>;

fn frame(channel: Channel, payload: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    verisoo_link::send(channel, payload, |bytes| line.extend_from_slice(bytes));
    line
}

/// What a receiver makes of these bytes.
fn receive(receiver: &mut Line, bytes: &[u8]) -> Vec<(Channel, Vec<u8>)> {
    let mut frames = Vec::new();
    for byte in bytes {
        if receiver.push(*byte) {
            frames.extend(receiver.frame().map(|(channel, payload, _)| (channel, payload.to_vec())));
        }
    }
    frames
}

fn channel() -> impl Strategy<Value = Channel> {
    prop_oneof![Just(Channel::Protocol), Just(Channel::Report), Just(Channel::Boot)]
}

/// Payloads as they come: short and long, of few zeros, of many, and of none.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(1), Just(0xFF), any::<u8>()];
    prop_oneof![8 => vec(byte, 0..64), 4 => vec(1..=u8::MAX, 250..260), 1 => vec(any::<u8>(), 0..=MAX_PAYLOAD)]
}

fn message() -> impl Strategy<Value = (Channel, Vec<u8>)> {
    (channel(), payload())
}

proptest! {
    #[test]
    fn what_is_sent_arrives_in_order_and_nothing_else(messages in vec(message(), 0..6)) {
        let line: Vec<u8> = messages.iter().flat_map(|(channel, payload)| frame(*channel, payload)).collect();
        let mut receiver = Line::new();
        prop_assert_eq!(receive(&mut receiver, &line), messages);
        prop_assert_eq!(receiver.bad_frames, 0);
        prop_assert!(!receiver.is_receiving());
    }

    #[test]
    fn within_a_frame_there_is_no_border((channel, payload) in message()) {
        let line = frame(channel, &payload);
        let (first, rest) = line.split_first().unwrap();
        let (last, content) = rest.split_last().unwrap();
        prop_assert_eq!((*first, *last), (0, 0));
        prop_assert!(!content.contains(&0));
    }

    /// Whatever came before, however it ended: one frame later all is well again.
    #[test]
    fn after_any_noise_the_next_frame_is_found(noise in vec(any::<u8>(), 0..6_000), next in message()) {
        let mut receiver = Line::new();
        receive(&mut receiver, &noise);
        prop_assert_eq!(receive(&mut receiver, &frame(next.0, &next.1)), [next]);
    }

    /// A frame that breaks off anywhere is lost, and the one behind it is not.
    #[test]
    fn a_frame_that_breaks_off_takes_no_other_with_it(first in message(), at in any::<Index>(), next in message()) {
        let whole = frame(first.0, &first.1);
        let mut line = whole[..at.index(whole.len() - 1)].to_vec();
        line.extend(frame(next.0, &next.1));
        let mut receiver = Line::new();
        prop_assert_eq!(receive(&mut receiver, &line), [next]);
    }

    #[test]
    fn a_frame_with_a_changed_byte_is_refused(
        first in message(), at in any::<Index>(), by in 1..=u8::MAX, next in message()
    ) {
        let mut line = frame(first.0, &first.1);
        let at = 1 + at.index(line.len() - 2);
        line[at] ^= by;
        line.extend(frame(next.0, &next.1));
        let mut receiver = Line::new();
        prop_assert_eq!(receive(&mut receiver, &line), [next]);
        prop_assert!(receiver.bad_frames > 0);
    }

    #[test]
    fn a_frame_with_a_byte_lost_or_doubled_is_refused(
        first in message(), at in any::<Index>(), is_lost: bool, next in message()
    ) {
        let mut line = frame(first.0, &first.1);
        let at = 1 + at.index(line.len() - 2);
        if is_lost { line.remove(at); } else { line.insert(at, line[at]); }
        line.extend(frame(next.0, &next.1));
        let mut receiver = Line::new();
        prop_assert_eq!(receive(&mut receiver, &line), [next]);
        prop_assert!(receiver.bad_frames > 0);
    }

    #[test]
    fn a_frame_beyond_the_buffer_is_refused_whole(
        payload in vec(any::<u8>(), MAX_PAYLOAD + 1..2 * MAX_PAYLOAD), next in message()
    ) {
        let mut receiver = Line::new();
        prop_assert_eq!(receive(&mut receiver, &frame(Channel::Protocol, &payload)), []);
        prop_assert_eq!(receiver.bad_frames, 1);
        prop_assert_eq!(receive(&mut receiver, &frame(next.0, &next.1)), [next]);
    }

    #[test]
    fn no_bytes_make_the_receiver_fail(bytes in vec(any::<u8>(), 0..6_000)) {
        let mut receiver = Line::new();
        for (_, payload) in receive(&mut receiver, &bytes) {
            prop_assert!(payload.len() <= MAX_PAYLOAD);
        }
    }

    #[test]
    fn what_a_device_is_told_is_read_back(
        entropy: [u8; 32], recover: bool, reading_ms: u32, interval_ms: u32, peer_key: [u8; 32], peer_name in ".{0,20}",
    ) {
        let boot = Boot { entropy, recover, reading_ms, interval_ms, peer_name: &peer_name, peer_key };
        let mut buf = [0; 256];
        prop_assert_eq!(Boot::decode(boot.encode(&mut buf).unwrap()), Some(boot));
    }

    #[test]
    fn what_a_device_reports_is_read_back(
        counts: [u64; 4], small: [u32; 4], flag: bool, key: [u8; 32], name in ".{0,20}"
    ) {
        let [uptime_ms, appended, acknowledged, size] = counts;
        let [put_off, bad_frames, stack_peak, stack_room] = small;
        let vital =
            Vital { uptime_ms, appended, acknowledged, put_off, is_waiting: flag, bad_frames, stack_peak, stack_room };
        let hello = Report::Hello { name: &name, key };
        for report in [hello, Report::Vital(vital), Report::Log { log: key, size, is_forked: flag }] {
            let mut buf = [0; 256];
            prop_assert_eq!(Report::decode(report.encode(&mut buf).unwrap()), Some(report));
        }
    }
}

/// Read and written by the whole-buffer functions of the crate, with a CRC from a table, at the lengths at
/// which COBS begins a new group.
#[test]
fn a_frame_is_cobs_over_channel_payload_and_crc() {
    for len in [0, 1, 247, 248, 249, 250, 253, 254, 255, 503, 504, 1_000, MAX_PAYLOAD] {
        let payload = vec![7; len];
        let mut content = [&[0][..], &payload].concat();
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&content);
        content.extend(crc.to_le_bytes());

        let line = frame(Channel::Protocol, &payload);
        let mut read = vec![0; line.len()];
        let read_len = cobs::decode(&line[1..], &mut read).unwrap();
        assert_eq!(read[..read_len], content, "{len}");

        assert_eq!(receive(&mut Line::new(), &stuffed(&content)), [(Channel::Protocol, payload)], "{len}");
    }
}

/// What the device writes behind a frame while it answers it.
#[test]
fn the_rest_of_the_memory_is_the_callers() {
    let mut receiver = Receiver::<100>::new();
    let line = frame(Channel::Protocol, b"asked");
    let (end, before) = line.split_last().unwrap();
    for byte in before {
        assert!(!receiver.push(*byte));
    }
    assert!(receiver.is_receiving());
    assert!(receiver.push(*end));
    let (channel, payload, rest) = receiver.frame().unwrap();
    assert_eq!((channel, payload, rest.len()), (Channel::Protocol, &b"asked"[..], 100 - b"asked".len() - OVERHEAD));
    rest.fill(0xFF);
    assert_eq!(receiver.frame().unwrap().1, b"asked");
    assert_eq!(receiver.scratch().len(), 100);
}

/// A channel that this version does not know is no error: its frames are for somebody else.
#[test]
fn an_unknown_channel_is_passed_over() {
    let mut content = b"\x07payload".to_vec();
    content.extend(crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&content).to_le_bytes());
    let mut receiver = Line::new();
    assert_eq!(receive(&mut receiver, &stuffed(&content)), []);
    assert_eq!(receiver.bad_frames, 0);
}

/// A frame's content as others would put it on the line.
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut line = vec![0; cobs::max_encoding_length(content.len())];
    let len = cobs::encode(content, &mut line);
    line.truncate(len);
    line.push(0);
    line
}
