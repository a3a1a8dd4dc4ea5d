//! When next: whoever asks whether a moment has come, and hears that it has not, has said until when it waits. The
//! earliest of these moments is when to look again. It may be too early (nothing comes of it, and the next is waited
//! for), and must never be too late.

use crate::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wake {
    now: Instant,
    earliest: Instant,
}

impl Wake {
    /// There is nothing to wait for yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self { now, earliest: Instant::MAX }
    }

    /// Whether a moment has come; where not, it is waited for.
    pub(crate) fn is_due(&mut self, moment: Instant) -> bool {
        self.wait(moment);
        moment <= self.now
    }

    /// Waits for a moment, if it lies ahead.
    #[inline(never)]
    pub(crate) fn wait(&mut self, moment: Instant) {
        if moment > self.now {
            self.earliest = self.earliest.min(moment);
        }
    }

    pub(crate) fn earliest(self) -> Instant {
        self.earliest
    }
}
