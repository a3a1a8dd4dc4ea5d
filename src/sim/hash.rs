//! Fast hashes for fates and digests: of fixed widths only, so that they are the same on every machine.

use crate::rng::mix;

/// A number drawn from others: equal inputs give the equal number, near ones have nothing in common.
pub(super) fn draw(parts: &[u64]) -> u64 {
    parts.iter().fold(0x6a09_e667_f3bc_c908, |state, part| mix(state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15))
}

/// Whether something of `permille` parts in a thousand happens, by a number drawn.
pub(super) fn happens(drawn: u64, permille: u32) -> bool {
    scale(drawn, 1_000) < u64::from(permille)
}

/// A number drawn, scaled to below `bound`; 0 where `bound` is 0.
pub(super) fn scale(drawn: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(drawn) * u128::from(bound)) >> 64).unwrap_or(0)
}

/// A running hash over a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) const fn new() -> Self {
        Self(0xbb67_ae85_84ca_a73b)
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
        self.number(bytes.len() as u64);
    }

    pub(super) fn value(self) -> u64 {
        mix(self.0)
    }
}
