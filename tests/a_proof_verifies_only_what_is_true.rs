//! Inclusion and consistency proofs: the RFC's, exactly; and nothing else verifies.

mod naive;

use std::cell::Cell;
use std::convert::Infallible;

use naive::{Log, Uniform, bytes, collect, flip, place};
use proptest::prelude::*;
use verisoo::Hash;
use verisoo::log::{
    MAX_PROOF, MAX_SIZE, Position, ProofError, ProveError, consistency_proof_len, extend_consistency,
    inclusion_proof_len, prove_consistency, prove_inclusion, root_at, verify_consistency, verify_inclusion,
};

/// Up to here every pair of sizes is tried: past two powers of two, and the shapes repeat.
const EXHAUSTIVE: u64 = 70;

#[test]
fn every_prefix_is_consistent_and_its_proof_is_the_one_of_the_rfc() {
    let log = Log::of_size(EXHAUSTIVE, 0);
    for new in 1..=EXHAUSTIVE {
        let leaves = log.first(new);
        let new_root = log.root_at(new);
        for old in 1..=new {
            // Only the first `new` leaves are read: a proof is for a size, not for what the log has become.
            let proof = collect(|emit| prove_consistency(old, new, log.reader(new), emit)).unwrap();
            assert_eq!(proof, bytes(&naive::consistency(old, leaves)), "{old} to {new}");
            assert_eq!(consistency_proof_len(old, new), Some(proof.len()));
            let old_root = log.root_at(old);
            assert_eq!(verify_consistency(old, &old_root, new, &new_root, &proof), Ok(()), "{old} to {new}");
        }
    }
}

#[test]
fn every_leaf_is_included_and_its_proof_is_the_one_of_the_rfc() {
    let log = Log::of_size(EXHAUSTIVE, 0);
    for size in 1..=EXHAUSTIVE {
        let leaves = log.first(size);
        let root = log.root_at(size);
        for (index, leaf) in (0..).zip(leaves) {
            let proof = collect(|emit| prove_inclusion(index, size, log.reader(size), emit)).unwrap();
            assert_eq!(proof, bytes(&naive::inclusion(index, leaves)), "{index} of {size}");
            assert_eq!(inclusion_proof_len(index, size), Some(proof.len()));
            assert_eq!(verify_inclusion(index, size, leaf, &root, &proof), Ok(()), "{index} of {size}");
        }
    }
}

#[test]
fn a_kept_proof_yields_the_proof_from_every_earlier_size() {
    let log = Log::of_size(EXHAUSTIVE, 0);
    for new in 1..=EXHAUSTIVE {
        for held in 1..=new {
            let kept = collect(|emit| prove_consistency(held, new, log.reader(new), emit)).unwrap();
            for old in 1..=held {
                let full = collect(|emit| prove_consistency(old, new, log.reader(new), emit)).unwrap();
                let read = log.reader(held);
                let extended = collect(|emit| extend_consistency(old, held, new, &kept, read, emit));
                assert_eq!(extended.unwrap(), full, "{old} to {held} to {new}");
            }
        }
    }
}

#[test]
fn a_kept_proof_of_another_length_is_refused_before_anything_is_read_or_emitted() {
    let log = Log::of_size(13, 0);
    let kept = collect(|emit| prove_consistency(6, 13, log.reader(13), emit)).unwrap();
    let mut longer = kept.clone();
    longer.push([0; 32]);
    for wrong in [&kept[1..], &kept[..kept.len() - 1], &longer, &[]] {
        let extended = extend_consistency(3, 6, 13, wrong, never_read, |_| panic!("nothing to emit"));
        assert_eq!(extended, Err(ProveError::WrongLength));
    }
    for (old, held, new) in [(0, 6, 13), (7, 6, 13), (3, 14, 13), (3, 6, MAX_SIZE + 1), (0, 0, 0)] {
        let extended = extend_consistency(old, held, new, &kept, never_read, |_| panic!("nothing to emit"));
        assert_eq!(extended, Err(ProveError::OutOfRange));
    }
}

#[test]
fn from_nothing_there_is_no_proof_and_beyond_the_largest_tree_neither() {
    let root = Hash::EMPTY_ROOT;
    let cases = [(0, 0), (0, 1), (0, MAX_SIZE), (2, 1), (1, MAX_SIZE + 1), (MAX_SIZE + 1, MAX_SIZE + 1), (1, u64::MAX)];
    for (old, new) in cases {
        assert_eq!(consistency_proof_len(old, new), None);
        assert_eq!(verify_consistency(old, &root, new, &root, &[]), Err(ProofError::OutOfRange), "{old} {new}");
        let proved = prove_consistency(old, new, never_read, |_| panic!("nothing to emit"));
        assert_eq!(proved, Err(ProveError::OutOfRange));
    }
    for (index, size) in [(0, 0), (1, 1), (u64::MAX, 1), (0, MAX_SIZE + 1), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        assert_eq!(inclusion_proof_len(index, size), None);
        assert_eq!(verify_inclusion(index, size, &root, &root, &[]), Err(ProofError::OutOfRange));
        let proved = prove_inclusion(index, size, never_read, |_| panic!("nothing to emit"));
        assert_eq!(proved, Err(ProveError::OutOfRange));
    }
}

