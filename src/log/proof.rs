//! Inclusion and consistency proofs (RFC 9162 sections 2.1.3 and 2.1.4): building them from stored
//! hashes for any pair of sizes, checking them, and carrying a kept one over to an earlier size.
//!
//! Nothing here allocates, recurses, or trusts a number it is given. What a root or a proof *means* (whose
//! head it is, what follows from its failing) is left to the callers.
//!
//! All of it walks one path: from a subtree up to the root, taking in one sibling at each level that has
//! one. An inclusion proof is the siblings of the leaf. A consistency proof starts at the largest perfect
//! subtree that ends the old tree (emitting its hash first, unless it is all of the old tree): the
//! siblings to its left are the rest of the old tree, those to its right are what has been appended.

use super::error::{ProofError, ProveError};
use super::hash::{Hash, node_hash};
use super::tree::{MAX_LEVEL, MAX_SIZE, Position, peaks, peaks_below};

/// Hashes in the consistency proof from size `old` to size `new`; `None` unless 1 ≤ old ≤ new ≤ 2^62.
///
/// ```
/// # use verisoo::log::consistency_proof_len;
/// assert_eq!(consistency_proof_len(3, 7), Some(4)); // the example of RFC 9162 section 2.1.5
/// assert_eq!(consistency_proof_len(7, 7), Some(0));
/// assert_eq!(consistency_proof_len(0, 7), None);
/// ```
pub fn consistency_proof_len(old: u64, new: u64) -> Option<usize> {
    Path::of_prefix(old, new).map(|path| path.consistency_len())
}

/// Hashes in the inclusion proof of `index` in a tree of `size`; `None` unless index < size ≤ 2^62.
///
/// ```
/// # use verisoo::log::inclusion_proof_len;
/// assert_eq!(inclusion_proof_len(0, 7), Some(3)); // the examples of RFC 9162 section 2.1.5
/// assert_eq!(inclusion_proof_len(6, 7), Some(2));
/// assert_eq!(inclusion_proof_len(7, 7), None);
/// ```
pub fn inclusion_proof_len(index: u64, size: u64) -> Option<usize> {
    Path::of_leaf(index, size).map(|path| path.siblings().count())
}

/// Root of the first `size` leaves, its subtrees read through `read`, from right to left: at most 62
/// reads. The root of the empty tree is [`Hash::EMPTY_ROOT`].
///
/// Errors: [`ProveError::OutOfRange`] where `size` is beyond [`MAX_SIZE`], [`ProveError::Read`] with what
/// `read` failed with.
///
/// ```
/// use verisoo::log::{Frontier, Position, leaf_hash, root_at};
///
/// let mut stored = Vec::new();
/// let mut frontier = Frontier::new();
/// let mut roots = vec![frontier.root()];
/// for record in ["a", "b", "c", "d", "e"] {
///     frontier.push(leaf_hash(record.as_bytes()), |hash| stored.push(hash))?;
///     roots.push(frontier.root());
/// }
///
/// // What the root was at any earlier size is known from the hashes stored since.
/// let read = |position: Position| stored.get(position.stored_index() as usize).copied().ok_or("not stored");
/// for (size, root) in (0..).zip(roots) {
///     assert_eq!(root_at(size, read), Ok(root));
/// }
/// # Ok::<(), verisoo::log::TooLarge>(())
/// ```
pub fn root_at<E>(size: u64, mut read: impl FnMut(Position) -> Result<Hash, E>) -> Result<Hash, ProveError<E>> {
    if size > MAX_SIZE {
        return Err(ProveError::OutOfRange);
    }
    join(MAX_LEVEL + 1, size, &mut read)
}

