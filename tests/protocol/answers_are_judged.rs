//! Every failure has an owner. A reader asks a liar first, and an honest peer next.

use std::time::Duration;

use verisoo::wire::{Batch, Proof, ProofAnswer, RequestId, Response};
use verisoo::{Fault, Health, LogId, Notice, SignedHead};

use crate::hostile::{
    History, Seen, answers_of, assert_holds_only, assert_never_accused, authenticate, health, response_frame, watch,
};
use crate::net::{Federation, INTERVAL, Tamper, identity};

const WRITER: usize = 0;
const LIAR: usize = 1;
const HONEST: usize = 2;
const READER: usize = 3;

/// A writer, two that copy it, and a reader of the copies. The reader holds five records, the copies ten.
/// The reader cannot reach the honest copy yet.
fn reader_of_two(is_authenticated: bool) -> Federation {
    let mut federation = reader_of_nothing(is_authenticated);
    federation.run_rounds(2);
    assert_eq!(federation.size(READER, &federation.id(WRITER)), 5);
    federation.append_many(WRITER, 5);
    federation.part(&[READER], &[LIAR, HONEST]);
    federation.run_for(Duration::from_secs(1));
    assert_eq!(federation.size(LIAR, &federation.id(WRITER)), 10);
    federation.heal();
    federation.part(&[READER], &[HONEST]);
    federation
}

/// The same before the reader has heard of anything, and with five records in all.
fn reader_of_nothing(is_authenticated: bool) -> Federation {
    let mut federation = Federation::of(&["writer", "liar", "honest", "reader"]);
    federation.connect(WRITER, LIAR);
    federation.connect(WRITER, HONEST);
    federation.append_many(WRITER, 5);
    federation.run_rounds(2);
    // The reader asks; nobody calls it.
    federation.dial(READER, LIAR);
    federation.dial(READER, HONEST);
    if is_authenticated {
        authenticate(&mut federation, READER, LIAR);
        authenticate(&mut federation, READER, HONEST);
    }
    let writer = federation.vkey(WRITER);
    let reader = &mut federation.members[READER];
    reader.node.follow(&mut reader.store, &writer).unwrap();
    federation
}

/// Lets the liar's answers about the writer's log be changed, runs until the reader has asked it, and then
/// brings the honest peer back: the reader must end with what the writer wrote.
fn judge(federation: &mut Federation, tamper: Tamper) -> Seen {
    federation.tamper = Some(tamper);
    let seen = watch(federation);
    federation.run_rounds(2);
    let writer = History::written_by("writer", 10);
    assert_holds_only(federation, READER, &writer);
    federation.heal();
    federation.run_rounds(3);
    let (log, size) = (federation.id(WRITER), federation.size(WRITER, &federation.id(WRITER)));
    assert_eq!(federation.size(READER, &log), size, "{:?}", federation.notices);
    assert_holds_only(federation, READER, &writer);
    assert_never_accused(federation, &[log]);
    seen
}

fn fault_of(federation: &Federation) -> Option<Fault> {
    let liar = federation.peer(READER, LIAR);
    federation.notices.iter().find_map(|(at, notice)| match notice {
        Notice::PeerAtFault { peer, fault } => {
            assert_eq!((*at, *peer), (READER, liar), "an honest peer is blamed");
            Some(*fault)
        }
        _ => None,
    })
}

fn was_asked(seen: &Seen, from: usize, to: usize, kind: &'static str) -> bool {
    seen.borrow().contains(&(from, to, kind))
}

