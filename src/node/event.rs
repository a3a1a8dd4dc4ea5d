//! What happens to a node.

use crate::wire::{Batch, ProofAnswer, Refusal, RequestId, Response, Signed};
use crate::{LogId, PeerId};

/// Something that happened, told to [`Node::handle`](crate::Node::handle).
///
/// Answers name the peer that was asked and the request they answer. One that fits no outstanding
/// request is ignored; nobody is blamed for it. A driver decodes a frame and makes the event with
/// [`Event::answer`], as on the crate's front page; [`Node::handle`](crate::Node::handle) shows how a failed
/// connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Time has passed: moves the node's clock and does nothing else. [`Node::poll`](crate::Node::poll) does so
    /// too, so that most drivers need it never.
    Tick,
    /// A signed status came.
    PeerStatus {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// The answer.
        status: Signed<'a>,
    },
    /// A consistency proof came.
    ProofReceived {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// The answer.
        answer: ProofAnswer<'a>,
    },
    /// Records came.
    RecordsReceived {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// The answer.
        batch: Batch<'a>,
    },
    /// The key of a log came.
    KeyReceived {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// The log it is about.
        log: LogId,
        /// The key name.
        name: &'a str,
        /// The public key.
        key: [u8; 32],
    },
    /// A fork proof came.
    ForkReceived {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// The log it is about.
        log: LogId,
        /// The encoded proof.
        proof: &'a [u8],
    },
    /// A push was answered with the peer's signed word.
    PushAccepted {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// The answer.
        word: Signed<'a>,
    },
    /// A pushed fork proof was taken.
    ForkAccepted {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// The log it is about.
        log: LogId,
    },
    /// The peer answered that it cannot or will not.
    RequestRefused {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// There will be no answer: the connection failed, or what came was no frame.
    RequestFailed {
        /// Who was asked.
        peer: PeerId,
        /// Which request.
        request: RequestId,
    },
}

impl<'a> Event<'a> {
    /// The peer and the request that the event is about.
    pub(super) fn request(&self) -> Option<(PeerId, RequestId)> {
        match *self {
            Self::Tick => None,
            Self::PeerStatus { peer, request, .. }
            | Self::ProofReceived { peer, request, .. }
            | Self::RecordsReceived { peer, request, .. }
            | Self::KeyReceived { peer, request, .. }
            | Self::ForkReceived { peer, request, .. }
            | Self::PushAccepted { peer, request, .. }
            | Self::ForkAccepted { peer, request, .. }
            | Self::RequestRefused { peer, request, .. }
            | Self::RequestFailed { peer, request } => Some((peer, request)),
        }
    }

    /// The event that `response` is, as `peer`'s answer to `request`.
    pub fn answer(peer: PeerId, request: RequestId, response: Response<'a>) -> Self {
        match response {
            Response::Status(status) => Self::PeerStatus { peer, request, status },
            Response::Proof(answer) => Self::ProofReceived { peer, request, answer },
            Response::Records(batch) => Self::RecordsReceived { peer, request, batch },
            Response::Key { log, name, key } => Self::KeyReceived { peer, request, log, name, key },
            Response::Fork { log, proof } => Self::ForkReceived { peer, request, log, proof },
            Response::Pushed(word) => Self::PushAccepted { peer, request, word },
            Response::PushedFork { log } => Self::ForkAccepted { peer, request, log },
            Response::Refused(refusal) => Self::RequestRefused { peer, request, refusal },
        }
    }
}
