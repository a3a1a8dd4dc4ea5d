//! Random sequences of calls, made on a store and on a model of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use proptest::prelude::*;
use verisoo::LogId;
use verisoo::store::{Origin, StoreError};

use crate::Subject;
use crate::model::{Batch, Model, Wrong, check_log, check_proofs, head, id, name};

/// One step of a random sequence.
#[derive(Clone, Debug)]
pub enum Step {
    Create(u8, Origin),
    SetOrigin(u8, Origin),
    Remove(u8),
    Commit {
        log: u8,
        lens: Vec<usize>,
        proof: usize,
        signed: Signed,
        wrong: Option<Wrong>,
    },
    /// To `back` records less than it has, or to one more.
    Truncate {
        log: u8,
        back: Option<u64>,
    },
    Fork(u8, usize),
    Acknowledged(u8, u64),
}

/// Which head a commit sets.
#[derive(Clone, Copy, Debug)]
pub enum Signed {
    None,
    Complete,
    Covering,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let log = || 1_u8..=5;
    let origin = || {
        let others = [Origin::Peer, Origin::Pinned, Origin::Introduced(id(1))];
        prop_oneof![2 => Just(Origin::Own), 3 => proptest::sample::select(others.to_vec())]
    };
    let lens = prop_oneof![
        12 => proptest::collection::vec(0_usize..12, 0..5),
        1 => proptest::collection::vec(40_usize..70, 1..2),
        1 => proptest::collection::vec(0_usize..2, 10..14),
    ];
    let wrong = prop_oneof![9 => Just(None), 1 => proptest::sample::select(Wrong::ALL.to_vec()).prop_map(Some)];
    let signed = prop_oneof![8 => Just(Signed::None), 2 => Just(Signed::Complete), 1 => Just(Signed::Covering)];
    let commit = (1_u8..=3, lens, 0_usize..6, signed, wrong);
    let back = prop_oneof![8 => (0_u64..8).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        4 => (log(), origin()).prop_map(|(log, origin)| Step::Create(log, origin)),
        1 => (log(), origin()).prop_map(|(log, origin)| Step::SetOrigin(log, origin)),
        1 => (3_u8..=5).prop_map(Step::Remove),
        20 => commit.prop_map(|(log, lens, proof, signed, wrong)| Step::Commit { log, lens, proof, signed, wrong }),
        5 => (1_u8..=4, back).prop_map(|(log, back)| Step::Truncate { log, back }),
        2 => (log(), 0_usize..70).prop_map(|(log, len)| Step::Fork(log, len)),
        4 => (log(), 0_u64..80).prop_map(|(log, size)| Step::Acknowledged(log, size)),
    ]
}

pub fn any_sequence_of_calls_agrees_with_a_list_of_records<S: Subject>(steps: &[Step]) {
    let mut store = S::default();
    let mut models: BTreeMap<LogId, Model> = BTreeMap::new();
    for step in steps {
        let before = store.clone();
        let result = take::<S>(step, &mut store, &mut models);
        if result.is_err() {
            assert_eq!(store, before);
        }
        let mut after = None;
        for (log, model) in &models {
            assert_eq!(store.next_log(after), Ok(Some(*log)));
            check_log(&mut store, *log, model);
            after = Some(log);
        }
        assert_eq!(store.next_log(after), Ok(None));
    }
    for (log, model) in &models {
        check_proofs(&mut store, *log, model);
    }
}

/// Takes a step with the store and with the model, and compares the results.
fn take<S: Subject>(step: &Step, store: &mut S, models: &mut BTreeMap<LogId, Model>) -> Result<(), StoreError> {
    let own = |model: &&Model| model.origin == Origin::Own;
    let (result, expected) = match step {
        Step::Create(log, origin) => {
            let (owns, others) = (models.values().filter(own).count(), models.values().filter(|m| !own(m)).count());
            let full = if *origin == Origin::Own { owns == 1 } else { Some(others) == S::LOGS };
            let full = S::LOGS.is_some() && full;
            let expected = match models.entry(id(*log)) {
                Entry::Occupied(_) => Err(StoreError::Mismatch),
                Entry::Vacant(_) if full => Err(StoreError::Full),
                Entry::Vacant(entry) => {
                    entry.insert(Model::new(*origin));
                    Ok(())
                }
            };
            (store.create(&id(*log), &name(), &[1; 32], *origin), expected)
        }
        Step::Remove(log) => {
            models.remove(&id(*log));
            (store.remove(&id(*log)), Ok(()))
        }
        Step::Acknowledged(log, size) => {
            if let Some(model) = models.get_mut(&id(*log)).filter(|model| own(&&**model)) {
                model.acknowledged = model.acknowledged.max(*size);
            }
            (store.acknowledged(&id(*log), *size), Ok(()))
        }
        Step::SetOrigin(log, origin) => {
            let expected = match models.get_mut(&id(*log)) {
                None => Err(StoreError::UnknownLog),
                Some(model) if (model.origin == Origin::Own) != (*origin == Origin::Own) => Err(StoreError::Mismatch),
                Some(model) => {
                    model.origin = *origin;
                    Ok(())
                }
            };
            (store.set_origin(&id(*log), *origin), expected)
        }
        Step::Fork(log, len) => {
            let taken: usize = models.values().filter_map(|model| model.fork.as_ref()).map(Vec::len).sum();
            let proof = vec![*log; *len];
            let expected = match models.get_mut(&id(*log)) {
                None => Err(StoreError::UnknownLog),
                Some(model) if model.fork.is_none() && taken + len > S::FORK_BYTES => Err(StoreError::Full),
                Some(model) => {
                    model.fork.get_or_insert(proof.clone());
                    Ok(())
                }
            };
            (store.put_fork(&id(*log), &proof), expected)
        }
        Step::Truncate { log, back } => {
            let have = models.get(&id(*log)).map_or(0, Model::have);
            let size = back.map_or(have + 1, |back| have.saturating_sub(back));
            let expected = match models.get_mut(&id(*log)) {
                None => Err(StoreError::UnknownLog),
                Some(model) if !model.may_truncate(size) => Err(StoreError::Mismatch),
                Some(model) => {
                    model.truncate(size);
                    Ok(())
                }
            };
            (store.truncate(&id(*log), size), expected)
        }
        Step::Commit { log, lens, proof, signed, wrong } => {
            let unknown = Model::new(Origin::Peer);
            let mut batch = Batch::new(models.get(&id(*log)).unwrap_or(&unknown), lens, *proof);
            match signed {
                Signed::None => {}
                Signed::Complete => {
                    batch.state.complete = Some(head(batch.state.have));
                    batch.state.covering = None;
                }
                Signed::Covering => batch.state.covering = Some(head(batch.state.have + 1)),
            }
            if let Some(wrong) = wrong {
                batch.spoil(*wrong);
            }
            let result = store.commit(&id(*log), &batch.commit());
            let expected = match models.get_mut(&id(*log)) {
                None => Err(StoreError::UnknownLog),
                Some(_) if wrong.is_some() => Err(StoreError::Mismatch),
                Some(model) => match model.first_after(&batch, S::room(model.origin == Origin::Own)) {
                    None => Err(StoreError::Full),
                    Some(first) => {
                        model.apply(batch, first);
                        Ok(())
                    }
                },
            };
            (result, expected)
        }
    };
    assert_eq!(result, expected, "{step:?}");
    result
}
