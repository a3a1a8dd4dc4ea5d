//! Roots, stored order and frontier against known answers and against the RFC's recursion.

mod naive;

use std::convert::Infallible;
use std::fmt::Write;

use naive::{Log, place};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use verisoo::Hash;
use verisoo::log::{Frontier, MAX_SIZE, Position, ProveError, peaks, root_at, stored_count};

/// The tree that the test data of RFC 6962 implementations is made of: its roots at sizes 0 to 8.
const CLASSIC_LEAVES: [&[u8]; 8] = [b"", b"\x00", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"];
const CLASSIC_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// SHA-256 over one line `[0, e) <root>` for each tree of the one-byte leaves 00, 01, … up to 81 (hex).
const ACCUMULATED: &str = "fb3949452a67f499fc2e39dc3c75c753fc954e481a7b4b7d09cc2210fced2c9d";

#[test]
fn the_classic_eight_leaves_have_their_roots() {
    let mut log = Log::default();
    assert_eq!(log.frontier.root().to_string(), CLASSIC_ROOTS[0]);
    for (leaf, expected) in CLASSIC_LEAVES.iter().zip(&CLASSIC_ROOTS[1..]) {
        log.push(leaf);
        assert_eq!(log.frontier.root().to_string(), *expected);
    }
    for (size, expected) in (0..).zip(CLASSIC_ROOTS) {
        assert_eq!(root_at(size, log.reader(8)).unwrap().to_string(), expected);
    }
}

#[test]
fn the_accumulated_digest_is_the_same_by_frontier_by_reads_and_by_recursion() {
    let mut log = Log::default();
    let mut lines = [String::new(), String::new(), String::new()];
    for size in 0..=130_u8 {
        let [by_frontier, by_reads, by_recursion] = &mut lines;
        let line = |text: &mut String, root: Hash| writeln!(text, "[0, {size}) {root}").unwrap();
        line(by_frontier, log.frontier.root());
        line(by_reads, root_at(size.into(), log.reader(size.into())).unwrap());
        line(by_recursion, log.root_at(size.into()));
        log.push(&[size]);
    }
    for text in lines {
        assert_eq!(Hash::from_bytes(Sha256::digest(text).into()).to_string(), ACCUMULATED);
    }
}

#[test]
fn hashes_are_emitted_in_the_order_in_which_they_are_stored() {
    let log = Log::of_size(0, 0);
    assert_eq!(log.stored.len(), 0);
    let log = Log::of_size(260, 0);
    let mut met = 0;
    for level in 0..=8_u8 {
        for (index, leaves) in (0..).zip(log.leaves.chunks_exact(1 << level)) {
            let stored = Position::new(level, index).unwrap().stored_index();
            assert_eq!(log.stored[place(stored)], naive::root(leaves), "{level} {index}");
            met += 1;
        }
    }
    // Each place once, and none left over: different subtrees have different hashes here.
    assert_eq!(met, log.stored.len());
    assert_eq!(stored_count(260), log.stored.len() as u64);
}

#[test]
fn a_leaf_adds_as_many_hashes_as_its_index_says() {
    let mut log = Log::default();
    for index in 0..130_u64 {
        let before = log.stored.len() as u64;
        assert_eq!(before, stored_count(index));
        log.push(&index.to_be_bytes());
        assert_eq!(log.stored.len() as u64 - before, 1 + u64::from(index.trailing_ones()));
    }
}

#[test]
fn a_loaded_frontier_goes_on_like_the_one_that_grew() {
    let full = Log::of_size(140, 0);
    let mut grown = Frontier::new();
    for size in 0..140 {
        let mut loaded = Frontier::load(size, full.reader(size)).unwrap();
        assert_eq!(loaded, grown);
        let leaf = full.leaves[place(size)];
        let (mut of_loaded, mut of_grown) = (Vec::new(), Vec::new());
        loaded.push(leaf, |hash| of_loaded.push(hash)).unwrap();
        grown.push(leaf, |hash| of_grown.push(hash)).unwrap();
        assert_eq!((&loaded, of_loaded), (&grown, of_grown));
    }
    assert_ne!(Frontier::load(3, full.reader(3)), Frontier::load(3, Log::of_size(3, 1).reader(3)));
}

#[test]
fn a_failed_read_is_handed_on() {
    for size in [1, 6, MAX_SIZE] {
        assert_eq!(root_at(size, |_| Err("damaged")), Err(ProveError::Read("damaged")));
        assert_eq!(Frontier::load(size, |_| Err("damaged")), Err(ProveError::Read("damaged")));
    }
    let never = |_: Position| -> Result<Hash, Infallible> { panic!("nothing to read") };
    assert_eq!(root_at(0, never), Ok(Hash::EMPTY_ROOT));
    assert_eq!(root_at(MAX_SIZE + 1, never), Err(ProveError::OutOfRange));
}

proptest! {
    #[test]
    fn peaks_cover_a_tree_from_left_to_right_without_a_gap(size in 0..=MAX_SIZE) {
        let mut end = 0;
        let mut levels = Vec::new();
        for position in peaks(size).unwrap() {
            prop_assert_eq!(position.index() << position.level(), end);
            end = (position.index() + 1) << position.level();
            levels.push(position.level());
        }
        prop_assert_eq!(end, size);
        prop_assert!(levels.is_sorted_by(|left, right| left > right));
    }

    #[test]
    fn no_number_makes_tree_arithmetic_panic(level: u8, index: u64, size: u64) {
        let in_range = u32::from(level) <= 62 && u128::from(index) < (1 << 62) >> level;
        prop_assert_eq!(Position::new(level, index).is_some(), in_range);
        if let Some(position) = Position::new(level, index) {
            prop_assert!(position.stored_index() < stored_count(MAX_SIZE));
            prop_assert_eq!((position.level(), position.index()), (level, index));
        }
        let exact = 2 * u128::from(size) - u128::from(size.count_ones());
        prop_assert_eq!(stored_count(size), u64::try_from(exact).unwrap_or(u64::MAX));
        prop_assert_eq!(peaks(size).is_some(), size <= MAX_SIZE);
    }
}
