//! Requests under way: one table, each with its deadline. An answer that fits none of them is ignored.

use super::command::{Ask, Fault};
use super::view::ViewTable;
use super::{Command, Event, Node, PushOutcome, SyncError};
use crate::peer::PeerId;
use crate::store::StoreError;
use crate::tables::{List, Tables};
use crate::wire::{Nonce, RequestId};
use crate::{Hash, Instant};

/// A request under way. Public only for the [`Tables`](crate::Tables) trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outstanding {
    pub(crate) id: RequestId,
    pub(crate) peer: PeerId,
    pub(crate) asked_at: Instant,
    pub(crate) deadline: Instant,
    pub(crate) ask: Ask,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It did not: what came answers something else.
    None,
    Answered,
    Refused,
    Failed,
    /// It was answered falsely.
    Fault(Fault, Blame),
    /// It was answered, and whether falsely is still to be asked.
    Disputed,
}

/// Whose a false answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The peer's, by its signature.
    Signed,
    /// The peer's where its transport says so.
    Transport,
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
    pub(super) fn ask(&mut self, peer: PeerId, ask: Ask) -> Option<Command> {
        let limit = self.config.max_requests.min(self.requests.capacity_limit());
        if self.requests.len() >= limit {
            return None;
        }
        let request = RequestId::new(self.next_request);
        let asked_at = self.clock.now;
        let deadline = asked_at + self.peer_ref(peer)?.timeout(&self.config);
        self.requests.push(Outstanding { id: request, peer, asked_at, deadline, ask }).ok()?;
        self.next_request += 1;
        Some(Command::Ask { peer, request, ask })
    }

    /// The request that an answer is to, and its place in the table.
    pub(super) fn outstanding(&self, peer: PeerId, request: RequestId) -> Option<(usize, Ask)> {
        let mut requests = self.requests.iter();
        let at = requests.position(|outstanding| outstanding.id == request && outstanding.peer == peer)?;
        self.requests.get(at).map(|outstanding| (at, outstanding.ask))
    }

    pub(super) fn is_outstanding(&self, matches: impl Fn(&Outstanding) -> bool) -> bool {
        self.requests.iter().any(matches)
    }

    pub(super) fn drop_requests(&mut self, drop: impl Fn(&Outstanding) -> bool) {
        while let Some(at) = self.requests.iter().position(&drop) {
            self.requests.remove(at);
        }
    }

    /// Closes a request. A false answer is the peer's fault where its transport, or its signature, says that it
    /// was the peer; a failure otherwise.
    pub(super) fn end(&mut self, at: usize, ending: Ending) {
        if ending == Ending::None {
            return;
        }
        let request = self.requests.remove(at);
        let (id, kind, now) = (request.peer, request.ask.kind(), self.clock.now);
        let Some(at) = self.peer_index(id) else { return };
        let Some(peer) = self.peers.get_mut(at) else { return };
        match ending {
            Ending::None | Ending::Disputed => {}
            Ending::Answered => peer.succeeded(kind),
            Ending::Refused => {
                // Whatever it says of the request, the peer is well: it answered.
                peer.succeeded(kind);
                self.request_failed(&request, SyncError::Failed, PushOutcome::Refused);
            }
            Ending::Fault(fault, blame) if blame == Blame::Signed || peer.is_authenticated => {
                peer.set_aside(fault, now, &self.config, &mut self.rng);
                self.request_failed(&request, SyncError::AtFault, PushOutcome::Refused);
            }
            Ending::Failed | Ending::Fault(..) => {
                peer.failed(kind, request.asked_at, now, &self.config, &mut self.rng);
                self.request_failed(&request, SyncError::Failed, PushOutcome::Failed);
            }
        }
    }

    /// A peer did, under its own signature, what no correct peer does.
    pub(super) fn accuse(&mut self, peer: PeerId, fault: Fault) {
        let now = self.clock.now;
        if let Some(at) = self.peer_index(peer)
            && let Some(peer) = self.peers.get_mut(at)
        {
            peer.set_aside(fault, now, &self.config, &mut self.rng);
        }
    }

    /// What a failed request means for what it was about.
    fn request_failed(&mut self, request: &Outstanding, error: SyncError, outcome: PushOutcome) {
        match request.ask {
            Ask::Status => self.status_failed(request.peer, error),
            Ask::Push { log, .. } | Ask::PushFork { log } => self.push_ended(request.peer, log, outcome),
            Ask::Proof { log, .. } | Ask::Records { log, .. } | Ask::Key { log } | Ask::Fork { log } => {
                self.fetch_failed(request.peer, &log, error);
            }
        }
    }

    pub(super) fn expire_requests(&mut self) {
        if cfg!(verisoo_bug = "deadlines-never-pass") {
            return;
        }
        let now = self.clock.now;
        while let Some(at) = self.requests.iter().position(|request| request.deadline <= now) {
            let peer = self.requests.get(at).map(|request| request.peer);
            if let Some(peer) = peer.and_then(|peer| self.peer_mut(peer)) {
                peer.was_slow();
            }
            self.end(at, Ending::Failed);
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
