//! Heads that are false, old, invented or whose records never come: nothing is held that the log's key did
//! not sign, and what is true goes on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use verisoo::log::{MAX_SIZE, leaf_hash, node_hash};
use verisoo::wire::{Entry, Frame, Message, OwnLog, Proof, ProofAnswer, PushWord, Refusal, Request, Response, Signed};
use verisoo::{Answers, Fault, Health, LogId, Notice, SignedHead, Start};

use crate::byzantine::{HONEST, LIAR, READER, WRITER, faults, federation, refusal, snapshot};
use crate::hostile::{
    History, answers_of, assert_holds_only, assert_never_accused, encode, health, response_frame, statuses_of,
};
use crate::net::Federation;

#[test]
fn a_pushed_head_of_another_key_is_refused_and_changes_nothing() {
    let mut federation = federation();
    federation.run_rounds(2);
    let writer = History::written_by("writer", 8);
    let forger = History::new("forger", &[]);
    let head = forger.sign(8, writer.root(8));
    let before = snapshot(&mut federation);
    for (start, records) in [(5, writer.framed(5, 8)), (8, Vec::new()), (0, writer.framed(0, 8))] {
        let answer = federation.ask(READER, &writer.push_of(writer.id(), start, head, &[], &records));
        assert_eq!(refusal(&answer), Some(Refusal::Invalid));
        assert!(federation.members[READER].node == before);
    }
}

#[test]
fn a_status_that_shows_our_own_log_under_a_head_we_did_not_sign_is_a_fault_and_stops_nothing() {
    let mut federation = federation();
    federation.append_many(READER, 1);
    let forged = History::new("forger", &[]).sign(9, leaf_hash(b"forged"));
    let own = OwnLog { have: 9, head: Some(forged) };
    federation.tamper = Some(statuses_of(LIAR, "liar", move |to, body, _| {
        if to == READER {
            body.own = Some(own);
        }
    }));
    federation.run_rounds(2);
    assert_eq!(faults(&federation, READER), [(federation.peer(READER, LIAR), Fault::HeadSignature)]);
    federation.append_many(READER, 1);
    assert!(!federation.has_noticed(READER, |notice| *notice == Notice::WritingStopped));
}

#[test]
fn a_status_that_lists_a_head_its_log_did_not_sign_is_a_fault_over_any_transport() {
    let mut federation = federation();
    let liar = federation.peer(READER, LIAR);
    federation.members[READER].node.set_authenticated(liar, false).unwrap();
    federation.run_rounds(1);
    let log = federation.id(WRITER);
    let forged = History::new("forger", &[]).sign(9, leaf_hash(b"forged"));
    federation.tamper = Some(statuses_of(LIAR, "liar", move |_, body, entries| {
        body.digest = leaf_hash(b"another digest");
        body.listed = true;
        entries.retain(|entry| entry.log == log);
        for entry in entries {
            entry.unproven = Some(forged);
        }
    }));
    federation.append_many(WRITER, 1);
    federation.run_rounds(2);
    assert_eq!(faults(&federation, READER), [(liar, Fault::HeadSignature)]);
    assert_eq!(federation.size(READER, &log), 6);
    assert_never_accused(&federation, &[log]);
}

#[test]
fn an_old_head_pushed_again_changes_nothing() {
    let mut federation = federation();
    federation.run_rounds(2);
    let writer = History::written_by("writer", 5);
    assert_eq!(federation.size(READER, &writer.id()), 5);
    let before = snapshot(&mut federation);
    for size in 1..=5 {
        let answer = federation.ask(READER, &writer.push_frame(writer.id(), 0, size));
        let Message::Response(Response::Pushed(word)) = Frame::decode(&answer).unwrap().message else { panic!() };
        assert_eq!(PushWord::decode(word.body).unwrap().have, 5);
        assert!(federation.members[READER].node == before);
    }
}