/// Builds the consistency proof from `old` to `new` (RFC 9162 section 2.1.4.1), handing its hashes to
/// `emit` one by one, at most 63. Both sizes may be smaller than the log; the proof is empty where the two
/// are equal.
///
/// Errors: [`ProveError::OutOfRange`] unless 1 ≤ old ≤ new ≤ 2^62, [`ProveError::Read`] with what `read`
/// failed with.
///
/// ```
/// use verisoo::log::{Frontier, leaf_hash, prove_consistency, root_at, verify_consistency};
///
/// let mut stored = Vec::new();
/// let mut frontier = Frontier::new();
/// for record in ["a", "b", "c", "d", "e"] {
///     frontier.push(leaf_hash(record.as_bytes()), |hash| stored.push(hash)).unwrap();
/// }
/// let read = |position: verisoo::log::Position| Ok::<_, ()>(stored[position.stored_index() as usize]);
///
/// let mut proof = Vec::new();
/// prove_consistency(3, 5, read, |hash| proof.push(*hash.as_bytes())).unwrap();
/// assert_eq!(verify_consistency(3, &root_at(3, read).unwrap(), 5, &frontier.root(), &proof), Ok(()));
/// ```
pub fn prove_consistency<E>(
    old: u64,
    new: u64,
    mut read: impl FnMut(Position) -> Result<Hash, E>,
    mut emit: impl FnMut(Hash),
) -> Result<(), ProveError<E>> {
    let path = Path::of_prefix(old, new).ok_or(ProveError::OutOfRange)?;
    if let Some(start) = path.start() {
        emit(read(start).map_err(ProveError::Read)?);
    }
    for sibling in path.siblings() {
        emit(subtree(sibling.position, new, &mut read)?);
    }
    Ok(())
}

/// Builds the inclusion proof of `index` in the tree of `size` (RFC 9162 section 2.1.3.1), handing its
/// hashes to `emit` one by one, at most 62: the leaf's sibling first. The size may be smaller than the log.
///
/// Errors: [`ProveError::OutOfRange`] unless index < size ≤ 2^62, [`ProveError::Read`] with what `read`
/// failed with.
///
/// ```
/// use verisoo::log::{Frontier, Position, leaf_hash, node_hash, prove_inclusion};
///
/// let mut stored = Vec::new();
/// let mut frontier = Frontier::new();
/// for record in ["d0", "d1", "d2", "d3", "d4", "d5", "d6"] {
///     frontier.push(leaf_hash(record.as_bytes()), |hash| stored.push(hash))?;
/// }
/// let read = |position: Position| stored.get(position.stored_index() as usize).copied().ok_or("not stored");
///
/// // RFC 9162 section 2.1.5: in the tree of seven, the proof for d6 is [i, k].
/// let mut proof = Vec::new();
/// prove_inclusion(6, 7, read, |hash| proof.push(hash)).unwrap();
/// let [d0, d1, d2, d3, d4, d5] = ["d0", "d1", "d2", "d3", "d4", "d5"].map(|d| leaf_hash(d.as_bytes()));
/// let i = node_hash(&d4, &d5);
/// let k = node_hash(&node_hash(&d0, &d1), &node_hash(&d2, &d3));
/// assert_eq!(proof, [i, k]);
/// # Ok::<(), verisoo::log::TooLarge>(())
/// ```
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    mut read: impl FnMut(Position) -> Result<Hash, E>,
    mut emit: impl FnMut(Hash),
) -> Result<(), ProveError<E>> {
    let path = Path::of_leaf(index, size).ok_or(ProveError::OutOfRange)?;
    for sibling in path.siblings() {
        emit(subtree(sibling.position, size, &mut read)?);
    }
    Ok(())
}

