//! What must come of a message that an adversary tampered with, and whether it did: somebody is at fault, nothing
//! is taken, or nobody is to blame. Judged by what the node that took it shows before and after.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::head::Head;
use crate::key::{LogId, Scheme};
use crate::node::Node;
use crate::state::Heap;
use crate::wire::Response;
use crate::words::{Fault, Health, PeerId};

/// What must come of a message that was tampered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Outcome {
    /// It is no frame.
    NoFrame,
    /// Where the transport proves who answered, the answerer is at fault.
    Fault(Fault),
    /// The answerer signed it: it is at fault whatever the transport.
    SignedFault(Fault),
    /// The same as [`Outcome::Fault`], if the records are the next that the node wants.
    FaultOfNext(Fault),
    /// Nothing is taken from it: no records, no head, no acknowledgement.
    NotTaken,
    /// It is unusual but not false: nobody is at fault.
    Blameless,
    /// What is false in it may never be looked at: the invariants say what must not come of it.
    Unjudged,
}

/// An outcome that is awaited of a node as it stands.
pub(in crate::sim) struct Awaited {
    outcome: Outcome,
    fault: Option<Fault>,
    before: Vec<(LogId, u64, Head)>,
    acknowledged: Option<u64>,
    was_at_fault: bool,
}

impl Outcome {
    /// What is to come of `response`, given how the node stands before it handles it.
    pub(in crate::sim) fn awaited<S: Scheme>(
        self,
        node: &Node<Heap<S>>,
        peer: PeerId,
        is_authenticated: bool,
        response: &Response<'_>,
    ) -> Awaited {
        let info = match response {
            Response::Records(batch) => node.log(&batch.log),
            Response::Proof(answer) => node.log(&answer.log),
            Response::Fork { log, .. } => node.log(log),
            _ => None,
        };
        let is_open = info.is_none_or(|info| !info.is_forked && !info.is_damaged);
        let is_next = match response {
            Response::Records(batch) => info.is_some_and(|info| info.have == batch.start),
            _ => true,
        };
        let fault = match self {
            Self::SignedFault(fault) => Some(fault),
            Self::Fault(fault) => (is_authenticated && is_open).then_some(fault),
            Self::FaultOfNext(fault) => (is_authenticated && is_open && is_next).then_some(fault),
            Self::NoFrame | Self::NotTaken | Self::Blameless | Self::Unjudged => None,
        };
        // Of records that are held already, nothing is looked at, and what follows them may be true.
        let is_partly_held =
            matches!(response, Response::Records(batch) if info.is_some_and(|info| info.have > batch.start));
        let outcome = if self == Self::NotTaken && is_partly_held { Self::Unjudged } else { self };
        let before = if outcome == Self::NotTaken { holdings(node) } else { Vec::new() };
        let (acknowledged, was_at_fault) = belief(node, peer);
        Awaited { outcome, fault, before, acknowledged, was_at_fault }
    }
}

impl Awaited {
    /// Whether that came of it; what came instead, for people.
    pub(in crate::sim) fn judge<S: Scheme>(
        &self,
        node: &Node<Heap<S>>,
        peer: PeerId,
        response: &Response<'_>,
    ) -> Result<(), String> {
        let health = node.peer(peer).map(|peer| peer.health);
        if let Some(fault) = self.fault
            && health != Some(Health::AtFault(fault))
            && !has_forked(node, response)
            && !is_convicted(health, response)
        {
            return Err(format!("{:?} went unpunished: {health:?} instead of {fault:?}", self.outcome));
        }
        let (acknowledged, is_at_fault) = belief(node, peer);
        match self.outcome {
            Outcome::NotTaken if holdings(node) != self.before || acknowledged != self.acknowledged => {
                Err(format!("took something from {response:?}"))
            }
            Outcome::Blameless if is_at_fault && !self.was_at_fault && !is_convicted(health, response) => {
                Err(format!("accused a peer of what is not false: {health:?}"))
            }
            _ => Ok(()),
        }
    }
}

fn holdings<S: Scheme>(node: &Node<Heap<S>>) -> Vec<(LogId, u64, Head)> {
    node.logs().map(|info| (info.log, info.have, info.complete)).collect()
}

fn belief<S: Scheme>(node: &Node<Heap<S>>, peer: PeerId) -> (Option<u64>, bool) {
    node.peer(peer).map_or((None, false), |peer| (peer.acknowledged, matches!(peer.health, Health::AtFault(_))))
}

/// Whether a proof has just decided that records which its sender sent before were false: whatever is wrong
/// with the proof, or nothing, that is what he is at fault for.
fn is_convicted(health: Option<Health>, response: &Response<'_>) -> bool {
    matches!(response, Response::Proof(_)) && health == Some(Health::AtFault(Fault::FalseRecords))
}

/// Whether the head that came with records has just proven that their log is forked: then the records are
/// dropped unread, false or not.
fn has_forked<S: Scheme>(node: &Node<Heap<S>>, response: &Response<'_>) -> bool {
    matches!(response, Response::Records(batch) if node.log(&batch.log).is_some_and(|info| info.is_forked))
}
