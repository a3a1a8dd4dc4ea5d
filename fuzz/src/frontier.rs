//! The frontier: after any sequence of appends its root, and the hashes it emitted, are those of the
//! recursion, and it can be loaded again from what it emitted.

use std::collections::BTreeMap;

use verisoo::Hash;
use verisoo::log::{Frontier, MAX_SIZE, Position, leaf_hash, node_hash, peaks, root_at, stored_count};

use super::input::Input;
use super::naive::{self, place};

pub fn frontier(data: &[u8]) {
    let mut input = Input::new(data);
    coordinates(input.number());
    let mut frontier = Frontier::new();
    let (mut leaves, mut stored): (Vec<Hash>, Vec<Hash>) = Default::default();
    let mut by_place: BTreeMap<(u8, u64), Hash> = BTreeMap::new();
    while !input.is_empty() && leaves.len() < 150 {
        let len = input.below(9);
        let leaf = leaf_hash(input.bytes(len));
        let before = stored.len();
        frontier.push(leaf, |hash| stored.push(hash)).unwrap();
        leaves.push(leaf);
        let size = leaves.len() as u64;
        assert_eq!(stored_count(size), stored.len() as u64);
        assert_eq!(stored.len() - before, 1 + (size - 1).trailing_ones() as usize);
        for (level, hash) in (0u8..).zip(&stored[before..]) {
            let index = (size - 1) >> level;
            let expected = if level == 0 {
                leaf
            } else {
                node_hash(&by_place[&(level - 1, 2 * index)], &by_place[&(level - 1, 2 * index + 1)])
            };
            assert_eq!(*hash, expected);
            by_place.insert((level, index), expected);
            let position = Position::new(level, index).unwrap();
            assert_eq!(stored[place(position.stored_index())], expected, "{position:?}");
        }
        assert_eq!(frontier.size(), size);
        assert_eq!(frontier.root(), naive::root(&leaves));
        if input.flag() {
            let at = input.between(0, size);
            let read = |position: Position| {
                let index = position.stored_index();
                assert!(index < stored_count(at), "read beyond the tree");
                Ok::<_, ()>(stored[place(index)])
            };
            assert_eq!(root_at(at, read).unwrap(), naive::root(&leaves[..place(at)]));
            let mut loaded = Frontier::load(at, read).unwrap();
            assert_eq!(loaded.root(), naive::root(&leaves[..place(at)]));
            for leaf in &leaves[place(at)..] {
                loaded.push(*leaf, |_| {}).unwrap();
            }
            assert_eq!(loaded.root(), frontier.root());
        }
    }
}

/// The peaks of a tree of any size: they tile it from left to right, the largest first.
fn coordinates(size: u64) {
    let Some(peaks) = peaks(size) else {
        assert!(size > MAX_SIZE);
        return;
    };
    assert!(size <= MAX_SIZE);
    let mut covered = 0;
    let mut last_level = u8::MAX;
    for peak in peaks {
        assert!(peak.level() < last_level);
        last_level = peak.level();
        assert_eq!(peak.index() << peak.level(), covered);
        covered += 1 << peak.level();
        // It is the last hash that its last leaf added.
        assert_eq!(peak.stored_index() + 1, stored_count(covered));
    }
    assert_eq!(covered, size);
}
