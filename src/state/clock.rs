//! The node's time: advances with the caller's clock, stands still while that goes backwards, and makes no step longer
//! than a year. The node compares moments of its own time; what it tells the caller is on the caller's clock.

use core::time::Duration;

use crate::time::Instant;

/// The node's time: advances with the caller's clock and stands still while that goes backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    pub(crate) now: Instant,
    /// What the caller's clock showed.
    last: Instant,
}

impl Clock {
    /// The longest step: after a year everything is due that ever will be, and a clock that jumps to the
    /// end of time must not take the node there, where no deadline lies ahead any more.
    const LONGEST_STEP: Duration = Duration::from_secs(365 * 24 * 3_600);

    pub(crate) fn new(now: Instant) -> Self {
        Self { now: Instant::ZERO, last: now }
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = self.now + (now - self.last).min(Self::LONGEST_STEP);
        self.last = now;
    }

    /// A moment of the node's time on the caller's clock.
    pub(crate) fn on_callers(&self, at: Instant) -> Instant {
        self.last + (at - self.now)
    }
}
