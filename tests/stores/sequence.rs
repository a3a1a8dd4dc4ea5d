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
        batch: Drawn,
    },
    /// To `back` records less than it has, or to one more.
    Truncate {
        log: u8,
        back: Option<u64>,
    },
    Fork(u8, usize),
    Acknowledged(u8, u64),
}

/// A commit, whatever the log has.
#[derive(Clone, Debug)]
pub struct Drawn {
    lens: Vec<usize>,
    proof: usize,
    signed: Signed,
    wrong: Option<Wrong>,
}

impl Drawn {
    fn of(&self, model: Option<&Model>) -> Batch {
        let mut batch = Batch::new(model.unwrap_or(&Model::new(Origin::Peer)), &self.lens, self.proof);
        match self.signed {
            Signed::None => {}
            Signed::Complete => {
                batch.state.complete = Some(head(batch.state.have));
                batch.state.covering = None;
            }
            Signed::Covering => batch.state.covering = Some(head(batch.state.have + 1)),
        }
        if let Some(wrong) = self.wrong {
            batch.spoil(wrong);
        }
        batch
    }
}

type Models = BTreeMap<LogId, Model>;

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
    let batch =
        (lens, 0_usize..6, signed, wrong).prop_map(|(lens, proof, signed, wrong)| Drawn { lens, proof, signed, wrong });
    let back = prop_oneof![8 => (0_u64..8).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        4 => (log(), origin()).prop_map(|(log, origin)| Step::Create(log, origin)),
        1 => (log(), origin()).prop_map(|(log, origin)| Step::SetOrigin(log, origin)),
        1 => (3_u8..=5).prop_map(Step::Remove),
        20 => (1_u8..=3, batch).prop_map(|(log, batch)| Step::Commit { log, batch }),
        5 => (1_u8..=4, back).prop_map(|(log, back)| Step::Truncate { log, back }),
        2 => (log(), 0_usize..70).prop_map(|(log, len)| Step::Fork(log, len)),
        4 => (log(), 0_u64..80).prop_map(|(log, size)| Step::Acknowledged(log, size)),
    ]
}

pub fn any_sequence_of_calls_agrees_with_a_list_of_records<S: Subject>(steps: &[Step]) {
    let mut store = S::default();
    let mut models = Models::new();
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
fn take<S: Subject>(step: &Step, store: &mut S, models: &mut Models) -> Result<(), StoreError> {
    let result = match step {
        Step::Create(log, origin) => store.create(&id(*log), &name(), &[1; 32], *origin),
        Step::Remove(log) => store.remove(&id(*log)),
        Step::Acknowledged(log, size) => store.acknowledged(&id(*log), *size),
        Step::SetOrigin(log, origin) => store.set_origin(&id(*log), *origin),
        Step::Fork(log, len) => store.put_fork(&id(*log), &vec![*log; *len]),
        Step::Truncate { log, back } => store.truncate(&id(*log), size(models, *log, *back)),
        Step::Commit { log, batch } => store.commit(&id(*log), &batch.of(models.get(&id(*log))).commit()),
    };
    let expected = expect::<S>(step, models);
    assert_eq!(result, expected, "{step:?}");
    result
}

/// The same with the model alone.
fn expect<S: Subject>(step: &Step, models: &mut Models) -> Result<(), StoreError> {
    let own = |model: &Model| model.origin == Origin::Own;
    match step {
        Step::Create(log, origin) => create::<S>(models, id(*log), *origin),
        Step::Remove(log) => {
            models.remove(&id(*log));
            Ok(())
        }
        Step::Acknowledged(log, size) => {
            if let Some(model) = models.get_mut(&id(*log)).filter(|model| own(model)) {
                model.acknowledged = model.acknowledged.max(*size);
            }
            Ok(())
        }
        Step::SetOrigin(log, origin) => model(models, *log)?.set_origin(*origin),
        Step::Fork(log, len) => {
            let taken: usize = models.values().filter_map(|model| model.fork.as_ref()).map(Vec::len).sum();
            model(models, *log)?.put_fork(vec![*log; *len], S::FORK_BYTES - taken)
        }
        Step::Truncate { log, back } => {
            let size = size(models, *log, *back);
            model(models, *log)?.truncate(size)
        }
        Step::Commit { log, batch } => {
            let model = model(models, *log)?;
            let (commit, room) = (batch.of(Some(model)), S::room(own(model)));
            if batch.wrong.is_some() { Err(StoreError::Mismatch) } else { model.commit(commit, room) }
        }
    }
}

fn model(models: &mut Models, log: u8) -> Result<&mut Model, StoreError> {
    models.get_mut(&id(log)).ok_or(StoreError::UnknownLog)
}

fn create<S: Subject>(models: &mut Models, log: LogId, origin: Origin) -> Result<(), StoreError> {
    let (owns, others): (Vec<_>, Vec<_>) = models.values().partition(|model| model.origin == Origin::Own);
    let is_full = if origin == Origin::Own { owns.len() == 1 } else { Some(others.len()) == S::LOGS };
    match models.entry(log) {
        Entry::Occupied(_) => Err(StoreError::Mismatch),
        Entry::Vacant(_) if S::LOGS.is_some() && is_full => Err(StoreError::Full),
        Entry::Vacant(entry) => {
            entry.insert(Model::new(origin));
            Ok(())
        }
    }
}

/// How many records are to be left.
fn size(models: &Models, log: u8, back: Option<u64>) -> u64 {
    let have = models.get(&id(log)).map_or(0, Model::have);
    back.map_or(have + 1, |back| have.saturating_sub(back))
}
