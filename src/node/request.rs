//! Requests under way: one table, each with its deadline. An answer that fits none of them is ignored.

use super::command::Fault;
use super::view::ViewTable;
use super::{Event, Node, PushOutcome, SyncError};
use crate::peer::{Kind, PeerId};
use crate::store::StoreError;
use crate::tables::{List, Tables};
use crate::wire::{Nonce, RequestId};
use crate::{Hash, Instant, LogId};

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

impl<T: Tables> Node<T> {
    pub(super) fn nonce(&self, request: RequestId) -> Nonce {
        let number = if cfg!(verisoo_bug = "stale-answer-accepted") { 0 } else { request.get() };
        let hash = Hash::of(&[b"verisoo/nonce", self.secret.0.as_bytes(), &number.to_le_bytes()]);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&hash.as_bytes()[..16]);
        Nonce(nonce)
    }

    /// Opens a request; `None` where as many are outstanding as may be.
    pub(super) fn ask(&mut self, peer: PeerId, asked: Asked) -> Option<RequestId> {
        let limit = self.config.max_requests.min(self.requests.capacity_limit());
        if self.requests.as_slice().len() >= limit {
            return None;
        }
        let id = RequestId::new(self.next_request);
        let asked_at = self.clock.now;
        let deadline = asked_at + self.peer_ref(peer)?.timeout(&self.config);
        self.requests.push(Outstanding { id, peer, asked_at, deadline, asked }).ok()?;
        self.next_request += 1;
        Some(id)
    }

    /// The request that an answer is to, and its place in the table.
    pub(super) fn outstanding(&self, peer: PeerId, request: RequestId) -> Option<(usize, Asked)> {
        let mut requests = self.requests.as_slice().iter();
        let at = requests.position(|outstanding| outstanding.id == request && outstanding.peer == peer)?;
        self.requests.as_slice().get(at).map(|outstanding| (at, outstanding.asked))
    }

    pub(super) fn is_outstanding(&self, matches: impl Fn(&Outstanding) -> bool) -> bool {
        self.requests.as_slice().iter().any(matches)
    }

    pub(super) fn drop_requests(&mut self, drop: impl Fn(&Outstanding) -> bool) {
        while let Some(at) = self.requests.as_slice().iter().position(&drop) {
            self.requests.remove(at);
        }
    }

    /// Closes a request that was answered.
    pub(super) fn answered(&mut self, at: usize, kind: Kind) {
        let peer = self.requests.remove(at).peer;
        if let Some(peer) = self.peer_mut(peer) {
            peer.succeeded(kind);
        }
    }

    /// Closes a request that failed.
    pub(super) fn fail(&mut self, at: usize, error: SyncError) {
        let request = self.requests.remove(at);
        let now = self.clock.now;
        if let Some(at) = self.peer_index(request.peer)
            && let Some(peer) = self.peers.as_mut_slice().get_mut(at)
        {
            peer.failed(request.asked.kind(), request.asked_at, now, &self.config, &mut self.rng);
        }
        self.request_failed(&request, error);
    }

    /// Closes a request that was answered falsely: the peer's fault where its transport, or its
    /// signature, says that it was the peer; a failure otherwise.
    pub(super) fn fault(&mut self, at: usize, fault: Fault, is_signed: bool) {
        let Some(peer) = self.requests.as_slice().get(at).map(|request| request.peer) else { return };
        if !is_signed && !self.peer_ref(peer).is_some_and(|peer| peer.is_authenticated) {
            return self.fail(at, SyncError::Failed);
        }
        let request = self.requests.remove(at);
        self.accuse(peer, fault);
        self.request_failed(&request, SyncError::AtFault);
    }

    /// A peer did, under its own signature, what no correct peer does.
    pub(super) fn accuse(&mut self, peer: PeerId, fault: Fault) {
        let now = self.clock.now;
        if let Some(at) = self.peer_index(peer)
            && let Some(peer) = self.peers.as_mut_slice().get_mut(at)
        {
            peer.set_aside(fault, now, &self.config, &mut self.rng);
        }
    }

    /// What a failed request means for what it was about.
    pub(super) fn request_failed(&mut self, request: &Outstanding, error: SyncError) {
        match request.asked {
            Asked::Status => self.status_failed(request.peer, error),
            Asked::Push { log, .. } | Asked::PushFork { log } => {
                let outcome = if error == SyncError::Failed { PushOutcome::Failed } else { PushOutcome::Refused };
                self.push_ended(request.peer, log, outcome);
            }
            Asked::Proof { log, .. } | Asked::Records { log, .. } | Asked::Key { log } | Asked::Fork { log } => {
                self.fetch_failed(request.peer, &log, error);
            }
        }
    }

    pub(super) fn expire_requests(&mut self) {
        if cfg!(verisoo_bug = "deadlines-never-pass") {
            return;
        }
        let now = self.clock.now;
        while let Some(at) = self.requests.as_slice().iter().position(|request| request.deadline <= now) {
            let peer = self.requests.as_slice().get(at).map(|request| request.peer);
            if let Some(peer) = peer.and_then(|peer| self.peer_mut(peer)) {
                peer.was_slow();
            }
            self.fail(at, SyncError::Failed);
        }
    }

    /// Our own store failed while an answer was judged: the request is over, and nobody is to blame.
    pub(super) fn failed_here(&mut self, event: &Event<'_>, error: StoreError) {
        self.cache.idle_until = None;
        self.notes.store = Some(error);
        let Some((at, asked)) = event.request().and_then(|(peer, request)| self.outstanding(peer, request)) else {
            return;
        };
        let peer = self.requests.remove(at).peer;
        let until = self.clock.now + self.config.interval;
        match asked.log() {
            None => self.status_failed(peer, SyncError::Store),
            Some(log) => {
                if let Some(view) = self.views.of_mut(&log, peer) {
                    view.retry_at = until;
                    view.end_sync(Some(SyncError::Store));
                }
                if let Some(replica) = self.replicas.find_mut(&log) {
                    replica.blocked_until = until;
                }
            }
        }
    }
}
