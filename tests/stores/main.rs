//! One suite for every store that comes with the crate: it gives back what was committed, or says why it
//! cannot, and a call that fails changes nothing.

#![allow(clippy::cast_possible_truncation, reason = "sizes and lengths here are below 5,000")]

mod model;
mod sequence;

use std::fmt::Debug;

use model::{Batch, Model, Wrong, check_log, check_proofs, create, framed, head, id, name};
use proptest::prelude::*;
use sequence::{any_sequence_of_calls_agrees_with_a_list_of_records, step};
use verisoo::head::ForkProof;
use verisoo::log::Position;
#[cfg(feature = "alloc")]
use verisoo::store::MemoryStore;
use verisoo::store::{FixedStore, LogState, Origin, RecordsRead, Store, StoreError, StoredLog};

/// A store and what it has room for; `None` where it grows.
trait Subject: Store + Clone + PartialEq + Debug + Default {
    /// Logs besides the own one.
    const LOGS: Option<usize> = None;
    const FORK_BYTES: usize = usize::MAX;
    /// Bytes of records and number of hashes.
    fn room(_own: bool) -> Option<(usize, usize)> {
        None
    }
}

#[cfg(feature = "alloc")]
impl Subject for MemoryStore {}

impl<const LOGS: usize, const B: usize, const H: usize, const OB: usize, const OH: usize, const F: usize> Subject
    for FixedStore<LOGS, B, H, OB, OH, F>
{
    const LOGS: Option<usize> = Some(LOGS);
    const FORK_BYTES: usize = F;
    fn room(own: bool) -> Option<(usize, usize)> {
        Some(if own { (OB, OH) } else { (B, H) })
    }
}

/// Small enough to wrap around and to be full every few steps.
type Small = FixedStore<3, 64, 24, 96, 30, 100>;
/// Large enough for the suite never to be full.
type Large = FixedStore<8, 4_096, 256, 4_096, 256, 16_384>;

macro_rules! suite {
    ($name:ident, $store:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn logs_are_listed_in_order_of_id() {
                super::logs_are_listed_in_order_of_id(<$store>::default());
            }
            #[test]
            fn what_was_committed_is_read_back() {
                super::what_was_committed_is_read_back(<$store>::default());
            }
            #[test]
            fn reads_give_as_many_whole_records_as_fit() {
                super::reads_give_as_many_whole_records_as_fit(<$store>::default());
            }
            #[test]
            fn one_fork_proof_is_kept() {
                super::one_fork_proof_is_kept(<$store>::default());
            }
            #[test]
            fn a_shortened_log_goes_on_from_where_it_ends() {
                super::a_shortened_log_goes_on_from_where_it_ends(<$store>::default());
            }
            #[test]
            fn a_call_that_fails_changes_nothing() {
                super::a_call_that_fails_changes_nothing(<$store>::default());
            }
            proptest! {
                #![proptest_config(config(48))]
                #[test]
                fn any_sequence_of_calls_agrees_with_a_list_of_records(steps in proptest::collection::vec(step(), 1..60)) {
                    super::any_sequence_of_calls_agrees_with_a_list_of_records::<$store>(&steps);
                }
            }
        }
    };
}

#[cfg(feature = "alloc")]
suite!(memory, MemoryStore);
suite!(large, Large);

proptest! {
    #![proptest_config(config(192))]
    /// As in the suite, where records are dropped all the time and there is often no room.
    #[test]
    fn a_small_store_drops_and_refuses_as_it_must(steps in proptest::collection::vec(step(), 1..80)) {
        any_sequence_of_calls_agrees_with_a_list_of_records::<Small>(&steps);
    }
}

/// Without a file of past failures: what fails is printed, and belongs into a test of its own.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn logs_are_listed_in_order_of_id(mut store: impl Store) {
    assert_eq!(store.next_log(None), Ok(None));
    for number in [3, 1, 2] {
        create(&mut store, number, Origin::Peer);
    }
    assert_eq!(store.next_log(None), Ok(Some(id(1))));
    assert_eq!(store.next_log(Some(&id(1))), Ok(Some(id(2))));
    store.remove(&id(2)).unwrap();
    // The one after a log that is gone, and the one after the last.
    assert_eq!(store.next_log(Some(&id(2))), Ok(Some(id(3))));
    assert_eq!(store.next_log(Some(&id(3))), Ok(None));
}

