//! Relays that withhold, and peers under another's name or key: they are gone round, and not believed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use verisoo::log::MAX_SIZE;
use verisoo::wire::{Batch, Frame, Message, Nonce, Proof, PushWord, Refusal, Request, RequestId, Response, Signed};
use verisoo::{Head, Health, Identity, Notice, SignedHead, Start};

use crate::byzantine::{HONEST, LIAR, READER, WRITER, faults, federation, refusal};
use crate::hostile::{
    History, answers_of, assert_never_accused, authenticate, encode, health, kind_of, request_frame, response_frame,
    watch,
};
use crate::net::{DELAY, Federation, INTERVAL, identity};

#[test]
fn a_relay_that_withholds_is_passed_over() {
    type Refuse = fn(RequestId) -> Option<Vec<u8>>;
    let refusals: [Refuse; 6] = [
        |_| None,
        |id| Some(response_frame(id, Response::Refused(Refusal::NotHeld))),
        |id| Some(response_frame(id, Response::Refused(Refusal::Busy))),
        |id| Some(response_frame(id, Response::Refused(Refusal::Unknown))),
        |id| Some(response_frame(id, Response::Refused(Refusal::Dropped { first: MAX_SIZE }))),
        |id| Some(response_frame(id, Response::Refused(Refusal::TooLong { index: 5 }))),
    ];
    for (which, refuse) in refusals.into_iter().enumerate() {
        let mut federation = federation();
        federation.run_rounds(1);
        let log = federation.id(WRITER);
        federation.tamper = Some(answers_of(LIAR, move |to, id, response| match response {
            Response::Records(batch) if to == READER && batch.log == log => refuse(id),
            other => Some(response_frame(id, *other)),
        }));
        // The honest peer has it a little later, when the liar has been asked.
        federation.part(&[READER], &[HONEST]);
        federation.append_many(WRITER, 5);
        federation.run_rounds(1);
        assert_eq!(federation.size(READER, &log), 5);
        federation.heal();
        federation.run_rounds(2);
        assert_eq!(federation.size(READER, &log), 10, "refusal {which}");
        let is_told = federation.has_noticed(READER, |notice| matches!(notice, Notice::RecordTooLong { .. }));
        assert!(!is_told || which == 5);
    }
}

#[test]
fn a_relay_that_drops_only_evidence_is_gone_round() {
    // A ring: the forker shows its histories to two neighbours, one of whom passes no evidence on.
    let mut federation = Federation::of(&["mute", "b", "c", "d"]);
    for a in 0..4 {
        federation.connect(a, (a + 1) % 4);
    }
    let log = History::new("forker", &[]).id();
    for member in &mut federation.members {
        member.node.follow(&mut member.store, History::new("forker", &[]).vkey()).unwrap();
    }
    federation.append_many(0, 1);
    federation.tamper = Some(Box::new(|from, to, frame| {
        let is_evidence = match &frame.message {
            Message::Request(request) => matches!(kind_of(request), "fork" | "push fork"),
            Message::Response(response) => matches!(response, Response::Fork { .. } | Response::PushedFork { .. }),
        };
        if is_evidence && (from == 0 || to == 0) && (from, to) != (3, 0) { None } else { Some(encode(frame)) }
    }));
    let (one, other) = (History::new("forker", &["one"]), History::new("forker", &["other"]));
    federation.ask(0, &one.push_frame(log, 0, 1));
    federation.ask(1, &other.push_frame(log, 0, 1));
    federation.run_rounds(3);
    for a in 1..4 {
        assert!(federation.is_forked(a, &log), "{a}");
    }
    assert_eq!(federation.size(2, &federation.id(0)), 1, "what the mute one wrote spreads");
}

// Names and keys.

