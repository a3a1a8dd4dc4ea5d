//! What nodes say to each other: requests, responses and the frames they travel in.
//!
//! A frame is one version byte and one [postcard](https://postcard.jamesmunns.com/wire-format) value.
//! Decoding borrows from the receive buffer, checks every length before anything is read, and refuses
//! any encoding but the canonical one: re-encoding a decoded frame gives the same bytes. What a decoded
//! message claims is still only a claim; the node judges it.
//!
//! ```
//! use verisoo::wire::{Frame, Message, Request, RequestId};
//! use verisoo::LogId;
//!
//! let log = LogId::from_bytes([7; 32]);
//! let frame = Frame { id: RequestId::new(1), message: Message::Request(Request::Key { log }) };
//! let mut buf = [0; 64];
//! let bytes = frame.encode(&mut buf).unwrap();
//! assert_eq!(Frame::decode(bytes), Ok(frame));
//! assert!(Frame::decode(&bytes[1..]).is_err());
//! ```

mod batch;
mod decode;
mod fields;
mod frame;
mod read;
mod request;
mod response;
mod status;
mod version;

pub use batch::{Batch, Proof};
pub use decode::DecodeError;
pub use frame::{Frame, Message, RequestId};
pub use request::{Nonce, Push, Request, StatusRequest};
pub use response::{ProofAnswer, Refusal, Response};
pub(crate) use status::signed_text;
pub use status::{Entries, Entry, OwnLog, PushWord, Signed, SignedContext, StatusBody};
pub use version::{BYTES_PER_RECORD, MAX_MESSAGE, MIN_MESSAGE, VERSION};
