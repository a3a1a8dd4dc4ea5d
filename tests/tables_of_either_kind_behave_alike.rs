//! Nodes on growing and on fixed tables: the same calls have the same results, as long as there is room.

#![allow(clippy::cast_possible_truncation, reason = "there are four nodes")]

mod net;

use std::time::Duration;

use net::nth;
use proptest::prelude::*;
use verisoo::sim::SimScheme;
use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message, Response};
use verisoo::{Command, Config, Event, Fixed, Heap, Instant, LogInfo, Node, PeerInfo};

const PEERS: usize = 2;
const LOGS: usize = 4;
const VIEWS: usize = 5;
const REQUESTS: usize = 6;
/// Never the bound: 2 × (4,608 / 64) + 62.
const HASHES: usize = 206;

type Growing = Heap<SimScheme>;
type Limited = Fixed<PEERS, LOGS, VIEWS, REQUESTS, HASHES, SimScheme>;

/// One node twice.
struct Twin {
    growing: Node<Growing>,
    limited: Node<Limited>,
    stores: [MemoryStore; 2],
}

/// Makes a call on both, and gives the result, which is the same.
macro_rules! both {
    ($twin:expr, |$node:ident, $store:ident| $call:expr) => {{
        let Twin { growing, limited, stores: [first, second] } = &mut $twin;
        let one = {
            let ($node, $store) = (growing, first);
            $call
        };
        let other = {
            let ($node, $store) = (limited, second);
            $call
        };
        assert_eq!(one, other);
        one
    }};
}

impl Twin {
    fn new(number: u8, config: &Config) -> Self {
        Self {
            growing: Node::new(nth(number), config.clone(), [number; 32], Instant::ZERO),
            limited: Node::new(nth(number), config.clone(), [number; 32], Instant::ZERO),
            stores: [MemoryStore::new(), MemoryStore::new()],
        }
    }

    fn check(&mut self) {
        let _ = both!(*self, |node, _store| (
            node.root(),
            node.next_wake(),
            node.logs().collect::<Vec<LogInfo>>(),
            node.peers().collect::<Vec<PeerInfo>>(),
            node.check_writing(),
            node.is_paused(),
        ));
        assert_eq!(self.stores[0], self.stores[1]);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize, usize),
    Publish(usize),
    /// One thing to do, and whether what is sent for it is lost.
    Turn(usize, bool),
    Wait(u64),
    AddPeer(usize, u8),
    RemovePeer(usize, usize),
    Follow(usize, u8),
    Unfollow(usize, u8),
    SyncNow(usize, usize),
    Pause(usize, bool),
}

const NODES: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..NODES;
    // One more than there are: a key that nobody has.
    let key = || 1..=(NODES as u8 + 1);
    prop_oneof![
        6 => (at(), 0_usize..1_500).prop_map(|(at, len)| Step::Append(at, len)),
        1 => at().prop_map(Step::Publish),
        60 => (at(), prop::bool::weighted(0.1)).prop_map(|(at, is_lost)| Step::Turn(at, is_lost)),
        8 => (0_u64..1_500).prop_map(Step::Wait),
        5 => (at(), key()).prop_map(|(at, key)| Step::AddPeer(at, key)),
        1 => (at(), 0_usize..PEERS).prop_map(|(at, peer)| Step::RemovePeer(at, peer)),
        1 => (at(), key()).prop_map(|(at, key)| Step::Follow(at, key)),
        1 => (at(), key()).prop_map(|(at, key)| Step::Unfollow(at, key)),
        1 => (at(), 0_usize..PEERS).prop_map(|(at, peer)| Step::SyncNow(at, peer)),
        1 => (at(), any::<bool>()).prop_map(|(at, is_paused)| Step::Pause(at, is_paused)),
    ]
}

fn take(twins: &mut [Twin], now: &mut Instant, step: &Step) {
    match *step {
        Step::Append(at, len) => {
            let _ = both!(twins[at], |node, store| node.append(store, &vec![7; len]));
        }
        Step::Publish(at) => {
            let _ = both!(twins[at], |node, store| node.publish(store));
        }
        Step::Turn(at, is_lost) => turn(twins, *now, at, is_lost),
        Step::Wait(millis) => *now = *now + Duration::from_millis(millis),
        Step::AddPeer(at, key) => {
            let _ = both!(twins[at], |node, store| node.add_peer(store, *nth(key).vkey()));
        }
        Step::Follow(at, key) => {
            let _ = both!(twins[at], |node, store| node.follow(store, nth(key).vkey()));
        }
        Step::Unfollow(at, key) => {
            let _ = both!(twins[at], |node, store| node.unfollow(store, &nth::<SimScheme>(key).vkey().id()));
        }
        Step::RemovePeer(at, nth) => {
            let peer = twins[at].growing.peers().nth(nth);
            if let Some(peer) = peer {
                both!(twins[at], |node, _store| node.remove_peer(peer.id)).unwrap();
            }
        }
        Step::SyncNow(at, nth) => {
            let peer = twins[at].growing.peers().nth(nth);
            if let Some(peer) = peer {
                both!(twins[at], |node, _store| node.sync_now(peer.id)).unwrap();
            }
        }
        Step::Pause(at, true) => both!(twins[at], |node, _store| node.pause()),
        Step::Pause(at, false) => both!(twins[at], |node, _store| node.resume()),
    }
}