fn what_was_committed_is_read_back(mut store: impl Store) {
    create(&mut store, 1, Origin::Own);
    let about = store.log(&id(1)).unwrap().unwrap();
    let state = LogState::default();
    let (name, key, origin) = (name(), [1; 32], Origin::Own);
    assert_eq!(about, StoredLog { name, key, origin, first: 0, bytes: 0, forked: false, state });

    let mut model = Model::new(Origin::Own);
    let mut step = Batch::new(&model, &[3, 0, 20, 1], 2);
    step.state.complete = Some(head(4));
    step.state.stopped = true;
    store.commit(&id(1), &step.commit()).unwrap();
    model.apply(step, 0);
    // A commit of state alone.
    let mut step = Batch::new(&model, &[], 1);
    step.state.covering = Some(head(9));
    step.state.unproven = Some(head(10));
    store.commit(&id(1), &step.commit()).unwrap();
    model.apply(step, 0);
    store.sync().unwrap();
    check_log(&mut store, id(1), &model);
    check_proofs(&mut store, id(1), &model);
}

fn reads_give_as_many_whole_records_as_fit(mut store: impl Store) {
    create(&mut store, 1, Origin::Pinned);
    let mut model = Model::new(Origin::Pinned);
    // More than an index that skips some would skip, in batches that do not line up with it.
    for lens in [&[4; 5][..], &[4; 15], &[4; 1], &[4; 20]] {
        let step = Batch::new(&model, lens, 0);
        store.commit(&id(1), &step.commit()).unwrap();
        model.apply(step, 0);
    }
    let mut read = |start, end, len| {
        let mut buf = [0xee; 1_000];
        let read = store.records(&id(1), start, end, &mut buf[..len])?;
        assert!(buf[len..].iter().all(|byte| *byte == 0xee));
        assert_eq!(buf[..read.len], framed(&model.records[start as usize..][..read.count as usize]));
        Ok(read)
    };
    for start in 0..=41 {
        assert_eq!(read(start, 41, 1_000), Ok(RecordsRead { count: 41 - start, len: (41 - start as usize) * 6 }));
    }
    assert_eq!(read(17, 20, 1_000), Ok(RecordsRead { count: 3, len: 18 }));
    assert_eq!(read(17, 20, 17), Ok(RecordsRead { count: 2, len: 12 }));
    assert_eq!(read(17, 20, 5), Ok(RecordsRead { count: 0, len: 0 }));
    assert_eq!(read(17, 17, 0), Ok(RecordsRead { count: 0, len: 0 }));
    assert_eq!(read(17, 16, 1_000), Err(StoreError::Mismatch));
    assert_eq!(read(17, 42, 1_000), Err(StoreError::Mismatch));
    assert_eq!(read(42, 42, 1_000), Err(StoreError::Mismatch));
}

fn one_fork_proof_is_kept(mut store: impl Store) {
    let mut buf = [0; ForkProof::MAX_LEN];
    for number in [1, 2, 3] {
        create(&mut store, number, Origin::Peer);
        assert_eq!(store.fork(&id(number), &mut buf), Ok(None));
        store.put_fork(&id(number), &vec![number; 1_000 * usize::from(number)]).unwrap();
        store.put_fork(&id(number), b"another").unwrap();
        assert!(store.log(&id(number)).unwrap().unwrap().forked);
    }
    // One that goes leaves the others as they are, and its room to a new one.
    store.remove(&id(2)).unwrap();
    create(&mut store, 4, Origin::Peer);
    store.put_fork(&id(4), &[4; ForkProof::MAX_LEN]).unwrap();
    for (number, len) in [(1, 1_000), (3, 3_000), (4, ForkProof::MAX_LEN)] {
        assert_eq!(store.fork(&id(number), &mut buf), Ok(Some(len)));
        assert!(buf[..len].iter().all(|byte| *byte == number));
    }
}

