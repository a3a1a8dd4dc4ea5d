//! The sparse Merkle tree over all followed logs, by the bits of their ids: what the digest and the root of a
//! node are roots of. Leaf `H(00 ‖ …)`, node `H(01 ‖ l ‖ r)`; a subtree with one log is its leaf, an empty
//! one is absent.

use core::hash::{Hash as StdHash, Hasher};

use super::tables::{List, NONE, Tables};
use crate::key::LogId;
use crate::log::{Hash, node_hash};

/// What the tree is over: logs in order of id.
pub(super) trait Ordered {
    fn len(&self) -> usize;
    fn id(&self, rank: usize) -> Option<&LogId>;
    /// What a status says of it.
    fn digest_leaf(&self, rank: usize) -> Option<Hash>;
    /// Its complete head; `None` where there is none yet.
    fn root_leaf(&self, rank: usize) -> Option<Hash>;
}

/// The hashes of the tree's inner nodes, as far as they are known and there is an allocator to keep them:
/// so that one changed log costs the hashes on its way to the root. Derived from the rest: it counts neither
/// for equality nor for hashing.
///
/// In order of id, the logs of a subtree lie side by side, and each place between two neighbours is where
/// exactly one subtree splits: its hash is kept at the rank of the right one.
#[derive(Clone, Debug)]
pub(super) struct Digest<T: Tables> {
    hashes: T::Inner,
    /// The slot of the log touched last, whose subtrees' hashes are still to be forgotten.
    touched: u32,
}

impl<T: Tables> Default for Digest<T> {
    fn default() -> Self {
        Self { hashes: T::Inner::default(), touched: NONE }
    }
}

impl<T: Tables> PartialEq for Digest<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: Tables> Eq for Digest<T> {}

impl<T: Tables> StdHash for Digest<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T: Tables> Digest<T> {
    /// The root over what a status says of every log. All that was touched must have been forgotten.
    pub(super) fn digest(&mut self, logs: &impl Ordered) -> Hash {
        self.subtree(logs, 0, logs.len()).unwrap_or(Hash::EMPTY_ROOT)
    }

    fn subtree(&mut self, logs: &impl Ordered, start: usize, end: usize) -> Option<Hash> {
        let Some(middle) = split(logs, start, end) else { return logs.digest_leaf(start) };
        let known = self.hashes.get(middle).copied().flatten();
        if known.is_some() {
            return known;
        }
        let hash = node_hash(&self.subtree(logs, start, middle)?, &self.subtree(logs, middle, end)?);
        self.set(middle, Some(hash));
        Some(hash)
    }

    /// The log in this slot is about to change; the one that was before it, and is to be forgotten now.
    pub(super) fn touch(&mut self, slot: u32) -> Option<u32> {
        // Where there is no room for any hash, nothing is to be forgotten either.
        if self.hashes.capacity_limit() == 0 || self.touched == slot {
            return None;
        }
        let before = core::mem::replace(&mut self.touched, slot);
        (before != NONE).then_some(before)
    }

    /// A log has come into the order at this rank, of `capacity` at most.
    pub(super) fn entered(&mut self, logs: &impl Ordered, rank: usize, capacity: usize) {
        // Where there is no room for a hash a log, none is kept.
        if self.hashes.capacity_limit() >= capacity {
            let _ = self.hashes.insert(rank, None);
            self.forget(logs, rank);
        }
    }

    /// The log at this rank is about to leave the order.
    pub(super) fn leaves(&mut self, logs: &impl Ordered, rank: usize) {
        self.forget(logs, rank);
        if rank < self.hashes.len() {
            self.hashes.remove(rank);
        }
    }

    /// Forgets the hashes of all subtrees that the log at `rank` is in.
    pub(super) fn forget(&mut self, logs: &impl Ordered, rank: usize) {
        let (mut start, mut end) = (0, self.hashes.len().min(logs.len()));
        while let Some(middle) = split(logs, start, end) {
            self.set(middle, None);
            if rank < middle {
                end = middle;
            } else {
                start = middle;
            }
        }
    }

    fn set(&mut self, rank: usize, hash: Option<Hash>) {
        if let Some(kept) = self.hashes.get_mut(rank) {
            *kept = hash;
        }
    }
}

/// The root over the complete heads of the logs that have one.
pub(super) fn root(logs: &impl Ordered) -> Hash {
    root_of(logs, 0, logs.len()).unwrap_or(Hash::EMPTY_ROOT)
}

fn root_of(logs: &impl Ordered, start: usize, end: usize) -> Option<Hash> {
    let Some(middle) = split(logs, start, end) else { return logs.root_leaf(start) };
    match (root_of(logs, start, middle), root_of(logs, middle, end)) {
        (Some(left), Some(right)) => Some(node_hash(&left, &right)),
        (one, other) => one.or(other),
    }
}

/// Where the subtree over the logs from rank `start` to `end` splits: the rank of the first on the right;
/// `None` for fewer than two.
fn split(logs: &impl Ordered, start: usize, end: usize) -> Option<usize> {
    let (first, last) = (logs.id(start)?, logs.id(end.checked_sub(1)?)?);
    // Ids are sorted, so all share the bits that the first and the last share.
    let bit = first_difference(first, last)?;
    let (mut left, mut right) = (start, end);
    while left < right {
        let middle = left + (right - left) / 2;
        if bit_at(logs.id(middle)?, bit) {
            right = middle;
        } else {
            left = middle + 1;
        }
    }
    Some(left)
}

/// The first bit in which two ids differ, counted from the most significant.
fn first_difference(a: &LogId, b: &LogId) -> Option<u32> {
    let bytes = a.as_bytes().iter().zip(b.as_bytes());
    let (at, differing) = bytes.map(|(a, b)| a ^ b).enumerate().find(|(_, difference)| *difference != 0)?;
    Some(u32::try_from(at).ok()? * 8 + differing.leading_zeros())
}

fn bit_at(id: &LogId, bit: u32) -> bool {
    let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
    let byte = id.as_bytes().get(at).copied().unwrap_or(0);
    byte & (0x80 >> (bit % 8)) != 0
}
