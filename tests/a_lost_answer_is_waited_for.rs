//! Several fetches of a log are under way at once, and only the next records can be used: an answer that is
//! lost or falls short costs its own deadline or a refetch, not a flood of requests.

#![cfg(feature = "alloc")]
#![allow(clippy::cast_possible_truncation, reason = "a few hundred records")]

mod pair;

use std::collections::VecDeque;
use std::time::Duration;

use pair::{Member, Net, config};
use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message, Response};
use verisoo::{Ask, Command, Event};

/// What it took to fetch a log.
#[derive(Debug, Default)]
struct Traffic {
    fetches: usize,
    records: usize,
}

/// The second of two takes the log of the first, each answer taking 10 ms; those for which `is_lost` never
/// come.
fn fetch(lens: &[usize], mut is_lost: impl FnMut(usize) -> bool) -> Traffic {
    let mut net = Net::new((1..=2).map(|number| Member::new(number, config(), MemoryStore::new())).collect());
    for len in lens {
        net.append(0, &vec![7; *len]);
    }
    net.settle();
    net.link_one_way(1, 0);
    let (mut traffic, mut under_way) = (Traffic::default(), VecDeque::new());
    let log = net.members[0].node.id();
    for _ in 0..100_000 {
        let (now, member) = (net.now, &mut net.members[1]);
        if let Some(command) = member.node.poll(now, &mut member.store) {
            let Some((peer, request)) = command.request() else { continue };
            let mut buf = [0; 4_608];
            let bytes = member.node.encode(&mut member.store, &command, &mut buf).unwrap().unwrap();
            let answer = net.deliver(0, bytes);
            let mut is_lost_now = false;
            if let Command::Ask { ask: Ask::Records { .. }, .. } = command {
                is_lost_now = is_lost(traffic.fetches);
                traffic.fetches += 1;
            }
            if !is_lost_now {
                under_way.push_back((net.now + Duration::from_millis(10), peer, request, answer));
            }
            continue;
        }
        if net.members[1].size(&log) == lens.len() as u64 {
            return traffic;
        }
        let wake = net.members[1].node.next_wake().unwrap();
        match under_way.front() {
            Some((due, ..)) if *due <= wake => {
                let (due, peer, request, answer) = under_way.pop_front().unwrap();
                net.now = due.max(net.now);
                let Message::Response(response) = Frame::decode(&answer).unwrap().message else { panic!("no answer") };
                if let Response::Records(batch) = response {
                    traffic.records += verisoo::Records::new(batch.records).iter().count();
                }
                net.hand_over(1, Event::Answer { peer, request, response });
            }
            _ => net.now = wake,
        }
    }
    panic!("never converged: {traffic:?}");
}

#[test]
fn without_losses_little_is_fetched_twice() {
    let traffic = fetch(&[200; 400], |_| false);
    assert!(traffic.records < 480, "{traffic:?}");
}

#[test]
fn a_lost_answer_costs_the_window_and_no_more() {
    for lost in 0..8 {
        let traffic = fetch(&[200; 400], |fetch| fetch == lost);
        // Those under way behind it, and those asked for again after its deadline.
        assert!(traffic.records < 480 && traffic.fetches < 45, "{lost}: {traffic:?}");
    }
}

#[test]
fn records_longer_than_those_before_are_not_fetched_over_and_over() {
    // The ranges are sized by the records seen: each answer falls short.
    let mut lens = vec![10; 100];
    lens.extend([1_000; 100]);
    let traffic = fetch(&lens, |_| false);
    assert!(traffic.records < 600, "{traffic:?}");
}
