//! The sparse Merkle tree over all followed logs, by the bits of their ids: what the digest and the root of a
//! node are roots of. Leaf `H(00 ‖ …)`, node `H(01 ‖ l ‖ r)`; a subtree with one log is its leaf, an empty
//! one is absent.

use core::hash::{Hash as StdHash, Hasher};

use super::replica::{NONE, Replica, Replicas};
use crate::log::node_hash;
use crate::tables::{List, Tables};
use crate::{Hash, LogId};

/// The hashes of the digest's inner nodes, as far as they are known and there is an allocator to keep them:
/// so that one changed log costs the hashes on its way to the root. Derived from the rest: it counts neither
/// for equality nor for hashing.
///
/// In order of id, the logs of a subtree lie side by side, and each place between two neighbours is where
/// exactly one subtree splits: its hash is kept at the rank of the right one.
#[derive(Clone, Debug)]
pub(super) struct Inner<T: Tables> {
    hashes: T::Inner,
    /// The log touched last, whose subtrees' hashes are still to be forgotten.
    touched: u32,
}

impl<T: Tables> Default for Inner<T> {
    fn default() -> Self {
        Self { hashes: T::Inner::default(), touched: NONE }
    }
}

impl<T: Tables> PartialEq for Inner<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: Tables> Eq for Inner<T> {}

impl<T: Tables> StdHash for Inner<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T: Tables> Inner<T> {
    /// Whether there is room for any: where there is none, nothing is to be forgotten either.
    fn is_kept(&self) -> bool {
        self.hashes.capacity_limit() > 0
    }

    fn get(&self, rank: usize) -> Option<Hash> {
        self.hashes.get(rank).copied().flatten()
    }

    fn set(&mut self, rank: usize, hash: Option<Hash>) {
        if let Some(kept) = self.hashes.get_mut(rank) {
            *kept = hash;
        }
    }
}

impl<T: Tables> Replicas<T> {
    /// The root over all that a status says of every log.
    pub(crate) fn digest(&mut self) -> Hash {
        self.forget_touched();
        self.digest_of(0, self.len()).unwrap_or(Hash::EMPTY_ROOT)
    }

    /// The root over the complete heads of the logs that have one.
    pub(crate) fn root(&self) -> Hash {
        self.root_of(0, self.len()).unwrap_or(Hash::EMPTY_ROOT)
    }

    fn digest_of(&mut self, start: usize, end: usize) -> Option<Hash> {
        let Some(middle) = self.split(start, end) else { return self.at(start).map(Replica::digest_leaf) };
        let known = self.inner.get(middle);
        if known.is_some() {
            return known;
        }
        let hash = node_hash(&self.digest_of(start, middle)?, &self.digest_of(middle, end)?);
        self.inner.set(middle, Some(hash));
        Some(hash)
    }

    fn root_of(&self, start: usize, end: usize) -> Option<Hash> {
        let Some(middle) = self.split(start, end) else { return self.at(start).and_then(Replica::root_leaf) };
        match (self.root_of(start, middle), self.root_of(middle, end)) {
            (Some(left), Some(right)) => Some(node_hash(&left, &right)),
            (one, other) => one.or(other),
        }
    }

    /// The log in this slot is about to change.
    pub(super) fn touches(&mut self, slot: u32) {
        if self.inner.is_kept() && self.inner.touched != slot {
            self.forget_touched();
            self.inner.touched = slot;
        }
    }

    /// A log has come into the order at this rank.
    pub(super) fn entered(&mut self, rank: usize) {
        // Where there is no room for a hash a log, none is kept.
        if self.inner.hashes.capacity_limit() >= self.capacity() {
            let _ = self.inner.hashes.insert(rank, None);
            self.forget(rank);
        }
    }

    /// The log at this rank is about to leave the order.
    pub(super) fn leaves(&mut self, rank: usize) {
        self.forget_touched();
        self.forget(rank);
        if rank < self.inner.hashes.len() {
            self.inner.hashes.remove(rank);
        }
    }

    fn forget_touched(&mut self) {
        if !self.inner.is_kept() {
            return;
        }
        let touched = core::mem::replace(&mut self.inner.touched, NONE);
        if let Some(rank) = self.get(touched).and_then(|replica| self.rank(&replica.id).ok()) {
            self.forget(rank);
        }
    }

    /// Forgets the hashes of all subtrees that the log at `rank` is in.
    fn forget(&mut self, rank: usize) {
        let (mut start, mut end) = (0, self.inner.hashes.len().min(self.len()));
        while let Some(middle) = self.split(start, end) {
            self.inner.set(middle, None);
            if rank < middle {
                end = middle;
            } else {
                start = middle;
            }
        }
    }

    /// Where the subtree over the logs from rank `start` to `end` splits: the rank of the first on the right;
    /// `None` for fewer than two.
    fn split(&self, start: usize, end: usize) -> Option<usize> {
        let (first, last) = (self.at(start)?, self.at(end.checked_sub(1)?)?);
        // Ids are sorted, so all share the bits that the first and the last share.
        let bit = first_difference(&first.id, &last.id)?;
        let slots = self.order().get(start..end)?;
        let is_left = |slot: &u32| self.get(*slot).is_some_and(|replica| !bit_at(&replica.id, bit));
        Some(start + slots.partition_point(is_left))
    }

    fn at(&self, rank: usize) -> Option<&Replica> {
        self.get(*self.order().get(rank)?)
    }
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

    use super::super::replica::{Replica, Replicas};
    use crate::store::Origin;
    use crate::tables::{Fixed, Heap};
    use crate::{Ed25519, LogId};

    /// Without an allocator nothing is kept, and all is hashed anew.
    type Anew = Replicas<Fixed<1, 64, 1, 1, 80, Ed25519>>;

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
            let mut kept = Replicas::<Heap<Ed25519>>::default();
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