/// Changes batches and proofs of one log in the answers of the liar to the reader.
fn lies_about(
    log: LogId,
    batch: impl Fn(RequestId, &Batch<'_>) -> Vec<u8> + 'static,
    proof: impl Fn(RequestId, &ProofAnswer<'_>) -> Vec<u8> + 'static,
) -> Tamper {
    loses_or_lies_about(log, move |id, answer| Some(batch(id, answer)), proof)
}

/// The same where a batch may also get lost.
fn loses_or_lies_about(
    log: LogId,
    batch: impl Fn(RequestId, &Batch<'_>) -> Option<Vec<u8>> + 'static,
    proof: impl Fn(RequestId, &ProofAnswer<'_>) -> Vec<u8> + 'static,
) -> Tamper {
    answers_of(LIAR, move |to, id, response| match response {
        Response::Records(answer) if to == READER && answer.log == log => batch(id, answer),
        Response::Proof(answer) if to == READER && answer.log == log => Some(proof(id, answer)),
        other => Some(response_frame(id, *other)),
    })
}

fn with_false_records(id: RequestId, batch: &Batch<'_>) -> Vec<u8> {
    let mut records = batch.records.to_vec();
    *records.last_mut().unwrap() ^= 1;
    response_frame(id, Response::Records(Batch { records: &records, ..*batch }))
}

fn as_it_is(id: RequestId, answer: &ProofAnswer<'_>) -> Vec<u8> {
    response_frame(id, Response::Proof(*answer))
}

fn with_false_root(id: RequestId, answer: &ProofAnswer<'_>) -> Vec<u8> {
    let root = verisoo::log::leaf_hash(b"no root of this log");
    response_frame(id, Response::Proof(ProofAnswer { root, ..*answer }))
}

/// The head with a signature of another key.
fn forged(head: SignedHead) -> SignedHead {
    SignedHead::sign(&identity::<verisoo::Ed25519>("forger"), head.head)
}

#[test]
fn false_records_before_a_true_proof_are_the_peers_fault() {
    let mut federation = reader_of_two(true);
    let log = federation.id(WRITER);
    let seen = judge(&mut federation, lies_about(log, with_false_records, as_it_is));
    assert!(was_asked(&seen, READER, LIAR, "proof"), "the same peer is asked what its root was");
    assert_eq!(fault_of(&federation), Some(Fault::FalseRecords));
    assert!(matches!(health(&federation, READER, LIAR), Health::AtFault(Fault::FalseRecords)));
}

#[test]
fn false_records_over_an_open_line_are_a_failure_and_nobodys_fault() {
    let mut federation = reader_of_two(false);
    let log = federation.id(WRITER);
    let seen = judge(&mut federation, lies_about(log, with_false_records, as_it_is));
    assert!(was_asked(&seen, READER, LIAR, "proof"));
    assert_eq!(fault_of(&federation), None);
    assert_eq!(health(&federation, READER, HONEST), Health::Healthy);
}

#[test]
fn false_records_from_the_first_on_need_no_proof() {
    for is_authenticated in [true, false] {
        let mut federation = reader_of_nothing(is_authenticated);
        federation.part(&[READER], &[HONEST]);
        let log = federation.id(WRITER);
        let seen = judge(&mut federation, lies_about(log, with_false_records, as_it_is));
        assert!(!was_asked(&seen, READER, LIAR, "proof"));
        assert_eq!(fault_of(&federation), is_authenticated.then_some(Fault::FalseRecords));
    }
}

#[test]
fn a_proof_that_does_not_lead_to_its_head_is_the_peers_fault() {
    for is_authenticated in [true, false] {
        let mut federation = reader_of_two(is_authenticated);
        let log = federation.id(WRITER);
        let seen = judge(&mut federation, lies_about(log, with_false_records, with_false_root));
        assert!(was_asked(&seen, READER, LIAR, "proof"));
        assert_eq!(fault_of(&federation), is_authenticated.then_some(Fault::FalseProof));
    }
}

#[test]
fn a_proof_under_a_head_of_another_key_is_the_peers_fault() {
    for is_authenticated in [true, false] {
        let mut federation = reader_of_two(is_authenticated);
        let log = federation.id(WRITER);
        let forge = |id, answer: &ProofAnswer<'_>| {
            let answer = ProofAnswer { head: forged(answer.head), ..*answer };
            response_frame(id, Response::Proof(answer))
        };
        judge(&mut federation, lies_about(log, with_false_records, forge));
        assert_eq!(fault_of(&federation), is_authenticated.then_some(Fault::HeadSignature));
    }
}

#[test]
fn a_batch_under_a_head_of_another_key_is_the_peers_fault() {
    for is_authenticated in [true, false] {
        let mut federation = reader_of_two(is_authenticated);
        let log = federation.id(WRITER);
        let forge = |id, batch: &Batch<'_>| {
            let batch = Batch { head: forged(batch.head), ..*batch };
            response_frame(id, Response::Records(batch))
        };
        let seen = judge(&mut federation, lies_about(log, forge, as_it_is));
        assert!(!was_asked(&seen, READER, LIAR, "proof"), "there is nothing undecided about it");
        assert_eq!(fault_of(&federation), is_authenticated.then_some(Fault::HeadSignature));
    }
}

#[test]
fn a_batch_of_another_history_is_proven_a_fork_whoever_brings_it() {
    for is_authenticated in [true, false] {
        let mut federation = reader_of_two(is_authenticated);
        let (log, vkey) = (federation.id(WRITER), federation.vkey(WRITER));
        let batch = |id, batch: &Batch<'_>| {
            let other = other_history();
            let records = other.framed(usize::try_from(batch.start).unwrap(), 10);
            let batch = Batch { head: other.head(10), proof: Proof::default(), records: &records, ..*batch };
            response_frame(id, Response::Records(batch))
        };
        let proof = |id, answer: &ProofAnswer<'_>| {
            let other = other_history();
            let hashes = other.proof(answer.size, 10);
            let (root, head) = (other.root(answer.size), other.head(10));
            let answer = ProofAnswer { root, head, proof: Proof::new(&hashes).unwrap(), ..*answer };
            response_frame(id, Response::Proof(answer))
        };
        federation.tamper = Some(lies_about(log, batch, proof));
        federation.append_many(LIAR, 3);
        federation.run_rounds(2);
        assert!(federation.is_forked(READER, &log));
        federation.assert_fork_proof(READER, &log, &vkey);
        assert_eq!(fault_of(&federation), None, "it did nothing but show what was signed");
        // What is held of the log is kept, and other logs go on.
        assert_holds_only(&federation, READER, &History::written_by("writer", 10));
        assert_eq!(federation.size(READER, &log), 5);
        assert_eq!(federation.size(READER, &federation.id(LIAR)), 3);
    }
}

