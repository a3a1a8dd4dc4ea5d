//! The node's own log, as its writer: with which key, whether it may write, and what it signed last. A writer that may
//! have forgotten what it signed recovers, and one whose key has signed elsewhere has stopped for good: between them,
//! nobody signs twice. Signing itself is `node::writer`'s.

use crate::error::Error;
use crate::head::Head;
use crate::key::{Identity, LogId, Scheme, Vkey};
use crate::log::Hash;
use crate::time::Instant;
use crate::words::{Answers, Start};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Writing<S: Scheme> {
    identity: Identity<S>,
    /// The id of the node and of its log.
    id: LogId,
    mode: Mode,
    /// The root over all records, signed or not, since the node last appended: what its store says must agree
    /// with it before anything is built upon it.
    root: Option<Hash>,
    /// When the last head was signed.
    published_at: Instant,
    untold: Untold,
}

/// Whether the node may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    Writing,
    Recovering(Recovery),
    /// For good; and whether the store remembers it, or need not.
    Stopped {
        is_saved: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Recovery {
    pub(crate) answers: Answers,
    /// The size of the largest head met that the node's own key signed.
    pub(crate) target: u64,
}

/// What the application is still to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Untold {
    published: Option<Head>,
    recovered: bool,
    stopped: bool,
}

impl<S: Scheme> Writing<S> {
    pub(crate) fn new(identity: Identity<S>) -> Self {
        let id = identity.vkey().id();
        let (mode, untold) = (Mode::Writing, Untold::default());
        Self { identity, id, mode, root: None, published_at: Instant::ZERO, untold }
    }

    /// How the log begins in this process.
    pub(crate) fn start(&mut self, start: Start) {
        self.mode = match start {
            Start::Resume => Mode::Writing,
            Start::Recover(answers) => Mode::Recovering(Recovery { answers, target: 0 }),
        };
    }

    pub(crate) fn id(&self) -> LogId {
        self.id
    }

    pub(crate) fn identity(&self) -> &Identity<S> {
        &self.identity
    }

    pub(crate) fn vkey(&self) -> &Vkey<S> {
        self.identity.vkey()
    }

    /// Whether the mode lets it write.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.mode {
            Mode::Writing => Ok(()),
            Mode::Recovering(_) => Err(Error::Recovering),
            Mode::Stopped { .. } => Err(Error::Stopped),
        }
    }

    /// What the node waits for while it takes its own log back.
    pub(crate) fn recovery(&self) -> Option<Recovery> {
        if let Mode::Recovering(recovery) = self.mode { Some(recovery) } else { None }
    }

    pub(crate) fn is_recovering(&self) -> bool {
        self.recovery().is_some()
    }

    /// A head of this size is signed by the own key: the log is taken back up to there at least.
    pub(crate) fn raise_target(&mut self, size: u64) {
        if let Mode::Recovering(recovery) = &mut self.mode {
            recovery.target = recovery.target.max(size);
        }
    }

    /// Everything that the own key ever signed is back.
    pub(crate) fn recovered(&mut self) {
        self.mode = Mode::Writing;
        self.untold.recovered = true;
    }

    /// Writing ends for good, at once; the store is still to be told.
    pub(crate) fn stop(&mut self) {
        if !matches!(self.mode, Mode::Stopped { .. }) {
            self.mode = Mode::Stopped { is_saved: false };
            self.untold.stopped = true;
        }
    }

    /// Writing had ended before this process began, or what the store holds says that it must: that is found
    /// again at each start.
    pub(crate) fn found_stopped(&mut self) {
        self.mode = Mode::Stopped { is_saved: true };
        self.untold.stopped = true;
    }

    /// Whether the store is still to be told that writing has ended.
    pub(crate) fn is_stop_unsaved(&self) -> bool {
        self.mode == Mode::Stopped { is_saved: false }
    }

    pub(crate) fn stop_saved(&mut self) {
        self.mode = Mode::Stopped { is_saved: true };
    }

    pub(crate) fn root(&self) -> Option<Hash> {
        self.root
    }

    /// A record was appended: the root over all of them.
    pub(crate) fn appended(&mut self, root: Hash) {
        self.root = Some(root);
    }

    pub(crate) fn published_at(&self) -> Instant {
        self.published_at
    }

    /// A head was signed.
    pub(crate) fn published(&mut self, head: Head, now: Instant) {
        self.untold.published = Some(head);
        self.published_at = now;
    }

    /// Whether there is something to tell once it is durable.
    pub(crate) fn has_untold(&self) -> bool {
        self.untold.published.is_some() || self.untold.recovered
    }

    pub(crate) fn take_published(&mut self) -> Option<Head> {
        self.untold.published.take()
    }

    pub(crate) fn take_recovered(&mut self) -> bool {
        core::mem::take(&mut self.untold.recovered)
    }

    pub(crate) fn take_stopped(&mut self) -> bool {
        core::mem::take(&mut self.untold.stopped)
    }
}
