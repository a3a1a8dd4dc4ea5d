//! Reading each message: what its serde implementation says, by hand (see [`Read`]).

use super::batch::{Batch, Proof};
use super::frame::{Frame, Message, RequestId};
use super::request::{Nonce, Push, Request, StatusRequest};
use super::response::{ProofAnswer, Refusal, Response};
use super::status::{Entries, Entry, OwnLog, PushWord, Signed, StatusBody};
use crate::codec::{Read, Reader};
use crate::head::{Head, SignedHead};
use crate::key::{LogId, Signature};
use crate::log::Hash;

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