/// Ten records of the writer, the fourth of which is another.
fn other_history() -> History {
    let mut other = History::written_by("writer", 3);
    (3..10).for_each(|index| other.push(format!("another {index}").as_bytes()));
    other
}

/// A reader with seven records of a log under a head of size ten, and a peer with the first five of
/// `history` under a head of their own.
fn reader_of_a_part(history: &History) -> Federation {
    let mut federation = Federation::of(&["writer", "liar", "honest", "reader"]);
    let writer = History::written_by("writer", 10);
    for a in [LIAR, READER] {
        let member = &mut federation.members[a];
        member.node.follow(&mut member.store, writer.vkey()).unwrap();
    }
    let push = writer.push_of(writer.id(), 0, writer.head(10), &writer.proof(7, 10), &writer.framed(0, 7));
    federation.ask(READER, &push);
    assert_eq!(federation.members[READER].node.log(&writer.id()).unwrap().have, 7);
    assert_eq!(federation.size(READER, &writer.id()), 0);
    federation.ask(LIAR, &history.push_frame(writer.id(), 0, 5));
    assert_eq!(federation.size(LIAR, &writer.id()), 5);
    federation.dial(READER, LIAR);
    authenticate(&mut federation, READER, LIAR);
    federation
}

#[test]
fn the_same_root_and_a_proof_that_leads_to_a_signed_head_are_accepted() {
    let history = History::written_by("writer", 5);
    let mut federation = reader_of_a_part(&history);
    let seen = watch(&mut federation);
    federation.run_rounds(1);
    assert!(was_asked(&seen, READER, LIAR, "proof"), "the records are held, only the signature is missing");
    assert_eq!(federation.size(READER, &history.id()), 5);
    assert_eq!(federation.members[READER].node.log(&history.id()).unwrap().have, 7);
    assert_eq!(fault_of(&federation), None);
    assert_never_accused(&federation, &[history.id()]);
}

#[test]
fn another_root_and_a_proof_that_leads_to_a_signed_head_are_a_fork() {
    let history = other_history();
    let mut federation = reader_of_a_part(&history);
    federation.append_many(LIAR, 2);
    federation.run_rounds(1);
    assert!(federation.is_forked(READER, &history.id()));
    federation.assert_fork_proof(READER, &history.id(), history.vkey());
    assert_eq!(fault_of(&federation), None);
    assert_eq!(federation.size(READER, &federation.id(LIAR)), 2, "other logs go on");
}

#[test]
fn a_claimed_root_that_cannot_be_proven_is_the_peers_fault_and_not_the_logs() {
    let history = History::written_by("writer", 5);
    let mut federation = reader_of_a_part(&history);
    let log = history.id();
    federation.tamper =
        Some(lies_about(log, |id, batch| response_frame(id, Response::Records(*batch)), with_false_root));
    federation.run_rounds(1);
    assert_eq!(fault_of(&federation), Some(Fault::FalseProof));
    assert_never_accused(&federation, &[log]);
    assert_eq!(federation.members[READER].node.log(&log).unwrap().have, 7, "what was proven stays");
}

/// A batch that can be changed.
struct OwnedBatch {
    log: LogId,
    start: u64,
    head: SignedHead,
    proof: Vec<[u8; 32]>,
    records: Vec<u8>,
}

impl OwnedBatch {
    fn of(batch: &Batch<'_>) -> Self {
        let (proof, records) = (batch.proof.hashes().to_vec(), batch.records.to_vec());
        Self { log: batch.log, start: batch.start, head: batch.head, proof, records }
    }

