//! What a peer has of a log, by its own signed word, remembered only while it differs from what we have; and what
//! follows from the difference. Forgetting a view costs a round and nothing else; which may be forgotten is said in
//! `node::owed`.

use core::num::NonZeroU64;

use core::ops::{Deref, DerefMut};

use super::invariant::all;
use super::replica::Replica;
use super::tables::{List, Tables};
use crate::head::Head;
use crate::key::LogId;
use crate::time::Instant;
use crate::wire::Entry;
use crate::words::{Config, PeerId, SyncError};

/// All views, in order of log and peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Views<T: Tables> {
    rows: T::PerView<View>,
    /// Where the search for the next difference to work on begins.
    pub(crate) next: usize,
}

/// One peer's view of one log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) log: LogId,
    pub(crate) peer: PeerId,
    /// The peer's complete head, unsigned: a claim until a proof comes with the signature.
    pub(crate) complete: Head,
    /// Records the peer holds.
    pub(crate) have: u64,
    pub(crate) is_forked: bool,
    pub(crate) root: Root,
    /// It is to be pushed to: its word moves with our pushes, or did not move by itself.
    pub(crate) is_owed: bool,
    /// Records it held when its status last showed it behind.
    pub(crate) was_behind: Option<u64>,
    /// Ranges of records outstanding at one time, at most: one after a range that fell short or did not come,
    /// more as they line up.
    pub(crate) window: u8,
    /// The record, counted from one, that it said is too long to be sent here.
    pub(crate) too_long: Option<NonZeroU64>,
    /// It has brought records since its last status.
    pub(crate) has_brought: bool,
    /// Requests about this log that failed since it last brought anything.
    pub(crate) failures: u8,
    pub(crate) retry_at: Instant,
    /// Part of an on-demand sync.
    pub(crate) sync: Option<LogSync>,
}

/// What is known of the root that a peer claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    /// Nothing yet.
    Unknown,
    /// It was held against ours, or its proof was heard.
    Compared,
    /// A proof at this size is due: its status, or a batch from it, contradicts what we have.
    Disputed { size: u64, by_batch: bool },
}

/// One log's part in an on-demand sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LogSync {
    Running(SyncProgress),
    /// It is over, and still to be told; with why it did not bring all, if it did not.
    Ended(SyncProgress, Option<SyncError>),
}

/// What an on-demand sync has done for one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SyncProgress {
    /// Records held when it began.
    pub(crate) before: u64,
    pub(crate) received: u64,
    /// Records that the peer said it holds.
    pub(crate) theirs: u64,
}

/// What a difference calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The log is unknown here: which key is it?
    Key,
    /// It is forked there and not here.
    Fork,
    /// It is forked here and not there.
    PushFork,
    /// Is their root ours? A question to our own store.
    Compare,
    /// Ask for a proof at this size.
    Proof(u64),
    /// They have more.
    Fetch,
    /// We have more, and they do not come for it.
    Push,
    /// They are behind, and may come for it.
    Behind,
    /// There is no difference any more.
    Nothing,
}

impl<T: Tables> Views<T> {
    pub(crate) fn new() -> Self {
        Self { rows: Default::default(), next: 0 }
    }

    /// How many there may be.
    pub(crate) fn limit(&self, config: &Config) -> usize {
        config.max_views.min(self.rows.capacity_limit())
    }

    /// Where a view is, or where it would be.
    pub(crate) fn find(&self, log: &LogId, peer: PeerId) -> Result<usize, usize> {
        self.rows.binary_search_by(|view| view.log.cmp(log).then(view.peer.cmp(&peer)))
    }

    pub(crate) fn of(&self, log: &LogId, peer: PeerId) -> Option<&View> {
        self.rows.get(self.find(log, peer).ok()?)
    }

    pub(crate) fn of_mut(&mut self, log: &LogId, peer: PeerId) -> Option<&mut View> {
        let at = self.find(log, peer).ok()?;
        self.rows.get_mut(at)
    }

    /// All views of one log.
    pub(crate) fn of_log(&self, log: &LogId) -> &[View] {
        let (start, end) = self.span(log);
        self.rows.get(start..end).unwrap_or_default()
    }

    /// Where those of one log are.
    fn span(&self, log: &LogId) -> (usize, usize) {
        let start = self.rows.partition_point(|view| view.log < *log);
        (start, self.rows.partition_point(|view| view.log <= *log))
    }

    /// How many are a peer's.
    pub(crate) fn count_of(&self, peer: PeerId) -> usize {
        self.rows.iter().filter(|view| view.peer == peer).count()
    }

    /// Adds one in its place; `false` where there is no room, or it is there already.
    pub(crate) fn insert(&mut self, view: View) -> bool {
        match self.find(&view.log, view.peer) {
            Ok(_) => false,
            Err(at) => self.rows.insert(at, view).is_ok(),
        }
    }

