//! A writer that signs two histories is proven a forker, whichever of them was seen first and wherever they
//! meet; nobody else is.

use verisoo::{LogId, Notice};

use crate::hostile::{History, assert_never_accused, watch};
use crate::net::{DELAY, Federation, INTERVAL};

#[test]
fn two_halves_that_saw_different_histories() {
    // left - right, and a writer that shows each of them another log.
    let mut federation = Federation::of(&["left", "right", "forker", "forker"]);
    federation.connect(0, 1);
    federation.connect(0, 2);
    federation.connect(1, 3);
    federation.append(2, b"one history");
    federation.append(3, b"another history");
    federation.append_many(0, 4);
    federation.run_rounds(2);
    let (forker, vkey) = (federation.id(2), federation.vkey(2));
    for a in [0, 1] {
        assert!(federation.is_forked(a, &forker), "{a}");
        federation.assert_fork_proof(a, &forker, &vkey);
    }
    federation.assert_converged(&[0, 1]);
}

/// Two histories of one log that share their first `shared` records and then have `sizes` in all.
fn histories(name: &str, shared: usize, sizes: [usize; 2]) -> [History; 2] {
    let [mut one, mut other] = [History::written_by(name, shared), History::written_by(name, shared)];
    (shared..sizes[0]).for_each(|index| one.push(format!("one {index}").as_bytes()));
    (shared..sizes[1]).for_each(|index| other.push(format!("other {index}").as_bytes()));
    [one, other]
}

fn follow(federation: &mut Federation, members: &[usize], history: &History) {
    for a in members {
        let member = &mut federation.members[*a];
        member.node.follow(&mut member.store, history.vkey()).unwrap();
    }
}

/// Shows a member a whole history.
fn show(federation: &mut Federation, a: usize, history: &History, size: usize) {
    federation.ask(a, &history.push_frame(history.id(), 0, size));
    assert_eq!(federation.size(a, &history.id()), size as u64);
}

/// Every way in which two histories can part: at one size, at two, from the first record or later.
const FORKS: [(usize, [usize; 2]); 8] =
    [(0, [1, 1]), (0, [1, 9]), (0, [9, 1]), (4, [5, 5]), (4, [5, 13]), (4, [13, 5]), (7, [8, 12]), (8, [100, 9])];

#[test]
fn whichever_history_is_larger_and_whoever_asks_a_fork_is_proven_within_two_rounds() {
    for (shared, sizes) in FORKS {
        for calls in [[true, false], [false, true], [true, true]] {
            let mut federation = Federation::of(&["a", "b"]);
            let [one, other] = histories("forker", shared, sizes);
            follow(&mut federation, &[0, 1], &one);
            show(&mut federation, 0, &one, sizes[0]);
            show(&mut federation, 1, &other, sizes[1]);
            federation.append_many(0, 2);
            federation.append_many(1, 2);
            if calls[0] {
                federation.dial(0, 1);
            }
            if calls[1] {
                federation.dial(1, 0);
            }
            federation.run_rounds(2);
            for a in [0, 1] {
                assert!(federation.is_forked(a, &one.id()), "{a}, {shared} shared, {sizes:?}, {calls:?}");
                federation.assert_fork_proof(a, &one.id(), one.vkey());
            }
            if calls == [true, true] {
                federation.assert_converged(&[0, 1]);
            }
            assert_never_accused(&federation, &[federation.id(0), federation.id(1)]);
        }
    }
}

#[test]
fn one_head_pushed_at_a_node_that_holds_another_history_is_enough() {
    for (shared, sizes) in FORKS {
        let mut federation = Federation::of(&["a"]);
        let [one, other] = histories("forker", shared, sizes);
        follow(&mut federation, &[0], &one);
        show(&mut federation, 0, &one, sizes[0]);
        // Every size of the other history that lies behind what is held.
        let behind = (shared + 1..=sizes[1].min(sizes[0])).next_back();
        let Some(size) = behind.map(|size| size as u64) else { continue };
        federation.ask(0, &other.push_of(other.id(), size, other.head(size), &[], &[]));
        assert!(federation.is_forked(0, &one.id()), "{shared} shared, {sizes:?}, at {size}");
        federation.assert_fork_proof(0, &one.id(), one.vkey());
        let before = federation.members[0].node.log(&one.id()).unwrap();
        // Frozen: nothing more is taken, of either history.
        federation.ask(0, &one.push_frame(one.id(), 0, sizes[0]));
        assert_eq!(federation.members[0].node.log(&one.id()).unwrap(), before);
    }
}

