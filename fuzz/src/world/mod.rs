//! One node among peers that the fuzzer plays: what the peers can truthfully say is built from writers'
//! logs; then it is changed. After each step everything that must hold is checked.

mod check;
mod drain;
mod reply;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use verisoo::sim::SimScheme;
use verisoo::wire::{Frame, Message};
use verisoo::{
    Command, Config, Error, Event, Heap, Identity, Instant, Introductions, LogId, Node, Notice, PeerId, SignedHead,
    Start,
};

use super::faulty::{Contents, FaultyStore};
use super::input::Input;
use super::net::signing::identity;
use super::writer::Writer;

pub use check::check_bounds;

pub type TestNode = Node<Heap<SimScheme>>;

/// Polls in a row that a node may need to say all it has to say.
const MOST_COMMANDS: usize = 2_000;

/// Writers: two that are honest, the two histories of one that is not, and an honest one that is nobody's
/// peer.
pub const HONEST: [usize; 2] = [0, 1];
pub const FORKER: [usize; 2] = [2, 3];
pub const STRANGER: usize = 4;

pub struct World {
    pub now: Instant,
    pub node: TestNode,
    pub store: FaultyStore,
    pub writers: [Writer; 5],
    /// What the node has appended.
    pub own: Writer,
    /// Requests that were sent and not answered yet.
    pub sent: Vec<(PeerId, Vec<u8>)>,
    /// Answers that were given.
    pub given: Vec<(PeerId, Vec<u8>)>,
    pub notices: Vec<Notice>,
    config: Config,
    /// What each peer is, by its handle.
    peers: BTreeMap<PeerId, Identity<SimScheme>>,
    least: BTreeMap<LogId, (u64, u64)>,
    frozen: BTreeMap<LogId, u64>,
    /// Heads of the node's own log that it has shown.
    pub shown: BTreeMap<u64, SignedHead>,
    /// Peers that took the proof of the fork.
    told: RefCell<BTreeSet<LogId>>,
    starts: u8,
    /// Whether the own log is to be writable: not while it recovers.
    pub expects_writing: bool,
}

impl World {
    pub fn new(input: &mut Input<'_>) -> Self {
        let mut config = Config::default();
        config.interval = Duration::from_secs(1);
        config.timeout = Duration::from_millis(100);
        config.max_message = input.choose(&[4_608, 8_192]);
        config.window = input.choose(&[1, 4]);
        config.fanout = input.choose(&[1, 16]);
        config.max_views = input.choose(&[2, 16]);
        config.max_requests = input.choose(&[2, 16]);
        config.max_logs = 8;
        config.max_peers = 4;
        config.introductions = input.choose(&[Introductions::Refuse, Introductions::Accept { logs: 2, bytes: 300 }]);
        let now = Instant::from_secs(1_000);
        let own = Writer::new("node.example");
        let node = TestNode::new(own.identity.clone(), config.clone(), [1; 32], now);
        let forker = Writer::new("forker.example");
        let writers =
            [Writer::new("a.example"), Writer::new("b.example"), forker.clone(), forker, Writer::new("s.example")];
        let mut world = Self {
            now,
            node,
            store: FaultyStore::default(),
            writers,
            own,
            sent: Vec::new(),
            given: Vec::new(),
            notices: Vec::new(),
            config,
            peers: BTreeMap::new(),
            least: BTreeMap::new(),
            frozen: BTreeMap::new(),
            shown: BTreeMap::new(),
            told: RefCell::default(),
            starts: 1,
            expects_writing: true,
        };
        world.add_peers();
        world
    }

    pub fn add_peers(&mut self) {
        self.peers.clear();
        for writer in [HONEST[0], HONEST[1], FORKER[0]] {
            let identity = self.writers[writer].identity.clone();
            let peer = self.node.add_peer(&mut self.store, *identity.vkey()).expect("room for three");
            self.peers.insert(peer, identity);
        }
    }

    pub fn peer(&self, at: usize) -> PeerId {
        *self.peers.keys().nth(at % self.peers.len()).expect("three peers")
    }

    pub fn peer_of(&self, id: &LogId) -> Option<PeerId> {
        self.peers.iter().find(|(_, identity)| identity.vkey().id() == *id).map(|(peer, _)| *peer)
    }

    /// Starts the node again on what the store holds now.
    pub fn restart(&mut self, start: Start) {
        self.starts += 1;
        self.node = TestNode::open(
            identity("node.example"),
            self.config.clone(),
            [self.starts; 32],
            self.now,
            &mut self.store,
            start,
        )
        .expect("a store that works opens");
        if start != Start::Resume {
            // What no signed head covers is taken back as it is with the peers.
            let own = self.least.entry(self.own.id()).or_default();
            own.0 = own.1;
        }
        self.sent.clear();
        self.add_peers();
    }

