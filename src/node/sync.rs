//! Catching up: what the differences with peers call for, whom to ask, and what their answers mean.

use core::num::NonZeroU64;

use super::batch::Accepted;
use super::logs::root_of;
use super::replica::{Note, Replica};
use super::request::{Blame, Ending, Outstanding};
use super::view::{Due, Root, View, ViewTable};
use super::{Ask, Command, Fault, Node, SyncError};
use crate::LogId;
use crate::error::Error;
use crate::key::{Name, Vkey};
use crate::peer::PeerId;
use crate::store::{Origin, Store, StoreError};
use crate::tables::{List, Tables};
use crate::wire::{BYTES_PER_RECORD, Batch, Refusal};

/// Requests outstanding to one peer at one time, a status aside.
const PER_PEER: usize = 16;

/// Failures about one log after which it counts as stalled.
const STALLED: u8 = 3;

/// Bytes of a records answer that are not records: frame, head and a proof of usual length.
const ANSWER_OVERHEAD: u64 = 1_024;

/// The size of a record where none has been seen yet, in bytes with its framing.
const USUAL_RECORD: u64 = 256;

impl<T: Tables> Node<T> {
    /// The next request that a difference with a peer calls for.
    pub(super) fn next_for_views(&mut self, store: &mut dyn Store) -> Result<Option<Command>, StoreError> {
        // The search goes on where it last ended, so that no difference starves behind others.
        let mut left = self.views.len();
        while left > 0 {
            let len = self.views.len();
            if self.next_view >= len {
                self.next_view = 0;
            }
            left -= 1;
            let due = match self.due(store, self.next_view) {
                Ok(due) => due,
                Err(StoreError::NotReady) => return Err(StoreError::NotReady),
                Err(error) => {
                    self.store_failed_for(self.next_view, error);
                    self.next_view += 1;
                    continue;
                }
            };
            if matches!(due, Due::Nothing | Due::Behind | Due::Push)
                && let Some(view) = self.views.get_mut(self.next_view)
            {
                // There is nothing (more) to take from this peer.
                view.end_sync(None);
                if due == Due::Nothing && view.sync.is_none() {
                    self.caught_up(self.next_view);
                    continue;
                }
            }
            match self.act(store, self.next_view, due) {
                Ok(Some(command)) => return Ok(Some(command)),
                Ok(None) => {}
                Err(StoreError::NotReady) => return Err(StoreError::NotReady),
                Err(error) => self.store_failed_for(self.next_view, error),
            }
            self.next_view += 1;
        }
        Ok(None)
    }

    /// What a difference calls for, with the root that the peer claims held against our own if it can be.
    fn due(&mut self, store: &mut dyn Store, at: usize) -> Result<Due, StoreError> {
        let due_of = |node: &Self| {
            let view = node.views.get(at);
            view.map_or(Due::Nothing, |view| view.due(node.replicas.find(&view.log)))
        };
        let due = due_of(self);
        let view = self.views.get(at).filter(|view| due == Due::Compare && view.retry_at <= self.clock.now);
        let Some(view) = view.cloned() else { return Ok(due) };
        self.compare(store, at, &view)?;
        Ok(due_of(self))
    }

    /// There is no difference with a peer any more. Where it brought what there was, and a head beyond what is
    /// held has become known meanwhile, it may have more by now.
    fn caught_up(&mut self, at: usize) {
        let view = self.views.remove(at);
        let is_behind = view.has_brought
            && self
                .replicas
                .find(&view.log)
                .is_some_and(|replica| !replica.is_forked && replica.seen.max(replica.covering.size) > replica.have);
        if let Some(peer) = self.peer_mut(view.peer).filter(|peer| is_behind && peer.is_healthy()) {
            peer.listing.ask();
        }
    }

    /// The store failed at one log: that one waits, and the others go on.
    fn store_failed_for(&mut self, at: usize, error: StoreError) {
        let until = self.clock.now + self.config.interval;
        let Some(view) = self.views.get_mut(at) else { return };
        view.retry_at = until;
        view.end_sync(Some(SyncError::Store));
        let log = view.log;
        if let Some(slot) = self.replicas.slot(&log) {
            self.block(slot, error);
        }
    }

