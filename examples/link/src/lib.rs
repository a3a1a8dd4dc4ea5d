//! The serial line, the same for the device and for its gateway: frames that are checked and that a
//! receiver finds again after any noise.
//!
//! On the line a frame is `00 ‖ COBS(channel ‖ payload ‖ CRC-32 LE) ‖ 00`. COBS leaves no zero within a
//! frame, so that every zero is a border and damage ends at the next one; the zero in front ends whatever
//! noise came before. What does not check is dropped: the protocol asks again.
//!
//! The [`Channel`] says what the payload is: a message between nodes, or what a device and its operator
//! tell each other, which is outside the protocol.

#![no_std]

use cobs::{DecodeResult, DecoderState, EncoderState, PushResult};
use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// The largest payload, in bytes: the smallest `max_message` that a node may have.
pub const MAX_PAYLOAD: usize = 4_608;

/// Bytes that a frame has besides its payload, before it is stuffed.
pub const OVERHEAD: usize = 1 + CRC_LEN;

const CRC_LEN: usize = 4;

const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// What the payload of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A frame between nodes, as `verisoo::wire` writes it.
    Protocol = 0,
    /// From the device: a [`Report`].
    Report = 1,
    /// To the device: a [`Boot`].
    Boot = 2,
}

/// What a device that has just started needs from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot<'a> {
    /// Random, and new at each start: the device has no source of randomness of its own. It makes nonces
    /// that cannot be foretold; the device's key is not made from it.
    pub entropy: [u8; 32],
    /// The device has had a log before: what the peers hold of it is taken back before it writes. `false`
    /// once in a key's life.
    pub recover: bool,
    /// Milliseconds between two readings of the sensor.
    pub reading_ms: u32,
    /// Milliseconds between two rounds of gossip.
    pub interval_ms: u32,
    /// The name of the peer at the other end of the line.
    pub peer_name: &'a str,
    /// Its public key.
    pub peer_key: [u8; 32],
}

/// What a device tells its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// It has started, and waits for [`Boot`].
    Hello {
        /// Its name.
        name: &'a str,
        /// Its public key.
        key: [u8; 32],
    },
    /// How it is.
    Vital(Vital),
    /// What it holds of a log that it follows.
    Log {
        /// The log.
        log: [u8; 32],
        /// Records covered by its complete head.
        size: u64,
        /// It holds a proof that the log has forked.
        is_forked: bool,
    },
}

/// How a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vital {
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Records in its own log.
    pub appended: u64,
    /// Those that some peer has acknowledged.
    pub acknowledged: u64,
    /// Readings that were put off, since no room was left that peers had not acknowledged.
    pub put_off: u32,
    /// It takes its log back from its peers, or does not write any more.
    pub is_waiting: bool,
    /// Frames that did not check.
    pub bad_frames: u32,
    /// The most stack it has used, in bytes.
    pub stack_peak: u32,
    /// Bytes between the end of its static memory and the top of the stack.
    pub stack_room: u32,
}

impl<'a> Boot<'a> {
    /// The message, written to the front of `buf`: the fields in order, numbers little-endian, the name last.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Option<&'b [u8]> {
        let (reading, interval) = (self.reading_ms.to_le_bytes(), self.interval_ms.to_le_bytes());
        let recover = [u8::from(self.recover)];
        put(buf, &[&self.entropy, &recover, &reading, &interval, &self.peer_key, self.peer_name.as_bytes()])
    }

    /// Reads what [`Boot::encode`] wrote.
    pub fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let entropy = take(&mut bytes)?;
        let [recover] = take(&mut bytes)?;
        let reading_ms = u32::from_le_bytes(take(&mut bytes)?);
        let interval_ms = u32::from_le_bytes(take(&mut bytes)?);
        let peer_key = take(&mut bytes)?;
        let peer_name = core::str::from_utf8(bytes).ok()?;
        Some(Self { entropy, recover: recover != 0, reading_ms, interval_ms, peer_name, peer_key })
    }
}

impl<'a> Report<'a> {
    /// The message, written to the front of `buf`: which it is, and the fields in order.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Option<&'b [u8]> {
        match self {
            Self::Hello { name, key } => put(buf, &[&[0], key, name.as_bytes()]),
            Self::Vital(vital) => {
                let mut counts = [0; 6 * 8];
                let numbers = [
                    vital.uptime_ms,
                    vital.appended,
                    vital.acknowledged,
                    u64::from(vital.put_off) << 32 | u64::from(vital.bad_frames),
                    u64::from(vital.stack_peak) << 32 | u64::from(vital.stack_room),
                    u64::from(vital.is_waiting),
                ];
                for (bytes, number) in counts.chunks_exact_mut(8).zip(numbers) {
                    bytes.copy_from_slice(&number.to_le_bytes());
                }
                put(buf, &[&[1], &counts])
            }
            Self::Log { log, size, is_forked } => put(buf, &[&[2], log, &size.to_le_bytes(), &[u8::from(*is_forked)]]),
        }
    }

    /// Reads what [`Report::encode`] wrote.
    pub fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let [kind] = take(&mut bytes)?;
        match kind {
            0 => {
                let key = take(&mut bytes)?;
                Some(Self::Hello { name: core::str::from_utf8(bytes).ok()?, key })
            }
            1 => {
                let mut number = || Some(u64::from_le_bytes(take(&mut bytes)?));
                let (uptime_ms, appended, acknowledged) = (number()?, number()?, number()?);
                let (counts, stack, is_waiting) = (number()?, number()?, number()? != 0);
                let halves =
                    |both: u64| Some((u32::try_from(both >> 32).ok()?, u32::try_from(both & 0xFFFF_FFFF).ok()?));
                let ((put_off, bad_frames), (stack_peak, stack_room)) = (halves(counts)?, halves(stack)?);
                let vital = Vital {
                    uptime_ms,
                    appended,
                    acknowledged,
                    put_off,
                    is_waiting,
                    bad_frames,
                    stack_peak,
                    stack_room,
                };
                Some(Self::Vital(vital))
            }
            2 => {
                let (log, size) = (take(&mut bytes)?, u64::from_le_bytes(take(&mut bytes)?));
                let [is_forked] = take(&mut bytes)?;
                Some(Self::Log { log, size, is_forked: is_forked != 0 })
            }
            _ => None,
        }
    }
}