#[test]
fn two_heads_of_one_size_prove_a_fork_though_nobody_holds_the_records() {
    let mut federation = Federation::of(&["a"]);
    let [one, other] = histories("forker", 0, [50, 50]);
    follow(&mut federation, &[0], &one);
    for history in [&one, &other] {
        federation.ask(0, &history.push_of(history.id(), 50, history.head(50), &[], &[]));
    }
    assert!(federation.is_forked(0, &one.id()));
    federation.assert_fork_proof(0, &one.id(), one.vkey());
}

#[test]
fn a_head_ahead_is_evidence_as_soon_as_the_records_reach_it() {
    let mut federation = Federation::of(&["a"]);
    let [one, other] = histories("forker", 5, [12, 9]);
    follow(&mut federation, &[0], &one);
    show(&mut federation, 0, &one, 5);
    // The other history's head, its records withheld: nothing to be proven yet.
    federation.ask(0, &other.push_of(one.id(), 9, other.head(9), &[], &[]));
    federation.ask(0, &one.push_frame(one.id(), 5, 8));
    assert_eq!(federation.size(0, &one.id()), 8);
    assert!(!federation.is_forked(0, &one.id()));
    // One batch that goes beyond it.
    federation.ask(0, &one.push_frame(one.id(), 8, 12));
    assert!(federation.is_forked(0, &one.id()));
    federation.assert_fork_proof(0, &one.id(), one.vkey());
}

#[test]
fn a_partial_holder_proves_a_fork_under_the_head_that_covers_it() {
    for size in [3, 7, 9] {
        let mut federation = Federation::of(&["a"]);
        let [one, other] = histories("forker", 2, [20, 9]);
        follow(&mut federation, &[0], &one);
        federation.ask(0, &one.push_of(one.id(), 0, one.head(20), &one.proof(9, 20), &one.framed(0, 9)));
        assert_eq!(federation.members[0].node.log(&one.id()).unwrap().have, 9);
        federation.ask(0, &other.push_of(one.id(), size, other.head(size), &[], &[]));
        assert!(federation.is_forked(0, &one.id()), "at {size}");
        federation.assert_fork_proof(0, &one.id(), one.vkey());
    }
}

fn line(names: &[&str]) -> Federation {
    let mut federation = Federation::of(names);
    for a in 1..names.len() {
        federation.connect(a - 1, a);
    }
    federation
}

#[test]
fn on_a_line_of_five_the_evidence_is_everywhere_within_two_rounds_of_the_halves_meeting() {
    for cut in 1..5 {
        for (shared, sizes) in [(0, [3, 3]), (3, [4, 9]), (3, [9, 4])] {
            let mut federation = line(&["a", "b", "c", "d", "e"]);
            let (left, right): (Vec<usize>, Vec<usize>) = (0..5).partition(|a| *a < cut);
            let [one, other] = histories("forker", shared, sizes);
            follow(&mut federation, &[0, 1, 2, 3, 4], &one);
            federation.part(&left, &right);
            show(&mut federation, 0, &one, sizes[0]);
            show(&mut federation, 4, &other, sizes[1]);
            (0..5).for_each(|a| federation.append_many(a, a + 1));
            federation.run_rounds(5);
            // Each half holds its history and knows of nothing wrong.
            for a in 0..5 {
                let size = if a < cut { sizes[0] } else { sizes[1] };
                assert_eq!(federation.size(a, &one.id()), size as u64);
                assert!(!federation.is_forked(a, &one.id()));
            }
            federation.heal();
            federation.run_rounds(2);
            for a in 0..5 {
                assert!(federation.is_forked(a, &one.id()), "{a}, cut {cut}, {sizes:?}");
                federation.assert_fork_proof(a, &one.id(), one.vkey());
            }
            federation.run_rounds(6);
            let all = federation.all();
            federation.assert_converged(&all);
            let honest: Vec<LogId> = all.iter().map(|a| federation.id(*a)).collect();
            assert_never_accused(&federation, &honest);
        }
    }
}