    fn act(&mut self, store: &mut dyn Store, at: usize, due: Due) -> Result<Option<Command>, StoreError> {
        let Some(view) = self.views.get(at).cloned() else { return Ok(None) };
        if matches!(due, Due::Nothing | Due::Behind) || view.retry_at > self.clock.now {
            return Ok(None);
        }
        let is_reachable = self.peer_ref(view.peer).is_some_and(|peer| {
            // An on-demand sync asks whatever the peer's health is.
            peer.is_healthy() || peer.sync.is_some()
        });
        let to_peer = self.requests.iter().filter(|request| request.peer == view.peer);
        if !is_reachable || to_peer.count() >= PER_PEER {
            return Ok(None);
        }
        if due == Due::Fetch && self.may_fetch(at, &view) {
            return Ok(self.fetch(&view));
        }
        let is_asked = |request: &Outstanding| {
            request.peer == view.peer
                && request.ask.log() == Some(view.log)
                && !matches!(request.ask, Ask::Records { .. })
        };
        if self.is_outstanding(is_asked) {
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

    /// Holds the root that a peer claims against our own at that size.
    #[inline(never)]
    fn compare(&mut self, store: &mut dyn Store, at: usize, view: &View) -> Result<(), StoreError> {
        let root = root_of(store, &view.log, view.complete.size);
        let is_disputed = match root {
            // Older than what is held: there is nothing to compare it with.
            Err(StoreError::Dropped { .. }) => false,
            Err(StoreError::Damaged | StoreError::Mismatch) => {
                if let Some(slot) = self.replicas.slot(&view.log) {
                    self.damaged(slot);
                }
                false
            }
            root => root? != view.complete.root,
        };
        if let Some(view) = self.views.get_mut(at) {
            let size = view.complete.size;
            view.root = if is_disputed { Root::Disputed { size, by_batch: false } } else { Root::Compared };
        }
        Ok(())
    }

    /// Whether records of a log are wanted at all now; an on-demand sync that waits for them ends if not.
    fn may_fetch(&mut self, at: usize, view: &View) -> bool {
        let Some(replica) = self.replicas.find(&view.log) else { return false };
        let is_writing = replica.is_own() && !self.is_recovering();
        let error = if is_writing || replica.is_damaged || replica.blocked_until > self.clock.now {
            SyncError::Store
        } else if !self.has_room_for(replica, 1) {
            SyncError::Quota
        } else {
            return true;
        };
        if let Some(view) = self.views.get_mut(at) {
            view.end_sync(Some(error));
        }
        false
    }

    /// Fetches the next range of a log from the best of those that have it.
    fn fetch(&mut self, view: &View) -> Option<Command> {
        let replica = self.replicas.find(&view.log)?;
        let (peer, log) = (view.peer, view.log);
        let asked = |request: &Outstanding| match request.ask {
            Ask::Records { log: asked, start, count } if asked == log => Some((start, start.saturating_add(count))),
            _ => None,
        };
        let ranges = || self.requests.iter().filter_map(asked);
        // One source at a time: ranges from two arrive in no order, and only the next can be judged.
        let is_elsewhere = self.requests.iter().any(|request| request.peer != peer && asked(request).is_some());
        let outstanding = ranges().count();
        let window = usize::from(view.window).clamp(1, self.config.window);
        if is_elsewhere || outstanding >= window || (outstanding == 0 && !self.is_best_source(view)) {
            return None;
        }
        // The first record that is neither held nor asked for: behind the ranges that line up, and before
        // those that no longer do because one fell short.
        let mut start = replica.have;
        while let Some((_, end)) = ranges().find(|(first, end)| *first <= start && start < *end) {
            start = end;
        }
        if start >= view.have {
            return None;
        }
        // As many as should fit, also beyond what the peer last said it has: it may have more by now, and an
        // answer that ends at its head needs no other to complete it.
        let next = ranges().map(|(first, _)| first).filter(|first| *first > start).min();
        let count = self.range(replica, peer).min(next.map_or(u64::MAX, |next| next - start));
        self.ask(peer, Ask::Records { log, start, count })
    }

    /// Whether no other peer that has the next record should be asked first: one that failed less, or
    /// that has less to do.
    fn is_best_source(&self, view: &View) -> bool {
        let have = self.replicas.find(&view.log).map_or(0, |replica| replica.have);
        let load = |peer: PeerId| self.requests.iter().filter(|request| request.peer == peer).count();
        let rank = |view: &View| (view.failures, load(view.peer), view.peer);
        let mut others = self.views.of_log(&view.log).iter().filter(|other| {
            other.have > have
                && other.retry_at <= self.clock.now
                && !matches!(other.root, Root::Disputed { .. })
                && self.peer_ref(other.peer).is_some_and(|peer| peer.is_healthy() || peer.sync.is_some())
        });
        !others.any(|other| rank(other) < rank(view))
    }

    /// How many records to ask for at once: what should fit an answer, going by the records seen, with an
    /// eighth to spare, so that the next range lines up.
    fn range(&self, replica: &Replica, peer: PeerId) -> u64 {
        let limit = self.peer_ref(peer).map_or(0, |peer| peer.answer_limit(&self.config));
        let mean = replica.bytes.checked_div(replica.have).filter(|mean| *mean > 0).unwrap_or(USUAL_RECORD);
        let most = self.most_records();
        let room = u64::from(limit).saturating_sub(ANSWER_OVERHEAD);
        ((room - room / 8) / mean).clamp(1, most)
    }

    /// Records in a batch, at most: by the size of a message, and by the room for their hashes.
    pub(super) fn most_records(&self) -> u64 {
        let by_message = self.config.max_message / BYTES_PER_RECORD;
        // A record adds its own hash, and all records together fewer nodes than there are records, but for
        // those that join them to what was there.
        let by_hashes = self.cache.hashes.capacity_limit().saturating_sub(62) / 2;
        u64::from(by_message).min(u64::try_from(by_hashes).unwrap_or(u64::MAX)).max(1)
    }

    /// Records came that were asked for.
    #[inline(never)]
    pub(super) fn hear_records(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        asked: u64,
        batch: &Batch<'_>,
    ) -> Result<Ending, StoreError> {
        let (log, start) = (batch.log, batch.start);
        let Some(slot) = self.replicas.slot(&log) else { return Ok(Ending::None) };
        let have = self.replicas.get(slot).map_or(0, |replica| replica.have);
        Ok(match self.accept(store, slot, batch, Some(peer))? {
            Accepted::Appended(count) => {
                let limit = self.peer_ref(peer).map_or(0, |peer| peer.answer_limit(&self.config));
                let promised = self.views.of(&log, peer).map_or(0, |view| view.have.saturating_sub(start));
                let is_short = count < asked.min(promised);
                // A peer that sends a trickle is not preferred to one that has not been tried.
                let is_trickle = is_short && batch.records.len() < usize::try_from(limit / 8).unwrap_or(0);
                if let Some(view) = self.views.of_mut(&log, peer) {
                    view.failures = u8::from(is_trickle);
                    view.has_brought = true;
                    // What was asked for behind a range that fell short will be dropped: the window closes,
                    // and opens again as ranges line up.
                    view.window = if is_short { 1 } else { view.window.saturating_add(1) };
                    view.count_received(count);
                }
                Ending::Answered
            }
            Accepted::Forked => Ending::Answered,
            // Known by now from elsewhere, or behind a range that fell short.
            Accepted::Nothing if !batch.records.is_empty() && start != have => {
                if let Some(view) = self.views.of_mut(&log, peer).filter(|_| start > have) {
                    view.window = 1;
                }
                Ending::Answered
            }
            Accepted::Nothing | Accepted::Known | Accepted::Excess => Ending::Failed,
            Accepted::OverQuota => {
                // Asking again now would bring the same.
                let until = self.clock.now + self.config.interval;
                if let Some(replica) = self.replicas.get_mut(slot) {
                    replica.blocked_until = until;
                }
                if let Some(view) = self.views.of_mut(&log, peer) {
                    view.end_sync(Some(SyncError::Quota));
                }
                Ending::Answered
            }
            Accepted::Undecided => self.dispute(&log, peer),
            Accepted::Fault(fault) => Ending::Fault(fault, Blame::Transport),
        })
    }

    /// A batch that does not verify: its records may be of another branch of the log. What the peer's root
    /// is at what is held tells whether the log has forked or the peer answered falsely.
    fn dispute(&mut self, log: &LogId, peer: PeerId) -> Ending {
        let have = self.replicas.find(log).map_or(0, |replica| replica.have);
        // Not where the batch began: what of it was held already was not looked at, and what is held may have
        // come from somebody else while the batch was on its way.
        if have == 0 {
            // There is nothing before the first record that could differ.
            return Ending::Fault(Fault::FalseRecords, Blame::Transport);
        }
        if let Some(view) = self.views.of_mut(log, peer) {
            view.root = Root::Disputed { size: have, by_batch: true };
        }
        Ending::Disputed
    }

    /// The store has no room for a log, or failed: nothing is fetched for it for a while.
    pub(super) fn block(&mut self, slot: u32, error: StoreError) {
        self.notes.store = Some(error);
        let until = self.clock.now + self.config.interval;
        if let Some(replica) = self.replicas.get_mut(slot) {
            replica.blocked_until = until;
        }
    }

    /// The key of a log came that the peer introduced.
    #[inline(never)]
    pub(super) fn hear_key(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        log: LogId,
        name: &str,
        key: [u8; 32],
    ) -> Result<Ending, StoreError> {
        // The id commits to name and key, so whoever sends them cannot lie about them.
        let vkey = Name::new(name).and_then(|name| Vkey::<T::Scheme>::new(name, key)).ok();
        let Some(vkey) = vkey.filter(|vkey| vkey.id() == log) else {
            return Ok(Ending::Fault(Fault::FalseKey, Blame::Transport));
        };
        let Some(by) = self.peer_ref(peer).map(|peer| peer.node) else { return Ok(Ending::None) };
        let is_new = self.replicas.find(&log).is_none();
        if is_new && self.may_introduce(peer) {
            match self.follow_as(store, &vkey, Origin::Introduced(by)) {
                Err(Error::Store(error)) => return Err(error),
                Err(_) => {}
                Ok(()) => {
                    if let Some(peer) = self.peer_mut(peer) {
                        peer.introduced_logs += 1;
                    }
                    if let Some(slot) = self.replicas.slot(&log) {
                        self.replicas.note(slot, Note::Introduced);
                    }
                }
            }
        }
        Ok(Ending::Answered)
    }

    /// A request was refused: a true answer, from which follows what not to ask again.
    pub(super) fn hear_refusal(&mut self, peer: PeerId, asked: Ask, refusal: Refusal) -> Ending {
        let is_largest =
            self.peer_ref(peer).is_some_and(|peer| peer.answer_limit(&self.config) == self.config.max_message);
        if let (Refusal::TooLong { index }, Ask::Records { log, start, .. }) = (refusal, asked) {
            let is_next = index == start && self.replicas.find(&log).is_some_and(|replica| replica.have == start);
            if is_largest && is_next {
                self.too_long(peer, &log);
            }
        }
        Ending::Refused
    }

    /// The next record does not fit the answer asked for, which was the largest this node takes: so says one
    /// peer. Where all say it that have the record, this copy of the log ends there. A peer that says it
    /// falsely must not end it for the others.
    fn too_long(&mut self, peer: PeerId, log: &LogId) {
        let Some(slot) = self.replicas.slot(log) else { return };
        let have = self.replicas.get(slot).map_or(0, |replica| replica.have);
        let next = NonZeroU64::MIN.saturating_add(have);
        if let Some(view) = self.views.of_mut(log, peer) {
            view.too_long = Some(next);
            view.end_sync(Some(SyncError::RecordTooLong));
        }
        let mut sources = self.views.of_log(log).iter().filter(|view| view.have > have);
        if sources.all(|view| view.too_long == Some(next))
            && let Some(replica) = self.replicas.get_mut(slot)
            && !core::mem::replace(&mut replica.is_too_long, true)
        {
            self.replicas.note(slot, Note::TooLong);
        }
    }

    /// A request about a log failed at a peer: others first, then this one again after a pause.
    pub(super) fn fetch_failed(&mut self, peer: PeerId, log: &LogId, error: SyncError) {
        let (now, pause) = (self.clock.now, self.config.interval / 16);
        let mut is_stalled = false;
        if let Some(view) = self.views.of_mut(log, peer) {
            view.failed(now, pause);
            view.end_sync(Some(error));
            is_stalled = view.failures >= STALLED;
        }
        let have = self.replicas.find(log).map_or(0, |replica| replica.have);
        let mut others = self.views.of_log(log).iter().filter(|view| view.have > have);
        if is_stalled && others.all(|view| view.failures >= STALLED) {
            self.stalled(log);
        }
    }

    /// Nobody asked provides what leads to a head ahead.
    pub(super) fn stalled(&mut self, log: &LogId) {
        if let Some(slot) = self.replicas.slot(log)
            && let Some(replica) = self.replicas.get_mut(slot)
            && !core::mem::replace(&mut replica.is_stalled, true)
        {
            self.replicas.note(slot, Note::Stalled);
        }
    }
}
