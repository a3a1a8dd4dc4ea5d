//! What the application is told, what a peer can be at fault for, and how pushes and on-demand syncs end.

use core::fmt;

use super::peer::PeerId;
use crate::head::Head;
use crate::key::LogId;
use crate::store::StoreError;

/// Something the application should know. Notices are derived from state: of two about the same thing,
/// the later replaces the earlier if that was not polled yet. They come out of
/// [`Node::poll`](crate::Node::poll) as [`Command::Notify`](crate::Command::Notify), and are not kept over a restart.
///
/// ```
/// use verisoo::Notice;
///
/// /// Whether somebody is to be called at night.
/// fn is_alarming(notice: &Notice) -> bool {
///     match notice {
///         // Somebody signed two histories, with another's key or with our own.
///         Notice::ForkDetected { .. } | Notice::WritingStopped => true,
///         Notice::LogDamaged { .. } | Notice::PeerAtFault { .. } => true,
///         // What mends itself, and what later versions may add.
///         _ => false,
///     }
/// }
/// assert!(is_alarming(&Notice::WritingStopped));
/// assert!(!is_alarming(&Notice::Recovered { size: 7 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// One log's part of an on-demand sync has ended; see [`Node::sync_now`](crate::Node::sync_now).
    Synced(SyncReport),
    /// An on-demand sync with a peer has ended: everything it listed was compared and what differed was
    /// reported, or `error` says why not.
    SyncEnded {
        /// With whom.
        peer: PeerId,
        /// Logs that were behind the peer's, each reported by [`Notice::Synced`].
        logs: u32,
        /// Why the comparison itself failed.
        error: Option<SyncError>,
    },
    /// The node signed a new head of its own log; it is durable.
    Published {
        /// The head.
        head: Head,
    },
    /// A push was answered, or failed.
    Pushed {
        /// To whom.
        peer: PeerId,
        /// Which log.
        log: LogId,
        /// What became of it.
        outcome: PushOutcome,
    },
    /// Three requests of one kind (status, fetch, push) failed in a row: the peer is tried again after a pause
    /// that grows from one to ten intervals, jittered by a quarter.
    PeerUnhealthy {
        /// Who.
        peer: PeerId,
    },
    /// A peer that was unhealthy, or set aside, answered.
    PeerRecovered {
        /// Who.
        peer: PeerId,
    },
    /// A peer did what no correct peer does; it is set aside for about thirty intervals.
    PeerAtFault {
        /// Who.
        peer: PeerId,
        /// What.
        fault: Fault,
    },
    /// A log is proven to have forked; it is frozen. The proof is in the store
    /// ([`Store::fork`](crate::store::Store::fork)), and [`ForkProof`](crate::head::ForkProof) reads it.
    ForkDetected {
        /// Which.
        log: LogId,
    },
    /// There is a head ahead of what is held, and nobody asked provides what leads to it.
    LogStalled {
        /// Which.
        log: LogId,
        /// Records held.
        have: u64,
    },
    /// A record does not fit this node's `max_message`: this copy of the log stops before it.
    RecordTooLong {
        /// Which log.
        log: LogId,
        /// Index of the record.
        index: u64,
    },
    /// A peer's status introduced a log, which is now followed.
    LogIntroduced {
        /// Which.
        log: LogId,
        /// By whom.
        by: PeerId,
    },
    /// A peer introduces more than its quota of logs or bytes; follow by hand what matters.
    QuotaFull {
        /// Whose.
        peer: PeerId,
    },
    /// The node has taken its own log back and writes again.
    Recovered {
        /// Records in its own log.
        size: u64,
    },
    /// A head of the node's own log was met that it did not sign: it writes no more, for good, also after a
    /// restart with this store.
    WritingStopped,
    /// What the store holds of a log does not fit its heads: it is not served any more.
    LogDamaged {
        /// Which.
        log: LogId,
    },
    /// The store failed; what was to be done is tried again later.
    StoreFailed {
        /// How.
        error: StoreError,
    },
}

/// What an on-demand sync did for one log. For an example, see [`Node::sync_now`](crate::Node::sync_now).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SyncReport {
    /// With whom.
    pub peer: PeerId,
    /// Which log.
    pub log: LogId,
    /// Records that this peer sent and that were appended.
    pub received: u64,
    /// Records held when the difference was found.
    pub before: u64,
    /// Records held at the end.
    pub after: u64,
    /// Records the peer said it holds.
    pub theirs: u64,
    /// Why not all of them were taken; `None` where they were.
    pub error: Option<SyncError>,
}

/// Why an on-demand sync did not bring what the peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncError {
    /// No answer, or a refusal.
    Failed,
    /// The peer answered falsely.
    AtFault,
    /// The log has forked and is frozen.
    Forked,
    /// A record does not fit this node's `max_message`.
    RecordTooLong,
    /// The peer that introduced the log has used up its quota.
    Quota,
    /// The store has no room, or failed.
    Store,
    /// The peer, or the log, was removed meanwhile.
    Removed,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PushOutcome {
    /// The peer's signed word: it holds so many records.
    Accepted {
        /// Records the peer holds.
        have: u64,
    },
    /// The peer does not follow the log, or could not take it.
    Refused,
    /// No answer.
    Failed,
}

/// What a peer did that no correct peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It signed a status, or a word on a push, that is malformed.
    Malformed,
    /// It answered with a head that its log's key did not sign.
    HeadSignature,
    /// It answered with a proof that does not lead to the head it came with.
    FalseProof,
    /// It answered with records that do not belong to the log.
    FalseRecords,
    /// It answered with a key that does not have the id asked for, or cannot be a key.
    FalseKey,
    /// It answered with a fork proof that proves nothing.
    FalseForkProof,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "signed a malformed answer",
            Self::HeadSignature => "answered with a head the log's key did not sign",
            Self::FalseProof => "answered with a false proof",
            Self::FalseRecords => "answered with records that are not the log's",
            Self::FalseKey => "answered with a false key",
            Self::FalseForkProof => "answered with a fork proof that proves nothing",
        })
    }
}