/// From a kept consistency proof `held` → `new` and the hashes of the first `held` leaves: the
/// consistency proof from any `old` ≤ `held` to `new`, hash for hash what [`prove_consistency`] would
/// emit with all `new` leaves at hand. So a partial replica can prove what it has. (RFC 9162 has nothing of
/// the kind; what comes out is a proof of its section 2.1.4.)
///
/// Errors: [`ProveError::OutOfRange`] unless 1 ≤ old ≤ held ≤ new ≤ 2^62, [`ProveError::WrongLength`] where
/// `kept` is not as long as [`consistency_proof_len`] of `held` and `new`, [`ProveError::Read`] with what
/// `read` failed with. That the kept proof is true is not checked again: from a false one comes a false
/// proof, of the right length.
///
/// ```
/// use verisoo::log::{
///     Frontier, Position, extend_consistency, leaf_hash, prove_consistency, root_at, stored_count, verify_consistency,
/// };
///
/// let mut stored = Vec::new();
/// let mut frontier = Frontier::new();
/// for record in 0..100_u32 {
///     frontier.push(leaf_hash(&record.to_le_bytes()), |hash| stored.push(hash))?;
/// }
/// let all = |position: Position| stored.get(position.stored_index() as usize).copied().ok_or("not held");
/// let mut kept = Vec::new();
/// prove_consistency(60, 100, all, |hash| kept.push(*hash.as_bytes())).unwrap();
///
/// // A replica that holds 60 of the 100 records, and that proof, proves any smaller size to the head at 100.
/// let held = &stored[..stored_count(60) as usize];
/// let read = |position: Position| held.get(position.stored_index() as usize).copied().ok_or("not held");
/// let mut proof = Vec::new();
/// extend_consistency(37, 60, 100, &kept, read, |hash| proof.push(*hash.as_bytes())).unwrap();
/// let old_root = root_at(37, read).unwrap();
/// assert_eq!(verify_consistency(37, &old_root, 100, &frontier.root(), &proof), Ok(()));
/// # Ok::<(), verisoo::log::TooLarge>(())
/// ```
pub fn extend_consistency<E>(
    old: u64,
    held: u64,
    new: u64,
    kept: &[[u8; Hash::LEN]],
    mut read: impl FnMut(Position) -> Result<Hash, E>,
    mut emit: impl FnMut(Hash),
) -> Result<(), ProveError<E>> {
    let path = Path::of_prefix(old, held).and(Path::of_prefix(old, new)).ok_or(ProveError::OutOfRange)?;
    let kept_path = Path::of_prefix(held, new).ok_or(ProveError::OutOfRange)?;
    if kept.len() != kept_path.consistency_len() {
        return Err(ProveError::WrongLength);
    }
    // Where the two paths meet, they come from the two sides of one node. From there on they are one.
    let have_met = |level: u8| path.ancestor(level) == kept_path.ancestor(level);

    if let Some(start) = path.start() {
        emit(read(start).map_err(ProveError::Read)?);
    }
    // Held in full are the siblings within our side of that node, and those from before the kept proof's
    // path starts, which is where the held leaves end.
    let is_held = |sibling: &Sibling| {
        let level = sibling.position.level;
        level < kept_path.level || !have_met(level.saturating_add(1))
    };
    for sibling in path.siblings().take_while(is_held) {
        emit(subtree(sibling.position, held, &mut read)?);
    }
    // The other side of that node is what the kept proof has added up to when it gets there; all further
    // siblings are in it. (If it has no start, the paths have met before, and the root given is not used.)
    let (mut node, siblings) = kept_path.split(kept, Hash::EMPTY_ROOT);
    for (sibling, hash) in kept_path.siblings().zip(siblings) {
        let level = sibling.position.level;
        if have_met(level) {
            emit(Hash::from_bytes(*hash));
        } else if have_met(level.saturating_add(1)) {
            emit(node);
        } else {
            node = sibling.join(&node, hash);
        }
    }
    Ok(())
}

