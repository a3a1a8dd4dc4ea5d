//! Floods of requests, heads, fork proofs, claims and logs: each costs its sender's share, and nobody else's.

use verisoo::head::ForkProof;
use verisoo::log::{MAX_SIZE, leaf_hash};
use verisoo::wire::{Batch, Entry, Message, Nonce, PushWord, Refusal, Request, Response, StatusRequest};
use verisoo::{Fault, Hash, Head, Introductions, LogId, Notice, SignedHead};

use crate::byzantine::{HONEST, LIAR, READER, WRITER, faults, federation, refusal, snapshot};
use crate::hostile::{
    History, always_says, answers_of, assert_never_accused, frame_all, request_frame, response_frame, statuses_of,
    watch,
};
use crate::net::{DELAY, Federation, config};

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
            federation.ask(READER, request);
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
            federation.ask(READER, &push);
            federation.run_for(DELAY * 3);
        }
        let garbage = frame_all([&b"garbage"[..]; 3].into_iter());
        let push = writer.push_of(federation.id(HONEST), 5, writer.head(9), &[], &garbage);
        federation.ask(READER, &push);
        federation.run_for(DELAY * 3);
    }
    let asked =
        seen.borrow().iter().filter(|(from, to, kind)| (*from, *to, *kind) == (READER, HONEST, "status")).count();
    assert!(asked <= 3 + 2, "{asked} questions for three heads");
}

/// A proof that a log has forked: another first record.
fn fork_proof(history: &History) -> Vec<u8> {
    let other = other_of(history);
    let proof = ForkProof {
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

fn encode_fork(proof: &ForkProof<'_>) -> Vec<u8> {
    let mut buf = vec![0; ForkProof::MAX_LEN];
    let len = proof.encode(&mut buf).unwrap();
    buf.truncate(len);
    buf
}

/// With a bit flipped in each byte, cut short, and with a byte too many.
fn spoilt(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..whole.len()).map(|at| {
        let mut spoilt = whole.to_vec();
        spoilt[at] ^= 1 << (at % 8);
        spoilt
    });
    flipped.chain([whole[..whole.len() - 1].to_vec(), [whole, &[0]].concat()])
}

#[test]
fn a_fabricated_fork_proof_is_refused_whichever_part_is_false() {
    let mut federation = federation();
    federation.run_rounds(2);
    let writer = History::written_by("writer", 5);
    let (log, other, forger) = (writer.id(), other_of(&writer), History::new("forger", &["forged", "records"]));
    let (ours, theirs) = (writer.proof(2, 5), other.proof(2, 4));
    let true_proof = ForkProof {
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
        ForkProof { heads: [writer.head(5); 2], roots: [writer.root(2); 2], proofs: [&ours; 2], ..true_proof },
        ForkProof { heads: [writer.head(5); 2], proofs: [&ours; 2], ..true_proof },
        ForkProof {
            heads: [writer.head(4), writer.head(5)],
            size: 4,
            roots: [writer.root(4), writer.root(5)],
            proofs: [&[], &[]],
        },
        // Signed by another key.
        ForkProof { heads: [writer.head(5), forged(4, other.root(4))], ..true_proof },
        ForkProof { heads: [forged(5, writer.root(5)), other.head(4)], ..true_proof },
        // Another size, other roots, other proofs.
        ForkProof { size: 0, ..true_proof },
        ForkProof { size: 1, ..true_proof },
        ForkProof { size: 3, ..true_proof },
        ForkProof { size: 5, ..true_proof },
        ForkProof { size: MAX_SIZE, ..true_proof },
        ForkProof { roots: [other.root(2), writer.root(2)], ..true_proof },
        ForkProof { roots: [writer.root(2), leaf_hash(b"no root")], ..true_proof },
        ForkProof { proofs: [&theirs, &ours], ..true_proof },
        ForkProof { proofs: [&ours, &[]], ..true_proof },
        ForkProof { proofs: [&[], &theirs], ..true_proof },
        ForkProof { proofs: [&ours, &too_long], ..true_proof },
    ];
    let before = snapshot(&mut federation);
    let whole = encode_fork(&true_proof);
    for proof in fabricated.iter().map(encode_fork).chain(spoilt(&whole)) {
        let answer = federation.ask(READER, &request_frame(Request::PushFork { log, proof: &proof }));
        assert_eq!(refusal(&answer), Some(Refusal::Invalid));
        assert!(federation.members[READER].node == before);
    }
    // True, but of another log.
    let honest = federation.id(HONEST);
    let answer = federation.ask(READER, &request_frame(Request::PushFork { log: honest, proof: &whole }));
    assert_eq!(refusal(&answer), Some(Refusal::Invalid));
    assert!(federation.members[READER].node == before);
    // The test can tell: the true one is taken.
    federation.ask(READER, &request_frame(Request::PushFork { log, proof: &whole }));
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
        federation.ask(LIAR, &log.push_frame(log.id(), 0, 1));
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

#[test]
fn a_word_said_over_and_over_is_not_pushed_to_for_ever() {
    for have in [4, 5, 6, 7] {
        // The reader holds 8 of 9 records, and the head of the first 5: it has not come by the last one.
        let mut federation = Federation::of(&["writer", "liar", "reader"]);
        let writer = History::written_by("writer", 9);
        federation.dial(READER, LIAR);
        let from = federation.id(LIAR);
        let member = &mut federation.members[READER];
        member.node.follow(&mut member.store, writer.vkey()).unwrap();
        for (start, end, size) in [(0, 5, 5), (5, 8, 9)] {
            let (head, proof) = (writer.head(size), writer.proof(end as u64, size));
            let push = writer.push_of(from, start as u64, head, &proof, &writer.framed(start, end));
            federation.ask(READER, &push);
        }
        let held = federation.members[READER].node.log(&writer.id()).unwrap();
        assert_eq!((held.complete.size, held.have), (5, 8));

        // The liar says, of each push and in each status, that it holds so many and no head.
        let log = writer.id();
        federation.tamper = Some(statuses_of(LIAR, "liar", move |_, body, entries| {
            (body.listed, body.digest) = (true, Hash::EMPTY_ROOT);
            let entry = Entry { log, complete: Head::EMPTY, have, covering: None, unproven: None, forked: false };
            entries.retain(|entry| entry.log != log);
            entries.push(entry);
            entries.sort_by_key(|entry| entry.log);
        }));
        let pushes = always_says(&mut federation, LIAR, "liar", PushWord { log, complete: Head::EMPTY, have });
        federation.run_rounds(6);
        assert!(pushes.get() > 0, "it is pushed to, having {have}");
        assert!(pushes.get() <= 12, "{} pushes in 6 rounds, having {have}", pushes.get());
    }
}
