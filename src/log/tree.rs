//! Tree coordinates, the post-order in which hashes are stored, and the frontier (what others call a
//! compact range).
//!
//! The tree is that of RFC 9162 section 2.1.1. A tree of any size is made of perfect subtrees, one for
//! each bit set in its size, the largest to the left; the hash of a perfect subtree never changes as the
//! log grows, and only those are stored. Building and checking proofs is the business of the proof
//! module; keeping the hashes is a store's.

use super::error::{ProveError, TooLarge};
use super::hash::{Hash, node_hash};

/// The largest tree: 2^62 leaves. Below it no index arithmetic overflows a `u64`.
pub const MAX_SIZE: u64 = 1 << 62;

/// The longest proof, in hashes: 63 (a consistency proof; an inclusion proof has at most 62).
pub const MAX_PROOF: usize = 63;

/// The level of the root of a tree of [`MAX_SIZE`] leaves.
pub(super) const MAX_LEVEL: u8 = 62;

/// The place of a perfect subtree's hash: `level` 0 are the leaves; at `level`, `index` counts subtrees
/// of 2^level leaves from the left.
///
/// ```
/// use verisoo::log::Position;
///
/// // Leaves 0 to 3 are stored as: leaf 0, leaf 1, their node, leaf 2, leaf 3, their node, the root.
/// let stored = |level, index| Position::new(level, index).map(Position::stored_index);
/// assert_eq!(stored(0, 2), Some(3));
/// assert_eq!(stored(1, 1), Some(5));
/// assert_eq!(stored(2, 0), Some(6));
/// // No tree of at most 2^62 leaves has these.
/// assert_eq!(stored(62, 1), None);
/// assert_eq!(stored(63, 0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub(super) level: u8,
    pub(super) index: u64,
}

impl Position {
    /// The place at `level` and `index`, or `None` where its leaves would lie beyond [`MAX_SIZE`].
    pub const fn new(level: u8, index: u64) -> Option<Self> {
        if level <= MAX_LEVEL && index < MAX_SIZE >> level { Some(Self { level, index }) } else { None }
    }

    /// Level, 0 to 62: 0 for leaves.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Index within the level, below 2^(62 − level).
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Index in the stored (post-order) sequence of hashes: leaf `i` is followed by the roots of the
    /// `i.trailing_ones()` subtrees that it completes, from the smallest to the largest. Nothing stored
    /// ever moves or changes, so the sequence can be a flat file or a flash page that is only appended to.
    pub const fn stored_index(self) -> u64 {
        // It follows its last leaf, which has `level` smaller subtrees to complete before this one.
        let last_leaf = self.end() - 1;
        stored_count(last_leaf) + self.level as u64
    }

    /// The leaf after its last one. Cannot overflow: it is at most [`MAX_SIZE`].
    pub(super) const fn end(self) -> u64 {
        (self.index + 1) << self.level
    }
}

/// How many hashes a log of `size` leaves stores: 2·size − popcount(size). Exact for every size up to
/// 2^63, which is beyond [`MAX_SIZE`]; from there on it stays at [`u64::MAX`].
///
/// ```
/// # use verisoo::log::stored_count;
/// assert_eq!([0, 1, 2, 3, 4].map(stored_count), [0, 1, 3, 4, 7]);
/// ```
#[must_use]
pub const fn stored_count(size: u64) -> u64 {
    (size - size.count_ones() as u64).saturating_add(size)
}

/// The perfect subtrees that make up a tree of `size` leaves, from left to right (the largest first): one
/// for each bit set in `size`, so none for the empty tree. `None` where `size` is beyond [`MAX_SIZE`].
///
/// ```
/// use verisoo::log::{Position, peaks};
///
/// let seven = [Position::new(2, 0), Position::new(1, 2), Position::new(0, 6)];
/// assert!(peaks(7).unwrap().map(Some).eq(seven));
/// assert!(peaks(1 << 63).is_none());
/// ```
#[must_use]
pub fn peaks(size: u64) -> Option<impl DoubleEndedIterator<Item = Position> + Clone> {
    (size <= MAX_SIZE).then(|| peaks_below(MAX_LEVEL + 1, size))
}

