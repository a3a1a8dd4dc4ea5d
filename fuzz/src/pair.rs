//! Two nodes and a network that loses, repeats, delays and damages: whatever the schedule, they converge
//! once it delivers.

use std::time::Duration;

use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message};
use verisoo::{Command, Config, Event, Instant, Notice, PeerId, Start};

use super::input::Input;
use super::signing::identity;
use super::world::{TestNode, check_bounds};

const NAMES: [&str; 2] = ["left.example", "right.example"];

struct Member {
    node: TestNode,
    store: MemoryStore,
    records: Vec<Vec<u8>>,
}

struct Pair {
    now: Instant,
    config: Config,
    members: [Member; 2],
    peers: [PeerId; 2],
    /// Messages under way: whom to, and the bytes.
    packets: Vec<(usize, Vec<u8>)>,
    starts: u8,
}

pub fn pair(data: &[u8]) {
    let mut input = Input::new(data);
    let mut pair = Pair::new(&mut input);
    for _ in 0..200 {
        if input.is_empty() {
            break;
        }
        pair.step(&mut input);
        pair.check();
    }
    pair.converge();
}

impl Pair {
    fn new(input: &mut Input<'_>) -> Self {
        let mut config = Config::default();
        config.interval = Duration::from_secs(1);
        config.timeout = Duration::from_millis(200);
        config.max_message = input.choose(&[4_608, 16_384]);
        config.window = input.choose(&[1, 2, 4]);
        config.max_views = input.choose(&[1, 8]);
        config.max_requests = input.choose(&[1, 8]);
        let now = Instant::from_secs(1);
        let members = NAMES.map(|name| Member {
            node: TestNode::new(identity(name), config.clone(), [7; 32], now),
            store: MemoryStore::new(),
            records: Vec::new(),
        });
        let mut pair = Self { now, config, members, peers: [first_peer(); 2], packets: vec![], starts: 7 };
        pair.connect(0);
        pair.connect(1);
        pair
    }

    fn connect(&mut self, at: usize) {
        let vkey = *identity(NAMES[1 - at]).vkey();
        let member = &mut self.members[at];
        self.peers[at] = member.node.add_peer(&mut member.store, vkey).expect("room for one");
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let at = input.below(2);
        match input.below(12) {
            0 | 1 => {
                let len = input.choose(&[0, 1, 40, 1_000]);
                let record = vec![input.byte(); len];
                let member = &mut self.members[at];
                member.node.append(&mut member.store, &record).expect("memory has room");
                member.records.push(record);
            }
            2 | 3 => self.poll(at),
            4..=6 => {
                let taken = self.take(input, true);
                self.deliver(taken);
            }
            7 => drop(self.take(input, true)),
            8 => {
                let repeated = self.take(input, false);
                self.deliver(repeated);
            }
            9 => {
                let mut damaged = self.take(input, true);
                if let Some((_, bytes)) = &mut damaged {
                    input.mutate(bytes, 3);
                }
                self.deliver(damaged);
            }
            10 => self.now = self.now + Duration::from_millis(input.choose(&[1, 50, 200, 1_000, 5_000, 30_000])),
            _ => self.restart(at),
        }
    }

    /// Both do what they want done, and what is under way arrives.
    fn deliver_all(&mut self) {
        self.poll(0);
        self.poll(1);
        for packet in std::mem::take(&mut self.packets) {
            self.deliver(Some(packet));
        }
    }

    fn take(&mut self, input: &mut Input<'_>, away: bool) -> Option<(usize, Vec<u8>)> {
        if self.packets.is_empty() {
            return None;
        }
        let at = input.below(self.packets.len());
        Some(if away { self.packets.remove(at) } else { self.packets[at].clone() })
    }

    fn deliver(&mut self, packet: Option<(usize, Vec<u8>)>) {
        let Some((to, bytes)) = packet else { return };
        let Ok(frame) = Frame::decode(&bytes) else { return };
        let Member { node, store, .. } = &mut self.members[to];
        match frame.message {
            Message::Request(request) => {
                let mut buf = vec![0; 1 << 15];
                let answer = node.respond(self.now, store, frame.id, &request, &mut buf).expect("there is room");
                let answer = answer.to_vec();
                self.packets.push((1 - to, answer));
            }
            Message::Response(response) => {
                let event = Event::Answer { peer: self.peers[to], request: frame.id, response };
                node.handle(self.now, store, event).expect("memory does not fail");
            }
        }
    }

    fn poll(&mut self, at: usize) {
        let mut buf = vec![0; 1 << 15];
        for count in 0.. {
            assert!(count < 2_000, "polling does not end");
            let Member { node, store, .. } = &mut self.members[at];
            let Some(command) = node.poll(self.now, store) else { break };
            if let Command::Notify(notice) = command {
                let is_bad = matches!(
                    notice,
                    Notice::ForkDetected { .. }
                        | Notice::WritingStopped
                        | Notice::LogDamaged { .. }
                        | Notice::PeerAtFault { .. }
                        | Notice::StoreFailed { .. }
                        | Notice::RecordTooLong { .. }
                );
                assert!(!is_bad, "{notice:?} between honest nodes");
                continue;
            }
            if let Some(bytes) = node.encode(store, &command, &mut buf).expect("memory does not fail") {
                let bytes = bytes.to_vec();
                self.packets.push((1 - at, bytes));
            }
        }
        let excess = self.packets.len().saturating_sub(200);
        self.packets.drain(..excess);
    }

    fn restart(&mut self, at: usize) {
        self.starts += 1;
        let member = &mut self.members[at];
        let (config, seed) = (self.config.clone(), [self.starts; 32]);
        let opened = TestNode::open(identity(NAMES[at]), config, seed, self.now, &mut member.store, Start::Resume);
        member.node = opened.expect("it opens");
        self.connect(at);
    }

    /// Each holds of the other's log a prefix, byte for byte.
    fn check(&mut self) {
        for at in 0..2 {
            check_bounds(&self.members[at].node, &self.config);
            let id = self.members[1 - at].node.id();
            let info = self.members[at].node.log(&id).expect("a peer's log is followed");
            assert!(!info.is_forked && !info.is_damaged);
            let truth = &self.members[1 - at].records;
            assert!(info.have <= truth.len() as u64 && info.complete.size <= info.have);
            for (index, record) in (0..info.have).zip(truth) {
                assert_eq!(self.members[at].store.record(&id, index), Some(record.as_slice()));
            }
        }
    }

    /// Nothing is lost any more, everything arrives at once.
    fn converge(&mut self) {
        let end = self.now + Duration::from_secs(120);
        while self.now < end {
            self.poll(0);
            self.poll(1);
            if self.packets.is_empty() {
                let wakes = self.members.iter().filter_map(|member| member.node.next_wake());
                let wake = wakes.min().expect("nodes with peers have something to wait for");
                assert!(wake > self.now, "a node wakes itself for nothing");
                self.now = wake;
            }
            self.deliver_all();
        }
        self.check();
        for at in 0..2 {
            let id = self.members[1 - at].node.id();
            let size = self.members[at].node.log(&id).expect("followed").complete.size;
            assert_eq!(size, self.members[1 - at].records.len() as u64, "stuck: {:?}", self.members[at].node);
        }
        let [left, right] = &mut self.members;
        assert_eq!(left.node.root(), right.node.root());
    }
}

/// A handle's place is taken before there is one.
fn first_peer() -> PeerId {
    let mut node = TestNode::new(identity("scratch"), Config::default(), [0; 32], Instant::ZERO);
    node.add_peer(&mut MemoryStore::new(), *identity("peer").vkey()).expect("room for one")
}
