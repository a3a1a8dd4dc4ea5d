//! The protocol checked exhaustively: production nodes with small tables, every order of deliveries.
//!
//! The network is a set that only grows: whatever was sent can be delivered at any time, again, or never.
//! Time passes in steps, and nodes crash, losing what was not durable. `cargo test --test model --
//! --nocapture` prints how many states there are; with `VERISOO_MODEL=large` in the environment the larger
//! instances are checked as well (build them with `--release`).

#![allow(missing_docs, reason = "a test")]
#![cfg(feature = "alloc")]

#[path = "../fuzz/src/cheap.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the fuzz targets")]
mod cheap;
#[path = "model/disk.rs"]
mod disk;
#[path = "model/federation.rs"]
mod federation;
#[path = "model/liar.rs"]
mod liar;

use std::time::{Duration, Instant};

use federation::{Federation, Kind};
use stateright::{Checker, Model};

fn check(name: &str, federation: Federation) {
    let started = Instant::now();
    let wanted = federation.wanted();
    let timeout = std::env::var("VERISOO_MODEL_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let mut checker = federation.checker().threads(2);
    if let Some(seconds) = timeout {
        checker = checker.timeout(Duration::from_secs(seconds));
    }
    let checker = checker.spawn_bfs().join();
    let (unique, all, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    let end = if checker.is_done() { "complete" } else { "cut off" };
    println!("{name}: {unique} states, {all} steps, depth {depth}, {:.1?}, {end}", started.elapsed());
    checker.discoveries().keys().for_each(|found| println!("  {found}"));
    for property in checker.model().safety() {
        checker.assert_no_discovery(property);
    }
    for property in wanted {
        checker.assert_any_discovery(property);
    }
}

fn is_large() -> bool {
    std::env::var("VERISOO_MODEL").is_ok_and(|size| size == "large")
}

#[test]
fn two_honest_nodes_and_a_writer_that_forks() {
    check("forker", Federation::new(Kind::Forker).ticks(0));
    if is_large() {
        check("forker, large", Federation::new(Kind::Forker).appends(1).ticks(1).crashes(1));
    }
}

#[test]
fn three_honest_nodes_and_one_writer() {
    check("writer", Federation::new(Kind::Writer).appends(1).ticks(0));
    if is_large() {
        check("writer, large", Federation::new(Kind::Writer).appends(2).ticks(1).crashes(1));
    }
}

#[test]
fn a_relay_that_lies() {
    check("liar", Federation::new(Kind::Liar).appends(1).ticks(0));
    if is_large() {
        check("liar, large", Federation::new(Kind::Liar).appends(2).ticks(1).crashes(1));
    }
}