    /// Other records from the same place on.
    fn set_records(&mut self, history: &History, end: usize) {
        self.records = history.framed(usize::try_from(self.start).unwrap(), end);
    }
}

/// Spoils a batch of the writer's; the liar's own log is as long.
type SpoilBatch = fn(&mut OwnedBatch, writer: &History, liar: &History);

/// What can be wrong with a batch, besides its single bits.
const WRONG_BATCHES: [(&str, SpoilBatch); 13] = [
    ("a record too many", |batch, _, _| batch.records.extend(b"\x08\x00one more")),
    ("a record too few", |batch, writer, _| batch.set_records(writer, 9)),
    ("the last record cut short", |batch, _, _| batch.records.truncate(batch.records.len() - 1)),
    ("no records at all", |batch, _, _| batch.records.clear()),
    ("far more records than anybody asks for", |batch, _, _| batch.records = vec![0; 2 * 10_000]),
    ("a proof too long", |batch, _, _| batch.proof.push([7; 32])),
    ("a proof too short", |batch, writer, _| {
        batch.set_records(writer, 8);
        batch.proof = writer.proof(8, 10);
        batch.proof.pop();
    }),
    ("a proof for another size", |batch, writer, _| {
        batch.set_records(writer, 8);
        batch.proof = writer.proof(7, 10);
    }),
    ("a head of another size", |batch, writer, _| batch.head = writer.head(9)),
    ("records from another place", |batch, writer, _| batch.records = writer.framed(0, 10)),
    ("another start", |batch, _, _| batch.start += 1),
    ("another log's records under its name", |batch, _, liar| {
        batch.set_records(liar, 10);
        batch.head = liar.head(10);
    }),
    ("another log's batch", |batch, _, liar| {
        batch.set_records(liar, 10);
        (batch.log, batch.head) = (liar.id(), liar.head(10));
    }),
];

#[test]
fn whatever_is_wrong_with_a_batch_another_peer_is_asked_and_the_log_converges() {
    for is_authenticated in [true, false] {
        for (what, spoil) in WRONG_BATCHES {
            eprintln!("{what}");
            let mut federation = reader_of_two(is_authenticated);
            // Both can be asked from the start: the liar must not be able to keep the log to itself.
            federation.heal();
            let log = federation.id(WRITER);
            let batch = move |id, batch: &Batch<'_>| {
                let mut batch = OwnedBatch::of(batch);
                let [writer, liar] = ["writer", "liar"].map(|name| History::written_by(name, 10));
                spoil(&mut batch, &writer, &liar);
                let OwnedBatch { log, start, head, proof, records } = batch;
                let proof = Proof::new(&proof).unwrap();
                response_frame(id, Response::Records(Batch { log, start, head, proof, records: &records }))
            };
            federation.tamper = Some(lies_about(log, batch, as_it_is));
            let seen = watch(&mut federation);
            federation.run_rounds(3);
            assert_eq!(federation.size(READER, &log), 10, "{what}");
            assert_holds_only(&federation, READER, &History::written_by("writer", 10));
            assert_never_accused(&federation, &[log, federation.id(LIAR)]);
            fault_of(&federation);
            let asked = seen.borrow().iter().filter(|request| **request == (READER, LIAR, "records")).count();
            assert!(asked < 50, "{what}: asked {asked} times for the same");
        }
    }
}

