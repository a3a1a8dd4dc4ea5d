//! Records: they have more.
//!
//! - Ask: for the next range that is neither held nor asked for, several at a time, of one source at a time: the one
//!   that failed least. As many records as should fit, by the size of those seen.
//! - Answer: a batch, which is as many records as fit, a signed head, and the consistency proof (RFC 9162 section
//!   2.1.4) from the batch's end to that head.
//! - Hear: what verifies is appended, however far heads have moved meanwhile. What does not may be of another branch:
//!   the same peer is asked for the proof at what is held.
//!
//! The rule: nothing is stored that is not proven to a head which the log's key has signed.

use core::num::NonZeroU64;

use crate::judge::Trouble;
use crate::key::LogId;
use crate::node::accept::Accepted;
use crate::node::ending::{Blame, Ending};
use crate::node::value::Node;
use crate::node::write::{BatchError, Envelope, read_batch};
use crate::state::{News, Peer, Replica, Root, Tables, View};
use crate::store::Store;
use crate::wire::{Batch, Refusal, RequestId};
use crate::words::{Ask, Command, Fault, PeerId, SyncError};

/// Failures about one log after which it counts as stalled.
const STALLED: u8 = 3;

/// Bytes of a records answer that are not records: frame, head and a proof of usual length.
const ANSWER_OVERHEAD: u64 = 1_024;

/// The size of a record where none has been seen yet, in bytes with its framing.
const USUAL_RECORD: u64 = 256;

