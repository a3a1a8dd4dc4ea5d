//! What nodes answer. An answer is judged by its content, whoever sent it; what only its sender could know is signed
//! by him (see [`Signed`]).

use core::fmt;

use serde::{Deserialize, Serialize};

use super::batch::{Batch, Proof};
use super::fields;
use super::status::Signed;
use crate::head::SignedHead;
use crate::key::LogId;
use crate::log::Hash;

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
    /// A signed [`StatusBody`](super::StatusBody).
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
        #[serde(with = "fields::key")]
        key: [u8; 32],
    },
    /// The fork proof of a log.
    Fork {
        /// The log.
        log: LogId,
        /// The proof, as [`ForkProof::encode`](crate::head::ForkProof::encode) writes it.
        proof: &'a [u8],
    },
    /// A signed [`PushWord`](super::PushWord): what the answerer has of the log after a push.
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
    #[serde(with = "fields::size")]
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
        #[serde(with = "fields::size")]
        first: u64,
    },
    /// Not now: the store is not ready, or full.
    Busy,
    /// The next record does not fit the largest answer the asker takes.
    TooLong {
        /// Index of that record.
        #[serde(with = "fields::size")]
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
