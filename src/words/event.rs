//! What happens to a node: an answer, in the wire's own words and borrowed from the buffer it came in, or that there
//! will be none. Whether it fits anything that was asked is not known here.

use super::peer::PeerId;
use crate::wire::{RequestId, Response};

/// Something that happened, told to [`Node::handle`](crate::Node::handle).
///
/// Answers name the peer that was asked and the request they answer. One that fits no outstanding
/// request is ignored; nobody is blamed for it. A driver decodes a frame and makes the event with
/// [`Event::Answer`], as on the crate's front page; [`Node::handle`](crate::Node::handle) shows how a failed
/// connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Time has passed: moves the node's clock and does nothing else. [`Node::poll`](crate::Node::poll) does so
    /// too, so that most drivers need it never.
    Tick,
    /// An answer came.
    Answer {
        /// Who answered.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// The answer.
        response: Response<'a>,
    },
    /// There will be no answer: the connection failed, or what came was no frame.
    RequestFailed {
        /// Who was asked.
        peer: PeerId,
        /// Which request.
        request: RequestId,
    },
}

impl Event<'_> {
    /// The peer and the request that the event is about.
    pub(crate) fn request(&self) -> Option<(PeerId, RequestId)> {
        match *self {
            Self::Tick => None,
            Self::Answer { peer, request, .. } | Self::RequestFailed { peer, request } => Some((peer, request)),
        }
    }
}