fn a_shortened_log_goes_on_from_where_it_ends(mut store: impl Subject) {
    // From every size to every smaller one, also across what an index of records skips.
    for have in 0..=20 {
        for size in 0..=have {
            store.remove(&id(1)).unwrap();
            create(&mut store, 1, Origin::Own);
            let mut model = Model::new(Origin::Own);
            let commit = |store: &mut dyn Store, model: &mut Model, lens: &[usize], proof| {
                let mut step = Batch::new(model, lens, proof);
                step.state.unproven = Some(head(30));
                store.commit(&id(1), &step.commit()).unwrap();
                model.apply(step, 0);
            };
            let lens = |from: usize, to: usize| (from..to).map(|at| at % 5).collect::<Vec<_>>();
            commit(&mut store, &mut model, &lens(0, have), 2);
            store.truncate(&id(1), size as u64).unwrap();
            model.truncate(size as u64).unwrap();
            check_log(&mut store, id(1), &model);

            // As if what was taken back had never been, and what is written instead is another history.
            let mut never = store.clone();
            never.remove(&id(1)).unwrap();
            create(&mut never, 1, Origin::Own);
            let mut other = Model::new(Origin::Own);
            commit(&mut never, &mut other, &lens(0, size), 0);
            assert_eq!(store, never, "{have} to {size}");
            commit(&mut store, &mut model, &[7; 18], 1);
            check_log(&mut store, id(1), &model);
            check_proofs(&mut store, id(1), &model);
        }
    }
}

fn a_call_that_fails_changes_nothing(mut store: impl Subject) {
    create(&mut store, 1, Origin::Own);
    create(&mut store, 2, Origin::Peer);
    let mut model = Model::new(Origin::Own);
    let step = Batch::new(&model, &[5, 5, 5], 2);
    store.commit(&id(1), &step.commit()).unwrap();
    model.apply(step, 0);
    store.put_fork(&id(1), b"proof").unwrap();

    let mut fails = |expected: StoreError, call: &dyn Fn(&mut dyn Store) -> Result<(), StoreError>| {
        let before = store.clone();
        assert_eq!(call(&mut store), Err(expected));
        assert_eq!(store, before);
    };
    fails(StoreError::Mismatch, &|store| store.create(&id(1), &name(), &[1; 32], Origin::Own));
    fails(StoreError::Mismatch, &|store| store.set_origin(&id(1), Origin::Pinned));
    fails(StoreError::Mismatch, &|store| store.set_origin(&id(2), Origin::Own));
    fails(StoreError::Mismatch, &|store| store.put_fork(&id(2), &[0; ForkProof::MAX_LEN + 1]));
    fails(StoreError::Mismatch, &|store| store.proof(&id(1), &mut [[0; 32]; 1]).map(drop));
    fails(StoreError::Mismatch, &|store| store.fork(&id(1), &mut [0; 4]).map(drop));
    let beyond = Position::new(1, 1).unwrap();
    fails(StoreError::Mismatch, &|store| store.hash(&id(1), beyond).map(drop));

    fails(StoreError::Mismatch, &|store| store.truncate(&id(1), 4));
    fails(StoreError::Mismatch, &|store| store.truncate(&id(1), u64::MAX));
    fails(StoreError::Mismatch, &|store| store.truncate(&id(2), 1));

    for wrong in Wrong::ALL {
        let mut step = Batch::new(&model, &[7, 8], 1);
        step.spoil(wrong);
        fails(StoreError::Mismatch, &|store| store.commit(&id(1), &step.commit()));
    }

    let step = Batch::new(&model, &[], 0);
    let unknown = [
        store.truncate(&id(9), 0),
        store.set_origin(&id(9), Origin::Peer),
        store.commit(&id(9), &step.commit()),
        store.records(&id(9), 0, 0, &mut []).map(drop),
        store.hash(&id(9), Position::new(0, 0).unwrap()).map(drop),
        store.proof(&id(9), &mut []).map(drop),
        store.put_fork(&id(9), b"").map(drop),
        store.fork(&id(9), &mut []).map(drop),
    ];
    assert_eq!(unknown, [Err(StoreError::UnknownLog); 8]);
    assert_eq!(store.log(&id(9)), Ok(None));
    assert_eq!((store.remove(&id(9)), store.acknowledged(&id(9), 1)), (Ok(()), Ok(())));
}

#[test]
fn only_what_no_signed_head_covers_is_taken_back() {
    #[cfg(feature = "alloc")]
    check_that_signed_records_stay(MemoryStore::new());
    check_that_signed_records_stay(Large::new());
}

