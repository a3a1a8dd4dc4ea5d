//! What the differences with peers call for: the next request for one whose time has come.
//!
//! The search goes round, so that no difference starves behind others. What a difference calls for, the view itself
//! says ([`Due`]); how that is asked, its conversation. Whoever is put off for want of time says until when ([`Wake`]).

use super::value::Node;
use crate::judge::Trouble;
use crate::state::{Due, Peer, Tables, View, Wake};
use crate::store::Store;
use crate::words::{Ask, Command, SyncError};

/// Requests outstanding to one peer at one time, a status aside.
const PER_PEER: usize = 16;

impl<T: Tables> Node<T> {
    /// The next request that a difference with a peer calls for.
    pub(super) fn next_for_views(
        &mut self,
        store: &mut dyn Store,
        wake: &mut Wake,
    ) -> Result<Option<Command>, Trouble> {
        // The search goes on where it last ended, so that no difference starves behind others.
        let mut left = self.views.len();
        while left > 0 {
            if self.views.next >= self.views.len() {
                self.views.next = 0;
            }
            let at = self.views.next;
            left -= 1;
            let due = match self.due(store, at) {
                Ok(due) => due,
                Err(trouble) if trouble.is_not_ready() => return Err(trouble),
                Err(trouble) => {
                    self.store_failed_for(at, trouble);
                    self.views.next += 1;
                    continue;
                }
            };
            if matches!(due, Due::Nothing | Due::Behind | Due::Push)
                && let Some(view) = self.views.get_mut(at)
            {
                // There is nothing (more) to take from this peer.
                view.end_sync(None);
                if due == Due::Nothing && view.sync.is_none() {
                    self.caught_up(at);
                    continue;
                }
            }
            self.wait_for(at, wake);
            match self.act(store, at, due) {
                Ok(Some(command)) => return Ok(Some(command)),
                Ok(None) => {}
                Err(trouble) if trouble.is_not_ready() => return Err(trouble),
                Err(trouble) => self.store_failed_for(at, trouble),
            }
            self.views.next += 1;
        }
        Ok(None)
    }

    /// What a difference calls for, with the root that the peer claims held against our own if it can be.
    fn due(&mut self, store: &mut dyn Store, at: usize) -> Result<Due, Trouble> {
        let due_of = |node: &Self| {
            let view = node.views.get(at);
            view.map_or(Due::Nothing, |view| view.due(node.logs.find(&view.log)))
        };
        let due = due_of(self);
        let view = self.views.get(at).filter(|view| due == Due::Compare && view.retry_at <= self.clock.now);
        let Some(view) = view.cloned() else { return Ok(due) };
        self.compare(store, at, &view)?;
        Ok(due_of(self))
    }

    /// Waits until a difference, and its log, are no longer left alone.
    pub(super) fn wait_for(&self, at: usize, wake: &mut Wake) {
        let Some(view) = self.views.get(at) else { return };
        wake.wait(view.retry_at);
        if let Some(replica) = self.logs.find(&view.log) {
            wake.wait(replica.blocked_until);
        }
    }

    /// There is no difference with a peer any more. Where it brought what there was, and a head beyond what is
    /// held has become known meanwhile, it may have more by now.
    fn caught_up(&mut self, at: usize) {
        let view = self.views.remove(at);
        let is_behind = view.has_brought
            && self
                .logs
                .find(&view.log)
                .is_some_and(|replica| !replica.is_forked && replica.seen.max(replica.covering.size) > replica.have);
        if let Some(peer) = self.peers.find_mut(view.peer).filter(|peer| is_behind && peer.is_healthy()) {
            peer.listing.ask();
        }
    }

    fn act(&mut self, store: &mut dyn Store, at: usize, due: Due) -> Result<Option<Command>, Trouble> {
        let Some(view) = self.views.get(at).cloned() else { return Ok(None) };
        if matches!(due, Due::Nothing | Due::Behind) || view.retry_at > self.clock.now {
            return Ok(None);
        }
        let is_asked = self.peers.find(view.peer).is_some_and(Peer::is_asked);
        if !is_asked || self.requests.count_of(view.peer) >= PER_PEER {
            return Ok(None);
        }
        if due == Due::Fetch && self.may_fetch(at, &view) {
            return Ok(self.fetch(&view));
        }
        if self.requests.is_asked_about(view.peer, view.log) {
            return Ok(None);
        }
        let View { peer, log, .. } = view;
        match due {
            Due::Key if self.may_introduce(peer) => Ok(self.ask(peer, Ask::Key { log })),
            Due::Key => {
                if let Some(view) = self.views.get_mut(at) {
                    view.end_sync(Some(SyncError::Quota));
                }
                Ok(None)
            }
            Due::Fork => Ok(self.ask(peer, Ask::Fork { log })),
            Due::Proof(size) => Ok(self.ask(peer, Ask::Proof { log, size })),
            Due::PushFork => self.push_fork(store, peer, log),
            Due::Push => self.push_records(store, &view),
            Due::Compare | Due::Fetch | Due::Behind | Due::Nothing => Ok(None),
        }
    }
}
