//! What a node knows of a peer: its health, when to try it again, how long to wait for it, and what it
//! said last. Decides nothing about logs.

use core::time::Duration;

use crate::node::{Fault, PushOutcome, SyncError};
use crate::rng::Rng;
use crate::wire::MIN_MESSAGE;
use crate::{Config, Hash, Instant, LogId, Scheme, Vkey};

/// A peer of one node, as long as it is one: an id is not given to another peer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u32);

impl PeerId {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// A number to index a driver's table by: 0 for the first peer ever added to this node, then 1, …
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Whether a peer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It is asked in the rounds.
    Healthy,
    /// Three requests of one kind in a row failed: it is tried again after a pause that grows from one to ten
    /// intervals, jittered by a quarter.
    Unhealthy,
    /// It did what no correct peer does: it is set aside for about thirty intervals, then tried again.
    AtFault(Fault),
}

/// The kinds of request whose failures are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Status,
    Fetch,
    Push,
}

/// Failures of one kind in a row that make a peer unhealthy.
const FAILURES: u8 = 3;

/// The longest pause before an unhealthy peer is tried again, in intervals.
const LONGEST_PAUSE: u32 = 10;

/// How long a peer at fault is set aside, in intervals.
const FAULT_PAUSE: u32 = 30;

/// How often a deadline may double.
const SLOWEST: u8 = 3;

/// An on-demand sync with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sync {
    pub(crate) stage: Stage,
    /// Logs found behind.
    pub(crate) logs: u32,
}

/// What an on-demand sync is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// To be asked for its status, whatever the schedule says.
    Wanted,
    /// Its status is being compared.
    Comparing,
    /// Compared; logs may still be catching up.
    Compared,
    /// It failed before everything was compared.
    Failed(SyncError),
}

/// Digests, ours and theirs, at the time everything was last compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Compared {
    pub(crate) ours: Hash,
    pub(crate) theirs: Hash,
}

/// Where the comparison with what a peer lists stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Listing {
    /// There is nothing to ask.
    Idle,
    /// Its status is to be asked for, from the first log on. (An answer that is still under way is not the one.)
    Due,
    /// Page by page.
    Walk(Walk),
}

/// Where the next page of a listing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Page {
    /// It is to be asked for.
    Due,
    /// It was asked for.
    Asked,
    /// The same, and everything is to be asked for again after it.
    AskedAndDue,
}

impl Listing {
    /// Whether a status is to be asked for, once none is under way.
    pub(crate) fn is_due(&self) -> bool {
        match self {
            Self::Idle => false,
            Self::Due => true,
            Self::Walk(walk) => walk.page != Page::Asked,
        }
    }

    /// The peer's status is wanted.
    pub(crate) fn ask(&mut self) {
        match self {
            Self::Idle => *self = Self::Due,
            Self::Walk(walk) if walk.page == Page::Asked => walk.page = Page::AskedAndDue,
            Self::Due | Self::Walk(_) => {}
        }
    }

    /// It has been asked for; `ours` is our digest where that begins a comparison.
    pub(crate) fn asked(&mut self, ours: Hash) {
        match self {
            Self::Walk(walk) => walk.page = Page::Asked,
            Self::Idle | Self::Due => {
                let (theirs, after, page) = (None, None, Page::Asked);
                *self = Self::Walk(Walk { ours, theirs, after, entries: 0, is_partial: false, page });
            }
        }
    }

    /// An answer came: what it is to be compared with. `None` where it is not the one that is wanted.
    pub(crate) fn answered(&mut self) -> Option<Walk> {
        let Self::Walk(walk) = *self else { return None };
        *self = match walk.page {
            Page::Due => return None,
            Page::Asked => Self::Idle,
            Page::AskedAndDue => Self::Due,
        };
        Some(walk)
    }

    /// There are more pages.
    pub(crate) fn goes_on(&mut self, walk: Walk) {
        *self = Self::Walk(Walk { page: Page::Due, ..walk });
    }