fn check_that_signed_records_stay(mut store: impl Subject) {
    create(&mut store, 1, Origin::Own);
    let mut model = Model::new(Origin::Own);
    let mut step = Batch::new(&model, &[1, 2, 3], 0);
    step.state.complete = Some(head(3));
    store.commit(&id(1), &step.commit()).unwrap();
    model.apply(step, 0);
    let mut step = Batch::new(&model, &[4, 5], 3);
    step.state.covering = Some(head(9));
    store.commit(&id(1), &step.commit()).unwrap();
    model.apply(step, 0);

    let before = store.clone();
    for size in [0, 2, 3, 4, 5] {
        assert_eq!(store.truncate(&id(1), size), Err(StoreError::Mismatch), "{size}");
        assert_eq!(store, before);
    }
    let mut step = Batch::new(&model, &[], 0);
    step.state.covering = None;
    store.commit(&id(1), &step.commit()).unwrap();
    model.apply(step, 0);
    assert_eq!(store.truncate(&id(1), 2), Err(StoreError::Mismatch));
    store.truncate(&id(1), 3).unwrap();
    model.truncate(3).unwrap();
    check_log(&mut store, id(1), &model);
    assert_eq!(store.log(&id(1)).unwrap().unwrap().state.complete, Some(head(3)));
}

#[cfg(feature = "alloc")]
#[test]
fn what_is_taken_back_no_longer_counts() {
    let mut store = MemoryStore::new();
    create(&mut store, 1, Origin::Own);
    let model = Model::new(Origin::Own);
    // 4 × 12 of records, 7 hashes, 2 in the proof; then 3 × 12 and 4.
    store.commit(&id(1), &Batch::new(&model, &[10; 4], 2).commit()).unwrap();
    assert_eq!(store.bytes(), 1_024 + 48 + 9 * 32);
    store.truncate(&id(1), 3).unwrap();
    assert_eq!(store.bytes(), 1_024 + 36 + 4 * 32);
}

#[cfg(feature = "alloc")]
#[test]
fn a_limit_counts_what_is_held_and_what_has_gone() {
    let mut store = MemoryStore::with_limit(1_024 + 200);
    create(&mut store, 1, Origin::Peer);
    assert_eq!(store.create(&id(2), &name(), &[1; 32], Origin::Peer), Err(StoreError::Full));
    let mut model = Model::new(Origin::Peer);
    // 2 × 12 of records, 3 hashes, 2 in the proof.
    let step = Batch::new(&model, &[10, 10], 2);
    store.commit(&id(1), &step.commit()).unwrap();
    model.apply(step, 0);
    assert_eq!(store.bytes(), 1_024 + 24 + 5 * 32);

    let before = store.clone();
    assert_eq!(store.put_fork(&id(1), &[0; 17]), Err(StoreError::Full));
    assert_eq!(store.commit(&id(1), &Batch::new(&model, &[15], 2).commit()), Err(StoreError::Full));
    assert_eq!(store, before);
    // The proof that goes makes room for record and hash.
    let step = Batch::new(&model, &[15], 0);
    store.commit(&id(1), &step.commit()).unwrap();
    store.put_fork(&id(1), &[0; 31]).unwrap();
    assert_eq!(store.bytes(), 1_024 + 200);
    store.remove(&id(1)).unwrap();
    assert_eq!(store.bytes(), 0);
}

#[cfg(feature = "alloc")]
#[test]
fn a_record_in_memory_is_read_in_place() {
    let mut store = MemoryStore::new();
    create(&mut store, 1, Origin::Peer);
    let model = Model::new(Origin::Peer);
    let step = Batch::new(&model, &[5; 40], 0);
    store.commit(&id(1), &step.commit()).unwrap();
    for (index, record) in step.records.iter().enumerate() {
        assert_eq!(store.record(&id(1), index as u64), Some(&record[..]));
    }
    assert_eq!((store.record(&id(1), 40), store.record(&id(2), 0)), (None, None));
}

#[test]
fn the_own_log_is_dropped_only_where_a_peer_has_acknowledged_it() {
    // Room for three records of 10 bytes.
    let mut store: FixedStore<1, 0, 0, 36, 32, 0> = FixedStore::new();
    create(&mut store, 1, Origin::Own);
    let mut model = Model::new(Origin::Own);
    let mut commit = |store: &mut dyn Store, first| {
        let step = Batch::new(&model, &[10], 0);
        let result = store.commit(&id(1), &step.commit());
        if result.is_ok() {
            model.apply(step, first);
            check_log(store, id(1), &model);
            check_proofs(store, id(1), &model);
        }
        result
    };
    for _ in 0..3 {
        commit(&mut store, 0).unwrap();
    }
    let before = store.clone();
    assert_eq!(commit(&mut store, 0), Err(StoreError::Full));
    assert_eq!(store, before);
    store.acknowledged(&id(1), 2).unwrap();
    // A smaller one that comes later takes nothing back.
    store.acknowledged(&id(1), 1).unwrap();
    commit(&mut store, 1).unwrap();
    commit(&mut store, 2).unwrap();
    assert_eq!(commit(&mut store, 0), Err(StoreError::Full));
    // Beyond what is held: it counts for what comes, as when a node takes its log back.
    store.acknowledged(&id(1), 7).unwrap();
    for first in 3..=7 {
        commit(&mut store, first).unwrap();
    }
    assert_eq!(commit(&mut store, 0), Err(StoreError::Full));
}

