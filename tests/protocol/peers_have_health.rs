//! Health, back-off, pausing, on-demand sync, and what the application is told.

use std::time::Duration;

use verisoo::{Health, Introductions, Notice, PushOutcome, SyncError};

use crate::net::{Federation, INTERVAL, config};

fn pair() -> Federation {
    let mut federation = Federation::of(&["a", "b"]);
    federation.connect(0, 1);
    federation
}

fn health(federation: &Federation, a: usize, b: usize) -> Health {
    federation.members[a].node.peer(federation.peer(a, b)).unwrap().health
}

#[test]
fn three_failures_in_a_row_make_a_peer_unhealthy_and_one_success_healthy() {
    let mut federation = pair();
    federation.run_rounds(1);
    let peer = federation.peer(0, 1);
    federation.stop(1);
    for failures in 1..=3 {
        assert_eq!(health(&federation, 0, 1), Health::Healthy, "after {} failures", failures - 1);
        federation.members[0].node.sync_now(peer).unwrap();
        // Each deadline is twice the one before.
        federation.run_for(Duration::from_millis(1_001 << (failures - 1)));
        while federation.members[0].node.peer(peer).unwrap().timeout < Duration::from_secs(1 << failures) {
            federation.run_for(Duration::from_millis(100));
        }
    }
    federation.run_for(INTERVAL);
    assert_eq!(health(&federation, 0, 1), Health::Unhealthy);
    assert!(federation.has_noticed(0, |notice| *notice == Notice::PeerUnhealthy { peer }));
    assert!(!federation.has_noticed(0, |notice| *notice == Notice::PeerRecovered { peer }));
    federation.members[1].is_up = true;
    federation.run_rounds(12);
    assert_eq!(health(&federation, 0, 1), Health::Healthy);
    assert!(federation.has_noticed(0, |notice| *notice == Notice::PeerRecovered { peer }));
    federation.assert_converged(&[0, 1]);
}

#[test]
fn an_unhealthy_peer_is_tried_ever_more_rarely_but_at_least_every_ten_intervals() {
    let mut federation = pair();
    federation.run_rounds(1);
    federation.stop(1);
    federation.run_rounds(40);
    let before = federation.members[0].requests;
    federation.run_for(INTERVAL * 100);
    let tries = federation.members[0].requests - before;
    // Pauses of ten intervals, jittered by a quarter, and rounded up to the next round.
    assert!((6..=14).contains(&tries), "{tries}");
}

#[test]
fn a_paused_node_asks_nothing_and_serves() {
    let mut federation = pair();
    federation.append_many(0, 1);
    federation.run_rounds(2);
    federation.members[0].node.pause();
    assert!(federation.members[0].node.is_paused());
    let before = federation.members[0].requests;
    federation.append_many(0, 10);
    federation.append_many(1, 10);
    federation.run_rounds(3);
    // It answers b's questions and takes b's pushes, and asks nothing: b fetched from it.
    assert_eq!(federation.size(1, &federation.id(0)), 11);
    assert_eq!(federation.members[0].requests, before);
    federation.members[0].node.resume();
    federation.run_rounds(2);
    federation.assert_converged(&[0, 1]);
}

#[test]
fn a_sync_on_demand_reports_each_log() {
    let mut quiet = config();
    quiet.interval = Duration::from_secs(100_000);
    let mut federation = Federation::new();
    federation.add_with("a", quiet.clone());
    federation.add_with("b", quiet);
    federation.connect(0, 1);
    federation.run_for(Duration::from_secs(1));
    federation.part(&[0], &[1]);
    federation.append_many(1, 77);
    federation.run_for(Duration::from_secs(60));
    federation.heal();
    let peer = federation.peer(0, 1);
    federation.members[0].node.sync_now(peer).unwrap();
    federation.run_for(Duration::from_secs(1));
    let log = federation.id(1);
    let report = federation.notices.iter().find_map(|(a, notice)| match notice {
        Notice::Synced(report) if *a == 0 => Some(*report),
        _ => None,
    });
    let report = report.expect("a report");
    assert_eq!((report.peer, report.log, report.error), (peer, log, None));
    assert_eq!((report.before, report.after, report.theirs, report.received), (0, 77, 77, 77));
    assert!(federation.has_noticed(0, |notice| *notice == Notice::SyncEnded { peer, logs: 1, error: None }));

    federation.notices.clear();
    federation.members[0].node.sync_now(peer).unwrap();
    federation.run_for(Duration::from_secs(1));
    assert!(federation.has_noticed(0, |notice| *notice == Notice::SyncEnded { peer, logs: 0, error: None }));

    federation.notices.clear();
    federation.stop(1);
    federation.members[0].node.sync_now(peer).unwrap();
    federation.run_for(Duration::from_secs(60));
    let error = Some(SyncError::Failed);
    assert!(federation.has_noticed(0, |notice| *notice == Notice::SyncEnded { peer, logs: 0, error }));
}

#[test]
fn the_result_of_a_push_is_told() {
    let mut federation = pair();
    federation.append_many(0, 1);
    federation.run_rounds(2);
    federation.notices.clear();
    federation.append_many(0, 4);
    federation.run_for(Duration::from_secs(1));
    let (peer, log) = (federation.peer(0, 1), federation.id(0));
    let outcome = PushOutcome::Accepted { have: 5 };
    assert!(federation.has_noticed(0, |notice| *notice == Notice::Pushed { peer, log, outcome }));
    assert_eq!(federation.members[0].node.peer(peer).unwrap().acknowledged, Some(5));

    federation.stop(1);
    federation.append_many(0, 1);
    federation.run_for(Duration::from_secs(5));
    let outcome = PushOutcome::Failed;
    assert!(federation.has_noticed(0, |notice| *notice == Notice::Pushed { peer, log, outcome }));
}

