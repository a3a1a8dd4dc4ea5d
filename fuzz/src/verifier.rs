//! Verification as RFC 6962 section 2.1 defines the proofs: the recursion of PROOF and PATH run backwards.
//! What the crate's own walk is held against.

use verisoo::Hash;
use verisoo::log::{MAX_SIZE, node_hash};

/// Whether the proof shows that the tree of `old` leaves is a prefix of that of `new`.
pub fn is_consistent(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[[u8; 32]]) -> bool {
    if old == 0 || old > new || new > MAX_SIZE {
        return false;
    }
    roots_of_consistency(old, old_root, new, proof) == Some((*old_root, *new_root))
}

/// The two roots that a proof of the right length leads to.
pub fn roots_of_consistency(old: u64, old_root: &Hash, new: u64, proof: &[[u8; 32]]) -> Option<(Hash, Hash)> {
    let mut rest = proof;
    let roots = subproof(old, new, Some(old_root), &mut rest)?;
    rest.is_empty().then_some(roots)
}

/// SUBPROOF(m, D[n], b): its last hash belongs to the top. `known` is the old root where b is true.
fn subproof(old: u64, new: u64, known: Option<&Hash>, proof: &mut &[[u8; 32]]) -> Option<(Hash, Hash)> {
    if old == new {
        let root = match known {
            Some(root) => *root,
            None => last(proof)?,
        };
        return Some((root, root));
    }
    let left = split(new);
    let sibling = last(proof)?;
    if old <= left {
        let (old_root, new_root) = subproof(old, left, known, proof)?;
        Some((old_root, node_hash(&new_root, &sibling)))
    } else {
        let (old_root, new_root) = subproof(old - left, new - left, None, proof)?;
        Some((node_hash(&sibling, &old_root), node_hash(&sibling, &new_root)))
    }
}

/// The root that an inclusion proof of the right length leads to.
pub fn root_of_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[[u8; 32]]) -> Option<Hash> {
    if index >= size || size > MAX_SIZE {
        return None;
    }
    let mut rest = proof;
    let root = path(index, size, leaf, &mut rest)?;
    rest.is_empty().then_some(root)
}

/// PATH(m, D[n]): its last hash belongs to the top.
fn path(index: u64, size: u64, leaf: &Hash, proof: &mut &[[u8; 32]]) -> Option<Hash> {
    if size == 1 {
        return Some(*leaf);
    }
    let left = split(size);
    let sibling = last(proof)?;
    if index < left {
        Some(node_hash(&path(index, left, leaf, proof)?, &sibling))
    } else {
        Some(node_hash(&sibling, &path(index - left, size - left, leaf, proof)?))
    }
}

/// The largest power of two below `size`.
fn split(size: u64) -> u64 {
    size.next_power_of_two() / 2
}

fn last(proof: &mut &[[u8; 32]]) -> Option<Hash> {
    let (last, rest) = proof.split_last()?;
    *proof = rest;
    Some(Hash::from_bytes(*last))
}