#[test]
fn a_batch_of_8_of_a_log_of_1_000_fits_into_48_hashes() {
    // As the documentation says, wherever in the log the batch is.
    let mut store: FixedStore<1, 64, 48, 0, 0, 0> = FixedStore::new();
    create(&mut store, 1, Origin::Peer);
    let mut model = Model::new(Origin::Peer);
    for start in 0..992 {
        // Its proof leads to a head of 10 binary digits.
        let batch = Batch::new(&model, &[0; 8], 11);
        assert_eq!(store.clone().commit(&id(1), &batch.commit()), Ok(()), "{start}");
        let one = Batch::new(&model, &[0], 11);
        store.commit(&id(1), &one.commit()).unwrap();
        model.apply(one, 0);
    }
}

#[test]
fn a_fixed_store_has_room_for_one_own_log_and_so_many_others() {
    let mut store: FixedStore<2, 8, 8, 8, 8, 20> = FixedStore::new();
    create(&mut store, 1, Origin::Own);
    create(&mut store, 2, Origin::Peer);
    create(&mut store, 3, Origin::Introduced(id(2)));
    let before = store.clone();
    assert_eq!(store.create(&id(4), &name(), &[1; 32], Origin::Own), Err(StoreError::Full));
    assert_eq!(store.create(&id(4), &name(), &[1; 32], Origin::Peer), Err(StoreError::Full));
    assert_eq!(store.put_fork(&id(2), &[1; 21]), Err(StoreError::Full));
    assert_eq!(store, before);
    store.remove(&id(2)).unwrap();
    create(&mut store, 4, Origin::Peer);
    store.remove(&id(1)).unwrap();
    create(&mut store, 5, Origin::Own);
}

#[test]
fn equal_fixed_stores_hold_the_same_wherever_it_lies() {
    let fill = |order: [u8; 3], batches: &[&[usize]]| {
        let mut store = Small::new();
        for number in order {
            create(&mut store, number, Origin::Peer);
            store.put_fork(&id(number), &[number; 9]).unwrap();
            let mut model = Model::new(Origin::Peer);
            for lens in batches {
                let step = Batch::new(&model, lens, 1);
                store.commit(&id(number), &step.commit()).unwrap();
                model.apply(step, 0);
            }
        }
        store
    };
    let store = fill([1, 2, 3], &[&[20, 20, 9], &[20]]);
    assert_eq!(store, fill([3, 1, 2], &[&[20], &[20, 9], &[20]]));
    let mut other = store.clone();
    other.set_origin(&id(3), Origin::Pinned).unwrap();
    assert_ne!(store, other);
    assert_ne!(store, fill([1, 2, 3], &[&[20, 20, 9], &[21]]));
    let mut other = store.clone();
    other.remove(&id(2)).unwrap();
    assert_ne!(store, other);
    assert_ne!(other, store);
}

#[test]
fn a_fixed_store_can_be_a_static() {
    static STORE: Small = FixedStore::new();
    assert_eq!(STORE, FixedStore::default());
}

#[test]
fn a_fixed_store_takes_no_more_memory_than_its_documentation_says() {
    macro_rules! check {
        ($logs:literal, $bytes:literal, $hashes:literal, $own_bytes:literal, $own_hashes:literal, $forks:literal: $table:literal) => {
            let held = $logs * ($bytes + 32 * $hashes) + $own_bytes + 32 * $own_hashes + $forks;
            assert_eq!(held + 616 * ($logs + 1) + 16, $table);
            let size = size_of::<FixedStore<$logs, $bytes, $hashes, $own_bytes, $own_hashes, $forks>>();
            assert!(size <= $table, "{size} > {}", $table);
        };
    }
    check!(1, 512, 32, 1_024, 64, 0: 5_856);
    check!(4, 512, 48, 2_048, 96, 1_104: 17_512);
    check!(8, 512, 32, 2_048, 64, 1_104: 23_048);
    check!(8, 1_024, 48, 4_096, 128, 4_400: 38_632);
}
