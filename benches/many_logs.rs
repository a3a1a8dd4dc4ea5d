//! What a node that follows many logs does for each change, as a multiple of what one that follows few does,
//! timed in turn with it in the same process.
//!
//! `cargo bench --bench many_logs` prints one line a number of logs: the answer to a peer's question for the
//! status after one log has changed (its signature included), and a poll when nothing is due.

#![allow(missing_docs, clippy::cast_precision_loss, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use verisoo::store::MemoryStore;
use verisoo::wire::{Nonce, Request, RequestId, StatusRequest};
use verisoo::{Config, Hash, Identity, Instant, LogId, Node};

const FEW: usize = 10;
const TURNS: usize = 401;

fn main() {
    println!("median of {TURNS} turns each, as a multiple of the same with {FEW} logs");
    let mut few = Follower::new(FEW);
    for logs in [1_000, 100_000] {
        let mut many = Follower::new(logs);
        let (mut statuses, mut polls) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for _ in 0..TURNS {
            for (at, follower) in [&mut few, &mut many].into_iter().enumerate() {
                statuses[at].push(follower.status_after_a_change());
                polls[at].push(follower.idle_poll());
            }
        }
        let [few_status, many_status] = statuses.map(median);
        let [few_poll, many_poll] = polls.map(median);
        println!(
            "{logs:>7} logs: status after a change {:.2} times {:.1} us, idle poll {:.2} times {} ns",
            many_status.as_secs_f64() / few_status.as_secs_f64(),
            few_status.as_secs_f64() * 1e6,
            many_poll.as_secs_f64() / few_poll.as_secs_f64(),
            few_poll.as_nanos(),
        );
    }
}

struct Follower {
    node: Node,
    store: MemoryStore,
    buf: Vec<u8>,
}

impl Follower {
    fn new(logs: usize) -> Self {
        let identity = Identity::from_seed("follower", &[1; 32]).unwrap();
        let mut node = Node::new(identity, Config::default(), [2; 32], Instant::ZERO);
        let mut store = MemoryStore::new();
        for number in 1..logs as u64 {
            let mut secret = [3; 32];
            secret[..8].copy_from_slice(&number.to_le_bytes());
            let writer: Identity = Identity::from_seed("writer", &secret).unwrap();
            node.follow(&mut store, writer.vkey()).unwrap();
        }
        Self { node, store, buf: vec![0; 1 << 17] }
    }

    fn status_after_a_change(&mut self) -> Duration {
        self.node.append(&mut self.store, b"a record").unwrap();
        self.node.publish(&mut self.store).unwrap();
        let asked = StatusRequest {
            asker: LogId::from_bytes([4; 32]),
            nonce: Nonce([5; 16]),
            digest: Hash::EMPTY_ROOT,
            compared: None,
            after: Some(LogId::from_bytes([0xff; 32])),
            limit: 4_608,
        };
        let clock = Clock::now();
        let request = Request::Status(asked);
        let answer = self.node.respond(Instant::ZERO, &mut self.store, RequestId::new(1), &request, &mut self.buf);
        black_box(answer.unwrap());
        clock.elapsed()
    }

    fn idle_poll(&mut self) -> Duration {
        while self.node.poll(Instant::ZERO, &mut self.store).is_some() {}
        let clock = Clock::now();
        black_box(self.node.poll(Instant::ZERO, &mut self.store));
        clock.elapsed()
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
