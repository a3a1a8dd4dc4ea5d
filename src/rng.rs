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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        // The first numbers from seed 0, as published with the generator.
        let mut rng = Rng::new(0);
        let numbers = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f, 0xf88b_b8a8_724c_81ec];
        assert_eq!(numbers.map(|_| rng.next()), numbers);
    }

    #[test]
    fn a_number_is_below_its_bound_and_each_is_drawn() {
        let mut rng = Rng::new(7);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        for bound in [2, 3, 7, 10] {
            let mut drawn = [0_u32; 10];
            for _ in 0..1_000 {
                drawn[rng.below(bound)] += 1;
            }
            let (below, beyond) = drawn.split_at(bound);
            let fair = 1_000 / u32::try_from(bound).unwrap();
            assert!(below.iter().all(|count| (fair / 2..fair * 2).contains(count)), "{bound}: {drawn:?}");
            assert!(beyond.iter().all(|count| *count == 0));
        }
        for bound in [usize::MAX, usize::MAX / 2 + 1] {
            assert!((0..100).all(|_| rng.below(bound) < bound));
        }
    }

    #[test]
    fn jitter_stays_within_a_quarter_and_uses_it() {
        let mut rng = Rng::new(7);
        for micros in [0, 1, 2, 3, 4, 5, 100, 999, 1_000_000, 60_000_000, u64::MAX / 2] {
            let (least, most) = (micros - micros / 4, micros + micros / 4 + 1);
            let drawn = [(); 300].map(|()| rng.jitter(Duration::from_micros(micros)).as_micros());
            assert!(drawn.iter().all(|drawn| (u128::from(least)..=u128::from(most)).contains(drawn)), "{micros}");
            if micros >= 100 {
                let middle = u128::from(micros);
                let far = u128::from(micros / 8);
                assert!(drawn.iter().any(|drawn| *drawn < middle - far), "{micros}");
                assert!(drawn.iter().any(|drawn| *drawn > middle + far), "{micros}");
            }
        }
        // No duration is too long to be taken.
        assert!(rng.jitter(Duration::MAX) > Duration::from_secs(1 << 40));
    }
}