#[test]
fn a_peer_with_anothers_name_is_another_peer() {
    let mut federation = federation();
    federation.run_rounds(1);
    let namesake = Identity::from_seed("writer", &[0xEE; 32]).unwrap();
    let vkey = *namesake.vkey();
    assert_ne!(vkey.id(), federation.id(WRITER));
    let member = &mut federation.members[READER];
    member.node.follow(&mut member.store, &vkey).unwrap();
    // Its heads are none of the writer's, nor the writer's any of its.
    let writer = History::written_by("writer", 6);
    let false_head = SignedHead::sign(&namesake, Head { size: 6, root: writer.root(6) });
    let push = writer.push_of(writer.id(), 5, false_head, &[], &writer.framed(5, 6));
    assert_eq!(refusal(&federation.ask(READER, &push)), Some(Refusal::Invalid));
    let batch = Batch {
        log: vkey.id(),
        start: 0,
        head: writer.head(6),
        proof: Proof::default(),
        records: &writer.framed(0, 6),
    };
    let push = request_frame(Request::Push(verisoo::wire::Push { from: vkey.id(), nonce: Nonce([1; 16]), batch }));
    assert_eq!(refusal(&federation.ask(READER, &push)), Some(Refusal::Invalid));
    assert_eq!(federation.size(READER, &writer.id()), 5);
    assert_eq!(federation.size(READER, &vkey.id()), 0);
    assert_never_accused(&federation, &[writer.id(), vkey.id()]);
}

#[test]
fn one_who_answers_in_anothers_place_with_its_own_key_is_not_believed() {
    let mut federation = Federation::of(&["writer", "reader"]);
    federation.append_many(0, 3);
    federation.append_many(1, 3);
    federation.connect(0, 1);
    let middle: Identity = identity("man-in-the-middle");
    let told = Rc::new(Cell::new(0));
    let counted = Rc::clone(&told);
    federation.tamper = Some(Box::new(move |_, to, frame| {
        if to != 1 {
            return Some(encode(frame));
        }
        let signed = |signed: &Signed<'_>| Signed { signature: middle.sign(signed.body), body: &[] }.signature;
        let response = match &frame.message {
            Message::Response(Response::Status(status)) => {
                Response::Status(Signed { signature: signed(status), body: status.body })
            }
            Message::Response(Response::Pushed(word)) => {
                Response::Pushed(Signed { signature: signed(word), body: word.body })
            }
            _ => return Some(encode(frame)),
        };
        counted.set(counted.get() + 1);
        Some(response_frame(frame.id, response))
    }));
    federation.run_rounds(5);
    assert!(told.get() > 2);
    let writer = federation.peer(1, 0);
    assert_eq!(federation.members[1].node.peer(writer).unwrap().acknowledged, None);
    assert_eq!(health(&federation, 1, 0), Health::Unhealthy);
    assert_eq!(faults(&federation, 1), [], "whoever sits between is not the peer");
    assert_never_accused(&federation, &[federation.id(0), federation.id(1)]);
    federation.tamper = None;
    federation.run_rounds(12);
    federation.assert_converged(&[0, 1]);
}

#[test]
fn a_word_on_a_push_that_the_peer_did_not_sign_for_it_is_not_believed() {
    let mut federation = Federation::of(&["writer", "peer"]);
    federation.connect(0, 1);
    federation.append_many(0, 3);
    federation.run_rounds(2);
    let peer = federation.peer(0, 1);
    let acknowledged = |federation: &Federation| federation.members[0].node.peer(peer).unwrap().acknowledged;
    assert_eq!(acknowledged(&federation), Some(3));
    // One between them says for the peer that it has all: by its own signature, and by an old one of the
    // peer's. What it says of itself in its status is what counts.
    let middle: Identity = identity("middle");
    let writer = History::written_by("writer", 9);
    let old = Rc::new(RefCell::new(None));
    let told = Rc::new(Cell::new(0));
    let (kept, counted) = (Rc::clone(&old), Rc::clone(&told));
    federation.tamper = Some(Box::new(move |_, to, frame| {
        let Message::Response(Response::Pushed(word)) = &frame.message else { return Some(encode(frame)) };
        if to != 0 {
            return Some(encode(frame));
        }
        counted.set(counted.get() + 1);
        if counted.get() == 1 {
            *kept.borrow_mut() = Some((word.signature, word.body.to_vec()));
            return Some(encode(frame));
        }
        let word = PushWord { log: writer.id(), complete: writer.head(9).head, have: 9 };
        let mut buf = [0; 128];
        let body = postcard::to_slice(&word, &mut buf).unwrap().to_vec();
        let (signature, body) = match counted.get() % 2 {
            0 => (middle.sign(&body), body),
            _ => kept.borrow().clone().unwrap(),
        };
        Some(response_frame(frame.id, Response::Pushed(Signed { signature, body: &body })))
    }));
    federation.append_many(0, 1);
    federation.run_for(DELAY * 4);
    assert_eq!((told.get(), acknowledged(&federation)), (1, Some(4)));
    for size in [5, 6, 7] {
        federation.append_many(0, 1);
        federation.run_for(DELAY * 4);
        assert!(told.get() > 1);
        assert_eq!(acknowledged(&federation), Some(4), "{size}");
    }
    assert_eq!(faults(&federation, 0), []);
    federation.run_rounds(2);
    assert_eq!(acknowledged(&federation), Some(7));
}

