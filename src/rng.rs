//! The node's randomness: for jitter and choice of peers, derived from the seed the caller gives. It is
//! no secret and guards nothing; nonces come from a hash over secrets instead.

use core::time::Duration;

/// `SplitMix64` (Steele, Lea and Flood, 2014): small, and good enough to spread load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, or 0 where `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u128::try_from(bound).unwrap_or(0);
        // The high half of a 64 × 64 product: no modulo bias worth the name at these bounds.
        usize::try_from((u128::from(self.next()) * bound) >> 64).unwrap_or(0)
    }

    /// A duration between three quarters and five quarters of `duration`.
    pub(crate) fn jitter(&mut self, duration: Duration) -> Duration {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2);
        let share = self.below(1 << 16) as u64;
        let spread = u64::try_from((u128::from(micros / 2) * u128::from(share)) >> 16).unwrap_or(0);
        Duration::from_micros((micros - micros / 4).saturating_add(spread))
    }
}

/// The finalizer: every bit of the input moves about half the bits of the output.
pub(crate) fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
