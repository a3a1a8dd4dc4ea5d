//! Reading postcard's encoding by hand. The types' serde implementations say the same and are there for
//! whoever wants them; here an encoding that is not the canonical one is noticed while it is read, and a
//! device needs a third of the code.

use super::{
    Batch, DecodeError, Entries, Entry, Frame, Message, Nonce, OwnLog, Proof, ProofAnswer, Push, PushWord, Refusal,
    Request, RequestId, Response, Signed, StatusBody, StatusRequest,
};
use crate::log::MAX_SIZE;
use crate::{Hash, Head, LogId, Signature, SignedHead};

/// Reads the one value that `bytes` is the canonical encoding of.
pub(super) fn decode<'a, T: Read<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (value, rest) = decode_prefix(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

/// Reads one canonically encoded value from the front of `bytes`; the value and what follows.
pub(super) fn decode_prefix<'a, T: Read<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader).ok_or(DecodeError::Malformed)?;
    // A varint with more bytes than it needs is all that postcard would take and not write.
    if reader.is_padded { Err(DecodeError::NotCanonical) } else { Ok((value, reader.rest)) }
}

/// What can be read; `None` where the bytes are not its encoding, or say what it cannot be.
pub(super) trait Read<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Option<Self>;
}

/// What is left to be read.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    is_padded: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_padded: false }
    }

    /// Whether all was read, and in its canonical encoding.
    pub(crate) fn is_canonical_end(&self) -> bool {
        self.rest.is_empty() && !self.is_padded
    }

    #[inline(never)]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// A number of at most so many bits, seven in a byte, the lowest first.
    #[inline(never)]
    fn varint(&mut self, bits: u32) -> Option<u64> {
        if let Some((byte, rest)) = self.rest.split_first().filter(|(byte, _)| **byte < 0x80) {
            // One byte, as nearly all of them are.
            self.rest = rest;
            return Some(u64::from(*byte));
        }
        let (mut value, mut shift) = (0, 0_u32);
        loop {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7F);
            let room = bits.checked_sub(shift).filter(|room| *room > 0)?;
            if room < 7 && part >> room != 0 {
                return None;
            }
            value |= part << shift;
            if byte < 0x80 {
                self.is_padded |= byte == 0 && shift > 0;
                return Some(value);
            }
            shift = shift.checked_add(7)?;
        }
    }

    /// A number of at most 32 bits: a count of bytes, or which one of several it is.
    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.varint(u32::BITS)?).ok()
    }

    /// A size or an index: at most 2^62, before any arithmetic sees it.
    pub(crate) fn size(&mut self) -> Option<u64> {
        self.varint(u64::BITS).filter(|size| *size <= MAX_SIZE)
    }

    #[inline(never)]
    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    #[expect(clippy::option_option, reason = "the outer is whether it could be read")]
    fn option<T: Read<'a>>(&mut self) -> Option<Option<T>> {
        if self.flag()? { T::read(self).map(Some) } else { Some(None) }
    }

    #[inline(never)]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint(usize::BITS)?).ok()?;
        self.take(len)
    }
}

impl<'a> Read<'a> for Hash {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.array().map(Self::from_bytes)
    }
}

impl<'a> Read<'a> for LogId {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.array().map(Self::from_bytes)
    }
}

impl<'a> Read<'a> for Head {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let head = Self { size: reader.size()?, root: Hash::read(reader)? };
        head.is_well_formed().then_some(head)
    }
}

impl<'a> Read<'a> for SignedHead {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self { head: Head::read(reader)?, signature: reader.array().map(Signature::from_bytes)? })
    }
}

impl<'a> Read<'a> for Proof<'a> {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        match reader.bytes()?.as_chunks() {
            (hashes, []) => Self::new(hashes),
            _ => None,
        }
    }
}

impl<'a> Read<'a> for Frame<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let id = RequestId::new(reader.varint(u64::BITS)?);
        let message = match reader.small()? {
            0 => Message::Request(Request::read(reader)?),
            1 => Message::Response(Response::read(reader)?),
            _ => return None,
        };
        Some(Self { id, message })
    }
}

