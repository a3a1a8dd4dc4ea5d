//! Peers that lie, replay, withhold, invent and flood: DESIGN section 5, line by line. Whatever they do, no
//! honest log is accused, nothing is held that its writer did not sign, and what can converge does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use verisoo::log::{MAX_SIZE, leaf_hash, node_hash};
use verisoo::store::MemoryStore;
use verisoo::wire::{
    Batch, Entry, Frame, Message, Nonce, OwnLog, Proof, ProofAnswer, PushWord, Refusal, Request, RequestId, Response,
    Signed, StatusRequest,
};
use verisoo::{
    Answers, Command, Event, Fault, Hash, Head, Health, Identity, Introductions, LogId, Node, Notice, PeerId,
    SignedHead, Start,
};

use crate::federation::{DELAY, Federation, INTERVAL, config, identity};
use crate::hostile::{
    History, answers_of, ask, assert_holds_only, assert_never_accused, authenticate, encode, frame_all, health,
    kind_of, request_frame, response_frame, statuses_of, watch,
};

const WRITER: usize = 0;
const LIAR: usize = 1;
const READER: usize = 2;
const HONEST: usize = 3;

/// A writer, a liar and an honest peer that copy it, and a reader that asks both, the liar first.
fn federation() -> Federation {
    let mut federation = Federation::of(&["writer", "liar", "reader", "honest"]);
    federation.connect(WRITER, LIAR);
    federation.connect(WRITER, HONEST);
    federation.append_many(WRITER, 5);
    federation.run_rounds(2);
    federation.dial(READER, LIAR);
    federation.dial(READER, HONEST);
    authenticate(&mut federation, READER, LIAR);
    federation
}

