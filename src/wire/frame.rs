//! Frames: one message each, with the version in front and the id that ties an answer to its request. All that goes
//! over a line is one of these.

use serde::{Deserialize, Serialize};

use super::decode::{DecodeError, decode};
use super::request::Request;
use super::response::Response;
use super::version::VERSION;
use crate::codec::Writer;

/// One message on the wire, with the id that ties an answer to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<'a> {
    /// Chosen by the asker, repeated in the answer.
    pub id: RequestId,
    /// What is said.
    #[serde(borrow)]
    pub message: Message<'a>,
}

/// A request or the answer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message<'a> {
    /// Something is asked, or pushed.
    #[serde(borrow)]
    Request(Request<'a>),
    /// The answer to a request.
    Response(Response<'a>),
}

impl<'a> Frame<'a> {
    /// Reads one frame; the whole of `bytes` must be one. Copies nothing, and verifies nothing but the form.
    ///
    /// Errors: [`DecodeError::Version`], [`DecodeError::Malformed`], [`DecodeError::NotCanonical`].
    ///
    /// ```
    /// use verisoo::LogId;
    /// use verisoo::wire::{DecodeError, Frame, Message, Request, RequestId};
    ///
    /// let request = Request::Fork { log: LogId::from_bytes([7; 32]) };
    /// let mut buf = [0; 64];
    /// let frame = Frame { id: RequestId::new(1), message: Message::Request(request) };
    /// let len = frame.encode(&mut buf).unwrap().len();
    /// assert_eq!(Frame::decode(&buf[..len]), Ok(frame));
    ///
    /// // One message, one encoding: nothing behind it, nothing missing, and no other version.
    /// assert_eq!(Frame::decode(&buf[..=len]), Err(DecodeError::NotCanonical));
    /// assert_eq!(Frame::decode(&buf[..len - 1]), Err(DecodeError::Malformed));
    /// buf[0] = 2;
    /// assert_eq!(Frame::decode(&buf[..len]), Err(DecodeError::Version));
    /// ```
    #[inline(never)]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => decode(rest),
            _ => Err(DecodeError::Version),
        }
    }

    /// Writes the frame to the front of `buf`; the bytes written, or `None` where they do not fit. What it says
    /// is not checked: a frame with a size beyond 2^62 is written, and [`decode`](Self::decode) refuses it.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut writer = Writer::new(buf);
        writer.put(&VERSION)?;
        writer.put(self)?;
        Some(writer.finish())
    }
}

/// Identifies a request among those of one node; its answer carries it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(u64);

impl RequestId {
    /// The id with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}