impl<T: Tables> Node<T> {
    /// Whether records of a log are wanted at all now; an on-demand sync that waits for them ends if not.
    pub(in crate::node) fn may_fetch(&mut self, at: usize, view: &View) -> bool {
        let Some(replica) = self.logs.find(&view.log) else { return false };
        let is_writing = replica.is_own() && !self.writing.is_recovering();
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
    pub(in crate::node) fn fetch(&mut self, view: &View) -> Option<Command> {
        let replica = self.logs.find(&view.log)?;
        let (peer, log) = (view.peer, view.log);
        // One source at a time: ranges from two arrive in no order, and only the next can be judged.
        let is_elsewhere = self.requests.ranges(log).any(|(of, _)| of != peer);
        let outstanding = self.requests.ranges(log).count();
        let window = usize::from(view.window).clamp(1, self.config.window);
        if is_elsewhere || outstanding >= window || (outstanding == 0 && !self.is_best_source(view)) {
            return None;
        }
        // The first record that is neither held nor asked for: behind the ranges that line up, and before
        // those that no longer do because one fell short.
        let mut start = replica.have;
        while let Some((_, range)) = self.requests.ranges(log).find(|(_, range)| range.contains(&start)) {
            start = range.end;
        }
        if start >= view.have {
            return None;
        }
        // As many as should fit, also beyond what the peer last said it has: it may have more by now, and an
        // answer that ends at its head needs no other to complete it.
        let next = self.requests.ranges(log).map(|(_, range)| range.start).filter(|first| *first > start).min();
        let count = self.range(replica, peer).min(next.map_or(u64::MAX, |next| next - start));
        self.ask(peer, Ask::Records { log, start, count })
    }

    /// Whether no other peer that has the next record should be asked first: one that failed less, or
    /// that has less to do.
    fn is_best_source(&self, view: &View) -> bool {
        let have = self.logs.find(&view.log).map_or(0, |replica| replica.have);
        let rank = |view: &View| (view.failures, self.requests.count_of(view.peer), view.peer);
        let mut others = self.views.of_log(&view.log).iter().filter(|other| {
            other.have > have
                && other.retry_at <= self.clock.now
                && !matches!(other.root, Root::Disputed { .. })
                && self.peers.find(other.peer).is_some_and(Peer::is_asked)
        });
        !others.any(|other| rank(other) < rank(view))
    }

    /// How many records to ask for at once: what should fit an answer, going by the records seen, with an
    /// eighth to spare, so that the next range lines up.
    fn range(&self, replica: &Replica, peer: PeerId) -> u64 {
        let limit = self.peers.find(peer).map_or(0, |peer| peer.standing.answer_limit(&self.config));
        let mean = replica.bytes.checked_div(replica.have).filter(|mean| *mean > 0).unwrap_or(USUAL_RECORD);
        let most = self.most_records();
        let room = u64::from(limit).saturating_sub(ANSWER_OVERHEAD);
        ((room - room / 8) / mean).clamp(1, most)
    }

    #[inline(never)]
    pub(in crate::node) fn answer_records(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        start: u64,
        count: u64,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        let slot = self.served(log)?;
        read_batch(store, slot, log, start, count, buf, Envelope::Answer { id }).map_err(|error| match error {
            BatchError::NotHeld => Refusal::NotHeld,
            BatchError::TooLong => Refusal::TooLong { index: start },
            BatchError::NoRoom => Refusal::Busy,
            BatchError::Store(trouble) => self.refusal(trouble),
        })
    }

    /// Records came that were asked for.
    #[inline(never)]
    pub(in crate::node) fn hear_records(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        asked: u64,
        batch: &Batch<'_>,
    ) -> Result<Ending, Trouble> {
        let (log, start) = (batch.log, batch.start);
        let Some(slot) = self.logs.slot(&log) else { return Ok(Ending::None) };
        let have = self.logs.get(slot).map_or(0, |replica| replica.have);
        Ok(match self.accept(store, slot, batch, Some(peer))? {
            Accepted::Appended(count) => {
                let limit = self.peers.find(peer).map_or(0, |peer| peer.standing.answer_limit(&self.config));
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
                if let Some(replica) = self.logs.get_mut(slot) {
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
        let have = self.logs.find(log).map_or(0, |replica| replica.have);
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

    /// The next record does not fit the answer asked for, which was the largest this node takes: so says one
    /// peer. Where all say it that have the record, this copy of the log ends there. A peer that says it
    /// falsely must not end it for the others.
    pub(in crate::node) fn too_long(&mut self, peer: PeerId, log: &LogId) {
        let Some(slot) = self.logs.slot(log) else { return };
        let have = self.logs.get(slot).map_or(0, |replica| replica.have);
        let next = NonZeroU64::MIN.saturating_add(have);
        if let Some(view) = self.views.of_mut(log, peer) {
            view.too_long = Some(next);
            view.end_sync(Some(SyncError::RecordTooLong));
        }
        let mut sources = self.views.of_log(log).iter().filter(|view| view.have > have);
        if sources.all(|view| view.too_long == Some(next))
            && let Some(replica) = self.logs.get_mut(slot)
            && !core::mem::replace(&mut replica.is_too_long, true)
        {
            self.logs.tell(slot, News::TooLong);
        }
    }

    /// A request about a log failed at a peer: others first, then this one again after a pause.
    pub(in crate::node) fn fetch_failed(&mut self, peer: PeerId, log: &LogId, error: SyncError) {
        let (now, pause) = (self.clock.now, self.config.interval / 16);
        let mut is_stalled = false;
        if let Some(view) = self.views.of_mut(log, peer) {
            view.failed(now, pause);
            view.end_sync(Some(error));
            is_stalled = view.failures >= STALLED;
        }
        let have = self.logs.find(log).map_or(0, |replica| replica.have);
        let mut others = self.views.of_log(log).iter().filter(|view| view.have > have);
        if is_stalled && others.all(|view| view.failures >= STALLED) {
            self.logs.stalled(log);
        }
    }

    /// A request was refused: a true answer, from which follows what not to ask again.
    pub(in crate::node) fn hear_refusal(&mut self, peer: PeerId, asked: Ask, refusal: Refusal) -> Ending {
        let is_largest = self
            .peers
            .find(peer)
            .is_some_and(|peer| peer.standing.answer_limit(&self.config) == self.config.max_message);
        if let (Refusal::TooLong { index }, Ask::Records { log, start, .. }) = (refusal, asked) {
            let is_next = index == start && self.logs.find(&log).is_some_and(|replica| replica.have == start);
            if is_largest && is_next {
                self.too_long(peer, &log);
            }
        }
        Ending::Refused
    }
}