/// The peaks of a tree of `size` leaves whose level is below `level`, which is at most 63.
pub(super) fn peaks_below(level: u8, size: u64) -> impl DoubleEndedIterator<Item = Position> + Clone {
    let levels = (0..level).rev().filter(move |level| (size >> level) & 1 == 1);
    levels.map(move |level| Position { level, index: (size >> level) - 1 })
}

/// The roots of the perfect subtrees that make up a tree: all that is needed to append to it and to
/// know its root. About 2 KB by value, whatever the size of the tree.
///
/// ```
/// use verisoo::Hash;
/// use verisoo::log::{Frontier, leaf_hash, stored_count};
///
/// let mut stored = Vec::new();
/// let mut frontier = Frontier::new();
/// assert_eq!(frontier.root(), Hash::EMPTY_ROOT);
/// for record in ["a", "b", "c"] {
///     frontier.push(leaf_hash(record.as_bytes()), |hash| stored.push(hash))?;
/// }
/// assert_eq!(stored.len() as u64, stored_count(3));
///
/// // What was stored brings it back.
/// let loaded = Frontier::load(3, |position| stored.get(position.stored_index() as usize).copied().ok_or(()));
/// assert_eq!(loaded, Ok(frontier));
/// # Ok::<(), verisoo::log::TooLarge>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frontier {
    size: u64,
    /// From left to right; one for each bit set in `size`. 62 are enough: only 2^62 − 1 has so many bits,
    /// and 2^62 itself has one.
    peaks: heapless::Vec<Hash, 62>,
}

impl Frontier {
    /// The empty tree.
    pub const fn new() -> Self {
        Self { size: 0, peaks: heapless::Vec::new() }
    }

    /// The frontier of a tree of `size` leaves, its peaks read through `read`, from left to right: at
    /// most 62 reads. What was read is taken as given; its [`root`](Self::root) tells whether it is true.
    ///
    /// Errors: [`ProveError::OutOfRange`] where `size` is beyond [`MAX_SIZE`], [`ProveError::Read`] with what
    /// `read` failed with.
    ///
    /// ```
    /// use verisoo::log::{Frontier, ProveError, leaf_hash, node_hash};
    ///
    /// // Of three leaves there are two peaks: over the first two, and the third.
    /// let mut peaks = [node_hash(&leaf_hash(b"a"), &leaf_hash(b"b")), leaf_hash(b"c")].into_iter();
    /// let mut frontier = Frontier::load(3, |_| peaks.next().ok_or("no more"))?;
    /// frontier.push(leaf_hash(b"d"), |_| ()).unwrap();
    ///
    /// let right = node_hash(&leaf_hash(b"c"), &leaf_hash(b"d"));
    /// assert_eq!(frontier.root(), node_hash(&node_hash(&leaf_hash(b"a"), &leaf_hash(b"b")), &right));
    /// # Ok::<(), ProveError<&str>>(())
    /// ```
    pub fn load<E>(size: u64, mut read: impl FnMut(Position) -> Result<Hash, E>) -> Result<Self, ProveError<E>> {
        let mut frontier = Self { size, peaks: heapless::Vec::new() };
        for position in peaks(size).ok_or(ProveError::OutOfRange)? {
            let peak = read(position).map_err(ProveError::Read)?;
            frontier.peaks.push(peak).map_err(|_| ProveError::OutOfRange)?;
        }
        Ok(frontier)
    }

    /// Leaves so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree (RFC 9162 section 2.1.1), [`Hash::EMPTY_ROOT`] without leaves: at most 61 hashes
    /// to compute.
    #[must_use]
    pub fn root(&self) -> Hash {
        let peaks = self.peaks.iter().rev().copied();
        peaks.reduce(|right, left| node_hash(&left, &right)).unwrap_or(Hash::EMPTY_ROOT)
    }

