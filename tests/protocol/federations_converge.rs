//! Every shape of federation converges: DESIGN "Converged with a peer".

use crate::federation::Federation;

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
    federation.run_for(crate::federation::DELAY * 2);
    assert_eq!(federation.size(1, &federation.id(0)), 6);
}

fn line(names: &[&str]) -> Federation {
    let mut federation = Federation::of(names);
    for a in 1..names.len() {
        federation.connect(a - 1, a);
    }
    federation
}

#[test]
fn a_line_of_five_converges() {
    let mut federation = line(&["a", "b", "c", "d", "e"]);
    for a in 0..5 {
        federation.append_many(a, 10 * (a + 1));
    }
    federation.run_rounds(6);
    let all = federation.all();
    federation.assert_converged(&all);
    assert_eq!(federation.size(0, &federation.id(4)), 50);
}

#[test]
fn a_star_of_five_converges() {
    let mut federation = Federation::of(&["a", "b", "c", "d", "e"]);
    for a in 1..5 {
        federation.connect(0, a);
    }
    for a in 0..5 {
        federation.append_many(a, 100);
    }
    federation.run_rounds(4);
    let all = federation.all();
    federation.assert_converged(&all);
}

#[test]
fn a_ring_of_five_converges() {
    let mut federation = line(&["a", "b", "c", "d", "e"]);
    federation.connect(4, 0);
    for a in 0..5 {
        federation.append_many(a, 1);
    }
    federation.run_rounds(4);
    let all = federation.all();
    federation.assert_converged(&all);
}
