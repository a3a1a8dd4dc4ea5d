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

mod codec;
mod read;
mod status;

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::log::MAX_PROOF;
use crate::{Hash, LogId, SignedHead};

pub(crate) use codec::{Writer, size_of_value, write_value};
pub(crate) use read::Reader;
pub(crate) use status::signed_text;
pub use status::{Entries, Entry, OwnLog, PushWord, Signed, SignedContext, StatusBody};

/// The version of the wire format, and the first byte of each frame.
pub const VERSION: u8 = 1;

/// The smallest `max_message` a node may have, in bytes: every message but one with a long record fits,
/// the largest fork proof included.
pub const MIN_MESSAGE: u32 = 4_608;

/// The largest `max_message` a node may have, in bytes.
pub const MAX_MESSAGE: u32 = 16 << 20;

/// A batch holds at most one record for each so many bytes of the largest message allowed, so that the
/// work a message can cause is bounded by its size.
pub const BYTES_PER_RECORD: u32 = 64;

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

/// 16 bytes that only the asker could have chosen: they make a signed answer fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nonce(pub [u8; 16]);

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

/// What a node asks of another. [`Node::encode`](crate::Node::encode) makes them of commands, and
/// [`Node::respond`](crate::Node::respond) answers them; its example asks by hand.
///
/// `limit` is the largest answer the asker takes, in bytes of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request<'a> {
    /// What do you have? Answered by [`Response::Status`].
    Status(StatusRequest),
    /// Prove that the first `size` records of `log` lead to your signed head. Answered by
    /// [`Response::Proof`]. A `size` of 0 asks for the head alone.
    Proof {
        /// The log.
        log: LogId,
        /// The size to prove from.
        #[serde(with = "codec::size")]
        size: u64,
        /// The largest answer taken.
        limit: u32,
    },
    /// Send records. Answered by [`Response::Records`].
    Records {
        /// The log.
        log: LogId,
        /// Index of the first record wanted.
        #[serde(with = "codec::size")]
        start: u64,
        /// How many are wanted at most.
        count: u64,
        /// The largest answer taken.
        limit: u32,
    },
    /// Which key does this log id stand for? Answered by [`Response::Key`].
    Key {
        /// The log.
        log: LogId,
    },
    /// Send the fork proof of this log. Answered by [`Response::Fork`].
    Fork {
        /// The log.
        log: LogId,
    },
    /// Take this head, and these records. Answered by [`Response::Pushed`].
    #[serde(borrow)]
    Push(Push<'a>),
    /// Take this fork proof. Answered by [`Response::PushedFork`].
    PushFork {
        /// The log.
        log: LogId,
        /// The proof, as [`ForkProof::encode`](crate::head::ForkProof::encode) writes it.
        proof: &'a [u8],
    },
}

/// A question for a node's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatusRequest {
    /// Who asks. Not authenticated: it only binds the answer's signature to this asker.
    pub asker: LogId,
    /// Makes the answer fresh.
    pub nonce: Nonce,
    /// The asker's digest over all logs it follows.
    pub digest: Hash,
    /// The answerer's digest when the two last compared everything, if the asker's digest is still what
    /// it was then and nothing found then is pending.
    pub compared: Option<Hash>,
    /// Entries wanted are those after this log id; all, where there is none.
    pub after: Option<LogId>,
    /// The largest answer taken.
    pub limit: u32,
}

/// Records with the signed head they lead to: a *batch*. Can be judged by anybody who holds the first
/// `start` records' hashes, whatever was asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch<'a> {
    /// The log.
    pub log: LogId,
    /// Index of the first record.
    #[serde(with = "codec::size")]
    pub start: u64,
    /// A signed head at or beyond the end of the records.
    pub head: SignedHead,
    /// The consistency proof from the end of the records to the head; empty where they end there, or
    /// where there are no records at all.
    #[serde(borrow)]
    pub proof: Proof<'a>,
    /// The records, framed. Last, so that a store can write them in place.
    pub records: &'a [u8],
}

/// A head of a log and records that lead to it, sent without having been asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push<'a> {
    /// Who pushes. Not authenticated: a hint on whom to ask for more.
    pub from: LogId,
    /// Makes the answer fresh.
    pub nonce: Nonce,
    /// What is pushed; without records it is the offer of a head.
    #[serde(borrow)]
    pub batch: Batch<'a>,
}

/// Hashes of a proof, as they travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Proof<'a>(&'a [[u8; Hash::LEN]]);

impl<'a> Proof<'a> {
    /// The proof with these hashes; `None` where there are more than [`MAX_PROOF`].
    pub fn new(hashes: &'a [[u8; Hash::LEN]]) -> Option<Self> {
        (hashes.len() <= MAX_PROOF).then_some(Self(hashes))
    }

    /// The hashes.
    pub const fn hashes(&self) -> &'a [[u8; Hash::LEN]] {
        self.0
    }
}

