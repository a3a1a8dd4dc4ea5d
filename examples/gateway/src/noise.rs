//! A bad cable: now and then a byte is lost, comes twice, or has a bit flipped.

/// One byte in so many is disturbed.
const RARITY: u64 = 5_000;

/// Noise that is the same for the same seed.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// What arrives of these bytes.
    pub fn disturb(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut arrived = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            let draw = self.next();
            match (draw % RARITY, (draw >> 32) % 3) {
                (0, 0) => {}
                (0, 1) => arrived.extend([*byte, *byte]),
                (0, _) => arrived.push(byte ^ 1 << (draw >> 40 & 7)),
                _ => arrived.push(*byte),
            }
        }
        arrived
    }

    /// xorshift64* (Vigna, 2016).
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
