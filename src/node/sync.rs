//! Catching up: what the differences with peers call for, whom to ask, and what their answers mean.

use super::batch::Accepted;
use super::logs::root_of;
use super::replica::{Note, Replica};
use super::request::{Asked, Outstanding};
use super::view::{Due, View, ViewTable};
use super::{Command, Fault, Node, Notice, PushOutcome, SyncError, SyncReport};
use crate::LogId;
use crate::error::Error;
use crate::key::{Name, Vkey};
use crate::peer::{Kind, PeerId, Sync};
use crate::store::{Origin, Store, StoreError};
use crate::tables::{List, Tables};
use crate::wire::{BYTES_PER_RECORD, Batch, Refusal, RequestId};

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
        let mut left = self.views.as_slice().len();
        while left > 0 {
            let len = self.views.as_slice().len();
            if self.next_view >= len {
                self.next_view = 0;
            }
            let Some(view) = self.views.as_slice().get(self.next_view) else { return Ok(None) };
            let due = view.due(self.replicas.find(&view.log));
            if matches!(due, Due::Nothing) && self.is_over(self.next_view) {
                self.views.remove(self.next_view);
                left -= 1;
                continue;
            }
            if let Some(command) = self.act(store, self.next_view, due)? {
                return Ok(Some(command));
            }
            self.next_view += 1;
            left -= 1;
        }
        Ok(None)
    }

    /// Whether the view at `at`, of which nothing is due any more, has nothing to tell either.
    fn is_over(&mut self, at: usize) -> bool {
        let Some(view) = self.views.as_mut_slice().get_mut(at) else { return false };
        view.end_sync(None);
        view.sync.is_none()
    }

    fn act(&mut self, store: &mut dyn Store, at: usize, due: Due) -> Result<Option<Command>, StoreError> {
        let Some(view) = self.views.as_slice().get(at).cloned() else { return Ok(None) };
        if matches!(due, Due::Nothing | Due::Behind) || view.retry_at > self.clock.now {
            return Ok(None);
        }
        if due == Due::Compare {
            self.compare(store, at, &view)?;
            let due =
                self.views.as_slice().get(at).map_or(Due::Nothing, |view| view.due(self.replicas.find(&view.log)));
            return if due == Due::Compare { Ok(None) } else { self.act(store, at, due) };
        }
        let is_reachable = self.peer_ref(view.peer).is_some_and(|peer| {
            // An on-demand sync asks whatever the peer's health is.
            peer.is_healthy() || peer.sync.is_some()
        });
        let to_peer = self.requests.as_slice().iter().filter(|request| request.peer == view.peer);
        if !is_reachable || to_peer.count() >= PER_PEER {
            return Ok(None);
        }
        if due == Due::Fetch {
            return Ok(self.fetch(&view));
        }
        let is_asked = |request: &Outstanding| {
            request.peer == view.peer
                && request.asked.log() == Some(view.log)
                && !matches!(request.asked, Asked::Records { .. })
        };
        if self.is_outstanding(is_asked) {
            return Ok(None);
        }
        let View { peer, log, .. } = view;
        match due {
            Due::Key if self.may_introduce(peer) => {
                Ok(self.ask(peer, Asked::Key { log }).map(|request| Command::RequestKey { peer, request, log }))
            }
            Due::Fork => {
                Ok(self.ask(peer, Asked::Fork { log }).map(|request| Command::RequestFork { peer, request, log }))
            }
            Due::Proof(size) => {
                let request = self.ask(peer, Asked::Proof { log, size });
                Ok(request.map(|request| Command::RequestProof { peer, request, log, size }))
            }
            Due::PushFork => self.push_fork(store, peer, log),
            Due::Push => self.push_records(store, &view),
            Due::Key | Due::Compare | Due::Fetch | Due::Behind | Due::Nothing => Ok(None),
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
        if let Some(view) = self.views.as_mut_slice().get_mut(at) {
            view.is_compared = true;
            if is_disputed {
                view.disputed = view.complete.size;
            }
        }
        Ok(())
    }

    /// Fetches the next range of a log from the best of those that have it.
    fn fetch(&mut self, view: &View) -> Option<Command> {
        let replica = self.replicas.find(&view.log)?;
        if !self.wants_records(replica) || replica.blocked_until > self.clock.now {
            return None;
        }
        let mut start = replica.have;
        let mut outstanding = 0;
        for request in self.requests.as_slice() {
            if let Asked::Records { log, start: asked, count } = request.asked
                && log == view.log
            {
                // One source at a time: ranges from two arrive in no order, and only the next can be judged.
                if request.peer != view.peer {
                    return None;
                }
                outstanding += 1;
                start = start.max(asked.saturating_add(count));
            }
        }
        if outstanding > 0 && view.is_gapped {
            return None;
        }
        let is_next = outstanding > 0 || self.is_best_source(view);
        if outstanding >= self.config.window || start >= view.have || !is_next {
            return None;
        }
        let count = self.range(replica, view.peer).min(view.have - start);
        let (peer, log) = (view.peer, view.log);
        let request = self.ask(peer, Asked::Records { log, start, count })?;
        Some(Command::FetchRecords { peer, request, log, start, count })
    }

    fn wants_records(&self, replica: &Replica) -> bool {
        let is_writing = replica.is_own() && !self.is_recovering();
        !replica.is_forked && !replica.is_damaged && !is_writing && self.has_room_for(replica, 1)
    }

    /// Whether no other peer that has the next record should be asked first: one that failed less, or
    /// that has less to do.
    fn is_best_source(&self, view: &View) -> bool {
        let have = self.replicas.find(&view.log).map_or(0, |replica| replica.have);
        let load = |peer: PeerId| self.requests.as_slice().iter().filter(|request| request.peer == peer).count();
        let rank = |view: &View| (view.failures, load(view.peer), view.peer);
        let mut others = self.views.of_log(&view.log).iter().filter(|other| {
            other.have > have
                && other.retry_at <= self.clock.now
                && other.disputed == 0
                && self.peer_ref(other.peer).is_some_and(|peer| peer.is_healthy() || peer.sync.is_some())
        });
        !others.any(|other| rank(other) < rank(view))
    }

    /// How many records to ask for at once: what should fit an answer, going by the records seen.
    fn range(&self, replica: &Replica, peer: PeerId) -> u64 {
        let limit = self.peer_ref(peer).map_or(0, |peer| peer.answer_limit(&self.config));
        let mean = replica.bytes.checked_div(replica.have).filter(|mean| *mean > 0).unwrap_or(USUAL_RECORD);
        let most = self.most_records();
        (u64::from(limit).saturating_sub(ANSWER_OVERHEAD) / mean).clamp(1, most)
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
    pub(super) fn on_records(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        request: RequestId,
        batch: &Batch<'_>,
    ) -> Result<(), StoreError> {
        let Some((at, Asked::Records { log, start, .. })) = self.outstanding(peer, request) else { return Ok(()) };
        if (batch.log, batch.start) != (log, start) {
            return Ok(());
        }
        let Some(slot) = self.replicas.slot(&log) else { return Ok(()) };
        let have = self.replicas.get(slot).map_or(0, |replica| replica.have);
        match self.accept(store, slot, batch, Some(peer)) {
            Ok(Accepted::Appended(count)) => {
                if let Some(view) = self.views.of_mut(&log, peer) {
                    view.failures = 0;
                    view.is_gapped = false;
                    if let Some(sync) = &mut view.sync {
                        sync.received += count;
                    }
                }
                self.answered(at, Kind::Fetch);
            }
            Ok(Accepted::Forked) => self.answered(at, Kind::Fetch),
            Ok(Accepted::Nothing) if !batch.records.is_empty() => {
                if let Some(view) = self.views.of_mut(&log, peer) {
                    view.is_gapped |= start > have;
                }
                self.answered(at, Kind::Fetch);
            }
            Ok(Accepted::Nothing | Accepted::Excess) => self.fail(at, SyncError::Failed),
            Ok(Accepted::OverQuota) => {
                // Asking again now would bring the same.
                let until = self.clock.now + self.config.interval;
                if let Some(replica) = self.replicas.get_mut(slot) {
                    replica.blocked_until = until;
                }
                self.answered(at, Kind::Fetch);
            }
            Ok(Accepted::Undecided) => self.dispute(at, &log, peer),
            Ok(Accepted::Fault(fault)) => self.fault(at, fault, false),
            Err(StoreError::NotReady) => return Err(StoreError::NotReady),
            Err(error) => {
                self.block(slot, error);
                if let Some(view) = self.views.of_mut(&log, peer) {
                    view.end_sync(Some(SyncError::Store));
                }
                self.answered(at, Kind::Fetch);
            }
        }
        Ok(())
    }

    /// A batch that does not verify: its records may be of another branch of the log. What the peer's root
    /// is at what is held tells whether the log has forked or the peer answered falsely.
    fn dispute(&mut self, at: usize, log: &LogId, peer: PeerId) {
        let have = self.replicas.find(log).map_or(0, |replica| replica.have);
        // Not where the batch began: what of it was held already was not looked at, and what is held may have
        // come from somebody else while the batch was on its way.
        if have == 0 {
            // There is nothing before the first record that could differ.
            return self.fault(at, Fault::FalseRecords, false);
        }
        self.requests.remove(at);
        if let Some(view) = self.views.of_mut(log, peer) {
            view.disputed = have;
            view.sent_batch = true;
        }
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
    pub(super) fn on_key(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        request: RequestId,
        name: &str,
        key: [u8; 32],
    ) -> Result<(), StoreError> {
        let Some((at, Asked::Key { log })) = self.outstanding(peer, request) else { return Ok(()) };
        // The id commits to name and key, so whoever sends them cannot lie about them.
        let vkey = Name::new(name).and_then(|name| Vkey::<T::Scheme>::new(name, key)).ok();
        let Some(vkey) = vkey.filter(|vkey| vkey.id() == log) else {
            self.fault(at, Fault::FalseKey, false);
            return Ok(());
        };
        let Some(by) = self.peer_ref(peer).map(|peer| peer.node) else { return Ok(()) };
        let is_new = self.replicas.find(&log).is_none();
        if is_new && self.may_introduce(peer) {
            match self.follow_as(store, &vkey, Origin::Introduced(by)) {
                Err(Error::Store(StoreError::NotReady)) => return Err(StoreError::NotReady),
                Err(Error::Store(error)) => self.notes.store = Some(error),
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
        self.answered(at, Kind::Fetch);
        Ok(())
    }

    /// A request was refused: a true answer, from which follows what not to ask again.
    pub(super) fn on_refused(&mut self, peer: PeerId, request: RequestId, refusal: Refusal) {
        let Some((at, asked)) = self.outstanding(peer, request) else { return };
        if refusal == Refusal::Busy {
            return self.fail(at, SyncError::Failed);
        }
        let Some(log) = asked.log() else { return self.fail(at, SyncError::Failed) };
        if let (Refusal::TooLong { index }, Asked::Records { start, .. }) = (refusal, asked) {
            let is_largest =
                self.peer_ref(peer).is_some_and(|peer| peer.answer_limit(&self.config) == self.config.max_message);
            let is_next = index == start && self.replicas.find(&log).is_some_and(|replica| replica.have == start);
            if is_largest && is_next {
                self.too_long(peer, &log);
            }
        }
        match asked {
            Asked::Push { .. } | Asked::PushFork { .. } => self.push_ended(peer, log, PushOutcome::Refused),
            _ => self.fetch_failed(peer, &log, SyncError::Failed),
        }
        // The peer is well: it answered.
        self.answered(at, asked.kind());
    }

    /// The next record does not fit the answer asked for, which was the largest this node takes: so says one
    /// peer. Where all say it that have the record, this copy of the log ends there. A peer that says it
    /// falsely must not end it for the others.
    fn too_long(&mut self, peer: PeerId, log: &LogId) {
        let Some(slot) = self.replicas.slot(log) else { return };
        let have = self.replicas.get(slot).map_or(0, |replica| replica.have);
        if let Some(view) = self.views.of_mut(log, peer) {
            view.too_long = Some(have);
            view.end_sync(Some(SyncError::RecordTooLong));
        }
        let mut sources = self.views.of_log(log).iter().filter(|view| view.have > have);
        if sources.all(|view| view.too_long == Some(have))
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

    /// What is to be told of on-demand syncs.
    pub(super) fn next_sync_notice(&mut self) -> Option<Notice> {
        let replicas = &self.replicas;
        let ended = self.views.as_mut_slice().iter_mut().find_map(|view| {
            let sync = view.sync.filter(|sync| sync.is_over)?;
            let error = sync.error;
            view.sync = None;
            let after = replicas.find(&view.log).map_or(sync.before, |replica| replica.have);
            let (peer, log) = (view.peer, view.log);
            Some(SyncReport {
                peer,
                log,
                received: sync.received,
                before: sync.before,
                after,
                theirs: sync.theirs,
                error,
            })
        });
        if let Some(report) = ended {
            self.views
                .retain(|view| view.sync.is_some() || replicas.find(&view.log).is_some() || view.log != report.log);
            return Some(Notice::Synced(report));
        }
        let views = &self.views;
        self.peers.as_mut_slice().iter_mut().find_map(|peer| {
            let error = match peer.sync? {
                Sync::Compared => None,
                Sync::Failed(error) => Some(error),
                Sync::Wanted | Sync::Comparing => return None,
            };
            if views.as_slice().iter().any(|view| view.peer == peer.id && view.sync.is_some()) {
                return None;
            }
            peer.sync = None;
            Some(Notice::SyncEnded { peer: peer.id, logs: peer.sync_logs, error })
        })
    }
}