fn turn(twins: &mut [Twin], now: Instant, at: usize, is_lost: bool) {
    let command = both!(twins[at], |node, store| node.poll(now, store));
    let Some((peer, request)) = command.and_then(|command| command.request()) else { return };
    let bytes = both!(twins[at], |node, store| {
        let mut buf = [0; 4_608];
        node.encode(store, &command.unwrap(), &mut buf).unwrap().map(<[u8]>::to_vec)
    });
    let to = twins[at].growing.peer(peer).unwrap().node;
    let to = twins.iter().position(|twin| twin.growing.id() == to);
    // Nobody there, or lost on its way.
    let (Some(bytes), Some(to), false) = (bytes, to, is_lost) else { return };
    let Message::Request(question) = Frame::decode(&bytes).unwrap().message else { panic!("not a request") };
    let answer = both!(twins[to], |node, store| {
        let mut buf = [0; 4_608];
        node.respond(now, store, request, &question, &mut buf).unwrap().to_vec()
    });
    let response: Response<'_> = net::decode_response(&answer, request);
    both!(twins[at], |node, store| node.handle(now, store, Event::Answer { peer, request, response })).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_calls_have_the_same_results(steps in proptest::collection::vec(step(), 1..300)) {
        let mut config = net::small();
        // What is fixed in the type for the one, for the other is in its configuration.
        (config.max_peers, config.max_logs, config.max_views, config.max_requests) = (PEERS, LOGS, VIEWS, REQUESTS);
        let mut twins: Vec<_> = (1..=NODES as u8).map(|number| Twin::new(number, &config)).collect();
        let mut now = Instant::ZERO;
        for step in &steps {
            take(&mut twins, &mut now, step);
            twins.iter_mut().for_each(Twin::check);
        }
    }
}

#[test]
fn twins_converge_on_what_there_is_room_for() {
    let mut config = net::small();
    (config.max_peers, config.max_logs, config.max_views, config.max_requests) = (PEERS, LOGS, VIEWS, REQUESTS);
    let mut twins: Vec<_> = (1..=NODES as u8).map(|number| Twin::new(number, &config)).collect();
    let mut now = Instant::ZERO;
    for at in 0..NODES {
        for len in [10, 1_000, 2_000, 2_000] {
            take(&mut twins, &mut now, &Step::Append(at, len));
        }
        // On a ring.
        for to in [at + 1, at + NODES - 1] {
            take(&mut twins, &mut now, &Step::AddPeer(at, (to % NODES) as u8 + 1));
        }
    }
    for round in 0..4_000 {
        take(&mut twins, &mut now, &Step::Turn(round % NODES, round % 11 == 0));
        take(&mut twins, &mut now, &Step::Wait(if round % 40 == 0 { 100 } else { 0 }));
    }
    let sizes = |twin: &Twin| twin.limited.logs().map(|log| log.complete.size).collect::<Vec<_>>();
    for twin in &mut twins {
        twin.check();
        // A quarter of the table stays free for logs that are named: the one across the ring is not followed.
        assert_eq!(sizes(twin), [4; 3]);
    }
    for at in 0..NODES {
        take(&mut twins, &mut now, &Step::Follow(at, ((at + 2) % NODES) as u8 + 1));
    }
    for round in 0..4_000 {
        take(&mut twins, &mut now, &Step::Turn(round % NODES, false));
        take(&mut twins, &mut now, &Step::Wait(if round % 40 == 0 { 100 } else { 0 }));
    }
    let root = twins[0].limited.root();
    for twin in &mut twins {
        twin.check();
        assert_eq!(sizes(twin), [4; 4]);
        assert_eq!(twin.limited.root(), root);
    }
}

#[test]
fn commands_are_small() {
    assert!(size_of::<Command>() <= 96, "{}", size_of::<Command>());
}
