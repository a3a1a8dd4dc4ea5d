//! Requests under way: one table, each with its deadline. An answer that fits none of them is ignored.

use crate::peer::{Kind, PeerId};
use crate::wire::RequestId;
use crate::{Instant, LogId};

/// A request under way. Public only for the [`Tables`](crate::Tables) trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outstanding {
    pub(crate) id: RequestId,
    pub(crate) peer: PeerId,
    pub(crate) asked_at: Instant,
    pub(crate) deadline: Instant,
    pub(crate) asked: Asked,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    Status,
    Proof { log: LogId, size: u64 },
    Records { log: LogId, start: u64, count: u64 },
    Key { log: LogId },
    Fork { log: LogId },
    Push { log: LogId, start: u64 },
    PushFork { log: LogId },
}

impl Asked {
    /// The log it is about.
    pub(crate) fn log(&self) -> Option<LogId> {
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