fn refusal(bytes: &[u8]) -> Option<Refusal> {
    match Frame::decode(bytes).unwrap().message {
        Message::Response(Response::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

fn faults(federation: &Federation, a: usize) -> Vec<(PeerId, Fault)> {
    let notices = federation.notices.iter().filter(|(at, _)| *at == a);
    notices
        .filter_map(
            |(_, notice)| if let Notice::PeerAtFault { peer, fault } = notice { Some((*peer, *fault)) } else { None },
        )
        .collect()
}

/// The reader, its clock set.
fn snapshot(federation: &mut Federation) -> Node {
    let member = &mut federation.members[READER];
    member.node.handle(federation.now, &mut member.store, Event::Tick).unwrap();
    member.node.clone()
}

// Heads.

#[test]
fn a_pushed_head_of_another_key_is_refused_and_changes_nothing() {
    let mut federation = federation();
    federation.run_rounds(2);
    let writer = History::written_by("writer", 8);
    let forger = History::new("forger", &[]);
    let head = forger.sign(8, writer.root(8));
    let before = snapshot(&mut federation);
    for (start, records) in [(5, writer.framed(5, 8)), (8, Vec::new()), (0, writer.framed(0, 8))] {
        let answer = ask(&mut federation, READER, &writer.push_of(writer.id(), start, head, &[], &records));
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
        let answer = ask(&mut federation, READER, &writer.push_frame(writer.id(), 0, size));
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
    ask(&mut federation, LIAR, &writer.push_of(writer.id(), MAX_SIZE, head, &[], &[]));
    federation.run_rounds(6);
    // It is evidence and travels; nobody can lead to it, and that is said.
    assert!(federation.has_noticed(READER, |notice| matches!(notice, Notice::LogStalled { have: 5, .. })));
    ask(&mut federation, HONEST, &writer.push_frame(writer.id(), 5, 9));
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
    ask(&mut federation, READER, &writer.push_of(writer.id(), MAX_SIZE, invented(&writer).0, &[], &[]));
    for history in [&writer, &other] {
        assert!(!federation.is_forked(READER, &writer.id()));
        ask(&mut federation, READER, &history.push_of(writer.id(), 9, history.head(9), &[], &[]));
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
    ask(&mut federation, READER, &writer.push_of(writer.id(), 0, head, &proof, &writer.framed(0, 4)));
    assert_eq!(federation.members[READER].node.log(&writer.id()).unwrap().have, 4);
    federation.run_rounds(2);
    assert_eq!(federation.size(READER, &writer.id()), 5);
    ask(&mut federation, HONEST, &writer.push_frame(writer.id(), 5, 9));
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
    ask(&mut federation, 0, &own.push_frame(own.id(), 0, 3));
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

// Answers that are wrong in any bit.

/// One node that asks, and one that answers.
#[derive(Clone)]
struct Talk {
    now: verisoo::Instant,
    asker: (Node, MemoryStore),
    answerer: (Node, MemoryStore),
    peer: PeerId,
}

impl Talk {
    /// The asker's next question, answered.
    fn next(&mut self) -> Option<(RequestId, Vec<u8>)> {
        let mut buf = vec![0; 1 << 16];
        loop {
            let (node, store) = &mut self.asker;
            let command = node.poll(self.now, store)?;
            let Some(bytes) = node.encode(store, &command, &mut buf).unwrap() else { continue };
            let bytes = bytes.to_vec();
            let frame = Frame::decode(&bytes).unwrap();
            let Message::Request(request) = frame.message else { panic!("not a request") };
            let (node, store) = &mut self.answerer;
            let answer = node.respond(self.now, store, frame.id, &request, &mut buf).unwrap();
            return Some((frame.id, answer.to_vec()));
        }
    }

    /// Gives the asker an answer, if it is one.
    fn take(&mut self, bytes: &[u8]) {
        if let Ok(Frame { id, .. }) = Frame::decode(bytes) {
            self.take_as(self.peer, id, bytes);
        }
    }

    /// The same as if it came from this peer and under this id.
    fn take_as(&mut self, peer: PeerId, id: RequestId, bytes: &[u8]) {
        if let Ok(Frame { message: Message::Response(response), .. }) = Frame::decode(bytes) {
            let (node, store) = &mut self.asker;
            node.handle(self.now, store, Event::answer(peer, id, response)).unwrap();
        }
    }

    /// Lets time pass until the asker has all that the answerer has.
    fn converge(&mut self) -> bool {
        for _ in 0..200 {
            while let Some((_, answer)) = self.next() {
                self.take(&answer);
            }
            let (asker, answerer) = (&self.asker.0, &self.answerer.0);
            let is_there = |log: verisoo::LogInfo| {
                asker.log(&log.log).is_some_and(|ours| {
                    ours.is_forked == log.is_forked && (log.is_forked || ours.complete == log.complete)
                })
            };
            if answerer.logs().all(is_there) {
                return true;
            }
            self.now = asker.next_wake().unwrap();
        }
        false
    }
}

/// A conversation in which every kind of answer occurs: see the assertions at its end.
fn talk() -> (Talk, Vec<History>) {
    let mut asker = (Node::new(identity("asker"), config(), [1; 32], verisoo::Instant::ZERO), MemoryStore::new());
    let mut answerer = (Node::new(identity("answerer"), config(), [2; 32], verisoo::Instant::ZERO), MemoryStore::new());
    let peer = asker.0.add_peer(&mut asker.1, *answerer.0.vkey()).unwrap();
    answerer.0.add_peer(&mut answerer.1, *asker.0.vkey()).unwrap();
    let push = |to: &mut (Node, MemoryStore), bytes: Vec<u8>| {
        let Message::Request(request) = Frame::decode(&bytes).unwrap().message else { panic!() };
        let mut buf = vec![0; 1 << 16];
        let answer = to.0.respond(verisoo::Instant::ZERO, &mut to.1, RequestId::new(1), &request, &mut buf).unwrap();
        assert_eq!(refusal(answer), None);
    };
    // A log to be introduced, one whose signature alone is missing, one that has forked.
    let histories: Vec<History> = ["whole", "part", "forked"].map(|name| History::written_by(name, 10)).into();
    let [whole, part, forked] = &histories[..] else { panic!() };
    for log in [whole, part, forked] {
        answerer.0.follow(&mut answerer.1, log.vkey()).unwrap();
        push(&mut answerer, log.push_frame(log.id(), 0, 5));
    }
    asker.0.follow(&mut asker.1, part.vkey()).unwrap();
    push(&mut asker, part.push_of(part.id(), 0, part.head(10), &part.proof(7, 10), &part.framed(0, 7)));
    let other = History::new("forked", &["another"]);
    push(&mut answerer, other.push_frame(other.id(), 0, 1));
    answerer.0.append(&mut answerer.1, b"its own").unwrap();
    answerer.0.publish(&mut answerer.1).unwrap();
    let (mut a, mut b) = (History::new("asker", &["our own"]), History::new("answerer", &["its own"]));
    a.push(b"more");
    b.push(b"more");
    let mut histories = histories;
    histories.extend([a, b]);
    (Talk { now: verisoo::Instant::from_secs(1), asker, answerer, peer }, histories)
}

fn assert_holds_only_true(talk: &Talk, histories: &[History]) {
    let (node, store) = &talk.asker;
    for log in node.logs() {
        let history = histories.iter().find(|history| history.id() == log.log).unwrap();
        assert!(!log.is_forked || history.vkey().name().as_str() == "forked", "an honest log is frozen");
        assert!(!log.is_damaged);
        if log.complete.size > 0 {
            assert_eq!(log.complete.root, history.root(log.complete.size));
        }
        let records: Vec<u8> =
            (0..log.have).flat_map(|at| frame_all([store.record(&log.log, at).unwrap()].into_iter())).collect();
        assert_eq!(records, history.framed(0, usize::try_from(log.have).unwrap()));
    }
}

#[test]
fn an_answer_wrong_in_any_bit_stores_nothing_false_and_does_not_stop_the_rest() {
    let (mut talk, histories) = talk();
    let mut kinds: Vec<String> = Vec::new();
    let mut wrote = false;
    for round in 0..4 {
        while let Some((_, answer)) = talk.next() {
            let kind = format!("{:?}", kind_of_response(&answer));
            let is_new = !kinds.contains(&kind) && refusal(&answer).is_none();
            if is_new {
                kinds.push(kind);
                spoil_each_bit(&talk, &answer, &histories);
            }
            talk.take(&answer);
            if !wrote && round == 1 {
                talk.asker.0.append(&mut talk.asker.1, b"our own").unwrap();
                wrote = true;
            }
        }
        talk.now = talk.asker.0.next_wake().unwrap();
    }
    assert!(talk.converge());
    // Status, key, records, proof, fork, word on a push, fork proof taken.
    assert_eq!(kinds.len(), 7);
}

fn spoil_each_bit(talk: &Talk, answer: &[u8], histories: &[History]) {
    for at in 0..answer.len() {
        for bit in 0..8 {
            let mut spoilt = answer.to_vec();
            spoilt[at] ^= 1 << bit;
            let mut talk = talk.clone();
            talk.take(&spoilt);
            assert_holds_only_true(&talk, histories);
            // Once a byte is enough for the long way.
            if bit == at % 8 {
                assert!(talk.converge(), "after bit {bit} of byte {at} of {answer:?}");
                assert_holds_only_true(&talk, histories);
            }
        }
    }
}

// Answers to questions never asked.

#[test]
fn an_answer_that_was_not_asked_for_changes_nothing() {
    let (mut talk, _) = talk();
    let (mut answers, mut checked) = (Vec::<Vec<u8>>::new(), 0);
    for _ in 0..3 {
        while let Some((id, answer)) = talk.next() {
            let before = talk.asker.clone();
            // Under another id, from a peer that was not asked.
            for (peer, id) in [(talk.peer, RequestId::new(id.get() + 1_000)), (unknown_peer(), id)] {
                talk.take_as(peer, id, &answer);
                assert!(talk.asker == before);
            }
            // Of another kind.
            for other in answers.iter().filter(|other| kind_of_response(other) != kind_of_response(&answer)) {
                talk.take_as(talk.peer, id, other);
                assert!(talk.asker == before);
                checked += 1;
            }
            // Twice.
            talk.take(&answer);
            let after = talk.asker.clone();
            talk.take(&answer);
            assert!(talk.asker == after);
            if refusal(&answer).is_none() {
                answers.push(answer);
            }
        }
        talk.now = talk.asker.0.next_wake().unwrap();
    }
    assert!(checked > 10);
}

fn kind_of_response(bytes: &[u8]) -> std::mem::Discriminant<Response<'_>> {
    match Frame::decode(bytes).unwrap().message {
        Message::Response(response) => std::mem::discriminant(&response),
        Message::Request(_) => panic!("not an answer"),
    }
}

/// The handle of a peer that the node of a [`Talk`] does not have.
fn unknown_peer() -> PeerId {
    let mut store = MemoryStore::new();
    let mut node: Node = Node::new(identity("nobody"), config(), [3; 32], verisoo::Instant::ZERO);
    node.add_peer(&mut store, *identity("one").vkey()).unwrap();
    node.add_peer(&mut store, *identity("two").vkey()).unwrap()
}

// Floods.

#[test]
fn a_flood_of_strangers_requests_changes_no_state() {
    let mut federation = federation();
    federation.run_rounds(2);
    let known = federation.id(WRITER);
    let mut stranger = History::written_by("stranger", 3);
    let fork = fork_proof(&stranger);
    let mut requests = Vec::new();
    for log in [stranger.id(), known, LogId::from_bytes([7; 32])] {
        for number in [0, 1, 5, MAX_SIZE - 1, MAX_SIZE] {
            for limit in [0, 1, 100, 4_608, u32::MAX] {
                requests.push(request_frame(Request::Proof { log, size: number, limit }));
                for count in [0, 1, u64::MAX] {
                    requests.push(request_frame(Request::Records { log, start: number, count, limit }));
                }
                requests.push(request_frame(Request::Status(StatusRequest {
                    asker: log,
                    nonce: Nonce([3; 16]),
                    digest: Hash::EMPTY_ROOT,
                    compared: Some(Hash::EMPTY_ROOT),
                    after: Some(log),
                    limit,
                })));
            }
        }
        requests.push(request_frame(Request::Key { log }));
        requests.push(request_frame(Request::Fork { log }));
        requests.push(request_frame(Request::PushFork { log, proof: &fork }));
        requests.push(request_frame(Request::PushFork { log, proof: &[0xFF; 4_000] }));
    }
    for size in 1..=3 {
        requests.push(stranger.push_frame(stranger.id(), 0, size));
    }
    // Garbage records behind a head that is really signed, known or old, in the name of a peer.
    let writer = History::written_by("writer", 5);
    for size in 1..=5 {
        let garbage = frame_all([&b"garbage"[..]; 3].into_iter());
        requests.push(writer.push_of(federation.id(HONEST), 5, writer.head(size), &[], &garbage));
        requests.push(writer.push_of(federation.id(HONEST), 2, writer.head(size), &[[1; 32]; 63], &garbage));
    }
    stranger.push(b"more");
    let before = (snapshot(&mut federation), federation.members[READER].store.clone());
    for _ in 0..20 {
        for request in &requests {
            ask(&mut federation, READER, request);
        }
    }
    let member = &mut federation.members[READER];
    assert!(member.node == before.0);
    assert!(member.store == before.1);
    assert_eq!(member.node.poll(federation.now, &mut member.store), None, "it was made to ask");
}

#[test]
fn signed_heads_pushed_over_and_over_cost_one_question_each() {
    let mut federation = federation();
    federation.run_rounds(2);
    let writer = History::written_by("writer", 9);
    let seen = watch(&mut federation);
    for _ in 0..50 {
        for size in [9, 8, 7] {
            // Heads alone: their records are withheld.
            let push = writer.push_of(federation.id(HONEST), size, writer.head(size), &[], &[]);
            ask(&mut federation, READER, &push);
            federation.run_for(DELAY * 3);
        }
        let garbage = frame_all([&b"garbage"[..]; 3].into_iter());
        let push = writer.push_of(federation.id(HONEST), 5, writer.head(9), &[], &garbage);
        ask(&mut federation, READER, &push);
        federation.run_for(DELAY * 3);
    }
    let asked =
        seen.borrow().iter().filter(|(from, to, kind)| (*from, *to, *kind) == (READER, HONEST, "status")).count();
    assert!(asked <= 3 + 2, "{asked} questions for three heads");
}

/// A proof that a log has forked: another first record.
fn fork_proof(history: &History) -> Vec<u8> {
    let other = other_of(history);
    let proof = verisoo::log::ForkProof {
        heads: [history.head(1), other.head(1)],
        size: 1,
        roots: [history.root(1), other.root(1)],
        proofs: [&[], &[]],
    };
    assert_eq!(proof.verify(history.vkey()), Ok(()));
    encode_fork(&proof)
}

fn other_of(history: &History) -> History {
    let mut other = History::new(history.vkey().name().as_str(), &["another", "and", "more"]);
    other.push(b"still more");
    other
}

fn encode_fork(proof: &verisoo::log::ForkProof<'_>) -> Vec<u8> {
    let mut buf = vec![0; verisoo::log::ForkProof::MAX_LEN];
    let len = proof.encode(&mut buf).unwrap();
    buf.truncate(len);
    buf
}

#[test]
fn a_fabricated_fork_proof_is_refused_whichever_part_is_false() {
    let mut federation = federation();
    federation.run_rounds(2);
    let writer = History::written_by("writer", 5);
    let (log, other, forger) = (writer.id(), other_of(&writer), History::new("forger", &["forged", "records"]));
    let (ours, theirs) = (writer.proof(2, 5), other.proof(2, 4));
    let true_proof = verisoo::log::ForkProof {
        heads: [writer.head(5), other.head(4)],
        size: 2,
        roots: [writer.root(2), other.root(2)],
        proofs: [&ours, &theirs],
    };
    assert_eq!(true_proof.verify(writer.vkey()), Ok(()));
    let forged = |size, root| SignedHead::sign(&forger.identity, Head { size, root });
    let too_long = [&theirs[..], &[[7; 32]]].concat();
    let fabricated = [
        // One history, twice, and one size, twice.
        verisoo::log::ForkProof {
            heads: [writer.head(5); 2],
            roots: [writer.root(2); 2],
            proofs: [&ours; 2],
            ..true_proof
        },
        verisoo::log::ForkProof { heads: [writer.head(5); 2], proofs: [&ours; 2], ..true_proof },
        verisoo::log::ForkProof {
            heads: [writer.head(4), writer.head(5)],
            size: 4,
            roots: [writer.root(4), writer.root(5)],
            proofs: [&[], &[]],
        },
        // Signed by another key.
        verisoo::log::ForkProof { heads: [writer.head(5), forged(4, other.root(4))], ..true_proof },
        verisoo::log::ForkProof { heads: [forged(5, writer.root(5)), other.head(4)], ..true_proof },
        // Another size, other roots, other proofs.
        verisoo::log::ForkProof { size: 0, ..true_proof },
        verisoo::log::ForkProof { size: 1, ..true_proof },
        verisoo::log::ForkProof { size: 3, ..true_proof },
        verisoo::log::ForkProof { size: 5, ..true_proof },
        verisoo::log::ForkProof { size: MAX_SIZE, ..true_proof },
        verisoo::log::ForkProof { roots: [other.root(2), writer.root(2)], ..true_proof },
        verisoo::log::ForkProof { roots: [writer.root(2), leaf_hash(b"no root")], ..true_proof },
        verisoo::log::ForkProof { proofs: [&theirs, &ours], ..true_proof },
        verisoo::log::ForkProof { proofs: [&ours, &[]], ..true_proof },
        verisoo::log::ForkProof { proofs: [&[], &theirs], ..true_proof },
        verisoo::log::ForkProof { proofs: [&ours, &too_long], ..true_proof },
    ];
    let before = snapshot(&mut federation);
    let mut encoded: Vec<Vec<u8>> = fabricated.iter().map(encode_fork).collect();
    let whole = encode_fork(&true_proof);
    encoded.extend((0..whole.len()).map(|at| {
        let mut spoilt = whole.clone();
        spoilt[at] ^= 1 << (at % 8);
        spoilt
    }));
    encoded.push(whole[..whole.len() - 1].to_vec());
    encoded.push([&whole[..], &[0]].concat());
    for proof in &encoded {
        let answer = ask(&mut federation, READER, &request_frame(Request::PushFork { log, proof }));
        assert_eq!(refusal(&answer), Some(Refusal::Invalid));
        assert!(federation.members[READER].node == before);
    }
    // True, but of another log.
    let honest = federation.id(HONEST);
    let answer = ask(&mut federation, READER, &request_frame(Request::PushFork { log: honest, proof: &whole }));
    assert_eq!(refusal(&answer), Some(Refusal::Invalid));
    assert!(federation.members[READER].node == before);
    // The test can tell: the true one is taken.
    ask(&mut federation, READER, &request_frame(Request::PushFork { log, proof: &whole }));
    assert!(federation.is_forked(READER, &log));
}

#[test]
fn a_peer_that_says_forked_and_sends_a_false_proof_is_at_fault() {
    for is_authenticated in [true, false] {
        let mut federation = federation();
        let liar = federation.peer(READER, LIAR);
        federation.members[READER].node.set_authenticated(liar, is_authenticated).unwrap();
        federation.run_rounds(1);
        let log = federation.id(WRITER);
        let proof = fork_proof(&History::written_by("stranger", 1));
        let mut statuses = statuses_of(LIAR, "liar", move |_, body, entries| {
            body.digest = leaf_hash(b"another digest");
            body.listed = true;
            entries.retain(|entry| entry.log != log);
            entries.push(Entry { log, complete: Head::EMPTY, have: 0, covering: None, unproven: None, forked: true });
            entries.sort_by_key(|entry| entry.log);
        });
        federation.tamper = Some(Box::new(move |from, to, frame| match &frame.message {
            Message::Response(Response::Refused(_)) if from == LIAR => {
                Some(response_frame(frame.id, Response::Fork { log, proof: &proof }))
            }
            _ => statuses(from, to, frame),
        }));
        federation.append_many(WRITER, 2);
        federation.run_rounds(2);
        let expected = if is_authenticated { vec![(liar, Fault::FalseForkProof)] } else { vec![] };
        assert_eq!(faults(&federation, READER), expected);
        assert_eq!(federation.size(READER, &log), 7, "the other peer brings it");
        assert_never_accused(&federation, &[log]);
    }
}

#[test]
fn what_one_peer_claims_does_not_keep_the_others_from_being_heard() {
    // A node that remembers few differences, and a peer that lists more logs than that and gives none.
    let mut federation = Federation::of(&["writer", "liar"]);
    federation.add_with("reader", {
        let mut config = config();
        config.max_views = 8;
        config
    });
    federation.add("honest");
    federation.connect(WRITER, HONEST);
    federation.append_many(WRITER, 5);
    federation.append_many(HONEST, 2);
    federation.run_rounds(2);
    federation.dial(READER, LIAR);
    federation.tamper = {
        let mut statuses = statuses_of(LIAR, "liar", |_, body, entries| {
            body.digest = leaf_hash(b"another digest");
            body.listed = true;
            let invented = |number: u8| Entry {
                log: LogId::from_bytes([number; 32]),
                complete: Head { size: 9, root: leaf_hash(&[number]) },
                have: 9,
                covering: None,
                unproven: None,
                forked: false,
            };
            entries.extend((1..200).map(invented));
            entries.sort_by_key(|entry| entry.log);
        });
        Some(Box::new(move |from, to, frame| match &frame.message {
            Message::Request(Request::Key { .. }) if to == LIAR => None,
            _ => statuses(from, to, frame),
        }))
    };
    federation.run_rounds(1);
    // Its tables hold no more than they may, whatever it is told.
    let shown = format!("{:?}", federation.members[READER].node);
    assert_eq!(shown.matches("View {").count(), 8);
    assert!(shown.matches("Outstanding {").count() <= 16);
    federation.dial(READER, HONEST);
    federation.run_rounds(4);
    assert_eq!(federation.size(READER, &federation.id(HONEST)), 2);
    assert_eq!(federation.size(READER, &federation.id(WRITER)), 5);
}

#[test]
fn a_peer_that_invents_logs_fills_its_own_quota_and_no_other() {
    let invented: Vec<History> = (0..30).map(|number| History::written_by(&format!("invented-{number}"), 1)).collect();
    let mut federation = Federation::of(&["writer", "liar"]);
    federation.add_with("reader", {
        let mut config = config();
        config.introductions = Introductions::Accept { logs: 4, bytes: 1 << 20 };
        config
    });
    federation.add("honest");
    federation.connect(WRITER, HONEST);
    federation.append_many(WRITER, 5);
    federation.run_rounds(2);
    let member = &mut federation.members[LIAR];
    for log in &invented {
        member.node.follow(&mut member.store, log.vkey()).unwrap();
    }
    for log in &invented {
        ask(&mut federation, LIAR, &log.push_frame(log.id(), 0, 1));
    }
    federation.dial(READER, LIAR);
    federation.run_rounds(3);
    let held = |federation: &Federation| invented.iter().filter(|log| federation.size(READER, &log.id()) > 0).count();
    assert_eq!(held(&federation), 4);
    let liar = federation.peer(READER, LIAR);
    assert!(federation.has_noticed(READER, |notice| *notice == Notice::QuotaFull { peer: liar }));
    federation.dial(READER, HONEST);
    federation.run_rounds(3);
    assert_eq!(federation.size(READER, &federation.id(WRITER)), 5);
    assert_eq!(held(&federation), 4);
}

#[test]
fn a_batch_too_large_for_a_quota_is_judged_like_any_other() {
    // The liar's false batch would not fit what is left of the quota; that must not block the log.
    let mut federation = Federation::of(&["writer", "liar"]);
    federation.add_with("reader", {
        let mut config = config();
        config.introductions = Introductions::Accept { logs: 4, bytes: 1_000 };
        config
    });
    federation.add("honest");
    federation.connect(WRITER, LIAR);
    federation.connect(WRITER, HONEST);
    federation.append_many(WRITER, 5);
    federation.run_rounds(2);
    let log = federation.id(WRITER);
    federation.tamper = Some(answers_of(LIAR, move |to, id, response| match response {
        Response::Records(batch) if to == READER && batch.log == log => {
            let records = frame_all([&[0; 2_000][..]].into_iter());
            Some(response_frame(id, Response::Records(Batch { records: &records, ..*batch })))
        }
        other => Some(response_frame(id, *other)),
    }));
    federation.dial(READER, LIAR);
    federation.dial(READER, HONEST);
    federation.run_rounds(2);
    assert_eq!(federation.size(READER, &log), 5);
    assert!(!federation.has_noticed(READER, |notice| matches!(notice, Notice::QuotaFull { .. })));
}

// Relays.

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
    ask(&mut federation, 0, &one.push_frame(log, 0, 1));
    ask(&mut federation, 1, &other.push_frame(log, 0, 1));
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
    assert_eq!(refusal(&ask(&mut federation, READER, &push)), Some(Refusal::Invalid));
    let batch = Batch {
        log: vkey.id(),
        start: 0,
        head: writer.head(6),
        proof: Proof::default(),
        records: &writer.framed(0, 6),
    };
    let push = request_frame(Request::Push(verisoo::wire::Push { from: vkey.id(), nonce: Nonce([1; 16]), batch }));
    assert_eq!(refusal(&ask(&mut federation, READER, &push)), Some(Refusal::Invalid));
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
    let middle = identity("man in the middle".replace(' ', "-").as_str());
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
    let middle = identity("middle");
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
        let answer = ask(&mut federation, 0, &request);
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
fn commands_of_a_forgotten_question_send_nothing() {
    let (mut talk, _) = talk();
    let (node, store) = &mut talk.asker;
    let command = node.poll(talk.now, store).unwrap();
    assert!(matches!(command, Command::RequestStatus { .. }));
    node.remove_peer(talk.peer).unwrap();
    assert_eq!(node.encode(store, &command, &mut vec![0; 1 << 16]), Ok(None));
}
