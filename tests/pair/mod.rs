//! A few nodes in one process and in virtual time: what one wants sent is delivered at once.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::time::Duration;

use verisoo::log::leaf_hash;
use verisoo::store::{LogState, MemoryStore, Store};
use verisoo::wire::{Frame, Message, RequestId, Response};
use verisoo::{Command, Config, Error, Event, Heap, Identity, Instant, LogId, Notice, PeerId, Scheme, Start};

pub type Node = verisoo::Node<Heap<Cheap>>;

/// Signatures that anybody can make, and fast: nobody here lies about who it is. (The simulator's scheme is
/// not there in a plain `cargo test`, which builds without the feature `sim`.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cheap;

impl Scheme for Cheap {
    const ALGORITHM: u8 = 0xfa;
    type SigningKey = [u8; 32];
    type VerifyingKey = [u8; 32];

    fn signing_key(seed: &[u8; 32]) -> [u8; 32] {
        *seed
    }
    fn public_key(key: &[u8; 32]) -> [u8; 32] {
        *key
    }
    fn sign(key: &[u8; 32], message: &[u8]) -> [u8; 64] {
        let hash = leaf_hash(&[key, message].concat());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(hash.as_bytes());
        signature
    }
    fn verifying_key(public: &[u8; 32]) -> Option<[u8; 32]> {
        Some(*public)
    }
    fn verify_with(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        Self::sign(key, message) == *signature
    }
}

pub fn identity(number: u8) -> Identity<Cheap> {
    Identity::from_seed(&format!("node-{number}"), &[number; 32]).unwrap()
}

/// A store that can be compared with what it was.
pub trait TestStore: Store {
    /// What is held now.
    fn held(&self) -> &MemoryStore;
}

impl TestStore for MemoryStore {
    fn held(&self) -> &MemoryStore {
        self
    }
}

pub struct Member<S> {
    pub node: Node,
    pub store: S,
    /// Handles of peers, and where in the net each is.
    pub peers: Vec<(PeerId, usize)>,
    pub notices: Vec<Notice>,
}

impl<S: TestStore> Member<S> {
    pub fn new(number: u8, config: Config, store: S) -> Self {
        let node = Node::new(identity(number), config, [number; 32], Instant::ZERO);
        Self { node, store, peers: Vec::new(), notices: Vec::new() }
    }

    /// Makes a call that says what it left behind: on `Err`, everything is as it was.
    pub fn call<R>(
        &mut self,
        call: impl FnOnce(&mut Node, &mut dyn Store) -> Result<R, Error>,
    ) -> (Result<R, Error>, Option<&'static str>) {
        let before = (self.node.clone(), self.store.held().clone());
        let result = call(&mut self.node, &mut self.store);
        let complaint = if result.is_ok() {
            None
        } else if self.node != before.0 {
            Some("the node changed")
        } else if self.without_empty_own_log(self.store.held()) != self.without_empty_own_log(&before.1) {
            Some("the store changed")
        } else {
            None
        };
        (result, complaint.or_else(|| self.disagreement()))
    }

    /// What is held, but for an own log in which nothing is: that says no more than none at all.
    fn without_empty_own_log(&self, held: &MemoryStore) -> MemoryStore {
        let (mut held, own) = (held.clone(), self.node.id());
        if held.log(&own).unwrap().is_some_and(|stored| stored.state == LogState::default()) {
            held.remove(&own).unwrap();
        }
        held
    }

