//! Time as the node sees it: a count of microseconds from a moment the caller chose. The node has no
//! clock; the caller passes `now` with each call.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment, in microseconds since a moment of the caller's choice (a boot, the Unix epoch, the start
/// of a simulation). Only differences matter.
///
/// Arithmetic saturates: a clock that jumps to the end of time must not panic the node.
///
/// ```
/// use core::time::Duration;
/// use verisoo::Instant;
///
/// let start = Instant::from_millis(5);
/// assert_eq!(start + Duration::from_micros(1), Instant::from_micros(5_001));
/// assert_eq!(Instant::from_millis(7) - start, Duration::from_millis(2));
/// assert_eq!(start - Instant::from_millis(7), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The first moment.
    pub const ZERO: Self = Self(0);
    /// The last moment: a deadline that is never reached.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `micros` microseconds after [`Instant::ZERO`].
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The moment `millis` milliseconds after [`Instant::ZERO`].
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The moment `secs` seconds after [`Instant::ZERO`].
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since [`Instant::ZERO`].
    pub const fn as_micros(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    // Not inlined: it is 128-bit arithmetic, and called from everywhere.
    #[inline(never)]
    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero where `earlier` is the later one.
    #[inline(never)]
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