    /// What must hold of the table between calls.
    pub(crate) fn check(&self, config: &Config) -> Result<(), &'static str> {
        all(&[
            (self.rows.len() <= self.limit(config), "there are more views than may be"),
            (self.rows.is_sorted_by(|a, b| (a.log, a.peer) < (b.log, b.peer)), "views are out of order"),
        ])
    }

    pub(crate) fn remove(&mut self, at: usize) -> View {
        self.rows.remove(at)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&View) -> bool) {
        let mut at = 0;
        while let Some(view) = self.rows.get(at) {
            if keep(view) {
                at += 1;
            } else {
                self.rows.remove(at);
            }
        }
    }

    /// A log is not followed any more: all views of it are over.
    pub(crate) fn drop_log(&mut self, log: &LogId) {
        let (start, end) = self.span(log);
        self.drop_gone(start, end, None, None);
    }

    /// A log is none of a peer's any more.
    pub(crate) fn drop_of(&mut self, log: &LogId, peer: PeerId) {
        if let Ok(at) = self.find(log, peer) {
            self.drop_gone(at, at + 1, None, None);
        }
    }

    /// No log between these two is one of a peer's, but for `kept`.
    pub(crate) fn drop_between(&mut self, peer: PeerId, after: Option<&LogId>, before: Option<&LogId>, kept: &LogId) {
        let start = after.map_or(0, |after| self.rows.partition_point(|view| view.log <= *after));
        let end = before.map_or(self.rows.len(), |before| self.rows.partition_point(|view| view.log < *before));
        self.drop_gone(start, end, Some(peer), Some(kept));
    }

    /// Forgets the views in this range; one that is part of an on-demand sync is kept until that is told.
    #[inline(never)]
    fn drop_gone(&mut self, start: usize, end: usize, of: Option<PeerId>, kept: Option<&LogId>) {
        let (mut at, mut left) = (start, end.saturating_sub(start));
        while left > 0
            && let Some(view) = self.rows.get_mut(at)
        {
            left -= 1;
            let is_gone = of.is_none_or(|peer| view.peer == peer) && kept != Some(&view.log);
            if is_gone {
                view.end_sync(Some(SyncError::Removed));
            }
            if is_gone && view.sync.is_none() {
                self.rows.remove(at);
            } else {
                at += 1;
            }
        }
    }
}

impl<T: Tables> Deref for Views<T> {
    type Target = [View];

    fn deref(&self) -> &[View] {
        &self.rows
    }
}

impl<T: Tables> DerefMut for Views<T> {
    fn deref_mut(&mut self) -> &mut [View] {
        &mut self.rows
    }
}

impl View {
    pub(crate) fn new(peer: PeerId, entry: &Entry) -> Self {
        Self {
            log: entry.log,
            peer,
            complete: entry.complete,
            have: entry.have,
            is_forked: entry.forked,
            root: Root::Unknown,
            is_owed: false,
            was_behind: None,
            window: u8::MAX,
            too_long: None,
            has_brought: false,
            failures: 0,
            retry_at: Instant::ZERO,
            sync: None,
        }
    }

    /// The peer has spoken again.
    pub(crate) fn update(&mut self, entry: &Entry) {
        if self.complete != entry.complete {
            self.complete = entry.complete;
            // What was disputed was said of another head.
            self.root = Root::Unknown;
        }
        self.have = entry.have;
        self.is_forked |= entry.forked;
    }

    /// What is due, given what we have of the log.
    pub(crate) fn due(&self, replica: Option<&Replica>) -> Due {
        let Some(replica) = replica else { return Due::Key };
        if replica.is_damaged {
            return Due::Nothing;
        }
        match (replica.is_forked, self.is_forked) {
            (true, true) => return Due::Nothing,
            (true, false) => return Due::PushFork,
            (false, true) => return Due::Fork,
            (false, false) => {}
        }
        if let Root::Disputed { size, .. } = self.root {
            return Due::Proof(size);
        }
        if self.complete == replica.complete && self.have == replica.have {
            return Due::Nothing;
        }
        if self.root == Root::Unknown && self.complete.size > 0 && self.complete.size <= replica.have {
            return Due::Compare;
        }
        if self.have > replica.have {
            return Due::Fetch;
        }
        // (A size beyond the records claimed with it is nobody's complete head.)
        if self.complete.size > replica.complete.size && self.complete.size <= replica.have {
            // All its records are here, its signature is not.
            return Due::Proof(self.complete.size);
        }
        if self.have < replica.complete.size || self.complete.size < replica.complete.size {
            return if self.is_owed { Due::Push } else { Due::Behind };
        }
        Due::Nothing
    }

    /// A request about the log failed: others first, and then after a pause.
    pub(crate) fn failed(&mut self, now: Instant, pause: core::time::Duration) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + pause.saturating_mul(1 << self.failures.min(5));
        self.is_owed = false;
    }

    /// Ends this log's part in an on-demand sync.
    pub(crate) fn end_sync(&mut self, error: Option<SyncError>) {
        if let Some(LogSync::Running(progress)) = self.sync {
            self.sync = Some(LogSync::Ended(progress, error));
        }
    }

    /// Begins it: so many records are held here, and so many there.
    pub(crate) fn begin_sync(&mut self, before: u64, theirs: u64) {
        self.sync = Some(LogSync::Running(SyncProgress { before, received: 0, theirs }));
    }

    /// Counts records that came for an on-demand sync; also those that come when the rest of it is given up.
    pub(crate) fn count_received(&mut self, count: u64) {
        if let Some(LogSync::Running(progress) | LogSync::Ended(progress, _)) = &mut self.sync {
            progress.received += count;
        }
    }
}
