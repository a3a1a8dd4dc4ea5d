//! How it stands with the store: what is to be made durable, and whether it may be asked now. Reads and writes nothing;
//! what has to be durable before what, `node::commit` and its callers know.

use core::time::Duration;

use crate::store::{Store, StoreError};
use crate::time::Instant;

/// The longest that something written is left to be made durable by whatever comes next.
const SOON: Duration = Duration::from_secs(1);

/// The longest that a store which is only not ready is left alone, in milliseconds.
const LONGEST_PAUSE: u8 = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// Something was written that is not known to be durable, and is to be by then at the latest.
    unsynced: Option<Instant>,
    /// After it failed, nothing is asked of it before this moment by `poll`.
    retry_at: Instant,
    /// For how many milliseconds it was last left alone for not being ready; zero once it has worked.
    pause: u8,
    /// What the application is still to be told.
    error: Option<StoreError>,
}

impl Disk {
    /// Something was written that is not durable yet; it is to be within a second, or an interval, even if
    /// nobody asks.
    pub(crate) fn wrote(&mut self, now: Instant, interval: Duration) {
        self.unsynced.get_or_insert(now + interval.min(SOON));
    }

    /// What an earlier process wrote can be read, and need not be durable yet.
    pub(crate) fn is_inherited(&mut self) {
        self.unsynced = Some(Instant::ZERO);
    }

    /// Makes everything written durable; whether there was anything.
    pub(crate) fn settle(&mut self, store: &mut dyn Store) -> Result<bool, StoreError> {
        if self.unsynced.is_none() {
            return Ok(false);
        }
        store.sync()?;
        self.unsynced = None;
        Ok(true)
    }

    /// When what was written is to be durable at the latest; `None` where it is.
    pub(crate) fn unsynced(&self) -> Option<Instant> {
        self.unsynced
    }

    /// Takes back what was learnt since: for a call that fails.
    pub(crate) fn still_unsynced(&mut self, unsynced: Option<Instant>) {
        self.unsynced = unsynced;
    }

    /// It failed at something of `poll`, which is tried again after a while. One that is only not ready is asked
    /// again soon, then a little less often (it may have to be asked once for each hash of a proof), and nobody
    /// need be told.
    pub(crate) fn failed(&mut self, error: StoreError, now: Instant, interval: Duration) {
        let pause = if error == StoreError::NotReady {
            self.pause = self.pause.saturating_mul(2).clamp(1, LONGEST_PAUSE);
            Duration::from_millis(self.pause.into())
        } else {
            self.error = Some(error);
            self.pause = LONGEST_PAUSE;
            interval.min(SOON)
        };
        self.retry_at = now + pause;
    }

    /// It did what it was asked.
    pub(crate) fn worked(&mut self) {
        self.pause = 0;
    }

    /// It may not be asked before this moment.
    pub(crate) fn retry_at(&self) -> Instant {
        self.retry_at
    }

    /// The application is to be told of a failure.
    pub(crate) fn report(&mut self, error: StoreError) {
        self.error = Some(error);
    }

    /// The failure that the application is still to be told of.
    pub(crate) fn take_report(&mut self) -> Option<StoreError> {
        self.error.take()
    }
}
