//! Nobody signs twice: a writer that lost its memory takes its log back before it signs again.

use std::time::Duration;

use verisoo::{Answers, Error, Notice, Start};

use crate::net::{Federation, INTERVAL};

fn three() -> Federation {
    let mut federation = Federation::of(&["a", "b", "c"]);
    federation.connect(0, 1);
    federation.connect(1, 2);
    federation.connect(0, 2);
    for a in 0..3 {
        federation.append_many(a, 40);
    }
    federation.run_rounds(3);
    federation.assert_converged(&[0, 1, 2]);
    federation
}

fn refuses_to_append(federation: &mut Federation, a: usize) -> Error {
    let member = &mut federation.members[a];
    let (node, store) = (member.node.clone(), member.store.clone());
    let error = member.node.append(&mut member.store, b"too early").unwrap_err();
    assert_eq!((&node, &store), (&member.node, &member.store), "a refused append changes nothing");
    error
}

#[test]
fn a_writer_that_lost_everything_takes_its_log_back() {
    let mut federation = three();
    federation.stop(0);
    federation.append_many(1, 10);
    federation.run_rounds(1);
    federation.start_from_nothing(0);
    assert_eq!(refuses_to_append(&mut federation, 0), Error::Recovering);
    federation.run_rounds(3);
    assert!(federation.has_noticed(0, |notice| *notice == Notice::Recovered { size: 40 }));
    federation.append_many(0, 5);
    federation.run_rounds(3);
    federation.assert_converged(&[0, 1, 2]);
    assert_eq!(federation.size(2, &federation.id(0)), 45);
    assert!(!federation.notices.iter().any(|(_, notice)| matches!(notice, Notice::ForkDetected { .. })));
}

#[test]
fn a_writer_restored_from_a_backup_takes_the_rest_back() {
    let mut federation = three();
    let backup = federation.members[0].store.clone();
    federation.append_many(0, 30);
    federation.run_rounds(2);
    federation.stop(0);
    federation.members[0].store = backup;
    federation.start(0, Start::Recover(Answers::All));
    federation.run_rounds(3);
    assert_eq!(federation.size(0, &federation.id(0)), 70);
    federation.append_many(0, 1);
    federation.run_rounds(2);
    federation.assert_converged(&[0, 1, 2]);
    assert!(!federation.notices.iter().any(|(_, notice)| matches!(notice, Notice::ForkDetected { .. })));
}

#[test]
fn records_that_nobody_was_shown_are_dropped_when_recovering() {
    let mut federation = three();
    // Appended, not yet published: the crash comes before the next poll.
    federation.append(0, b"never seen");
    federation.stop(0);
    federation.start(0, Start::Recover(Answers::All));
    assert_eq!(federation.members[0].node.log(&federation.id(0)).unwrap().have, 40);
    federation.run_rounds(2);
    federation.append(0, b"seen");
    federation.run_rounds(2);
    federation.assert_converged(&[0, 1, 2]);
    let id = federation.id(0);
    assert_eq!(federation.members[2].store.record(&id, 40), Some(&b"seen"[..]));
}

#[test]
fn an_intact_store_is_resumed_at_once() {
    let mut federation = three();
    federation.append(0, b"not published before the restart");
    federation.stop(0);
    federation.start(0, Start::Resume);
    federation.append_many(0, 1);
    federation.run_rounds(2);
    federation.assert_converged(&[0, 1, 2]);
    assert_eq!(federation.size(1, &federation.id(0)), 42);
}

#[test]
fn with_no_peer_reachable_it_does_not_write() {
    let mut federation = three();
    federation.stop(0);
    federation.part(&[0], &[1, 2]);
    federation.start_from_nothing(0);
    federation.run_rounds(20);
    assert_eq!(refuses_to_append(&mut federation, 0), Error::Recovering);
    federation.heal();
    federation.run_rounds(20);
    federation.append_many(0, 1);
    federation.run_rounds(2);
    federation.assert_converged(&[0, 1, 2]);
}

#[test]
fn all_peers_must_answer_unless_the_operator_says_fewer() {
    for (answers, may_write) in [(Answers::All, false), (Answers::AtLeast(2), false), (Answers::AtLeast(1), true)] {
        let mut federation = three();
        federation.stop(0);
        federation.stop(2);
        federation.members[0].store = verisoo::store::MemoryStore::new();
        federation.start(0, Start::Recover(answers));
        federation.run_rounds(5);
        assert_eq!(federation.members[0].node.check_writing().is_ok(), may_write, "{answers:?}");
    }
}

