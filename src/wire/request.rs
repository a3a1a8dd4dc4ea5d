//! What nodes ask of each other, and what they push. Who asks is not authenticated: it binds the answer to its asker,
//! and is no reason to believe him.

use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::fields;
use crate::key::LogId;
use crate::log::Hash;

/// What a node asks of another. [`Node::encode`](crate::Node::encode) makes them of commands, and
/// [`Node::respond`](crate::Node::respond) answers them; its example asks by hand.
///
/// `limit` is the largest answer the asker takes, in bytes of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request<'a> {
    /// What do you have? Answered by [`Response::Status`](super::Response::Status).
    Status(StatusRequest),
    /// Prove that the first `size` records of `log` lead to your signed head. Answered by
    /// [`Response::Proof`](super::Response::Proof). A `size` of 0 asks for the head alone.
    Proof {
        /// The log.
        log: LogId,
        /// The size to prove from.
        #[serde(with = "fields::size")]
        size: u64,
        /// The largest answer taken.
        limit: u32,
    },
    /// Send records. Answered by [`Response::Records`](super::Response::Records).
    Records {
        /// The log.
        log: LogId,
        /// Index of the first record wanted.
        #[serde(with = "fields::size")]
        start: u64,
        /// How many are wanted at most.
        count: u64,
        /// The largest answer taken.
        limit: u32,
    },
    /// Which key does this log id stand for? Answered by [`Response::Key`](super::Response::Key).
    Key {
        /// The log.
        log: LogId,
    },
    /// Send the fork proof of this log. Answered by [`Response::Fork`](super::Response::Fork).
    Fork {
        /// The log.
        log: LogId,
    },
    /// Take this head, and these records. Answered by [`Response::Pushed`](super::Response::Pushed).
    #[serde(borrow)]
    Push(Push<'a>),
    /// Take this fork proof. Answered by [`Response::PushedFork`](super::Response::PushedFork).
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

/// 16 bytes that only the asker could have chosen: they make a signed answer fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nonce(pub [u8; 16]);
