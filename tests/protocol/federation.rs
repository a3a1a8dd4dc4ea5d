//! Nodes in virtual time: every message is real wire bytes, delivered after a fixed delay.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use verisoo::store::{MemoryStore, Store};
use verisoo::wire::{Frame, Message, Request, RequestId, Response};
use verisoo::{Answers, Command, Config, Event, Identity, Instant, LogId, Node, Notice, PeerId, Start, Vkey};

/// How long a message takes.
pub const DELAY: Duration = Duration::from_millis(10);

pub const INTERVAL: Duration = Duration::from_secs(10);

pub fn config() -> Config {
    let mut config = Config::default();
    config.interval = INTERVAL;
    config.timeout = Duration::from_secs(1);
    config
}

pub fn identity(name: &str) -> Identity {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Identity::from_seed(name, &seed).unwrap()
}

pub struct Member {
    pub node: Node,
    pub store: MemoryStore,
    pub name: String,
    pub config: Config,
    /// Requests sent so far.
    pub requests: usize,
    /// Which member a peer's messages go to.
    routes: BTreeMap<PeerId, usize>,
    pub is_up: bool,
}

/// Changes an answer on its way, or takes it away.
pub type Tamper = Box<dyn FnMut(usize, usize, &Frame<'_>) -> Option<Vec<u8>>>;

pub struct Federation {
    pub now: Instant,
    pub members: Vec<Member>,
    pub notices: Vec<(usize, Notice)>,
    /// Messages and bytes delivered so far.
    pub messages: usize,
    pub bytes: usize,
    pub tamper: Option<Tamper>,
    cut: BTreeSet<(usize, usize)>,
    queue: BinaryHeap<Reverse<Packet>>,
    sent: u64,
    starts: u8,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    at: Instant,
    number: u64,
    from: usize,
    to: usize,
    /// For an answer: the asker's handle of who answers.
    peer: Option<PeerId>,
    bytes: Vec<u8>,
}

impl Federation {
    pub fn new() -> Self {
        Self {
            now: Instant::from_secs(1),
            members: Vec::new(),
            notices: Vec::new(),
            messages: 0,
            bytes: 0,
            tamper: None,
            cut: BTreeSet::new(),
            queue: BinaryHeap::new(),
            sent: 0,
            starts: 0,
        }
    }

    /// Members with these names, not yet connected.
    pub fn of(names: &[&str]) -> Self {
        let mut federation = Self::new();
        for name in names {
            federation.add(name);
        }
        federation
    }

    pub fn add(&mut self, name: &str) -> usize {
        self.add_with(name, config())
    }

    pub fn add_with(&mut self, name: &str, config: Config) -> usize {
        let node = Node::new(identity(name), config.clone(), self.seed(), self.now);
        self.members.push(Member {
            node,
            store: MemoryStore::new(),
            name: name.into(),
            config,
            requests: 0,
            routes: BTreeMap::new(),
            is_up: true,
        });
        self.members.len() - 1
    }

    fn seed(&mut self) -> [u8; 32] {
        self.starts += 1;
        [self.starts; 32]
    }

    /// Makes two members each other's peers.
    pub fn connect(&mut self, a: usize, b: usize) {
        self.dial(a, b);
        self.dial(b, a);
    }

    /// Makes `b` a peer of `a`, but not the other way round.
    pub fn dial(&mut self, a: usize, b: usize) -> PeerId {
        let vkey = *self.members[b].node.vkey();
        let member = &mut self.members[a];
        let peer = member.node.add_peer(&mut member.store, vkey).unwrap();
        member.routes.insert(peer, b);
        peer
    }

    pub fn peer(&self, a: usize, b: usize) -> PeerId {
        *self.members[a].routes.iter().find(|(_, to)| **to == b).unwrap().0
    }

    pub fn id(&self, a: usize) -> LogId {
        self.members[a].node.id()
    }

    pub fn vkey(&self, a: usize) -> Vkey {
        *self.members[a].node.vkey()
    }

    pub fn append(&mut self, a: usize, record: &[u8]) {
        let member = &mut self.members[a];
        member.node.append(&mut member.store, record).unwrap();
    }

    /// Appends `count` records that say who wrote them and which they are.
    pub fn append_many(&mut self, a: usize, count: usize) {
        for _ in 0..count {
            let member = &self.members[a];
            let have = member.node.log(&member.node.id()).unwrap().have;
            let record = format!("{} {have}", member.name);
            self.append(a, record.as_bytes());
        }
    }

    /// Cuts the links between two sets of members, both ways.
    pub fn part(&mut self, left: &[usize], right: &[usize]) {
        for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
            self.cut.insert((a, b));
            self.cut.insert((b, a));
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Stops a member; what it had in memory is gone, its store stays.
    pub fn stop(&mut self, a: usize) {
        self.members[a].is_up = false;
    }

    /// Starts a stopped member again on its store.
    pub fn start(&mut self, a: usize, start: Start) {
        let seed = self.seed();
        let member = &mut self.members[a];
        let identity = identity(&member.name);
        let node = Node::open(identity, member.config.clone(), seed, self.now, &mut member.store, start).unwrap();
        self.put(a, node);
    }

    /// Starts a stopped member as if its log had never existed.
    pub fn start_anew(&mut self, a: usize) {
        let seed = self.seed();
        let member = &mut self.members[a];
        member.store = MemoryStore::new();
        let node = Node::new(identity(&member.name), member.config.clone(), seed, self.now);
        self.put(a, node);
    }

    fn put(&mut self, a: usize, node: Node) {
        let member = &mut self.members[a];
        member.node = node;
        member.is_up = true;
        let routes: Vec<usize> = std::mem::take(&mut member.routes).into_values().collect();
        for to in routes {
            self.dial(a, to);
        }
    }

    /// Starts a member whose store is lost.
    pub fn start_from_nothing(&mut self, a: usize) {
        self.members[a].store = MemoryStore::new();
        self.start(a, Start::Recover(Answers::All));
    }

    pub fn run_rounds(&mut self, rounds: u32) {
        self.run_for(INTERVAL * rounds * 5 / 4);
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            for a in 0..self.members.len() {
                self.drain(a);
            }
            let packet = self.queue.peek().map(|Reverse(packet)| packet.at);
            let wakes = self.members.iter().filter(|member| member.is_up).filter_map(|member| member.node.next_wake());
            let next = wakes.chain(packet).min().unwrap_or(Instant::MAX);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            while self.queue.peek().is_some_and(|Reverse(packet)| packet.at <= self.now) {
                if let Some(Reverse(packet)) = self.queue.pop() {
                    self.deliver(&packet);
                }
            }
        }
    }

    /// Polls a member until there is nothing to do.
    fn drain(&mut self, a: usize) {
        if !self.members[a].is_up {
            return;
        }
        let mut buf = vec![0; 1 << 17];
        for count in 0.. {
            assert!(count < 100_000, "{} never stops asking", self.members[a].name);
            let member = &mut self.members[a];
            let Some(command) = member.node.poll(self.now, &mut member.store) else { break };
            if let Command::Notify(notice) = command {
                self.notices.push((a, notice));
                continue;
            }
            let (peer, _) = command.request().unwrap();
            let Some(bytes) = member.node.encode(&mut member.store, &command, &mut buf).unwrap() else { continue };
            let to = member.routes[&peer];
            member.requests += 1;
            let bytes = bytes.to_vec();
            self.send(a, to, Some(peer), bytes);
        }
    }

    fn send(&mut self, from: usize, to: usize, peer: Option<PeerId>, bytes: Vec<u8>) {
        self.sent += 1;
        self.queue.push(Reverse(Packet { at: self.now + DELAY, number: self.sent, from, to, peer, bytes }));
    }

    fn deliver(&mut self, packet: &Packet) {
        if self.cut.contains(&(packet.from, packet.to)) || !self.members[packet.to].is_up {
            return;
        }
        let frame = Frame::decode(&packet.bytes).unwrap();
        let replaced = match &mut self.tamper {
            Some(tamper) => match tamper(packet.from, packet.to, &frame) {
                Some(bytes) => Some(bytes),
                None => return,
            },
            None => None,
        };
        let bytes = replaced.as_deref().unwrap_or(&packet.bytes);
        self.messages += 1;
        self.bytes += bytes.len();
        let Ok(frame) = Frame::decode(bytes) else { return };
        match frame.message {
            Message::Request(request) => self.serve(packet, frame.id, &request),
            Message::Response(response) => self.answer(packet, frame.id, response),
        }
    }

    fn serve(&mut self, packet: &Packet, id: RequestId, request: &Request<'_>) {
        let mut buf = vec![0; 1 << 17];
        let member = &mut self.members[packet.to];
        let answer = member.node.respond(self.now, &mut member.store, id, request, &mut buf).unwrap().to_vec();
        self.send(packet.to, packet.from, packet.peer, answer);
    }

    fn answer(&mut self, packet: &Packet, id: RequestId, response: Response<'_>) {
        let member = &mut self.members[packet.to];
        let Some(peer) = packet.peer.filter(|peer| member.routes.get(peer) == Some(&packet.from)) else { return };
        member.node.handle(self.now, &mut member.store, Event::Answer { peer, request: id, response }).unwrap();
    }

    /// Whether these members have the same complete heads of all logs.
    pub fn is_converged(&mut self, members: &[usize]) -> bool {
        let roots: BTreeSet<_> = members.iter().map(|a| self.members[*a].node.root()).collect();
        roots.len() == 1
    }

    pub fn all(&self) -> Vec<usize> {
        (0..self.members.len()).collect()
    }

    /// Fails with what each member has unless all have converged.
    pub fn assert_converged(&mut self, members: &[usize]) {
        if !self.is_converged(members) {
            for a in members {
                let member = &self.members[*a];
                eprintln!("{}:", member.name);
                member.node.logs().for_each(|log| eprintln!("  {log:?}"));
            }
            panic!("not converged; notices: {:?}", self.notices);
        }
    }

    pub fn size(&self, a: usize, log: &LogId) -> u64 {
        self.members[a].node.log(log).map_or(0, |log| log.complete.size)
    }

    pub fn is_forked(&self, a: usize, log: &LogId) -> bool {
        self.members[a].node.log(log).is_some_and(|log| log.is_forked)
    }

    pub fn has_noticed(&self, a: usize, matches: impl Fn(&Notice) -> bool) -> bool {
        self.notices.iter().any(|(at, notice)| *at == a && matches(notice))
    }

    /// A member's fork proof of a log, checked on its own.
    pub fn assert_fork_proof(&mut self, a: usize, log: &LogId, vkey: &Vkey) {
        let mut buf = vec![0; verisoo::head::ForkProof::MAX_LEN];
        let len = self.members[a].store.fork(log, &mut buf).unwrap().expect("a fork proof is kept");
        let proof = verisoo::head::ForkProof::decode(&buf[..len]).unwrap();
        assert_eq!(proof.verify(vkey), Ok(()));
    }
}