#[test]
fn two_forkers_are_two_proofs_and_the_other_logs_go_on() {
    let mut federation = line(&["a", "b", "c"]);
    let forks = [histories("forker", 2, [5, 5]), histories("second", 0, [3, 70])];
    for [one, other] in &forks {
        follow(&mut federation, &[0, 1, 2], one);
        show(&mut federation, 0, one, one.len());
        show(&mut federation, 2, other, other.len());
    }
    (0..3).for_each(|a| federation.append_many(a, 3));
    federation.run_rounds(3);
    federation.append_many(1, 2);
    federation.run_rounds(2);
    for a in 0..3 {
        for [one, _] in &forks {
            assert!(federation.is_forked(a, &one.id()), "{a}");
            federation.assert_fork_proof(a, &one.id(), one.vkey());
        }
        assert_eq!(federation.size(a, &federation.id(1)), 5);
    }
    federation.assert_converged(&[0, 1, 2]);
    assert_never_accused(&federation, &[federation.id(0), federation.id(1), federation.id(2)]);
}

#[test]
fn evidence_is_told_once_and_kept_and_reaches_who_comes_late() {
    let mut federation = line(&["a", "b"]);
    let [one, other] = histories("forker", 0, [2, 2]);
    follow(&mut federation, &[0, 1], &one);
    show(&mut federation, 0, &one, 2);
    show(&mut federation, 1, &other, 2);
    federation.run_rounds(3);
    for a in [0, 1] {
        let told = federation.notices.iter().filter(|notice| **notice == (a, Notice::ForkDetected { log: one.id() }));
        assert_eq!(told.count(), 1);
    }
    // It survives a restart, and is not told again.
    federation.stop(0);
    federation.start(0, verisoo::Start::Resume);
    assert!(federation.is_forked(0, &one.id()));
    let late = federation.add("late");
    federation.connect(late, 1);
    federation.run_rounds(3);
    assert!(federation.is_forked(late, &one.id()));
    federation.assert_fork_proof(late, &one.id(), one.vkey());
}

#[test]
fn evidence_is_not_pushed_over_and_over() {
    let mut federation = line(&["a", "b"]);
    let [one, other] = histories("forker", 0, [2, 2]);
    follow(&mut federation, &[0, 1], &one);
    show(&mut federation, 0, &one, 2);
    show(&mut federation, 1, &other, 2);
    let seen = watch(&mut federation);
    federation.run_rounds(5);
    let sent = seen.borrow().iter().filter(|(_, _, kind)| matches!(*kind, "fork" | "push fork")).count();
    assert!((1..10).contains(&sent), "{sent} messages of evidence");
}

#[test]
fn a_peer_whose_status_does_not_come_to_say_so_is_pushed_evidence_once_a_round() {
    let mut federation = line(&["a", "b"]);
    let [one, other] = histories("forker", 0, [2, 3]);
    follow(&mut federation, &[0, 1], &one);
    show(&mut federation, 0, &one, 2);
    show(&mut federation, 1, &other, 3);
    let seen = watch(&mut federation);
    // Whatever b answers about the fork, its statuses go on to say that there is none.
    let mut watched = federation.tamper.take().unwrap();
    let mut statuses = crate::hostile::statuses_of(1, "b", |_, body, entries| {
        body.listed = true;
        for entry in entries {
            entry.forked = false;
        }
    });
    federation.tamper = Some(Box::new(move |from, to, frame| {
        watched(from, to, frame)?;
        statuses(from, to, frame)
    }));
    federation.run_for(INTERVAL * 10 + DELAY);
    assert!(federation.is_forked(0, &one.id()));
    let sent = seen.borrow().iter().filter(|(from, _, kind)| (*from, *kind) == (0, "push fork")).count();
    assert!((1..=30).contains(&sent), "{sent} pushes in ten rounds");
}
