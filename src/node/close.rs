//! How requests end, for whatever reason: what it says of the peer's health, and what it means for what was asked.
//!
//! The one place that closes a request. A false answer is a fault only where a signature or the transport says whose it
//! is; a store of our own that failed is nobody's.

use super::ending::{Blame, Ending};
use super::value::Node;
use crate::state::{Outstanding, Tables, Wake};
use crate::store::StoreError;
use crate::words::{Ask, Event, PushOutcome, SyncError};

impl<T: Tables> Node<T> {
    /// Closes a request. A false answer is the peer's fault where its transport, or its signature, says that it
    /// was the peer; a failure otherwise.
    pub(super) fn end(&mut self, at: usize, ending: Ending) {
        if ending == Ending::None {
            return;
        }
        let request = self.requests.close(at);
        let (id, kind, now) = (request.peer, request.ask.kind(), self.clock.now);
        let Some(peer) = self.peers.find_mut(id) else { return };
        match ending {
            Ending::None | Ending::Disputed => {}
            Ending::Answered => peer.standing.succeeded(kind),
            Ending::Refused => {
                // Whatever it says of the request, the peer is well: it answered.
                peer.standing.succeeded(kind);
                self.request_failed(&request, SyncError::Failed, PushOutcome::Refused);
            }
            Ending::Fault(fault, blame) if blame == Blame::Signed || peer.is_authenticated => {
                peer.standing.set_aside(fault, now, &self.config, &mut self.chance.rng);
                self.request_failed(&request, SyncError::AtFault, PushOutcome::Refused);
            }
            Ending::Failed | Ending::Fault(..) => {
                peer.standing.failed(kind, request.asked_at, now, &self.config, &mut self.chance.rng);
                self.request_failed(&request, SyncError::Failed, PushOutcome::Failed);
            }
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

    /// Our own store failed while an answer was judged: the request is over, and nobody is to blame.
    pub(super) fn failed_here(&mut self, event: &Event<'_>, error: StoreError) {
        self.cache.idle_until = None;
        self.disk.report(error);
        let Some((at, asked)) = event.request().and_then(|(peer, request)| self.requests.find(peer, request)) else {
            return;
        };
        let peer = self.requests.close(at).peer;
        let until = self.clock.now + self.config.interval;
        match asked.log() {
            None => self.status_failed(peer, SyncError::Store),
            Some(log) => {
                if let Some(view) = self.views.of_mut(&log, peer) {
                    view.retry_at = until;
                    view.end_sync(Some(SyncError::Store));
                }
                if let Some(replica) = self.logs.find_mut(&log) {
                    replica.blocked_until = until;
                }
            }
        }
    }

    pub(super) fn expire_requests(&mut self, wake: &mut Wake) {
        let now = self.clock.now;
        while let Some((at, peer)) = self.requests.expired(now) {
            if let Some(peer) = self.peers.find_mut(peer) {
                peer.standing.was_slow();
            }
            self.end(at, Ending::Failed);
        }
        self.requests.iter().for_each(|request| wake.wait(request.deadline));
    }
}
