//! Two nodes and a network that loses, repeats, delays and damages: whatever the schedule, they converge
//! once it delivers.

use std::time::Duration;

use verisoo::sim::SimScheme;
use verisoo::store::MemoryStore;
use verisoo::{Config, Heap, Notice, Start};

use super::input::Input;
use super::net::{Net, Packet};
use super::world::check_bounds;

struct Pair {
    net: Net<Heap<SimScheme>, MemoryStore>,
    /// What each has written.
    records: [Vec<Vec<u8>>; 2],
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
        let mut net = Net::new();
        for name in ["left.example", "right.example"] {
            net.add_with(name, config.clone());
        }
        net.connect(0, 1);
        Self { net, records: [vec![], vec![]] }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let at = input.below(2);
        match input.below(12) {
            0 | 1 => {
                let len = input.choose(&[0, 1, 40, 1_000]);
                let record = vec![input.byte(); len];
                self.net.append(at, &record);
                self.records[at].push(record);
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
                if let Some(packet) = &mut damaged {
                    input.mutate(&mut packet.bytes, 3);
                }
                self.deliver(damaged);
            }
            10 => {
                let millis = input.choose(&[1, 50, 200, 1_000, 5_000, 30_000]);
                self.net.now = self.net.now + Duration::from_millis(millis);
            }
            _ => self.net.start(at, Start::Resume),
        }
    }

    fn take(&mut self, input: &mut Input<'_>, away: bool) -> Option<Packet> {
        let packets = &mut self.net.packets;
        if packets.is_empty() {
            return None;
        }
        let at = input.below(packets.len());
        if away { packets.remove(at) } else { packets.get(at).cloned() }
    }

    fn deliver(&mut self, packet: Option<Packet>) {
        if let Some(packet) = packet {
            self.net.deliver(&packet);
        }
    }

    fn poll(&mut self, at: usize) {
        let count = (0..2_000).take_while(|_| self.net.poll(at)).count();
        assert!(count < 2_000, "polling does not end");
        for (_, notice) in self.net.notices.drain(..) {
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
        }
        let excess = self.net.packets.len().saturating_sub(200);
        self.net.packets.drain(..excess);
    }

    /// Each holds of the other's log a prefix, byte for byte.
    fn check(&mut self) {
        for at in 0..2 {
            let (id, truth, member) = (self.net.id(1 - at), &self.records[1 - at], &self.net.members[at]);
            check_bounds(&member.node, &member.config);
            let info = member.node.log(&id).expect("a peer's log is followed");
            assert!(!info.is_forked && !info.is_damaged);
            assert!(info.have <= truth.len() as u64 && info.complete.size <= info.have);
            for (index, record) in (0..info.have).zip(truth) {
                assert_eq!(member.store.record(&id, index), Some(record.as_slice()));
            }
        }
    }

    /// Nothing is lost any more, everything arrives at once.
    fn converge(&mut self) {
        let end = self.net.now + Duration::from_secs(120);
        while self.net.now < end {
            self.poll(0);
            self.poll(1);
            if self.net.packets.is_empty() {
                let wakes = self.net.members.iter().filter_map(|member| member.node.next_wake());
                let wake = wakes.min().expect("nodes with peers have something to wait for");
                assert!(wake > self.net.now, "a node wakes itself for nothing");
                self.net.now = wake;
            }
            self.poll(0);
            self.poll(1);
            for packet in std::mem::take(&mut self.net.packets) {
                self.net.deliver(&packet);
            }
        }
        self.check();
        for at in 0..2 {
            let size = self.net.size(at, &self.net.id(1 - at));
            assert_eq!(size, self.records[1 - at].len() as u64, "stuck: {:?}", self.net.members[at].node);
        }
        assert!(self.net.is_converged(&[0, 1]));
    }
}
