//! The protocol checked exhaustively: production nodes with small tables, every order of deliveries.
//!
//! The network is a set that only grows: whatever was sent can be delivered at any time, again, or never.
//! Time passes in steps, and nodes crash, losing what was not durable. `cargo test --test model --
//! --nocapture` prints how many states there are; with `VERISOO_MODEL=large` in the environment the larger
//! instances are checked as well (build them with `--release`), each for at most `VERISOO_MODEL_SECONDS`.

#![allow(missing_docs, reason = "a test")]

#[path = "model/disk.rs"]
mod disk;
#[path = "model/federation.rs"]
mod federation;
#[path = "model/liar.rs"]
mod liar;
mod signing;

use std::time::{Duration, Instant};

use federation::{Federation, Kind};
use liar::LIES;
use stateright::{Checker, Model};

/// Explores all that can happen, or what can in so many steps, and prints how much that was.
fn check(name: &str, federation: Federation, steps: Option<usize>) {
    let started = Instant::now();
    let wanted = federation.wanted();
    let mut checker = federation.checker().threads(2);
    if let Some(steps) = steps {
        // Its depth counts the state to begin with, and what lies at it is not looked at any more.
        checker = checker.target_max_depth(steps + 2);
    }
    let limit = std::env::var("VERISOO_MODEL_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    if let Some(seconds) = limit {
        checker = checker.timeout(Duration::from_secs(seconds));
    }
    let checker = checker.spawn_bfs().join();
    let elapsed = started.elapsed();
    let is_cut_off = limit.is_some_and(|seconds| elapsed >= Duration::from_secs(seconds));
    let end = match steps {
        _ if is_cut_off => "cut off".into(),
        Some(steps) => format!("all schedules of {steps} steps"),
        None => "all schedules".into(),
    };
    let (unique, all, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    println!("{name}: {unique} states, {all} transitions, depth {depth}, {elapsed:.1?}, {end}");
    for property in Federation::safety() {
        checker.assert_no_discovery(property);
    }
    for property in wanted.into_iter().filter(|_| !is_cut_off) {
        let path = checker.assert_any_discovery(property);
        println!("  {property}: after {} steps", path.into_actions().len());
    }
}

fn is_large() -> bool {
    std::env::var("VERISOO_MODEL").is_ok_and(|size| size == "large")
}

#[test]
fn two_honest_nodes_and_a_writer_that_forks() {
    check("forker", Federation::new(Kind::Forker).begun(), Some(6));
    if is_large() {
        check("forker, longer", Federation::new(Kind::Forker).begun(), Some(12));
        check("forker, crashes", Federation::new(Kind::Forker).begun().ticks(1).crashes(1), Some(9));
        check("forker, meshed", Federation::new(Kind::Forker).meshed(), Some(10));
    }
}

#[test]
fn three_honest_nodes_and_one_writer() {
    check("writer", Federation::new(Kind::Writer).meshed().begun().appends(1), Some(7));
    if is_large() {
        check("writer, longer", Federation::new(Kind::Writer).meshed().begun().appends(1), Some(9));
        check("writer, crashes", Federation::new(Kind::Writer).begun().appends(2).ticks(1).crashes(1), Some(9));
    }
}

#[test]
fn time_passes_and_nodes_crash() {
    check("crashes", Federation::new(Kind::Writer).begun().appends(2).ticks(1).crashes(1), Some(5));
    check("crashes and a forker", Federation::new(Kind::Forker).begun().ticks(1).crashes(1), Some(5));
    check(
        "crashes and a liar",
        Federation::new(Kind::Liar).begun().appends(2).ticks(1).crashes(1).lies(&LIES[..2]),
        Some(4),
    );
}

#[test]
fn a_relay_that_lies() {
    check("liar", Federation::new(Kind::Liar).begun().appends(1).lies(&LIES[..2]), Some(7));
    if is_large() {
        check("liar, longer", Federation::new(Kind::Liar).begun().appends(1), Some(10));
        check("liar, crashes", Federation::new(Kind::Liar).begun().appends(2).ticks(1).crashes(1), Some(8));
    }
}
