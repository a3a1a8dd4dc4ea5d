//! How fast a replica catches up, as a share of the speed of the SHA-256 that it cannot do without: the
//! bare hashing of the same leaves and nodes, timed in turn with it in the same process.
//!
//! `cargo bench --bench catch_up` prints one line a message size. The replica's side is timed: decode the
//! frame, judge the batch, append it to a store in memory that grows as it fills. The bare hashing writes
//! its hashes to memory that has been touched before, so the comparison favours it.

#![allow(missing_docs, clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use verisoo::log::{Frontier, leaf_hash};
use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, MIN_MESSAGE, Message};
use verisoo::{Command, Config, Event, Identity, Instant, Node};

const RECORDS: usize = 100_000;
const RECORD: usize = 256;
const TURNS: usize = 9;

fn main() {
    println!("{RECORDS} records of {RECORD} bytes, median of {TURNS} pairs");
    for max_message in [MIN_MESSAGE, 16 << 10, 64 << 10, 128 << 10] {
        let (mut ratios, mut nanos, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut writer = Writer::new(max_message);
        for _ in 0..TURNS {
            let bare = bare_hashing(&writer.records);
            let (taken, received) = writer.catch_up(max_message);
            ratios.push(bare.as_secs_f64() / taken.as_secs_f64());
            nanos.push(taken.as_secs_f64() * 1e9 / RECORDS as f64);
            bytes = received;
        }
        ratios.sort_by(f64::total_cmp);
        nanos.sort_by(f64::total_cmp);
        println!(
            "max_message {max_message:>6}: {:.2} of bare SHA-256 (from {:.2} to {:.2}), {:.0} ns a record, {:.1} wire bytes a record",
            ratios[TURNS / 2],
            ratios[0],
            ratios[TURNS - 1],
            nanos[TURNS / 2],
            bytes as f64 / RECORDS as f64,
        );
    }
}

/// Every leaf and every node of the log, hashed and stored, and nothing else.
fn bare_hashing(records: &[Vec<u8>]) -> Duration {
    let mut hashes = vec![*leaf_hash(b"").as_bytes(); 2 * records.len()];
    hashes.clear();
    let clock = Clock::now();
    let mut frontier = Frontier::new();
    for record in records {
        frontier.push(leaf_hash(record), |hash| hashes.push(*hash.as_bytes())).unwrap();
    }
    black_box((frontier.root(), hashes));
    clock.elapsed()
}

struct Writer {
    node: Node,
    store: MemoryStore,
    records: Vec<Vec<u8>>,
}

impl Writer {
    fn new(max_message: u32) -> Self {
        let records: Vec<Vec<u8>> = (0..RECORDS).map(|index| vec![index as u8; RECORD]).collect();
        let mut node: Node = Node::new(identity(1), config(max_message), [1; 32], Instant::ZERO);
        let mut store = MemoryStore::new();
        for record in &records {
            node.append(&mut store, record).unwrap();
        }
        node.publish(&mut store).unwrap();
        Self { node, store, records }
    }

    /// Lets a new replica fetch everything; the time its side took, and the bytes it received.
    fn catch_up(&mut self, max_message: u32) -> (Duration, usize) {
        let now = Instant::ZERO;
        let mut node: Node = Node::new(identity(2), config(max_message), [2; 32], now);
        let mut store = MemoryStore::new();
        node.add_peer(&mut store, *self.node.vkey()).unwrap();
        let (mut request, mut answer) = (vec![0; max_message as usize], vec![0; max_message as usize]);
        let (mut taken, mut received) = (Duration::ZERO, 0);
        loop {
            let clock = Clock::now();
            let command = node.poll(now, &mut store);
            taken += clock.elapsed();
            let Some(command) = command else { break };
            if matches!(command, Command::Notify(_)) {
                continue;
            }
            let clock = Clock::now();
            let bytes = node.encode(&mut store, &command, &mut request).unwrap();
            taken += clock.elapsed();
            let frame = Frame::decode(bytes.unwrap()).unwrap();
            let Message::Request(asked) = frame.message else { unreachable!() };
            let bytes = self.node.respond(now, &mut self.store, frame.id, &asked, &mut answer).unwrap();
            received += bytes.len();
            let (peer, _) = command.request().unwrap();
            let clock = Clock::now();
            let frame = Frame::decode(bytes).unwrap();
            let Message::Response(response) = frame.message else { unreachable!() };
            node.handle(now, &mut store, Event::Answer { peer, request: frame.id, response }).unwrap();
            taken += clock.elapsed();
        }
        assert_eq!(node.log(&self.node.id()).unwrap().complete.size, RECORDS as u64);
        (taken, received)
    }
}

fn identity(number: u8) -> Identity {
    Identity::from_seed("bench", &[number; 32]).unwrap()
}

fn config(max_message: u32) -> Config {
    let mut config = Config::default();
    config.max_message = max_message;
    config
}