#[test]
fn a_recovering_peer_does_not_count() {
    let mut federation = three();
    federation.stop(0);
    federation.stop(1);
    federation.stop(2);
    for a in 0..3 {
        federation.start_from_nothing(a);
    }
    // Everybody forgot everything: nobody can tell whether there was more, so nobody writes.
    federation.run_rounds(10);
    for a in 0..3 {
        assert_eq!(refuses_to_append(&mut federation, a), Error::Recovering);
    }
}

#[test]
fn a_recovering_node_serves_and_replicates() {
    let mut federation = three();
    federation.stop(0);
    federation.stop(2);
    federation.start_from_nothing(0);
    // c does not answer, so a stays recovering; b's log comes and is served all the same.
    federation.run_rounds(5);
    assert!(federation.members[0].node.is_recovering());
    assert_eq!(federation.size(0, &federation.id(1)), 40);
    federation.append_many(1, 3);
    federation.run_rounds(2);
    assert_eq!(federation.size(0, &federation.id(1)), 43);
}

#[test]
fn a_second_instance_of_a_key_makes_the_first_stop_writing() {
    let mut federation = three();
    // The same key, resumed elsewhere from a copy of the store: the operator's mistake.
    let twin = federation.add("a");
    federation.members[twin].store = federation.members[0].store.clone();
    federation.stop(twin);
    federation.start(twin, Start::Resume);
    federation.connect(twin, 1);
    federation.append(twin, b"signed by the twin");
    federation.run_rounds(3);
    assert!(federation.has_noticed(0, |notice| *notice == Notice::WritingStopped));
    assert_eq!(refuses_to_append(&mut federation, 0), Error::Stopped);
    // It serves on, and it stays stopped when it is started again.
    let (other, id) = (federation.id(1), federation.id(0));
    federation.append_many(1, 2);
    federation.run_for(INTERVAL);
    assert_eq!(federation.size(0, &other), 42);
    federation.stop(0);
    federation.start(0, Start::Resume);
    assert_eq!(refuses_to_append(&mut federation, 0), Error::Stopped);
    assert!(federation.members[0].node.log(&id).is_some());
}

#[test]
fn a_log_begun_anew_by_mistake_stops_before_it_forks() {
    let mut federation = three();
    federation.stop(0);
    federation.start_anew(0);
    federation.run_rounds(2);
    assert!(federation.has_noticed(0, |notice| *notice == Notice::WritingStopped));
    assert_eq!(refuses_to_append(&mut federation, 0), Error::Stopped);
    assert!(!federation.notices.iter().any(|(_, notice)| matches!(notice, Notice::StoreFailed { .. })));
    assert!(!federation.is_forked(1, &federation.id(0)));
}

#[test]
fn restarts_in_the_middle_of_everything_lose_nothing() {
    let mut federation = three();
    for turn in 0..12 {
        let a = turn % 3;
        federation.append_many((a + 1) % 3, 15);
        federation.stop(a);
        federation.append_many((a + 2) % 3, 15);
        federation.run_for(INTERVAL / 4);
        federation.start_from_nothing(a);
        federation.run_rounds(12);
        assert_eq!(federation.members[a].node.check_writing(), Ok(()), "turn {turn}");
    }
    federation.run_rounds(4);
    federation.assert_converged(&[0, 1, 2]);
    assert_eq!(federation.size(0, &federation.id(1)), 160);
    assert!(!federation.notices.iter().any(|(_, notice)| matches!(notice, Notice::ForkDetected { .. })));
}

#[test]
fn a_writer_killed_at_any_moment_of_a_large_append_takes_back_all_it_signed() {
    for moment in 0..14 {
        let mut federation = three();
        for index in 0..20 {
            federation.append(0, &vec![index; 60_000]);
        }
        federation.run_for(Duration::from_millis(5 * moment + 1));
        federation.stop(0);
        federation.start_from_nothing(0);
        federation.run_rounds(4);
        assert_eq!(
            federation.members[0].node.check_writing(),
            Ok(()),
            "{moment}: {:?}",
            federation.members[0].node.recovery()
        );
        federation.append_many(0, 1);
        federation.run_rounds(3);
        federation.assert_converged(&[0, 1, 2]);
        assert!(!federation.notices.iter().any(|(_, notice)| matches!(notice, Notice::ForkDetected { .. })));
    }
}

#[test]
fn what_a_recovery_waits_for_can_be_asked() {
    let mut federation = three();
    federation.stop(0);
    federation.stop(2);
    federation.start_from_nothing(0);
    federation.run_rounds(3);
    let waits = federation.members[0].node.recovery().unwrap();
    assert_eq!((waits.have, waits.signed, waits.answered, waits.needed), (40, 40, 1, 2));
    federation.members[2].is_up = true;
    federation.run_rounds(12);
    assert_eq!(federation.members[0].node.recovery(), None);
}