/// Checks that the tree of `old` leaves with `old_root` is a prefix of the tree of `new` leaves with
/// `new_root` (RFC 9162 section 2.1.4.2).
///
/// From size 0 there is no proof, so nothing to accept, not even 0 to 0. For equal sizes the proof is empty
/// and the roots are equal.
///
/// Errors: [`ProofError::OutOfRange`] unless 1 ≤ old ≤ new ≤ 2^62, [`ProofError::WrongLength`] where the proof
/// has not exactly [`consistency_proof_len`] hashes, [`ProofError::WrongRoot`] where it leads from another old
/// root, or to another new one.
///
/// ```
/// use verisoo::log::{ProofError, leaf_hash, node_hash, verify_consistency};
///
/// // Yesterday the log had two records, and this root. Today it is said to have three.
/// let old_root = node_hash(&leaf_hash(b"a"), &leaf_hash(b"b"));
/// let proof = [*leaf_hash(b"c").as_bytes()];
/// let new_root = node_hash(&old_root, &leaf_hash(b"c"));
/// assert_eq!(verify_consistency(2, &old_root, 3, &new_root, &proof), Ok(()));
///
/// // A log that was rewritten since does not lead from what we know.
/// let rewritten = node_hash(&node_hash(&leaf_hash(b"a"), &leaf_hash(b"x")), &leaf_hash(b"c"));
/// assert_eq!(verify_consistency(2, &old_root, 3, &rewritten, &proof), Err(ProofError::WrongRoot));
/// assert_eq!(verify_consistency(2, &old_root, 3, &new_root, &[]), Err(ProofError::WrongLength));
/// assert_eq!(verify_consistency(0, &old_root, 3, &new_root, &[]), Err(ProofError::OutOfRange));
/// ```
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[[u8; Hash::LEN]],
) -> Result<(), ProofError> {
    let path = Path::of_prefix(old, new).ok_or(ProofError::OutOfRange)?;
    // Exactly, and before anything is hashed: hashes that nothing asked for would prove anything.
    if proof.len() != path.consistency_len() {
        return Err(ProofError::WrongLength);
    }
    let (start, siblings) = path.split(proof, *old_root);
    let (mut old_node, mut new_node) = (start, start);
    for (sibling, hash) in path.siblings().zip(siblings) {
        if sibling.is_left {
            old_node = sibling.join(&old_node, hash);
        }
        new_node = sibling.join(&new_node, hash);
    }
    // Both: the new root alone says nothing about the old one.
    if old_node == *old_root && new_node == *new_root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Checks that `leaf` is at `index` in the tree of `size` leaves with `root` (RFC 9162 section 2.1.3.2).
/// `leaf` is a leaf's hash, made with [`leaf_hash`](super::leaf_hash) from the record itself.
///
/// Errors: [`ProofError::OutOfRange`] unless index < size ≤ 2^62, [`ProofError::WrongLength`] where the proof
/// has not exactly [`inclusion_proof_len`] hashes, [`ProofError::WrongRoot`] where it leads to another root.
///
/// ```
/// use verisoo::log::{ProofError, leaf_hash, node_hash, verify_inclusion};
///
/// let left = node_hash(&leaf_hash(b"a"), &leaf_hash(b"b"));
/// let root = node_hash(&left, &leaf_hash(b"c"));
///
/// // The second of three records: its sibling, then what is to the right of both.
/// let proof = [*leaf_hash(b"a").as_bytes(), *leaf_hash(b"c").as_bytes()];
/// assert_eq!(verify_inclusion(1, 3, &leaf_hash(b"b"), &root, &proof), Ok(()));
/// assert_eq!(verify_inclusion(1, 3, &leaf_hash(b"x"), &root, &proof), Err(ProofError::WrongRoot));
/// // It is nowhere else, and the tree has no other size.
/// assert_eq!(verify_inclusion(0, 3, &leaf_hash(b"b"), &root, &proof), Err(ProofError::WrongRoot));
/// assert_eq!(verify_inclusion(1, 2, &leaf_hash(b"b"), &root, &proof), Err(ProofError::WrongLength));
/// ```
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    root: &Hash,
    proof: &[[u8; Hash::LEN]],
) -> Result<(), ProofError> {
    let path = Path::of_leaf(index, size).ok_or(ProofError::OutOfRange)?;
    if proof.len() != path.siblings().count() {
        return Err(ProofError::WrongLength);
    }
    let node = path.siblings().zip(proof).fold(*leaf, |node, (sibling, hash)| sibling.join(&node, hash));
    if node == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// The way from a perfect subtree up to the root of a tree. Its numbers have been checked.
#[derive(Clone, Copy)]
struct Path {
    /// The last leaf of the subtree it starts from.
    leaf: u64,
    /// The level of that subtree.
    level: u8,
    /// The last leaf of the tree.
    last: u64,
}

impl Path {
    /// From leaf `index` of a tree of `size` leaves.
    fn of_leaf(index: u64, size: u64) -> Option<Self> {
        let last = size.checked_sub(1)?;
        (index <= last && size <= MAX_SIZE).then_some(Self { leaf: index, level: 0, last })
    }

    /// From the last and smallest of the perfect subtrees that make up the first `old` leaves of `new`.
    /// From all of them where there are no others: at the root of the whole, no proof is needed.
    fn of_prefix(old: u64, new: u64) -> Option<Self> {
        let smallest = peaks(old)?.next_back()?;
        let level = if old == new { MAX_LEVEL } else { smallest.level };
        Self::of_leaf(smallest.end().checked_sub(1)?, new).map(|path| Self { level, ..path })
    }

    /// Where a consistency proof starts, unless that is all of the old tree, whose root is known.
    fn start(&self) -> Option<Position> {
        let index = self.ancestor(self.level);
        (index != 0).then_some(Position { level: self.level, index })
    }

    fn consistency_len(&self) -> usize {
        self.siblings().count().saturating_add(usize::from(self.start().is_some()))
    }

    /// Parts a consistency proof into the hash it starts from (`old_root` where it holds none) and the
    /// siblings.
    fn split<'a>(&self, proof: &'a [[u8; Hash::LEN]], old_root: Hash) -> (Hash, &'a [[u8; Hash::LEN]]) {
        match proof.split_first() {
            Some((start, siblings)) if self.start().is_some() => (Hash::from_bytes(*start), siblings),
            _ => (old_root, proof),
        }
    }

    /// The siblings, from the bottom up. The path has one to its left wherever it comes from the right;
    /// to its right only until it meets the last leaf's path, beyond which there are no leaves. A position
    /// to the right may reach beyond the end of the tree.
    fn siblings(&self) -> impl Iterator<Item = Sibling> {
        let path = *self;
        (path.level..MAX_LEVEL).filter_map(move |level| {
            let index = path.ancestor(level);
            let is_left = index & 1 == 1;
            let has_sibling = is_left || index != path.last >> level;
            has_sibling.then_some(Sibling { position: Position { level, index: index ^ 1 }, is_left })
        })
    }

    /// The index, within `level`, of the subtree that the path goes through.
    fn ancestor(&self, level: u8) -> u64 {
        self.leaf >> level
    }
}