/// What a node answers, made by [`Node::respond`](crate::Node::respond). Not to be believed before it is judged:
/// by [`Node::handle`](crate::Node::handle), or, by whoever asks without a node, like this:
///
/// ```
/// use verisoo::store::MemoryStore;
/// use verisoo::log::verify_consistency;
/// use verisoo::wire::{Frame, MIN_MESSAGE, Message, Request, RequestId, Response};
/// use verisoo::{Config, Identity, Instant, Node};
///
/// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
/// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
/// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
/// # let mut buf = [0; 4_608];
/// // A monitor knows the log's key, and its head of last week.
/// let (log, vkey) = (node.id(), *node.vkey());
/// node.append(&mut store, b"last week")?;
/// let known = node.publish(&mut store)?;
/// node.append(&mut store, b"since then")?;
/// node.publish(&mut store)?;
///
/// // It asks any node that has the log to prove that the log of today goes on from there.
/// let request = Request::Proof { log, size: known.size, limit: MIN_MESSAGE };
/// let bytes = node.respond(now, &mut store, RequestId::new(1), &request, &mut buf).unwrap();
/// let Message::Response(Response::Proof(answer)) = Frame::decode(bytes)?.message else { panic!("refused") };
/// answer.head.verify(&vkey)?;
/// let head = answer.head.head;
/// verify_consistency(known.size, &known.root, head.size, &head.root, answer.proof.hashes())?;
/// assert_eq!(head.size, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Response<'a> {
    /// A signed [`StatusBody`].
    #[serde(borrow)]
    Status(Signed<'a>),
    /// The answerer's head and how the size asked about leads to it.
    Proof(ProofAnswer<'a>),
    /// As many of the records asked for as fit.
    Records(Batch<'a>),
    /// The key of a log.
    Key {
        /// The log.
        log: LogId,
        /// The key name.
        name: &'a str,
        /// The public key.
        #[serde(with = "codec::key")]
        key: [u8; 32],
    },
    /// The fork proof of a log.
    Fork {
        /// The log.
        log: LogId,
        /// The proof, as [`ForkProof::encode`](crate::head::ForkProof::encode) writes it.
        proof: &'a [u8],
    },
    /// A signed [`PushWord`]: what the answerer has of the log after a push.
    Pushed(Signed<'a>),
    /// The fork proof is known.
    PushedFork {
        /// The log.
        log: LogId,
    },
    /// The answerer cannot or will not.
    Refused(Refusal),
}

/// A *proof* answer for the size that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofAnswer<'a> {
    /// The log.
    pub log: LogId,
    /// The size asked about.
    #[serde(with = "codec::size")]
    pub size: u64,
    /// The answerer's root at `size`.
    pub root: Hash,
    /// The answerer's signed head.
    pub head: SignedHead,
    /// The consistency proof from `size` to the head; empty where `size` is 0 or the head's.
    #[serde(borrow)]
    pub proof: Proof<'a>,
}

/// Why a request is not answered with what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The answerer does not follow this log.
    Unknown,
    /// The answerer does not hold that much of the log, or no fork proof of it.
    NotHeld,
    /// The answerer dropped the records before `first`.
    Dropped {
        /// The first record still held.
        #[serde(with = "codec::size")]
        first: u64,
    },
    /// Not now: the store is not ready, or full.
    Busy,
    /// The next record does not fit the largest answer the asker takes.
    TooLong {
        /// Index of that record.
        #[serde(with = "codec::size")]
        index: u64,
    },
    /// What was pushed does not verify.
    Invalid,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such log is followed here"),
            Self::NotHeld => f.write_str("not held here"),
            Self::Dropped { first } => write!(f, "records before {first} were dropped here"),
            Self::Busy => f.write_str("busy, try again later"),
            Self::TooLong { index } => write!(f, "record {index} does not fit the answer's limit"),
            Self::Invalid => f.write_str("what was pushed does not verify"),
        }
    }
}

/// Bytes are not a frame of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is no byte at all, or the first is not [`VERSION`].
    Version,
    /// Not a message, or one with a value out of range: a size beyond 2^62, a proof of more than 63 hashes.
    Malformed,
    /// A message, but not in its one canonical encoding, or with bytes behind it.
    NotCanonical,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "not a frame of this version",
            Self::Malformed => "malformed message",
            Self::NotCanonical => "message is not canonically encoded",
        })
    }
}

impl core::error::Error for DecodeError {}

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
            Some((&VERSION, rest)) => read::decode(rest),
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

impl Request<'_> {
    /// The log the request is about; `None` for a status.
    pub fn log(&self) -> Option<LogId> {
        match self {
            Self::Status(_) => None,
            Self::Proof { log, .. }
            | Self::Records { log, .. }
            | Self::Key { log }
            | Self::Fork { log }
            | Self::PushFork { log, .. } => Some(*log),
            Self::Push(push) => Some(push.batch.log),
        }
    }
}