impl<'a> Read<'a> for Request<'a> {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let kind = reader.small()?;
        if kind == 0 {
            return StatusRequest::read(reader).map(Self::Status);
        }
        if kind == 5 {
            let from = LogId::read(reader)?;
            let nonce = Nonce(reader.array()?);
            return Some(Self::Push(Push { from, nonce, batch: Batch::read(reader)? }));
        }
        let log = LogId::read(reader)?;
        Some(match kind {
            1 => Self::Proof { log, size: reader.size()?, limit: reader.small()? },
            2 => {
                let (start, count) = (reader.size()?, reader.varint(u64::BITS)?);
                Self::Records { log, start, count, limit: reader.small()? }
            }
            3 => Self::Key { log },
            4 => Self::Fork { log },
            6 => Self::PushFork { log, proof: reader.bytes()? },
            _ => return None,
        })
    }
}

impl<'a> Read<'a> for StatusRequest {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            asker: LogId::read(reader)?,
            nonce: Nonce(reader.array()?),
            digest: Hash::read(reader)?,
            compared: reader.option()?,
            after: reader.option()?,
            limit: reader.small()?,
        })
    }
}

impl<'a> Read<'a> for Batch<'a> {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            log: LogId::read(reader)?,
            start: reader.size()?,
            head: SignedHead::read(reader)?,
            proof: Proof::read(reader)?,
            records: reader.bytes()?,
        })
    }
}

impl<'a> Read<'a> for Response<'a> {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(match reader.small()? {
            0 => Self::Status(Signed::read(reader)?),
            1 => Self::Proof(ProofAnswer::read(reader)?),
            2 => Self::Records(Batch::read(reader)?),
            3 => {
                let log = LogId::read(reader)?;
                let name = core::str::from_utf8(reader.bytes()?).ok()?;
                Self::Key { log, name, key: reader.array()? }
            }
            4 => Self::Fork { log: LogId::read(reader)?, proof: reader.bytes()? },
            5 => Self::Pushed(Signed::read(reader)?),
            6 => Self::PushedFork { log: LogId::read(reader)? },
            7 => Self::Refused(Refusal::read(reader)?),
            _ => return None,
        })
    }
}

impl<'a> Read<'a> for ProofAnswer<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            log: LogId::read(reader)?,
            size: reader.size()?,
            root: Hash::read(reader)?,
            head: SignedHead::read(reader)?,
            proof: Proof::read(reader)?,
        })
    }
}

impl<'a> Read<'a> for Refusal {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(match reader.small()? {
            0 => Self::Unknown,
            1 => Self::NotHeld,
            2 => Self::Dropped { first: reader.size()? },
            3 => Self::Busy,
            4 => Self::TooLong { index: reader.size()? },
            5 => Self::Invalid,
            _ => return None,
        })
    }
}

impl<'a> Read<'a> for Signed<'a> {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self { signature: reader.array().map(Signature::from_bytes)?, body: reader.bytes()? })
    }
}

impl<'a> Read<'a> for StatusBody<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            digest: Hash::read(reader)?,
            max_message: reader.small()?,
            recovering: reader.flag()?,
            own: reader.option()?,
            listed: reader.flag()?,
            more: reader.flag()?,
            entries: Entries::new(reader.bytes()?),
        })
    }
}

impl<'a> Read<'a> for OwnLog {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self { have: reader.size()?, head: reader.option()? })
    }
}

impl<'a> Read<'a> for Entry {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            log: LogId::read(reader)?,
            complete: Head::read(reader)?,
            have: reader.size()?,
            covering: reader.option()?,
            unproven: reader.option()?,
            forked: reader.flag()?,
        })
    }
}

impl<'a> Read<'a> for PushWord {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self { log: LogId::read(reader)?, complete: Head::read(reader)?, have: reader.size()? })
    }
}
