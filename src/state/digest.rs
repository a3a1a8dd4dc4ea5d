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

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use crate::key::{Ed25519, LogId};
    use crate::state::logs::Logs;
    use crate::state::replica::Replica;
    use crate::state::tables::{Fixed, Heap};
    use crate::store::Origin;

    /// Without an allocator nothing is kept, and all is hashed anew.
    type Anew = Logs<Fixed<1, 64, 1, 1, 80, Ed25519>>;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8),
        Remove(u8),
        Touch(u8),
        Digest,
    }

    /// Ids that share long prefixes, so that subtrees are of all depths.
    fn id(number: u8) -> LogId {
        let mut bytes = [0; 32];
        bytes[0] = number & 0b1100_0000;
        bytes[number as usize % 7] |= number & 0b11_1111;
        LogId::from_bytes(bytes)
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => any::<u8>().prop_map(Step::Insert),
            1 => any::<u8>().prop_map(Step::Remove),
            3 => any::<u8>().prop_map(Step::Touch),
            2 => Just(Step::Digest),
        ];
        proptest::collection::vec(step, 0..100)
    }

    proptest! {
        #[test]
        fn what_is_kept_of_the_tree_is_what_would_be_hashed(steps in steps()) {
            let mut kept = Logs::<Heap<Ed25519>>::default();
            let mut anew = Anew::default();
            for step in steps {
                match step {
                    Step::Insert(number) if kept.len() < 64 => {
                        let replica = Replica::new(id(number), Origin::Pinned);
                        prop_assert_eq!(kept.insert(replica.clone()), anew.insert(replica));
                    }
                    Step::Remove(number) => {
                        let none = core::iter::empty;
                        prop_assert_eq!(kept.remove(&id(number), none()), anew.remove(&id(number), none()));
                    }
                    Step::Touch(number) => {
                        kept.find_mut(&id(number)).into_iter().for_each(|replica| replica.complete.size += 1);
                        anew.find_mut(&id(number)).into_iter().for_each(|replica| replica.complete.size += 1);
                    }
                    Step::Insert(_) | Step::Digest => prop_assert_eq!(kept.digest(), anew.digest()),
                }
            }
            prop_assert_eq!(kept.digest(), anew.digest());
        }
    }
}