    pub fn append(&mut self, record: &[u8]) -> Result<u64, Error> {
        let may_fail = self.store.may_fail() || self.store.has_rotted || !self.expects_writing;
        let before = may_fail.then(|| (self.node.clone(), self.store.contents()));
        let result = self.node.append(&mut self.store, record);
        match result {
            Ok(index) => {
                assert_eq!(index, self.own.size());
                self.own.append(record);
            }
            Err(error) => {
                let Some(before) = before else { panic!("an append failed: {error}") };
                assert!(self.node == before.0, "an append that failed changed the node");
                assert!(self.has_same_logs(&before.1), "an append that failed changed the store");
            }
        }
        result
    }

    /// Whether the store holds what it held, but for an own log that was created empty.
    fn has_same_logs(&mut self, before: &Contents) -> bool {
        let mut now = self.store.contents();
        let own = self.own.id();
        if !before.0.contains_key(&own) && now.0.get(&own).is_some_and(|(stored, ..)| stored.state.have == 0) {
            now.0.remove(&own);
        }
        now == *before
    }

    /// Takes everything that the node wants done: requests are kept, notices too.
    pub fn poll(&mut self) {
        let mut buf = vec![0; 1 << 14];
        for count in 0.. {
            assert!(count < MOST_COMMANDS, "polling does not end");
            let Some(command) = self.node.poll(self.now, &mut self.store) else { break };
            if let Command::Notify(notice) = command {
                self.check_notice(notice);
                self.notices.push(notice);
                continue;
            }
            let (peer, _) = command.request().expect("a request");
            assert!(self.peers.contains_key(&peer), "a request to nobody");
            let encoded = self.node.encode(&mut self.store, &command, &mut buf).map(|bytes| bytes.map(<[u8]>::to_vec));
            match encoded {
                Ok(Some(bytes)) => {
                    assert!(bytes.len() <= self.config.max_message as usize);
                    self.check_sent(&bytes);
                    self.sent.push((peer, bytes));
                }
                Ok(None) | Err(Error::Store(_)) => {}
                Err(error) => panic!("{command:?} cannot be encoded: {error}"),
            }
        }
        assert_eq!(self.node.poll(self.now, &mut self.store), None, "a poll after the last");
        let excess = self.sent.len().saturating_sub(200);
        self.sent.drain(..excess);
    }

    /// Gives the node an answer's bytes, as a driver would.
    pub fn answer(&mut self, peer: PeerId, bytes: &[u8]) {
        let Ok(Frame { id, message: Message::Response(response) }) = Frame::decode(bytes) else { return };
        self.handle(Event::Answer { peer, request: id, response });
    }

    pub fn handle(&mut self, event: Event<'_>) {
        let before = self.store.may_fail().then(|| (self.node.clone(), self.store.contents()));
        if let Err(error) = self.node.handle(self.now, &mut self.store, event) {
            let Some(before) = before else { panic!("{event:?} failed: {error}") };
            let kind = std::mem::discriminant(&event);
            let what = |node: &TestNode| format!("{node:#?}");
            assert!(
                self.node == before.0,
                "an event ({kind:?}) that failed ({error}) changed the node: {}",
                differences(&what(&before.0), &what(&self.node))
            );
            assert!(self.store.contents() == before.1, "an event ({kind:?}) that failed ({error}) changed the store");
        }
    }

    /// Asks the node something, as a driver would, and checks what it answers.
    pub fn ask(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(bytes) else { return None };
        let mut buf = vec![0; 1 << 14];
        let answer = self.node.respond(self.now, &mut self.store, id, &request, &mut buf);
        let answer = answer.expect("there is room").to_vec();
        let frame = Frame::decode(&answer).expect("what a node says is a frame");
        assert_eq!(frame.id, id);
        let Message::Response(response) = frame.message else { panic!("an answer is a response") };
        self.check_answer(&request, &response, answer.len());
        Some(answer)
    }

    pub fn has_forked(&self) -> bool {
        let [left, right] = FORKER.map(|at| &self.writers[at]);
        let common = left.size().min(right.size());
        left.root(common) != right.root(common)
    }

    /// All histories of a log.
    pub fn histories(&self, log: &LogId) -> Vec<&Writer> {
        self.writers.iter().chain([&self.own]).filter(|writer| writer.id() == *log).collect()
    }
}

/// The lines in which two texts differ.
fn differences(before: &str, after: &str) -> String {
    let lines = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
    lines.take(6).flat_map(|(before, after)| ["\n", before, " -> ", after]).collect()
}

pub fn to_bytes(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_slice(value, &mut vec![0; 1 << 14]).expect("there is room").to_vec()
}

pub fn encode_frame(frame: &Frame<'_>) -> Vec<u8> {
    let mut buf = vec![0; 1 << 16];
    frame.encode(&mut buf).expect("there is room").to_vec()
}