    /// Appends a leaf; `emit` receives the hashes to store, in post-order (the leaf first, then the
    /// subtrees it completes): 1 + `size.trailing_ones()` of them, two on average, at most 63.
    ///
    /// [`TooLarge`] where the tree has [`MAX_SIZE`] leaves already; nothing is emitted then.
    ///
    /// ```
    /// use verisoo::log::{Frontier, leaf_hash};
    ///
    /// // How many hashes are to be stored with each of eight leaves.
    /// let mut frontier = Frontier::new();
    /// let mut emitted = [0; 8];
    /// for count in &mut emitted {
    ///     frontier.push(leaf_hash(b"a record"), |_| *count += 1)?;
    /// }
    /// assert_eq!(emitted, [1, 2, 1, 3, 1, 2, 1, 4]);
    /// # Ok::<(), verisoo::log::TooLarge>(())
    /// ```
    pub fn push(&mut self, leaf: Hash, mut emit: impl FnMut(Hash)) -> Result<(), TooLarge> {
        if self.size >= MAX_SIZE {
            return Err(TooLarge);
        }
        emit(leaf);
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            node = node_hash(&left, &node);
            emit(node);
        }
        self.size += 1;
        // Never full: at most 62 bits are set in a size up to 2^62.
        self.peaks.push(node).map_err(|_| TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frontier of a tree that nobody can fill: its peaks are taken as given.
    fn frontier_of(size: u64) -> Frontier {
        let read = |position: Position| Ok::<_, ()>(Hash::from_bytes([position.level(); Hash::LEN]));
        Frontier::load(size, read).unwrap()
    }

    #[test]
    fn the_last_leaf_of_the_largest_tree_completes_it_and_no_leaf_follows() {
        let mut frontier = frontier_of(MAX_SIZE - 1);
        assert_eq!(frontier.peaks.len(), 62);
        let mut emitted = 0;
        frontier.push(Hash::EMPTY_ROOT, |_| emitted += 1).unwrap();
        assert_eq!((frontier.size(), frontier.peaks.len(), emitted), (MAX_SIZE, 1, 63));

        let before = frontier.clone();
        assert_eq!(frontier.push(Hash::EMPTY_ROOT, |_| emitted += 1), Err(TooLarge));
        assert_eq!((frontier, emitted), (before, 63));
    }

    #[test]
    fn sizes_beyond_the_largest_are_refused_without_a_read() {
        for size in [MAX_SIZE + 1, u64::MAX] {
            let read = |_: Position| -> Result<Hash, ()> { panic!("nothing to read") };
            assert_eq!(Frontier::load(size, read), Err(ProveError::OutOfRange));
        }
    }

    #[test]
    fn positions_end_at_the_largest_tree() {
        for level in 0..=MAX_LEVEL {
            let last = Position::new(level, (MAX_SIZE >> level) - 1).unwrap();
            assert_eq!(last.end(), MAX_SIZE);
            assert!(last.stored_index() < stored_count(MAX_SIZE));
            assert_eq!(Position::new(level, MAX_SIZE >> level), None);
            assert_eq!(Position::new(level, u64::MAX), None);
        }
        assert_eq!(Position::new(63, 0), None);
        assert_eq!(Position::new(u8::MAX, 0), None);
        assert_eq!(Position::new(62, 0).map(Position::stored_index), Some(stored_count(MAX_SIZE) - 1));
    }

    #[test]
    fn stored_counts_are_exact_as_far_as_they_fit() {
        assert_eq!(stored_count(MAX_SIZE), (1 << 63) - 1);
        assert_eq!(stored_count(1 << 63), u64::MAX);
        assert_eq!(stored_count(u64::MAX), u64::MAX);
    }
}
