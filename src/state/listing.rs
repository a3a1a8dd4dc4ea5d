//! The comparison with what a peer lists: where it stands, page by page, and what an on-demand sync waits for. What is
//! compared, and when to ask, the status's conversation knows.

use crate::key::LogId;
use crate::log::Hash;
use crate::words::SyncError;

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

    /// Whether an answer is awaited.
    pub(crate) fn is_awaited(&self) -> bool {
        self.walk().is_some_and(|walk| walk.page != Page::Due)
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

/// Digests, ours and theirs, at the time everything was last compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Compared {
    pub(crate) ours: Hash,
    pub(crate) theirs: Hash,
}

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