/// A sibling of a path.
#[derive(Clone, Copy)]
struct Sibling {
    position: Position,
    is_left: bool,
}

impl Sibling {
    /// The parent of the path's node and this one.
    fn join(self, node: &Hash, hash: &[u8; Hash::LEN]) -> Hash {
        let hash = Hash::from_bytes(*hash);
        if self.is_left { node_hash(&hash, node) } else { node_hash(node, &hash) }
    }
}

/// The hash of the subtree at `position` in a tree of `size` leaves, which may end within it.
#[inline(never)]
fn subtree<E>(
    position: Position,
    size: u64,
    read: &mut dyn FnMut(Position) -> Result<Hash, E>,
) -> Result<Hash, ProveError<E>> {
    if position.end() <= size {
        return read(position).map_err(ProveError::Read);
    }
    join(position.level, size, read)
}

/// The root over the peaks of a tree of `size` leaves whose level is below `level`, the smallest to the
/// right. The reader is behind a pointer, so that there is one copy of this for all of them.
#[inline(never)]
fn join<E>(level: u8, size: u64, read: &mut dyn FnMut(Position) -> Result<Hash, E>) -> Result<Hash, ProveError<E>> {
    let mut root = None;
    for position in peaks_below(level, size).rev() {
        let left = read(position).map_err(ProveError::Read)?;
        root = Some(root.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(root.unwrap_or(Hash::EMPTY_ROOT))
}
