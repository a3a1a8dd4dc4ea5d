//! The rules that nothing may break, and what is said of one that was broken: which, when, on which node, and, for
//! people, how.

use alloc::string::String;

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Invariant {
    /// A replica is not a prefix of what its writer appended, or its root is not that of its records.
    Replica,
    /// A head was accepted that the log's key did not sign.
    Signature,
    /// What a node holds became less without a restart.
    Shrunk,
    /// Something left a node that its disk could still lose, or was lost though it had left.
    Durability,
    /// An honest node showed a head of an honest log that is none of its history.
    TwoHistories,
    /// An honest writer, or an honest peer, was accused.
    FalseAccusation,
    /// A fork proof was kept that does not verify by itself.
    ForkProof,
    /// A node found its disk damaged, and noted that of no log: it is served on, and nobody is told which it is.
    Damage,
    /// A frozen log changed.
    Frozen,
    /// What must hold of a node between calls does not ([`Node::invariants`](crate::Node::invariants)). Looked for in
    /// builds with debug assertions.
    State,
    /// A table, a message or an answer grew beyond its bound.
    Bound,
    /// A node wanted something done without end, or woke up without end.
    Polling,
    /// A nonce was used twice: an answer to an earlier question could pass for one to a later.
    Nonce,
    /// An adversary's act did not have the outcome it must have.
    Outcome,
    /// After the faults ended, honest nodes did not converge within the bound.
    Liveness,
    /// Nodes that had converged did not fall silent.
    IdleTraffic,
}

/// What happened that must not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Violation {
    /// Which rule.
    pub invariant: Invariant,
    /// When, in microseconds of simulated time.
    pub at: u64,
    /// On which node.
    pub node: u32,
    /// What exactly, for people.
    pub what: String,
}

/// A rule that was broken, and how.
pub(in crate::sim) type Broken = (Invariant, String);
