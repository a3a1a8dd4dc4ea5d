//! Every shape of federation converges.

use verisoo::Introductions;

use crate::net::Federation;

#[test]
fn two_nodes_exchange_their_logs() {
    let mut federation = Federation::of(&["a", "b"]);
    federation.connect(0, 1);
    federation.append_many(0, 3);
    federation.append_many(1, 500);
    federation.run_rounds(2);
    federation.assert_converged(&[0, 1]);
    assert_eq!(federation.size(0, &federation.id(1)), 500);
    assert_eq!(federation.size(1, &federation.id(0)), 3);
}

#[test]
fn a_new_head_is_pushed_at_once() {
    let mut federation = Federation::of(&["a", "b"]);
    federation.connect(0, 1);
    federation.append_many(0, 1);
    federation.run_rounds(2);
    federation.append_many(0, 5);
    federation.run_for(crate::net::DELAY * 2);
    assert_eq!(federation.size(1, &federation.id(0)), 6);
}

fn line(names: &[&str]) -> Federation {
    let mut federation = Federation::of(names);
    for a in 1..names.len() {
        federation.connect(a - 1, a);
    }
    federation
}

fn star(names: &[&str]) -> Federation {
    let mut federation = Federation::of(names);
    for a in 1..names.len() {
        federation.connect(0, a);
    }
    federation
}

fn ring(names: &[&str]) -> Federation {
    let mut federation = line(names);
    federation.connect(names.len() - 1, 0);
    federation
}

/// Five nodes in every shape.
fn shapes() -> [(&'static str, Federation); 3] {
    let names = ["a", "b", "c", "d", "e"];
    [("a line", line(&names)), ("a star", star(&names)), ("a ring", ring(&names))]
}

#[test]
fn in_every_shape_all_logs_reach_everybody() {
    let sizes: [fn(usize) -> usize; 3] = [|_| 1, |a| 10 * (a + 1), |_| 100];
    for size in sizes {
        for (shape, mut federation) in shapes() {
            for a in 0..5 {
                federation.append_many(a, size(a));
            }
            // On a line it is four hops from end to end.
            federation.run_rounds(if shape == "a line" { 6 } else { 4 });
            let all = federation.all();
            federation.assert_converged(&all);
            assert_eq!(federation.size(0, &federation.id(4)), size(4) as u64);
        }
    }
}

#[test]
fn in_every_shape_a_partition_heals() {
    for (shape, mut federation) in shapes() {
        federation.append_many(0, 3);
        federation.run_rounds(4);
        federation.part(&[0, 1], &[2, 3, 4]);
        for a in 0..5 {
            federation.append_many(a, 10 * (a + 1));
        }
        federation.run_rounds(6);
        let all = federation.all();
        assert!(!federation.is_converged(&all));
        federation.assert_converged(&[0, 1]);
        if shape != "a star" {
            federation.assert_converged(&[2, 3, 4]);
        }
        federation.heal();
        // Peers beyond the partition are unhealthy by now: the longest pause is ten intervals.
        federation.run_rounds(20);
        federation.assert_converged(&all);
        for reader in 0..5 {
            assert_eq!(federation.size(reader, &federation.id(0)), 13);
            assert_eq!(federation.size(reader, &federation.id(4)), 50);
        }
    }
}

#[test]
fn in_every_shape_a_node_added_late_catches_up() {
    for (records, rounds) in [(100, 5), (300, 6)] {
        for (_, mut federation) in shapes() {
            for a in 0..5 {
                federation.append_many(a, records);
            }
            federation.run_rounds(rounds);
            let late = federation.add("late");
            federation.append_many(late, 7);
            federation.connect(late, 3);
            federation.run_rounds(6);
            let all = federation.all();
            federation.assert_converged(&all);
            assert_eq!(federation.size(0, &federation.id(late)), 7);
            assert_eq!(federation.size(late, &federation.id(0)), records as u64);
        }
    }
}

#[test]
fn a_peer_that_can_only_call_out_is_served_too() {
    let mut federation = Federation::of(&["server", "behind-nat", "other"]);
    federation.connect(0, 2);
    federation.dial(1, 0);
    federation.append_many(0, 50);
    federation.append_many(1, 60);
    // What it replicates reaches the server as well: only it knows this log.
    let hidden = federation.add("hidden");
    federation.dial(1, hidden);
    federation.append_many(hidden, 20);
    let (own, hidden_key) = (federation.vkey(1), federation.vkey(hidden));
    for vkey in [own, hidden_key] {
        let server = &mut federation.members[0];
        server.node.follow(&mut server.store, &vkey).unwrap();
    }
    federation.run_rounds(8);
    federation.assert_converged(&[0, 1, 2]);
    assert_eq!(federation.size(2, &federation.id(1)), 60);
    assert_eq!(federation.size(2, &federation.id(hidden)), 20);
}

#[test]
fn nodes_that_follow_different_logs_converge_on_what_they_share() {
    let mut fixed = crate::net::config();
    fixed.introductions = Introductions::Refuse;
    let mut federation = Federation::new();
    for name in ["a", "b", "c", "d"] {
        federation.add_with(name, fixed.clone());
    }
    // a - b - c - d, where c does not follow a, and d follows a and c.
    for a in 1..4 {
        federation.connect(a - 1, a);
    }
    let a_key = federation.vkey(0);
    let d = &mut federation.members[3];
    d.node.follow(&mut d.store, &a_key).unwrap();
    federation.dial(3, 0);
    for a in 0..4 {
        federation.append_many(a, 25);
    }
    federation.run_rounds(6);
    for (follower, log) in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2), (3, 0)] {
        assert_eq!(federation.size(follower, &federation.id(log)), 25, "{follower} {log}");
    }
    assert_eq!(federation.size(2, &federation.id(0)), 0);
    // They never agree on everything, and yet the rounds fall silent.
    let before = federation.bytes;
    federation.run_rounds(4);
    let per_message = (federation.bytes - before) / 60;
    assert!(per_message < 400, "{per_message} bytes a message");
}

#[test]
fn an_idle_round_is_one_small_message_each_way() {
    let mut federation = Federation::of(&["a", "b"]);
    federation.connect(0, 1);
    for extra in 0..40 {
        // Many logs, and the size of the messages does not depend on it.
        let vkey = *crate::net::identity(&format!("log {extra}").replace(' ', "-")).vkey();
        for member in &mut federation.members {
            member.node.follow(&mut member.store, &vkey).unwrap();
        }
    }
    federation.append_many(0, 10);
    federation.run_rounds(3);
    federation.assert_converged(&[0, 1]);
    let (messages, bytes) = (federation.messages, federation.bytes);
    federation.run_for(crate::net::INTERVAL * 100);
    let (messages, bytes) = (federation.messages - messages, federation.bytes - bytes);
    // A hundred intervals, two nodes that ask, a question and an answer each.
    assert!((360..=440).contains(&messages), "{messages}");
    assert!(bytes / messages < 400, "{}", bytes / messages);
}