    /// No answer will come.
    pub(crate) fn failed(&mut self) {
        if let Self::Walk(walk) = self {
            *self = if walk.page == Page::Asked { Self::Idle } else { Self::Due };
        }
    }

    pub(crate) fn walk(&self) -> Option<&Walk> {
        if let Self::Walk(walk) = self { Some(walk) } else { None }
    }

    /// Something that was found has been forgotten: the comparison under way will not count.
    pub(crate) fn lost_something(&mut self) {
        if let Self::Walk(walk) = self {
            walk.is_partial = true;
        }
    }
}

/// A comparison under way, page by page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Walk {
    /// Our digest when it began.
    pub(crate) ours: Hash,
    /// The peer's digest, once it has answered.
    pub(crate) theirs: Option<Hash>,
    /// The last log compared.
    pub(crate) after: Option<LogId>,
    /// Logs compared.
    pub(crate) entries: usize,
    /// Something found could not be remembered, so the comparison will not count.
    pub(crate) is_partial: bool,
    page: Page,
}

/// One peer. Public only for the [`Tables`](crate::Tables) trait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer<S: Scheme> {
    pub(crate) id: PeerId,
    pub(crate) vkey: Vkey<S>,
    /// The id of its key, and of the log it writes.
    pub(crate) node: LogId,
    /// The transport proves who answers.
    pub(crate) is_authenticated: bool,
    pub(crate) health: Health,
    /// Not asked before this moment, unless it is healthy.
    pub(crate) retry_at: Instant,
    failures: [u8; 3],
    /// When a failure was last counted.
    failed_at: Instant,
    /// Pauses taken since it was last healthy.
    pauses: u8,
    /// Times the deadline has doubled and the batch halved.
    slowness: u8,
    /// The largest frame it takes, by its own word.
    pub(crate) max_message: u32,
    pub(crate) listing: Listing,
    pub(crate) compared: Option<Compared>,
    /// Records of our own log it holds, by its own signed word.
    pub(crate) acknowledged: Option<u64>,
    /// Since we began to recover it has said what it knows of our log.
    pub(crate) has_answered: bool,
    /// The last log considered for offering, in order of change.
    pub(crate) offered: u32,
    /// When this peer is offered what has changed; `None` while there is nothing to offer.
    pub(crate) offer_at: Option<Instant>,
    pub(crate) sync: Option<Sync>,
    /// Logs and bytes it introduced.
    pub(crate) introduced_logs: usize,
    pub(crate) introduced_bytes: u64,
    pub(crate) notes: Notes,
}

/// What the application is still to be told of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Notes {
    pub(crate) health: bool,
    pub(crate) pushed: Option<(LogId, PushOutcome)>,
    pub(crate) quota: bool,
    /// The quota's notice has been given in this round.
    pub(crate) quota_told: bool,
}

/// What can be asked about a peer, with [`Node::peer`](crate::Node::peer) and
/// [`Node::peers`](crate::Node::peers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The handle.
    pub id: PeerId,
    /// The id of its key, which is that of the log it writes.
    pub node: LogId,
    /// Its transport proves that it is the peer that answers.
    pub is_authenticated: bool,
    /// Whether it is asked.
    pub health: Health,
    /// How long it is given to answer now: one to eight times [`Config::timeout`].
    pub timeout: Duration,
    /// Records of this node's own log it holds, by its own signed word; `None` before it said so.
    pub acknowledged: Option<u64>,
    /// While this node recovers: the peer has said what it knows of its log.
    pub has_answered: bool,
}

impl<S: Scheme> Peer<S> {
    pub(crate) fn new(id: PeerId, vkey: Vkey<S>, newest: u32) -> Self {
        Self {
            id,
            node: vkey.id(),
            vkey,
            is_authenticated: false,
            health: Health::Healthy,
            retry_at: Instant::ZERO,
            failures: [0; 3],
            failed_at: Instant::ZERO,
            pauses: 0,
            slowness: 0,
            max_message: MIN_MESSAGE,
            listing: Listing::Due,
            compared: None,
            acknowledged: None,
            has_answered: false,
            offered: newest,
            offer_at: None,
            sync: None,
            introduced_logs: 0,
            introduced_bytes: 0,
            notes: Notes::default(),
        }
    }