#[test]
fn whatever_is_wrong_with_a_proof_it_is_never_the_logs_fault() {
    type Spoil = fn(&ProofAnswer<'_>) -> (LogId, u64, verisoo::Hash, SignedHead, Vec<[u8; 32]>);
    fn parts(answer: &ProofAnswer<'_>) -> (LogId, u64, verisoo::Hash, SignedHead, Vec<[u8; 32]>) {
        (answer.log, answer.size, answer.root, answer.head, answer.proof.hashes().to_vec())
    }
    let wrong: Vec<(&str, Option<Fault>, Spoil)> = vec![
        ("too long", Some(Fault::FalseProof), |answer| {
            let mut parts = parts(answer);
            parts.4.push([7; 32]);
            parts
        }),
        ("too short", Some(Fault::FalseProof), |answer| {
            let mut parts = parts(answer);
            parts.4.pop();
            parts
        }),
        ("for another size", Some(Fault::FalseProof), |answer| {
            let mut parts = parts(answer);
            parts.4 = History::written_by("writer", 10).proof(answer.size - 1, 10);
            parts
        }),
        ("to another head", Some(Fault::FalseProof), |answer| {
            let mut parts = parts(answer);
            parts.3 = History::written_by("writer", 9).head(9);
            parts
        }),
        ("to a head behind it", Some(Fault::FalseProof), |answer| {
            let mut parts = parts(answer);
            parts.3 = History::written_by("writer", 4).head(4);
            parts
        }),
        ("another size's answer", None, |answer| {
            let writer = History::written_by("writer", 10);
            (answer.log, 4, writer.root(4), writer.head(10), writer.proof(4, 10))
        }),
        ("another log's answer", None, |answer| {
            let other = History::written_by("liar", 10);
            (other.id(), answer.size, other.root(answer.size), other.head(10), other.proof(answer.size, 10))
        }),
        ("another log's answer under its name", Some(Fault::HeadSignature), |answer| {
            let other = History::written_by("liar", 10);
            (answer.log, answer.size, other.root(answer.size), other.head(10), other.proof(answer.size, 10))
        }),
    ];
    for (what, fault, spoil) in wrong {
        let mut federation = reader_of_two(true);
        let log = federation.id(WRITER);
        let proof = move |id, answer: &ProofAnswer<'_>| {
            let (log, size, root, head, proof) = spoil(answer);
            let proof = Proof::new(&proof).unwrap();
            response_frame(id, Response::Proof(ProofAnswer { log, size, root, head, proof }))
        };
        judge(&mut federation, lies_about(log, with_false_records, proof));
        assert_eq!(fault_of(&federation), fault, "{what}");
    }
}

#[test]
fn a_peer_at_fault_stays_set_aside_though_more_of_its_answers_fail() {
    let mut federation = reader_of_two(true);
    let log = federation.id(WRITER);
    // The second range is asked for while the first is under way; what was asked second never comes.
    let first = std::cell::Cell::new(true);
    let forge = move |id, batch: &Batch<'_>| {
        let batch = Batch { head: forged(batch.head), ..*batch };
        first.replace(false).then(|| response_frame(id, Response::Records(batch)))
    };
    // Small answers, so that several are under way at one time.
    federation.append_many(WRITER, 3_000);
    federation.run_for(Duration::from_secs(1));
    federation.tamper = Some(loses_or_lies_about(log, forge, as_it_is));
    let seen = watch(&mut federation);
    federation.run_for(INTERVAL * 20);
    assert_eq!(fault_of(&federation), Some(Fault::HeadSignature));
    assert!(seen.borrow().iter().filter(|request| **request == (READER, LIAR, "records")).count() > 1);
    assert_eq!(health(&federation, READER, LIAR), Health::AtFault(Fault::HeadSignature));
}

#[test]
fn a_push_that_crosses_a_fetch_does_not_make_the_other_history_the_peers_fault() {
    // The reader asks the liar for everything; before the answer comes it is pushed the first records of
    // the history that the liar does not have.
    let mut federation = Federation::of(&["writer", "liar", "honest", "reader"]);
    let (one, other) = (History::written_by("writer", 10), other_history());
    for a in [LIAR, READER] {
        let member = &mut federation.members[a];
        member.node.follow(&mut member.store, one.vkey()).unwrap();
    }
    federation.ask(LIAR, &other.push_frame(one.id(), 0, 10));
    federation.dial(READER, LIAR);
    authenticate(&mut federation, READER, LIAR);
    // Status there and back, and the fetch on its way.
    federation.run_for(crate::net::DELAY * 5 / 2);
    federation.ask(READER, &one.push_frame(one.id(), 0, 5));
    assert_eq!(federation.size(READER, &one.id()), 5);
    federation.run_rounds(1);
    assert_eq!(fault_of(&federation), None);
    assert!(federation.is_forked(READER, &one.id()));
}

#[test]
fn a_lost_answer_does_not_make_the_ranges_behind_it_be_asked_for_over_and_over() {
    let mut federation = reader_of_two(false);
    let log = federation.id(WRITER);
    federation.part(&[READER], &[LIAR]);
    federation.append_many(WRITER, 20_000);
    federation.run_for(Duration::from_secs(2));
    federation.heal();
    federation.part(&[READER], &[HONEST]);
    let lost = std::cell::Cell::new(false);
    let lose = move |id, batch: &Batch<'_>| lost.replace(true).then(|| response_frame(id, Response::Records(*batch)));
    federation.tamper = Some(loses_or_lies_about(log, lose, as_it_is));
    let seen = watch(&mut federation);
    federation.run_rounds(2);
    assert_eq!(federation.size(READER, &log), federation.size(LIAR, &log));
    let asked = seen.borrow().iter().filter(|request| **request == (READER, LIAR, "records")).count();
    assert!((5..60).contains(&asked), "asked {asked} times");
}
