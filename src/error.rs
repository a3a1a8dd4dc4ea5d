//! What a call to a node can fail with: the caller's misuse, or the store. Never a peer's doing: what
//! peers do wrong is state, and surfaces as a [`Notice`](crate::Notice).

use core::fmt;

use crate::store::StoreError;

/// Why a call was refused. Node and store are as they were before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// There is no such peer (any more).
    UnknownPeer,
    /// This log is not followed.
    UnknownLog,
    /// The table of peers is full, or [`Config::max_peers`](crate::Config) is reached.
    TooManyPeers,
    /// The table of logs is full, or [`Config::max_logs`](crate::Config) is reached.
    TooManyLogs,
    /// A node cannot be its own peer, nor stop following its own log.
    OwnKey,
    /// The record is longer than 65,535 bytes, or than a message of
    /// [`Config::max_message`](crate::Config) can carry.
    RecordTooLong,
    /// The log has 2^62 records.
    LogFull,
    /// The node is taking its own log back from its peers and must not write yet.
    Recovering,
    /// The node's own key has signed a head that this node did not: another instance writes, or wrote,
    /// with it. Writing has ended for good.
    Stopped,
    /// The store does not hold what it was given: it does not lead from the last head this node signed to
    /// what it says now. Nothing more is signed; see [`Notice::LogDamaged`](crate::Notice).
    Damaged,
    /// The store holds this node's own log already: it has to be opened, not begun anew.
    LogExists,
    /// The buffer is shorter than the message.
    BufferTooSmall,
    /// The store failed, or is not ready: with [`StoreError::NotReady`] the same call succeeds later.
    Store(StoreError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPeer => "no such peer",
            Self::UnknownLog => "this log is not followed",
            Self::TooManyPeers => "no room for another peer",
            Self::TooManyLogs => "no room for another log",
            Self::OwnKey => "that is this node's own key",
            Self::RecordTooLong => "the record is too long",
            Self::LogFull => "the log has 2^62 records",
            Self::Recovering => "the node is taking its own log back from its peers and must not write yet",
            Self::Stopped => "the node's key has signed elsewhere: it writes no more",
            Self::Damaged => "the store does not hold what was signed: nothing more is",
            Self::LogExists => "the store holds this node's log already: open it",
            Self::BufferTooSmall => "the buffer is too small for the message",
            Self::Store(error) => return write!(f, "store: {error}"),
        })
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