    /// Where node and store do not say the same.
    pub fn disagreement(&mut self) -> Option<&'static str> {
        let mut held = self.store.held().clone();
        for log in self.node.logs() {
            let Some(stored) = held.log(&log.log).unwrap() else {
                if log.log == self.node.id() && log.have == 0 {
                    continue;
                }
                return Some("the store lacks a log");
            };
            let complete = stored.state.complete.map_or(verisoo::Head::EMPTY, |complete| complete.head);
            if (stored.state.have, stored.origin, stored.forked) != (log.have, log.origin, log.is_forked)
                || complete != log.complete
                || stored.bytes != log.bytes
            {
                return Some("node and store disagree on a log");
            }
        }
        let mut after = None;
        while let Some(log) = held.next_log(after.as_ref()).unwrap() {
            if self.node.log(&log).is_none() {
                return Some("the node lacks a log");
            }
            after = Some(log);
        }
        None
    }

    /// The root that a node opened on this store would have.
    pub fn root_of_store(&self, config: Config) -> verisoo::Hash {
        let mut held = self.store.held().clone();
        // The key alone decides which log is the own one.
        let number = self.node.vkey().key()[0];
        let opened = Node::open(identity(number), config, [0; 32], Instant::ZERO, &mut held, Start::Resume);
        opened.unwrap().root()
    }

    pub fn peer_at(&self, at: usize) -> PeerId {
        self.peers.iter().find(|(_, to)| *to == at).unwrap().0
    }

    pub fn size(&self, log: &LogId) -> u64 {
        self.node.log(log).map_or(0, |log| log.complete.size)
    }
}

/// Members and their time.
pub struct Net<S> {
    pub members: Vec<Member<S>>,
    pub now: Instant,
    /// An event that a node could not handle is handled again, instead of being lost.
    pub retries: bool,
    /// What should not have happened: which call, and what about it.
    pub complaints: Vec<(&'static str, &'static str)>,
    /// What was done last, by whom.
    pub history: Vec<(usize, Command)>,
}

/// A small configuration: short rounds, and messages of the smallest size allowed.
pub fn config() -> Config {
    let mut config = Config::default();
    config.interval = Duration::from_secs(1);
    config.timeout = Duration::from_millis(200);
    config.max_message = verisoo::wire::MIN_MESSAGE;
    config
}

impl<S: TestStore> Net<S> {
    pub fn new(members: Vec<Member<S>>) -> Self {
        Self { members, now: Instant::ZERO, retries: true, complaints: Vec::new(), history: Vec::new() }
    }

    fn complain(&mut self, call: &'static str, complaint: Option<&'static str>) {
        self.complaints.extend(complaint.map(|complaint| (call, complaint)));
    }

