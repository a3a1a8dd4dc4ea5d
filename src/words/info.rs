//! What can be asked of a node: about its peers, its logs, and its recovery.

use core::time::Duration;

use super::notice::Fault;
use super::peer::PeerId;
use crate::head::Head;
use crate::key::LogId;
use crate::store::Origin;

/// What can be asked about a peer, with [`Node::peer`](crate::Node::peer) and
/// [`Node::peers`](crate::Node::peers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The handle.
    pub id: PeerId,
    /// The id of its key, which is that of the log it writes.
    pub node: LogId,
    /// Its transport proves that it is the peer that answers.
    pub is_authenticated: bool,
    /// Whether it is asked.
    pub health: Health,
    /// How long it is given to answer now: one to eight times [`Config::timeout`](crate::Config::timeout).
    pub timeout: Duration,
    /// Records of this node's own log it holds, by its own signed word; `None` before it said so.
    pub acknowledged: Option<u64>,
    /// While this node recovers: the peer has said what it knows of its log.
    pub has_answered: bool,
}

/// Whether a peer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It is asked in the rounds.
    Healthy,
    /// Three requests of one kind in a row failed: it is tried again after a pause that grows from one to ten
    /// intervals, jittered by a quarter.
    Unhealthy,
    /// It did what no correct peer does: it is set aside for about thirty intervals, then tried again.
    AtFault(Fault),
}

/// What can be asked about a followed log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LogInfo {
    /// The log.
    pub log: LogId,
    /// How it came to be followed.
    pub origin: Origin,
    /// The signed head all of whose records are held; [`Head::EMPTY`] where there is none.
    pub complete: Head,
    /// Records held, from the start of the log (those included that the store has dropped since).
    pub have: u64,
    /// Bytes of framed records held: each record's own, and 2 in front of it.
    pub bytes: u64,
    /// A fork proof is held: the log is frozen.
    pub is_forked: bool,
    /// What the store holds does not fit the log's heads: it is not served.
    pub is_damaged: bool,
    /// Nobody asked provides what leads to a head ahead.
    pub is_stalled: bool,
}

/// What a recovering node waits for: that `answered` reaches `needed`, and `have` reaches `signed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RecoveryInfo {
    /// Records of its own log it has back.
    pub have: u64,
    /// Size of the largest head known that its key signed. Where no peer holds the records up to there, the
    /// log cannot be continued: it would be signing a second history.
    pub signed: u64,
    /// Peers that have said what they know of the log.
    pub answered: usize,
    /// Peers that must have said so.
    pub needed: usize,
}