#[test]
fn equal_sizes_need_an_empty_proof_and_equal_roots() {
    let log = Log::of_size(9, 0);
    for size in 1..=9 {
        let root = log.root_at(size);
        assert_eq!(verify_consistency(size, &root, size, &root, &[]), Ok(()));
        assert_eq!(verify_consistency(size, &root, size, &flip(&root, 0), &[]), Err(ProofError::WrongRoot));
        let hash = *root.as_bytes();
        assert_eq!(verify_consistency(size, &root, size, &root, &[hash]), Err(ProofError::WrongLength));
    }
}

#[test]
fn a_failed_read_is_handed_on_wherever_it_happens() {
    let log = Log::of_size(27, 0);
    let kept = collect(|emit| prove_consistency(21, 27, log.reader(27), emit)).unwrap();
    let left = Cell::new(0_u32);
    let read = |position| match left.replace(left.get().saturating_sub(1)) {
        0 => Err("damaged"),
        _ => log.reader(27)(position).map_err(|never| match never {}),
    };
    let builds: [&dyn Fn() -> Result<(), ProveError<&'static str>>; 3] =
        [&|| prove_consistency(5, 27, read, |_| ()), &|| prove_inclusion(5, 27, read, |_| ()), &|| {
            extend_consistency(5, 21, 27, &kept, read, |_| ())
        }];
    for build in builds {
        for reads in 0.. {
            left.set(reads);
            let Err(error) = build() else {
                assert!(reads > 2, "it reads");
                break;
            };
            assert_eq!(error, ProveError::Read("damaged"));
        }
    }
}

#[test]
fn the_longest_proofs_have_62_and_63_hashes() {
    assert_eq!(inclusion_proof_len(0, MAX_SIZE), Some(MAX_PROOF - 1));
    assert_eq!(inclusion_proof_len(MAX_SIZE - 1, MAX_SIZE), Some(MAX_PROOF - 1));
    assert_eq!(consistency_proof_len(3, MAX_SIZE), Some(MAX_PROOF));
    assert_eq!(consistency_proof_len(MAX_SIZE - 1, MAX_SIZE), Some(MAX_PROOF));
}

proptest! {
    #[test]
    fn no_flipped_bit_verifies(old in 1_u64..300, more in 0_u64..300, index in 0_u64..600, bit in 0_usize..100_000) {
        let new = old + more;
        let log = Log::of_size(new, 0);
        let (old_root, new_root) = (log.root_at(old), log.root_at(new));
        let proof = collect(|emit| prove_consistency(old, new, log.reader(new), emit)).unwrap();
        prop_assert_eq!(verify_consistency(old, &old_root, new, &new_root, &proof), Ok(()));
        let refused = Err(ProofError::WrongRoot);
        prop_assert_eq!(verify_consistency(old, &flip(&old_root, bit), new, &new_root, &proof), refused);
        prop_assert_eq!(verify_consistency(old, &old_root, new, &flip(&new_root, bit), &proof), refused);
        if let Some(flipped) = flip_one(&proof, bit) {
            prop_assert_eq!(verify_consistency(old, &old_root, new, &new_root, &flipped), refused);
        }

        let index = index % new;
        let leaf = log.leaves[place(index)];
        let proof = collect(|emit| prove_inclusion(index, new, log.reader(new), emit)).unwrap();
        prop_assert_eq!(verify_inclusion(index, new, &leaf, &new_root, &proof), Ok(()));
        prop_assert_eq!(verify_inclusion(index, new, &flip(&leaf, bit), &new_root, &proof), refused);
        prop_assert_eq!(verify_inclusion(index, new, &leaf, &flip(&new_root, bit), &proof), refused);
        if let Some(flipped) = flip_one(&proof, bit) {
            prop_assert_eq!(verify_inclusion(index, new, &leaf, &new_root, &flipped), refused);
        }
    }

    #[test]
    fn no_other_length_verifies(old in 1_u64..100, more in 0_u64..100, len in 0_usize..70) {
        let new = old + more;
        let log = Log::of_size(new, 0);
        let (old_root, new_root) = (log.root_at(old), log.root_at(new));
        let mut proof = collect(|emit| prove_consistency(old, new, log.reader(new), emit)).unwrap();
        prop_assume!(len != proof.len());
        proof.resize(len, *new_root.as_bytes());
        let verified = verify_consistency(old, &old_root, new, &new_root, &proof);
        prop_assert_eq!(verified, Err(ProofError::WrongLength));

        let mut proof = collect(|emit| prove_inclusion(old - 1, new, log.reader(new), emit)).unwrap();
        prop_assume!(len != proof.len());
        proof.resize(len, *new_root.as_bytes());
        let verified = verify_inclusion(old - 1, new, &log.leaves[place(old - 1)], &new_root, &proof);
        prop_assert_eq!(verified, Err(ProofError::WrongLength));
    }

    #[test]
    fn no_proof_leads_from_another_history(old in 1_u64..200, more in 0_u64..200, other in 0_u64..200) {
        let new = old + more;
        let log = Log::of_size(new, 0);
        let mut leaves = log.first(old).to_vec();
        let changed = place(other % old);
        leaves[changed] = flip(&leaves[changed], 0);
        let proof = collect(|emit| prove_consistency(old, new, log.reader(new), emit)).unwrap();
        let verified = verify_consistency(old, &naive::root(&leaves), new, &log.root_at(new), &proof);
        prop_assert_eq!(verified, Err(ProofError::WrongRoot));
    }

    /// Sizes that no test can fill: the arithmetic is that of small trees, and the reads stay few.
    #[test]
    fn proofs_hold_up_to_the_largest_tree([old, held, new] in sizes(), index in 0..MAX_SIZE) {
        let log = Uniform::new(b"all the same");
        let root = |size| root_at(size, log.reader()).unwrap();
        let reads = Cell::new(0);
        let read = |position: Position| {
            reads.set(reads.get() + 1);
            log.reader()(position)
        };
        let proof = collect(|emit| prove_consistency(old, new, read, emit)).unwrap();
        prop_assert_eq!(Some(proof.len()), consistency_proof_len(old, new));
        prop_assert!(proof.len() <= MAX_PROOF && reads.take() <= 124);
        prop_assert_eq!(verify_consistency(old, &root(old), new, &root(new), &proof), Ok(()));

        let kept = collect(|emit| prove_consistency(held, new, log.reader(), emit)).unwrap();
        let extended = collect(|emit| extend_consistency(old, held, new, &kept, read, emit)).unwrap();
        prop_assert!(reads.take() <= 124);
        prop_assert_eq!(extended, proof);

        let index = index % new;
        let proof = collect(|emit| prove_inclusion(index, new, read, emit)).unwrap();
        prop_assert_eq!(Some(proof.len()), inclusion_proof_len(index, new));
        prop_assert!(proof.len() < MAX_PROOF && reads.take() <= 124);
        prop_assert_eq!(verify_inclusion(index, new, &root(1), &root(new), &proof), Ok(()));
    }

    #[test]
    fn no_number_and_no_garbage_makes_anything_panic([a, b, c] in [number(), number(), number()], len in 0_usize..70) {
        let root = Hash::EMPTY_ROOT;
        let garbage = vec![[7; 32]; len];
        let read = |_: Position| Ok::<_, Infallible>(root);
        prop_assert!(verify_consistency(a, &root, b, &root, &garbage).is_err() || (a == b && len == 0));
        prop_assert!(verify_inclusion(a, b, &root, &flip(&root, 1), &garbage).is_err());
        prop_assert_eq!(root_at(a, read).is_ok(), a <= MAX_SIZE);
        let proved = collect(|emit| prove_consistency(a, b, read, emit)).ok().map(|proof| proof.len());
        prop_assert_eq!(proved, consistency_proof_len(a, b));
        let proved = collect(|emit| prove_inclusion(a, b, read, emit)).ok().map(|proof| proof.len());
        prop_assert_eq!(proved, inclusion_proof_len(a, b));
        // A kept proof that nobody checked: as long as it should be, and nonsense.
        let _ = extend_consistency(a, b, c, &garbage, read, |_| ());
        let kept = vec![[7; 32]; consistency_proof_len(b, c).unwrap_or(len)];
        let extended = collect(|emit| extend_consistency(a, b, c, &kept, read, emit)).ok().map(|proof| proof.len());
        let in_range = 1 <= a && a <= b && b <= c && c <= MAX_SIZE;
        prop_assert_eq!(extended, in_range.then(|| consistency_proof_len(a, c)).flatten());
    }
}

fn never_read(_: Position) -> Result<Hash, Infallible> {
    panic!("nothing to read")
}

/// The proof with one bit flipped, of those it has.
fn flip_one(proof: &[[u8; 32]], bit: usize) -> Option<Vec<[u8; 32]>> {
    let mut flipped = proof.to_vec();
    let place = (bit / 256).checked_rem(proof.len())?;
    flipped[place] = *flip(&Hash::from_bytes(flipped[place]), bit).as_bytes();
    Some(flipped)
}

/// Any number, with those more often than not where something changes: powers of two and their neighbours.
fn number() -> impl Strategy<Value = u64> {
    let near = (0..64_u32, 0..3_u64).prop_map(|(shift, above)| (1_u64 << shift).wrapping_add(above).wrapping_sub(1));
    prop_oneof![near, any::<u64>(), 0..20_u64]
}

/// Three sizes that a log can have, in order.
fn sizes() -> impl Strategy<Value = [u64; 3]> {
    [number(), number(), number()].prop_map(|numbers| {
        let mut sizes = numbers.map(|number| number.clamp(1, MAX_SIZE));
        sizes.sort_unstable();
        sizes
    })
}
