//! Proofs: the verifiers accept exactly what the recursion of RFC 6962 accepts, and the provers emit what
//! it emits.

use verisoo::Hash;
use verisoo::log::{
    MAX_SIZE, consistency_proof_len, extend_consistency, inclusion_proof_len, prove_consistency, prove_inclusion,
    verify_consistency, verify_inclusion,
};

use super::input::Input;
use super::naive::{self, Log, collect, flip};
use super::verifier::{is_consistent, root_of_inclusion, roots_of_consistency};

pub fn proofs(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(4) {
        0 => consistency_in_a_tree(&mut input),
        1 => inclusion_in_a_tree(&mut input),
        2 => consistency_of_any_size(&mut input),
        _ => inclusion_of_any_size(&mut input),
    }
}

fn consistency_in_a_tree(input: &mut Input<'_>) {
    let new = input.between(1, 70);
    let old = input.between(1, new);
    let log = Log::of_size(new, input.byte());
    let truth = naive::bytes(&naive::consistency(old, &log.leaves));
    let built = collect(|emit| prove_consistency(old, new, log.reader(new), emit)).unwrap();
    assert_eq!(built, truth);
    // The same from a replica that holds only a part, and the proof from there.
    let held = input.between(old, new);
    let kept = naive::bytes(&naive::consistency(held, &log.leaves));
    let extended = collect(|emit| extend_consistency(old, held, new, &kept, log.reader(held), emit)).unwrap();
    assert_eq!(extended, truth);

    let (old_root, new_root) = (log.root_at(old), log.root_at(new));
    assert_eq!(verify_consistency(old, &old_root, new, &new_root, &truth), Ok(()));
    let mut proof = truth;
    let is_changed = input.mutate_hashes(&mut proof);
    let other_old = if input.flag() { input.between(0, 80) } else { old };
    let other_new = if input.flag() { input.between(0, 80) } else { new };
    let old_claim = if input.flag() { flip(&old_root, input.byte().into()) } else { old_root };
    let accepted = agree(other_old, &old_claim, other_new, &new_root, &proof);
    if is_changed && (other_old, other_new, old_claim) == (old, new, old_root) {
        assert!(!accepted, "a changed proof verifies");
    }
    if accepted && other_new == new && other_old > 0 && other_old <= new {
        assert_eq!(old_claim, log.root_at(other_old), "a false root verifies");
    }
}

fn consistency_of_any_size(input: &mut Input<'_>) {
    let (old, new) = (input.number(), input.number());
    let claimed = Hash::from_bytes(input.array());
    let in_range = old > 0 && old <= new && new <= MAX_SIZE;
    let len = consistency_proof_len(old, new);
    assert_eq!(len.is_some(), in_range);
    let wrong = input.below(3);
    let len = len.unwrap_or(3);
    let len = [len, len + 1, len.saturating_sub(1)][wrong];
    let proof: Vec<[u8; 32]> = (0..len).map(|_| input.array()).collect();
    let roots = if in_range { roots_of_consistency(old, &claimed, new, &proof) } else { None };
    let (mut old_root, mut new_root) = roots.unwrap_or((claimed, claimed));
    if old == new {
        new_root = old_root;
    }
    match input.below(4) {
        0 => old_root = flip(&old_root, input.byte().into()),
        1 => new_root = flip(&new_root, input.byte().into()),
        _ => {}
    }
    agree(old, &old_root, new, &new_root, &proof);
}

/// Both verifiers' answer, which must be the same.
fn agree(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[[u8; 32]]) -> bool {
    let ours = verify_consistency(old, old_root, new, new_root, proof).is_ok();
    assert_eq!(ours, is_consistent(old, old_root, new, new_root, proof), "{old} {new} {}", proof.len());
    ours
}

fn inclusion_in_a_tree(input: &mut Input<'_>) {
    let size = input.between(1, 70);
    let index = input.between(0, size - 1);
    let log = Log::of_size(size, input.byte());
    let truth = naive::bytes(&naive::inclusion(index, &log.leaves));
    let built = collect(|emit| prove_inclusion(index, size, log.reader(size), emit)).unwrap();
    assert_eq!(built, truth);

    let leaf = log.leaves[naive::place(index)];
    let root = log.root_at(size);
    assert_eq!(verify_inclusion(index, size, &leaf, &root, &truth), Ok(()));
    let mut proof = truth;
    let is_changed = input.mutate_hashes(&mut proof);
    let other_index = if input.flag() { input.between(0, 80) } else { index };
    let other_size = if input.flag() { input.between(0, 80) } else { size };
    let accepted = agree_on_inclusion(other_index, other_size, &leaf, &root, &proof);
    assert!(!accepted || !is_changed || other_size != size || other_index != index, "a changed proof verifies");
    if accepted && other_size == size {
        assert_eq!(leaf, log.leaves[naive::place(other_index)], "a record verifies where it is not");
    }
}

fn inclusion_of_any_size(input: &mut Input<'_>) {
    let (index, size) = (input.number(), input.number());
    let leaf = Hash::from_bytes(input.array());
    let len = inclusion_proof_len(index, size);
    assert_eq!(len.is_some(), index < size && size <= MAX_SIZE);
    let len = len.unwrap_or(2);
    let len = [len, len + 1, len.saturating_sub(1)][input.below(3)];
    let proof: Vec<[u8; 32]> = (0..len).map(|_| input.array()).collect();
    let root = root_of_inclusion(index, size, &leaf, &proof).unwrap_or(leaf);
    let root = if input.below(4) == 0 { flip(&root, input.byte().into()) } else { root };
    agree_on_inclusion(index, size, &leaf, &root, &proof);
}

fn agree_on_inclusion(index: u64, size: u64, leaf: &Hash, root: &Hash, proof: &[[u8; 32]]) -> bool {
    let ours = verify_inclusion(index, size, leaf, root, proof).is_ok();
    assert_eq!(ours, root_of_inclusion(index, size, leaf, proof) == Some(*root), "{index} {size} {}", proof.len());
    ours
}
