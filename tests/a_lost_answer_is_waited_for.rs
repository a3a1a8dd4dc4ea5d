//! Several fetches of a log are under way at once, and only the next records can be used: an answer that is
//! lost or falls short costs its own deadline or a refetch, not a flood of requests.

mod net;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use net::{Net, small};
use verisoo::sim::SimScheme;
use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message, Request, Response};
use verisoo::{Heap, Records};

/// What it took to fetch a log.
#[derive(Debug, Default)]
struct Traffic {
    fetches: usize,
    records: usize,
}

/// The second of two takes the log of the first, each answer taking 10 ms; those for which `is_lost` never
/// come.
fn fetch(lens: &[usize], mut is_lost: impl FnMut(usize) -> bool + 'static) -> Traffic {
    let mut net: Net<Heap<SimScheme>, MemoryStore> = Net::new();
    net.delay = Duration::from_millis(5);
    for name in ["writer", "reader"] {
        net.add_with(name, small());
    }
    for len in lens {
        net.append(0, &vec![7; *len]);
    }
    net.settle();
    net.dial(1, 0);
    let traffic = Rc::new(RefCell::new(Traffic::default()));
    let counted = Rc::clone(&traffic);
    let mut answers = 0;
    net.tamper = Some(Box::new(move |_, _, frame| {
        let mut counted = counted.borrow_mut();
        match frame.message {
            Message::Request(Request::Records { .. }) => counted.fetches += 1,
            Message::Response(Response::Records(batch)) => {
                answers += 1;
                if is_lost(answers - 1) {
                    return None;
                }
                counted.records += Records::new(batch.records).iter().count();
            }
            _ => {}
        }
        Some(encode(frame))
    }));
    let log = net.id(0);
    let has_it = net.run_until(Duration::from_secs(3_600), |net| net.size(1, &log) == lens.len() as u64);
    drop(net);
    let traffic = Rc::into_inner(traffic).unwrap().into_inner();
    assert!(has_it, "never converged: {traffic:?}");
    traffic
}

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    frame.encode(&mut [0; 4_608]).unwrap().to_vec()
}

#[test]
fn without_losses_little_is_fetched_twice() {
    let traffic = fetch(&[200; 400], |_| false);
    assert!(traffic.records < 480, "{traffic:?}");
}

#[test]
fn a_lost_answer_costs_the_window_and_no_more() {
    for lost in 0..8 {
        let traffic = fetch(&[200; 400], move |fetch| fetch == lost);
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
