//! What a node wants done: a request to a peer, with what is asked, or a notice. Small values without bytes: those are
//! written when a command is carried out.

use super::notice::Notice;
use super::peer::PeerId;
use crate::key::LogId;
use crate::wire::RequestId;

/// Something to do, from [`Node::poll`](crate::Node::poll). Small and `Copy`; what it carries on the wire
/// is written by [`Node::encode`](crate::Node::encode). All but [`Command::Notify`] are requests, each with an
/// id and a deadline: a driver that drops one loses nothing but time.
///
/// The crate's front page carries commands out; [`Node::poll`](crate::Node::poll) and
/// [`Node::handle`](crate::Node::handle) show single ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Command {
    /// Ask a peer for something, or push something to it.
    Ask {
        /// Whom.
        peer: PeerId,
        /// The request's id.
        request: RequestId,
        /// For what.
        ask: Ask,
    },
    /// Tell the application.
    Notify(Notice),
}

impl Command {
    /// Whom a request goes to, and its id; `None` for a notice.
    pub fn request(&self) -> Option<(PeerId, RequestId)> {
        match *self {
            Self::Ask { peer, request, .. } => Some((peer, request)),
            Self::Notify(_) => None,
        }
    }
}

/// What is asked of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ask {
    /// What it has.
    Status,
    /// To prove its root at `size`.
    Proof {
        /// The log.
        log: LogId,
        /// The size.
        size: u64,
    },
    /// Records `start..start + count`, or as many of them as fit.
    Records {
        /// The log.
        log: LogId,
        /// Index of the first record.
        start: u64,
        /// How many at most.
        count: u64,
    },
    /// The key of a log that it introduced.
    Key {
        /// The log.
        log: LogId,
    },
    /// The fork proof of a log.
    Fork {
        /// The log.
        log: LogId,
    },
    /// To take the newest head of a log, with the records from `start` that fit; `start` is at most the head's size,
    /// and there it is the offer of a head, without records.
    Push {
        /// The log.
        log: LogId,
        /// Index of the first record.
        start: u64,
    },
    /// To take the fork proof of a log.
    PushFork {
        /// The log.
        log: LogId,
    },
}

impl Ask {
    /// The log it is about.
    pub fn log(&self) -> Option<LogId> {
        match *self {
            Self::Status => None,
            Self::Proof { log, .. }
            | Self::Records { log, .. }
            | Self::Key { log }
            | Self::Fork { log }
            | Self::Push { log, .. }
            | Self::PushFork { log } => Some(log),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Status => Kind::Status,
            Self::Proof { .. } | Self::Records { .. } | Self::Key { .. } | Self::Fork { .. } => Kind::Fetch,
            Self::Push { .. } | Self::PushFork { .. } => Kind::Push,
        }
    }
}

/// The kinds of request whose failures are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Status,
    Fetch,
    Push,
}