    /// A call that is made again, a little later, until it succeeds.
    pub fn insist<R>(
        &mut self,
        at: usize,
        name: &'static str,
        mut call: impl FnMut(&mut Node, &mut dyn Store) -> Result<R, Error>,
    ) -> R {
        for _ in 0..1_000 {
            let (result, complaint) = self.members[at].call(&mut call);
            self.complain(name, complaint);
            match result {
                Ok(value) => return value,
                Err(Error::Store(_)) => self.now = self.now + Duration::from_millis(1),
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
        panic!("{name} never succeeds");
    }

    /// Makes two members each other's peers.
    pub fn link(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.link_one_way(from, to);
        }
    }

    pub fn link_one_way(&mut self, from: usize, to: usize) {
        let vkey = *self.members[to].node.vkey();
        let peer = self.insist(from, "add_peer", |node, store| node.add_peer(store, vkey));
        self.members[from].peers.push((peer, to));
    }

    pub fn append(&mut self, at: usize, record: &[u8]) -> u64 {
        self.insist(at, "append", |node, store| node.append(store, record))
    }

    /// Lets a member do one thing; whether there was something to do.
    pub fn turn(&mut self, at: usize) -> bool {
        let (now, member) = (self.now, &mut self.members[at]);
        let command = member.node.poll(now, &mut member.store);
        let complaint = member.disagreement();
        self.complain("poll", complaint);
        self.history.extend(command.map(|command| (at, command)));
        match command {
            None => false,
            Some(Command::Notify(notice)) => {
                self.members[at].notices.push(notice);
                true
            }
            Some(command) => {
                self.carry_out(at, &command);
                true
            }
        }
    }

    fn carry_out(&mut self, at: usize, command: &Command) {
        let (peer, request) = command.request().unwrap();
        let mut buf = vec![0; self.members[at].node.config().max_message as usize];
        let mut len = None;
        for _ in 0..100 {
            let (result, complaint) =
                self.members[at].call(|node, store| Ok(node.encode(store, command, &mut buf)?.map(<[u8]>::len)));
            self.complain("encode", complaint);
            match result {
                Ok(written) => {
                    len = written;
                    break;
                }
                Err(Error::Store(_)) if self.retries => self.now = self.now + Duration::from_millis(1),
                Err(Error::Store(_)) => break,
                Err(error) => panic!("encode: {error:?}"),
            }
        }
        let Some(len) = len else { return };
        let Some(&(_, to)) = self.members[at].peers.iter().find(|(id, _)| *id == peer) else { return };
        let answer = self.deliver(to, &buf[..len]);
        let response = decode_response(&answer, request);
        self.hand_over(at, Event::Answer { peer, request, response });
    }

    /// A frame arrives at a member; the frame it answers with.
    pub fn deliver(&mut self, to: usize, bytes: &[u8]) -> Vec<u8> {
        let frame = Frame::decode(bytes).unwrap();
        let Message::Request(request) = frame.message else { panic!("not a request") };
        let (now, member) = (self.now, &mut self.members[to]);
        let mut buf = vec![0; member.node.config().max_message as usize];
        let answer = member.node.respond(now, &mut member.store, frame.id, &request, &mut buf).unwrap().to_vec();
        let complaint = member.disagreement();
        self.complain("respond", complaint);
        answer
    }

    pub fn hand_over(&mut self, at: usize, event: Event<'_>) {
        for _ in 0..100 {
            let now = self.now;
            let (result, complaint) = self.members[at].call(|node, store| node.handle(now, store, event));
            self.complain(name_of(&event), complaint);
            match result {
                Err(Error::Store(_)) if self.retries => self.now = self.now + Duration::from_millis(1),
                Ok(()) | Err(Error::Store(_)) => return,
                Err(error) => panic!("handle: {error:?}"),
            }
        }
    }

    /// Lets everybody do what is due now.
    pub fn settle(&mut self) {
        for _ in 0..5_000 {
            let mut is_busy = false;
            for at in 0..self.members.len() {
                is_busy |= self.turn(at);
            }
            if !is_busy {
                return;
            }
        }
        let last = self.history.len() - 8;
        panic!("there is no end to it: {:?}", &self.history[last..]);
    }

    /// Runs until nothing is to be told any more and `is_done`; whether it came to that within `duration`.
    pub fn run_until(&mut self, duration: Duration, mut is_done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + duration;
        loop {
            self.settle();
            if is_done(self) {
                return true;
            }
            let wake = self.members.iter().filter_map(|member| member.node.next_wake()).min();
            let Some(wake) = wake.filter(|wake| *wake <= end) else { return false };
            assert!(wake >= self.now, "woken in the past");
            self.now = wake.max(self.now + Duration::from_micros(1));
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(duration, |_| false);
    }

    /// Whether all members agree on all logs, and hold all there is.
    pub fn is_converged(&mut self) -> bool {
        let own: Vec<_> =
            self.members.iter().map(|member| (member.node.id(), member.size(&member.node.id()))).collect();
        let roots: Vec<_> = self.members.iter_mut().map(|member| member.node.root()).collect();
        let has_all = |member: &Member<S>| own.iter().all(|(log, size)| member.size(log) == *size);
        roots.windows(2).all(|pair| pair[0] == pair[1]) && self.members.iter().all(has_all)
    }
}

fn name_of(event: &Event<'_>) -> &'static str {
    match event {
        Event::Answer { response: Response::Status(_), .. } => "handle(Status)",
        Event::Answer { response: Response::Proof(_), .. } => "handle(Proof)",
        Event::Answer { response: Response::Records(_), .. } => "handle(Records)",
        Event::Answer { response: Response::Key { .. }, .. } => "handle(Key)",
        Event::Answer { response: Response::Fork { .. }, .. } => "handle(Fork)",
        Event::Answer { response: Response::Pushed(_), .. } => "handle(Pushed)",
        _ => "handle",
    }
}

pub fn decode_response(bytes: &[u8], request: RequestId) -> Response<'_> {
    let frame = Frame::decode(bytes).unwrap();
    let Message::Response(response) = frame.message else { panic!("not a response") };
    assert_eq!(frame.id, request);
    response
}