#[test]
fn a_key_used_elsewhere_as_well_stops_writing_and_serves_on() {
    for appends in [true, false] {
        let mut federation = Federation::of(&["writer", "peer", "late"]);
        federation.connect(0, 1);
        federation.append_many(0, 3);
        federation.append_many(1, 1);
        federation.run_rounds(2);
        // A copy of its disk is started with its key; it goes on where that ended.
        let twin = federation.add("writer");
        federation.members[twin].store = federation.members[0].store.clone();
        federation.start(twin, Start::Resume);
        federation.dial(twin, 1);
        federation.append(twin, b"the twin's");
        if appends {
            federation.append(0, b"the writer's");
        }
        federation.run_rounds(3);
        let log = federation.id(0);
        assert!(federation.has_noticed(0, |notice| *notice == Notice::WritingStopped));
        let member = &mut federation.members[0];
        assert_eq!(member.node.append(&mut member.store, b"more"), Err(verisoo::Error::Stopped));
        // Two histories are a fork; one that is only longer is none.
        assert_eq!(federation.is_forked(1, &log), appends);
        // It serves on.
        let request = request_frame(Request::Records { log, start: 0, count: 3, limit: u32::MAX });
        let answer = federation.ask(0, &request);
        assert!(matches!(Frame::decode(&answer).unwrap().message, Message::Response(Response::Records(_))));
        federation.dial(2, 0);
        federation.run_rounds(2);
        assert_eq!(federation.size(2, &federation.id(1)), 1, "others' logs too");
        assert_never_accused(&federation, &[federation.id(1), federation.id(2)]);
        // And it stays stopped when it is started again.
        federation.stop(0);
        federation.start(0, Start::Resume);
        let member = &mut federation.members[0];
        assert_eq!(member.node.append(&mut member.store, b"more"), Err(verisoo::Error::Stopped));
    }
}

#[test]
fn a_peer_that_never_answers_costs_no_more_than_its_share_of_requests() {
    let mut federation = federation();
    federation.tamper = Some(answers_of(LIAR, |_, _, _| None));
    let seen = watch(&mut federation);
    federation.append_many(WRITER, 100);
    federation.run_for(INTERVAL * 30);
    let asked = seen.borrow().iter().filter(|(from, to, _)| (*from, *to) == (READER, LIAR)).count();
    assert!(asked < 30, "asked {asked} times");
    assert_eq!(federation.size(READER, &federation.id(WRITER)), 105);
    assert_eq!(faults(&federation, READER), []);
}

#[test]
fn a_sync_that_fails_at_an_unknown_log_does_not_forget_who_else_has_it() {
    // The reader hears of the writer's log from both; who is asked for its key says nothing.
    let mut federation = Federation::of(&["writer", "first", "second", "reader"]);
    federation.append_many(0, 3);
    federation.connect(0, 1);
    federation.connect(0, 2);
    federation.run_rounds(2);
    federation.tamper = Some(Box::new(|_, _, frame| {
        let is_key = matches!(frame.message, Message::Response(Response::Key { .. }));
        (!is_key).then(|| encode(frame))
    }));
    for relay in [1, 2] {
        federation.dial(3, relay);
        authenticate(&mut federation, 3, relay);
    }
    federation.run_rounds(1);
    let peer = federation.peer(3, 2);
    let member = &mut federation.members[3];
    member.node.sync_now(peer).unwrap();
    federation.run_rounds(3);
    let writer = federation.id(0);
    assert!(federation.has_noticed(3, |notice| {
        matches!(notice, Notice::Synced(report) if report.log == writer && report.error.is_some())
    }));
    assert_eq!(federation.size(3, &writer), 0);
    // Nothing else changes in the federation, and the log is taken all the same.
    federation.tamper = None;
    federation.run_rounds(40);
    assert_eq!(federation.size(3, &writer), 3);
}