#[test]
fn an_old_status_sent_again_is_not_believed() {
    let mut federation = federation();
    let first = Rc::new(RefCell::new(None));
    let replays = Rc::new(Cell::new(0));
    let (kept, counted) = (Rc::clone(&first), Rc::clone(&replays));
    federation.tamper = Some(answers_of(LIAR, move |to, id, response| {
        let Response::Status(status) = response else { return Some(response_frame(id, *response)) };
        if to != READER {
            return Some(response_frame(id, *response));
        }
        let (signature, body) = kept.borrow_mut().get_or_insert((status.signature, status.body.to_vec())).clone();
        counted.set(counted.get() + 1);
        Some(response_frame(id, Response::Status(Signed { signature, body: &body })))
    }));
    federation.run_rounds(1);
    federation.part(&[READER], &[HONEST]);
    federation.append_many(WRITER, 3);
    federation.run_rounds(5);
    assert!(replays.get() > 3);
    let log = federation.id(WRITER);
    // Nothing of it was taken for the liar's word; it is a failure, since anybody can replay.
    assert_eq!(federation.size(READER, &log), 5);
    assert_eq!(health(&federation, READER, LIAR), Health::Unhealthy);
    assert_eq!(faults(&federation, READER), []);
    federation.tamper = None;
    federation.run_rounds(12);
    assert_eq!(federation.size(READER, &log), 8);
    assert_eq!(health(&federation, READER, LIAR), Health::Healthy);
}

#[test]
fn a_peer_restored_from_an_old_backup_is_brought_up_to_date_and_not_accused() {
    let mut federation = federation();
    federation.connect(READER, LIAR);
    let backup = federation.members[LIAR].store.clone();
    federation.append_many(WRITER, 7);
    federation.append_many(LIAR, 4);
    federation.run_rounds(3);
    let all = federation.all();
    federation.stop(LIAR);
    federation.members[LIAR].store = backup;
    federation.start(LIAR, Start::Recover(Answers::All));
    federation.append_many(WRITER, 1);
    federation.run_rounds(4);
    federation.assert_converged(&[LIAR, READER]);
    assert_eq!(federation.size(LIAR, &federation.id(LIAR)), 4);
    let logs: Vec<LogId> = all.iter().map(|a| federation.id(*a)).collect();
    assert_never_accused(&federation, &logs);
    for a in all {
        assert_eq!(faults(&federation, a), []);
    }
}

#[test]
fn a_head_whose_records_are_refused_stalls_its_log_and_no_other_until_they_come_out() {
    let mut federation = federation();
    federation.run_rounds(1);
    let log = federation.id(WRITER);
    federation.part(&[READER], &[HONEST]);
    let is_hidden = Rc::new(Cell::new(true));
    let hides = Rc::clone(&is_hidden);
    federation.tamper = Some(answers_of(LIAR, move |to, id, response| match response {
        Response::Records(batch) if to == READER && batch.log == log && hides.get() => {
            Some(response_frame(id, Response::Refused(Refusal::NotHeld)))
        }
        other => Some(response_frame(id, *other)),
    }));
    federation.append_many(WRITER, 4);
    federation.append_many(LIAR, 4);
    federation.run_rounds(5);
    assert!(federation.has_noticed(READER, |notice| *notice == Notice::LogStalled { log, have: 5 }));
    assert!(federation.members[READER].node.log(&log).unwrap().is_stalled);
    assert_eq!(federation.size(READER, &federation.id(LIAR)), 4, "other logs go on");
    is_hidden.set(false);
    federation.run_rounds(4);
    assert_eq!(federation.size(READER, &log), 9);
    assert!(!federation.members[READER].node.log(&log).unwrap().is_stalled);
    assert_never_accused(&federation, &[log]);
}

/// A head of 2^62 leaves that the first four of `history` lead to, and the proof of it.
fn invented(history: &History) -> (SignedHead, Vec<[u8; 32]>) {
    let mut root = history.root(4);
    let mut proof = Vec::new();
    for level in 2..62 {
        let sibling = leaf_hash(&[level]);
        proof.push(*sibling.as_bytes());
        root = node_hash(&root, &sibling);
    }
    (history.sign(MAX_SIZE, root), proof)
}

#[test]
fn an_invented_head_of_2_to_the_62_is_set_aside_and_true_heads_go_on() {
    let mut federation = federation();
    federation.run_rounds(2);
    let writer = History::written_by("writer", 9);
    let head = writer.sign(MAX_SIZE, leaf_hash(b"invented"));
    // The writer is not the node that it seems to be; from here on its log is written by hand.
    federation.stop(WRITER);
    federation.ask(LIAR, &writer.push_of(writer.id(), MAX_SIZE, head, &[], &[]));
    federation.run_rounds(6);
    // It is evidence and travels; nobody can lead to it, and that is said.
    assert!(federation.has_noticed(READER, |notice| matches!(notice, Notice::LogStalled { have: 5, .. })));
    federation.ask(HONEST, &writer.push_frame(writer.id(), 5, 9));
    federation.run_rounds(2);
    for a in [READER, HONEST] {
        assert_eq!(federation.size(a, &writer.id()), 9);
    }
    assert_eq!(health(&federation, READER, LIAR), Health::Healthy);
    assert!(!federation.is_forked(READER, &writer.id()), "nothing disproves it yet");
}

