//! RFC 9162 section 2.1 as it is written there: recursive, over all leaves. What the crate's own walk is
//! held against.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::convert::Infallible;

use verisoo::Hash;
use verisoo::log::{Frontier, Position, leaf_hash, node_hash, stored_count};

/// MTH(D[n]).
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH(m, D[n]).
pub fn inclusion(index: u64, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut path, sibling) = if index < count(left) {
        (inclusion(index, left), root(right))
    } else {
        (inclusion(index - count(left), right), root(left))
    };
    path.push(sibling);
    path
}

/// PROOF(m, D[n]).
pub fn consistency(old: u64, leaves: &[Hash]) -> Vec<Hash> {
    subproof(old, leaves, true)
}

/// SUBPROOF(m, D[n], b).
fn subproof(old: u64, leaves: &[Hash], is_known: bool) -> Vec<Hash> {
    if old == count(leaves) {
        return if is_known { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = split(leaves);
    let (mut proof, sibling) = if old <= count(left) {
        (subproof(old, left, is_known), root(right))
    } else {
        (subproof(old - count(left), right, false), root(left))
    };
    proof.push(sibling);
    proof
}

/// At k, the largest power of two below n.
fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

fn count(leaves: &[Hash]) -> u64 {
    leaves.len() as u64
}

/// An index or a count of what is in memory.
pub fn place(index: u64) -> usize {
    usize::try_from(index).expect("a test's trees are small")
}

/// A log in memory: its leaves, and the hashes that a frontier emitted, in that order.
#[derive(Default)]
pub struct Log {
    pub leaves: Vec<Hash>,
    pub stored: Vec<Hash>,
    pub frontier: Frontier,
}

impl Log {
    /// A log of `size` records that differ from each other, and from those of another `seed`.
    pub fn of_size(size: u64, seed: u8) -> Self {
        let mut log = Self::default();
        (0..size).for_each(|index| log.push(format!("{seed} {index}").as_bytes()));
        log
    }

    pub fn push(&mut self, record: &[u8]) {
        let leaf = leaf_hash(record);
        self.leaves.push(leaf);
        self.frontier.push(leaf, |hash| self.stored.push(hash)).unwrap();
    }

    /// Reads of the first `held` leaves; any other is a failed test.
    pub fn reader(&self, held: u64) -> impl Fn(Position) -> Result<Hash, Infallible> {
        move |position| {
            assert!(position.stored_index() < stored_count(held), "{position:?} is beyond {held}");
            Ok(self.stored[place(position.stored_index())])
        }
    }

    /// The first `size` leaves.
    pub fn first(&self, size: u64) -> &[Hash] {
        &self.leaves[..place(size)]
    }

    /// Their root.
    pub fn root_at(&self, size: u64) -> Hash {
        root(self.first(size))
    }
}

/// A log of any size whose records are all the same, so that a subtree's hash is a matter of its level.
pub struct Uniform([Hash; 63]);

impl Uniform {
    pub fn new(record: &[u8]) -> Self {
        let mut levels = [leaf_hash(record); 63];
        (1..levels.len()).for_each(|level| levels[level] = node_hash(&levels[level - 1], &levels[level - 1]));
        Self(levels)
    }

    pub fn reader(&self) -> impl Fn(Position) -> Result<Hash, Infallible> + Copy {
        |position| Ok(self.0[usize::from(position.level())])
    }
}

/// The hashes that `build` emits, as they travel.
pub fn collect<E>(build: impl FnOnce(&mut dyn FnMut(Hash)) -> Result<(), E>) -> Result<Vec<[u8; 32]>, E> {
    let mut hashes = Vec::new();
    build(&mut |hash| hashes.push(*hash.as_bytes()))?;
    Ok(hashes)
}

pub fn bytes(hashes: &[Hash]) -> Vec<[u8; 32]> {
    hashes.iter().map(|hash| *hash.as_bytes()).collect()
}

pub fn flip(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}