/// Writes one part after the other to the front of `buf`; the bytes written.
fn put<'b>(buf: &'b mut [u8], parts: &[&[u8]]) -> Option<&'b [u8]> {
    let mut len = 0;
    for part in parts {
        buf.get_mut(len..)?.get_mut(..part.len())?.copy_from_slice(part);
        len += part.len();
    }
    buf.get(..len)
}

/// Takes the first `N` bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*front)
}

/// Writes a frame to the line piece by piece, without a buffer for the whole.
pub fn send(channel: Channel, payload: &[u8], write: impl FnMut(&[u8])) {
    let head = [channel as u8];
    let mut digest = CRC.digest();
    digest.update(&head);
    digest.update(payload);
    let crc = digest.finalize().to_le_bytes();

    let mut stuffer = Stuffer { state: EncoderState::default(), group: [0; 256], len: 1, sent: 0, write };
    (stuffer.write)(&[0]);
    for part in [&head[..], payload, &crc] {
        for byte in part {
            stuffer.push(*byte);
        }
    }
    stuffer.finish();
}

/// COBS in groups of at most 254 bytes; only the first byte of a group is known later than the rest.
struct Stuffer<W> {
    state: EncoderState,
    group: [u8; 256],
    len: usize,
    /// Bytes of groups sent before this one.
    sent: usize,
    write: W,
}

impl<W: FnMut(&[u8])> Stuffer<W> {
    fn push(&mut self, byte: u8) {
        match self.state.push(byte) {
            PushResult::AddSingle(byte) => self.put(byte),
            PushResult::ModifyFromStartAndSkip((at, code)) => self.end_group(at, code),
            PushResult::ModifyFromStartAndPushAndSkip((at, code, byte)) => {
                self.put(byte);
                self.end_group(at, code);
            }
        }
    }

    fn put(&mut self, byte: u8) {
        if let Some(slot) = self.group.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    fn end_group(&mut self, at: usize, code: u8) {
        if let Some(slot) = self.group.get_mut(at - self.sent) {
            *slot = code;
        }
        (self.write)(self.group.get(..self.len).unwrap_or_default());
        self.sent += self.len;
        // The next group's first byte is filled in when it ends.
        self.len = 1;
    }

    fn finish(mut self) {
        let (at, code) = self.state.clone().finalize();
        self.end_group(at, code);
        (self.write)(&[0]);
    }
}

/// Takes bytes off the line, `N` of which it has room for: a frame's content, and behind it what the
/// caller makes of the rest.
pub struct Receiver<const N: usize> {
    buf: [u8; N],
    len: usize,
    state: DecoderState,
    /// Frames that did not check.
    pub bad_frames: u32,
}

impl<const N: usize> Default for Receiver<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Receiver<N> {
    /// A receiver at the beginning of a line.
    pub const fn new() -> Self {
        Self { buf: [0; N], len: 0, state: DecoderState::Idle, bad_frames: 0 }
    }

    /// Takes one byte. `true` where it ended a frame that checks, which [`Receiver::frame`] then shows
    /// until the next byte.
    pub fn push(&mut self, byte: u8) -> bool {
        if !self.is_receiving() {
            self.len = 0;
        }
        match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => false,
            Ok(DecodeResult::DataContinue(byte)) => {
                if let Some(slot) = self.buf.get_mut(self.len) {
                    *slot = byte;
                }
                // Counted beyond the end as well: too long is as bad as damaged.
                self.len = self.len.saturating_add(1);
                false
            }
            Ok(DecodeResult::DataComplete) => {
                let checks = self.checks();
                self.bad_frames = self.bad_frames.wrapping_add(u32::from(!checks));
                checks
            }
            Err(_) => {
                self.bad_frames = self.bad_frames.wrapping_add(1);
                false
            }
        }
    }

    /// Whether a frame is under way.
    pub fn is_receiving(&self) -> bool {
        !matches!(self.state, DecoderState::Idle)
    }

    fn checks(&self) -> bool {
        let Some((content, crc)) = self.buf.get(..self.len).and_then(<[u8]>::split_last_chunk::<CRC_LEN>) else {
            return false;
        };
        CRC.checksum(content) == u32::from_le_bytes(*crc) && !content.is_empty()
    }

    /// The frame just received, and the memory behind it.
    pub fn frame(&mut self) -> Option<(Channel, &[u8], &mut [u8])> {
        let (frame, rest) = self.buf.split_at_mut_checked(self.len)?;
        let (channel, content) = frame.split_first()?;
        let payload = content.split_last_chunk::<CRC_LEN>()?.0;
        let channel = match *channel {
            0 => Channel::Protocol,
            1 => Channel::Report,
            2 => Channel::Boot,
            _ => return None,
        };
        Some((channel, payload, rest))
    }

    /// The memory for frames, while none is under way.
    pub fn scratch(&mut self) -> &mut [u8] {
        &mut self.buf
    }
}