#[test]
fn an_invented_head_does_not_hide_the_evidence_that_comes_after_it() {
    let mut federation = federation();
    federation.run_rounds(2);
    let (writer, mut other) = (History::written_by("writer", 9), History::written_by("writer", 8));
    other.push(b"another ninth");
    federation.ask(READER, &writer.push_of(writer.id(), MAX_SIZE, invented(&writer).0, &[], &[]));
    for history in [&writer, &other] {
        assert!(!federation.is_forked(READER, &writer.id()));
        federation.ask(READER, &history.push_of(writer.id(), 9, history.head(9), &[], &[]));
    }
    assert!(federation.is_forked(READER, &writer.id()));
    federation.assert_fork_proof(READER, &writer.id(), writer.vkey());
}

#[test]
fn an_invented_head_that_records_are_proven_to_lead_to_does_not_stop_the_log_either() {
    let mut federation = federation();
    let writer = History::written_by("writer", 9);
    let (head, proof) = invented(&writer);
    let member = &mut federation.members[READER];
    member.node.follow(&mut member.store, writer.vkey()).unwrap();
    federation.ask(READER, &writer.push_of(writer.id(), 0, head, &proof, &writer.framed(0, 4)));
    assert_eq!(federation.members[READER].node.log(&writer.id()).unwrap().have, 4);
    federation.run_rounds(2);
    assert_eq!(federation.size(READER, &writer.id()), 5);
    federation.ask(HONEST, &writer.push_frame(writer.id(), 5, 9));
    federation.run_rounds(2);
    assert_eq!(federation.size(READER, &writer.id()), 9);
    assert_holds_only(&federation, READER, &writer);
}

#[test]
fn a_claimed_size_that_no_records_back_is_no_error_of_ours() {
    // The writer and the liar are one: it signs a head of 2^62 and proves it from itself.
    let mut federation = federation();
    federation.run_rounds(1);
    let writer = History::written_by("writer", 5);
    let log = writer.id();
    let invented = writer.sign(MAX_SIZE, leaf_hash(b"invented"));
    let mut statuses = statuses_of(LIAR, "liar", move |_, body, entries| {
        body.digest = leaf_hash(b"another digest");
        body.listed = true;
        entries.retain(|entry| entry.log != log);
        entries.push(Entry { log, complete: invented.head, have: 5, covering: None, unproven: None, forked: false });
        entries.sort_by_key(|entry| entry.log);
    });
    federation.tamper = Some(Box::new(move |from, to, frame| match &frame.message {
        Message::Request(Request::Proof { log, size, .. }) if to == LIAR => {
            // Smuggled into the question, so that the answer below can be made from it.
            assert!(*size <= 5, "{log:?} is asked for a proof at {size}");
            Some(encode(frame))
        }
        _ => statuses(from, to, frame),
    }));
    federation.run_rounds(3);
    assert_never_accused(&federation, &[log]);
}

#[test]
fn a_true_proof_at_a_size_beyond_what_is_held_is_no_error_of_ours() {
    // A reader that takes its own log back and has the first three records of it; a peer shows a head
    // that its key signed, of size five, and proves it from itself.
    let mut federation = Federation::of(&["reader", "liar"]);
    federation.dial(0, 1);
    let own = History::written_by("reader", 5);
    federation.stop(0);
    federation.start_from_nothing(0);
    federation.ask(0, &own.push_frame(own.id(), 0, 3));
    let (shown, root) = (own.head(5), own.root(5));
    let mut statuses = statuses_of(1, "liar", move |_, body, _| body.own = Some(OwnLog { have: 3, head: Some(shown) }));
    federation.tamper = Some(Box::new(move |from, to, frame| match &frame.message {
        Message::Response(Response::Refused(_)) => {
            let answer = ProofAnswer { log: own.id(), size: 5, root, head: shown, proof: Proof::default() };
            Some(response_frame(frame.id, Response::Proof(answer)))
        }
        _ => statuses(from, to, frame),
    }));
    federation.run_rounds(3);
    assert!(federation.members[0].node.is_recovering(), "two records are missing");
}