#[test]
fn a_peer_that_introduces_too_many_logs_fills_its_own_quota_only() {
    let mut narrow = config();
    narrow.introductions = Introductions::Accept { logs: 5, bytes: 1 << 20 };
    let mut federation = Federation::new();
    let node = federation.add_with("a", narrow);
    let (noisy, modest) = (federation.add("noisy"), federation.add("modest"));
    federation.connect(node, noisy);
    federation.connect(node, modest);
    for (introducer, count) in [(noisy, 20), (modest, 3)] {
        for number in 0..count {
            let writer = federation.add(&format!("{introducer}-{number}"));
            federation.dial(introducer, writer);
            federation.append_many(writer, 2);
        }
    }
    federation.run_rounds(6);
    let quota = Notice::QuotaFull { peer: federation.peer(node, noisy) };
    assert!(federation.has_noticed(node, |notice| *notice == quota));
    let quota = Notice::QuotaFull { peer: federation.peer(node, modest) };
    assert!(!federation.has_noticed(node, |notice| *notice == quota));
    let logs = federation.members[node].node.logs().count();
    // Its own, the two peers', five of the noisy one's and all three of the modest one's.
    assert_eq!(logs, 1 + 2 + 5 + 3);
    // What is followed by hand is followed all the same.
    let missing = (3..23).find(|writer| federation.size(node, &federation.id(*writer)) == 0).unwrap();
    let vkey = federation.vkey(missing);
    let member = &mut federation.members[node];
    member.node.follow(&mut member.store, &vkey).unwrap();
    federation.run_rounds(2);
    assert_eq!(federation.size(node, &federation.id(missing)), 2);
}

#[test]
fn introduced_logs_stop_at_their_quota_of_bytes() {
    let mut narrow = config();
    narrow.introductions = Introductions::Accept { logs: 5, bytes: 3_000 };
    narrow.max_message = 4_608;
    let mut federation = Federation::new();
    let node = federation.add_with("a", narrow);
    let relay = federation.add("relay");
    let writer = federation.add("writer");
    federation.connect(node, relay);
    federation.dial(relay, writer);
    for _ in 0..100 {
        federation.append(writer, &[7; 200]);
    }
    federation.run_rounds(6);
    let held = federation.members[node].node.log(&federation.id(writer)).unwrap();
    assert!((1..=3_000).contains(&held.bytes), "{}", held.bytes);
    assert!(federation.has_noticed(node, |notice| matches!(notice, Notice::QuotaFull { .. })));
    // The head is checked all the same: it is known, and evidence.
    assert!(held.complete.size < 100);
}

#[test]
fn a_record_too_long_for_a_node_stops_its_copy_there() {
    let mut small = config();
    small.max_message = 4_608;
    let mut federation = Federation::new();
    let device = federation.add_with("device", small);
    let server = federation.add("server");
    federation.connect(device, server);
    federation.append(server, b"short");
    federation.append(server, &[1; 10_000]);
    federation.append(server, b"short again");
    federation.append_many(device, 3);
    federation.run_rounds(6);
    let log = federation.id(server);
    assert!(federation.has_noticed(device, |notice| *notice == Notice::RecordTooLong { log, index: 1 }));
    let held = federation.members[device].node.log(&log).unwrap();
    assert_eq!((held.have, held.complete.size), (1, 0));
    // Nobody is blamed, and the other direction works.
    assert_eq!(health(&federation, device, server), Health::Healthy);
    assert_eq!(federation.size(server, &federation.id(device)), 3);
}

#[test]
fn a_clock_that_jumps_does_no_harm() {
    let mut federation = pair();
    federation.append_many(0, 5);
    federation.run_rounds(2);
    let real = federation.now;
    for jump in [real + Duration::from_secs(1 << 40), verisoo::Instant::ZERO, verisoo::Instant::MAX, real] {
        for a in 0..2 {
            let member = &mut federation.members[a];
            member.node.handle(jump, &mut member.store, verisoo::Event::Tick).unwrap();
        }
        federation.append_many(0, 1);
        federation.run_rounds(6);
    }
    federation.assert_converged(&[0, 1]);
}

#[test]
fn equal_calls_make_equal_nodes() {
    let run = || {
        let mut federation = pair();
        federation.append_many(0, 30);
        federation.append_many(1, 3);
        federation.run_rounds(3);
        federation
    };
    let (one, other) = (run(), run());
    for (one, other) in one.members.iter().zip(&other.members) {
        assert!(one.node == other.node);
        assert_eq!(one.store, other.store);
    }
    assert_eq!(one.bytes, other.bytes);
}

#[test]
fn peers_and_logs_can_be_removed_and_added_again() {
    let mut federation = pair();
    federation.append_many(1, 9);
    federation.run_rounds(2);
    let (peer, log, vkey) = (federation.peer(0, 1), federation.id(1), federation.vkey(1));
    federation.members[0].node.remove_peer(peer).unwrap();
    assert_eq!(federation.size(0, &log), 9, "its log stays");
    let member = &mut federation.members[0];
    member.node.unfollow(&mut member.store, &log).unwrap();
    assert!(member.node.log(&log).is_none());
    assert_eq!(member.store.record(&log, 0), None);
    federation.append_many(1, 1);
    federation.run_rounds(2);
    assert_eq!(federation.size(0, &log), 0);
    let again = federation.dial(0, 1);
    assert_ne!(again, peer, "a handle is never given twice");
    assert_eq!(*federation.members[0].node.vkey(), federation.vkey(0));
    federation.run_rounds(2);
    assert_eq!(federation.size(0, &vkey.id()), 10);
}
