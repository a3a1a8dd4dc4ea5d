//! A fuzzer's bytes read as numbers and choices. Of our own, so that a corpus keeps its meaning.

/// What is left of the input. At its end everything reads as zero.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `count`, of which one byte decides; 0 where `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// A number from `low` to `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + u64::from(self.byte()) % (high.saturating_sub(low) + 1)
    }

    /// Any number, small ones as likely as large ones.
    pub fn number(&mut self) -> u64 {
        let bits = u32::from(self.byte()) % 65;
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        u64::from_le_bytes(bytes).checked_shr(64 - bits).unwrap_or(0)
    }

    pub fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// At most `len` bytes.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// The rest of the input.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Changes `bytes` as the input says: up to `most` changes, none where it says so.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>, most: usize) {
        for _ in 0..self.below(most + 1) {
            let at = usize::from(u16::from_le_bytes(self.array())) % (bytes.len() + 1);
            match self.below(7) {
                0 => {
                    let bit = self.byte() % 8;
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
                }
                1 => {
                    let value = self.byte();
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte = value);
                }
                2 => bytes.insert(at, self.byte()),
                3 => bytes.truncate(at),
                4 => {
                    let end = (at + 1 + self.below(40)).min(bytes.len());
                    bytes.drain(at.min(end)..end);
                }
                5 => {
                    let end = (at + 1 + self.below(40)).min(bytes.len());
                    let again = bytes[at.min(end)..end].to_vec();
                    bytes.splice(at..at, again);
                }
                _ => {
                    let len = self.below(40);
                    let new = self.bytes(len).to_vec();
                    bytes.splice(at..at, new);
                }
            }
        }
    }

    /// Changes the hashes of a proof as the input says; whether it changed anything.
    pub fn mutate_hashes(&mut self, hashes: &mut Vec<[u8; 32]>) -> bool {
        let before = hashes.clone();
        for _ in 0..self.below(4) {
            let at = self.below(hashes.len());
            match self.below(6) {
                0 => {
                    let bit = self.byte();
                    hashes.get_mut(at).into_iter().for_each(|hash| hash[usize::from(bit / 8)] ^= 1 << (bit % 8));
                }
                1 if !hashes.is_empty() => drop(hashes.remove(at)),
                2 => hashes.insert(at, [self.byte(); 32]),
                3 => hashes.push(hashes.get(at).copied().unwrap_or_default()),
                4 if !hashes.is_empty() => {
                    let other = self.below(hashes.len());
                    hashes.swap(at, other);
                }
                _ => drop(hashes.pop()),
            }
        }
        *hashes != before
    }
}