    pub(crate) fn info(&self, config: &Config) -> PeerInfo {
        PeerInfo {
            id: self.id,
            node: self.node,
            is_authenticated: self.is_authenticated,
            health: self.health,
            timeout: self.timeout(config),
            acknowledged: self.acknowledged,
            has_answered: self.has_answered,
        }
    }

    pub(crate) fn is_syncing(&self, stage: Stage) -> bool {
        self.sync.is_some_and(|sync| sync.stage == stage)
    }

    /// An on-demand sync that is at one stage goes on to the next.
    pub(crate) fn sync_goes_on(&mut self, from: Stage, to: Stage) {
        if let Some(sync) = self.sync.as_mut().filter(|sync| sync.stage == from) {
            sync.stage = to;
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.health == Health::Healthy
    }

    /// How long it is given to answer.
    pub(crate) fn timeout(&self, config: &Config) -> Duration {
        config.timeout.saturating_mul(1 << self.slowness)
    }

    /// The largest answer asked of it, in bytes.
    pub(crate) fn answer_limit(&self, config: &Config) -> u32 {
        (config.max_message >> self.slowness).max(MIN_MESSAGE)
    }

    /// A request of this kind was answered.
    pub(crate) fn succeeded(&mut self, kind: Kind) {
        self.count(kind, |_| 0);
        self.slowness = self.slowness.saturating_sub(1);
        // A peer at fault answers well enough; it is its pause that ends that, not an answer that was
        // under way.
        if self.health == Health::Unhealthy && !cfg!(verisoo_bug = "back-off-never-reset") {
            self.health = Health::Healthy;
            self.pauses = 0;
            self.notes.health = true;
        }
    }

    /// A request of this kind, made at `asked_at`, failed. One made before the last failure says nothing
    /// new: a connection that breaks takes all that was under way with it, and is one failure.
    pub(crate) fn failed(&mut self, kind: Kind, asked_at: Instant, now: Instant, config: &Config, rng: &mut Rng) {
        if asked_at < self.failed_at {
            return;
        }
        self.failed_at = now;
        let failures = self.count(kind, |failures| failures.saturating_add(1));
        match self.health {
            Health::Healthy if failures >= FAILURES => {
                self.health = Health::Unhealthy;
                self.notes.health = true;
                self.pause(now, config, rng);
            }
            Health::Unhealthy => self.pause(now, config, rng),
            // A fault's pause is longer than any: what else fails meanwhile must not shorten it.
            Health::Healthy | Health::AtFault(_) => {}
        }
    }

    /// It did not answer in time.
    pub(crate) fn was_slow(&mut self) {
        self.slowness = (self.slowness + 1).min(SLOWEST);
    }

    /// It did what no correct peer does.
    pub(crate) fn set_aside(&mut self, fault: Fault, now: Instant, config: &Config, rng: &mut Rng) {
        self.health = Health::AtFault(fault);
        self.notes.health = true;
        self.retry_at = now + rng.jitter(config.interval.saturating_mul(FAULT_PAUSE));
    }

    /// The pause is over: one more try.
    pub(crate) fn try_again(&mut self) {
        if let Health::AtFault(_) = self.health {
            self.health = Health::Unhealthy;
        }
        self.listing.ask();
    }

    fn count(&mut self, kind: Kind, update: impl FnOnce(u8) -> u8) -> u8 {
        let [status, fetch, push] = &mut self.failures;
        let failures = match kind {
            Kind::Status => status,
            Kind::Fetch => fetch,
            Kind::Push => push,
        };
        *failures = update(*failures);
        *failures
    }

    fn pause(&mut self, now: Instant, config: &Config, rng: &mut Rng) {
        let intervals = (1 << self.pauses.min(4)).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.retry_at = now + rng.jitter(config.interval.saturating_mul(intervals));
    }
}
