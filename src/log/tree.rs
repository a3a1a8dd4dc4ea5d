//! Tree coordinates, post-order storage order and the frontier (compact range).

use super::Hash;

/// The largest tree: 2^62 leaves. Below it no index arithmetic overflows a `u64`.
pub const MAX_SIZE: u64 = 1 << 62;

/// The longest proof, in hashes: 63 (a consistency proof; an inclusion proof has at most 62).
pub const MAX_PROOF: usize = 63;

/// A tree would grow beyond [`MAX_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TooLarge;

/// The place of a perfect subtree's hash: `level` 0 are the leaves; at `level`, `index` counts subtrees
/// of 2^level leaves from the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    level: u8,
    index: u64,
}

impl Position {
    /// The place at `level` and `index`, or `None` where its leaves would lie beyond [`MAX_SIZE`].
    pub fn new(level: u8, index: u64) -> Option<Self> {
        todo!("{level} {index}")
    }

    /// Level: 0 for leaves.
    pub fn level(self) -> u8 {
        self.level
    }

    /// Index within the level.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Index in the stored (post-order) sequence of hashes.
    pub fn stored_index(self) -> u64 {
        todo!()
    }
}

/// How many hashes a log of `size` leaves stores: 2·size − popcount(size).
pub fn stored_count(size: u64) -> u64 {
    todo!("{size}")
}

/// The roots of the perfect subtrees that make up a tree: all that is needed to append to it and to
/// know its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: [Hash; 62],
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        todo!()
    }

    /// The frontier of a tree of `size` leaves, its peaks read through `read`.
    pub fn load<E>(size: u64, read: impl FnMut(Position) -> Result<Hash, E>) -> Result<Self, E> {
        let _ = (size, read);
        todo!()
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        todo!()
    }

    /// Appends a leaf; `emit` receives the hashes to store, in post-order (the leaf first).
    pub fn push(&mut self, leaf: Hash, emit: impl FnMut(Hash)) -> Result<(), TooLarge> {
        let _ = (leaf, emit);
        todo!()
    }
}
