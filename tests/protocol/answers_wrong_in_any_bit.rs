//! Answers that are wrong in any bit, and answers to questions never asked, change nothing.

use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message, RequestId, Response};
use verisoo::{Ask, Command, Event, Node, PeerId};

use crate::byzantine::refusal;
use crate::hostile::{History, frame_all};
use crate::net::{config, identity};

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
            node.handle(self.now, store, Event::Answer { peer, request: id, response }).unwrap();
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

#[test]
fn commands_of_a_forgotten_question_send_nothing() {
    let (mut talk, _) = talk();
    let (node, store) = &mut talk.asker;
    let command = node.poll(talk.now, store).unwrap();
    assert!(matches!(command, Command::Ask { ask: Ask::Status, .. }));
    node.remove_peer(talk.peer).unwrap();
    assert_eq!(node.encode(store, &command, &mut vec![0; 1 << 16]), Ok(None));
}
