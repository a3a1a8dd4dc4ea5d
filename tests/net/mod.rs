//! A few nodes in one process and in virtual time. Every message is real wire bytes, which arrive after a fixed delay,
//! or at once where there is none, and may be tampered with on their way. After each call it is looked whether node
//! and store still say the same, and after one that failed, whether all is as it was.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses a part of it")]

mod member;
#[path = "../signing/mod.rs"]
pub mod signing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use verisoo::head::ForkProof;
use verisoo::store::{MemoryStore, Store, StoreError};
use verisoo::wire::{Frame, Message, RequestId, Response};
use verisoo::{
    Answers, Command, Config, Error, Event, Heap, Instant, LogId, Node, Notice, PeerId, Start, Tables, Vkey,
};

pub use member::{Member, TestStore};
pub use signing::{identity, nth};

/// How long a message takes, where nothing else is said.
pub const DELAY: Duration = Duration::from_millis(10);

pub const INTERVAL: Duration = Duration::from_secs(10);

/// Commands that one member may give in one moment.
const MOST_COMMANDS: usize = 5_000;

pub fn config() -> Config {
    let mut config = Config::default();
    config.interval = INTERVAL;
    config.timeout = Duration::from_secs(1);
    config
}

/// Short rounds, and messages of the smallest size allowed.
pub fn small() -> Config {
    let mut config = Config::default();
    config.interval = Duration::from_secs(1);
    config.timeout = Duration::from_millis(200);
    config.max_message = verisoo::wire::MIN_MESSAGE;
    config
}

/// Changes a message on its way, or takes it away: from whom, to whom, and what.
pub type Tamper = Box<dyn FnMut(usize, usize, &Frame<'_>) -> Option<Vec<u8>>>;

/// Nodes with real signatures, whose stores do not fail.
pub type Federation = Net<Heap, MemoryStore>;

/// Members, the messages between them, and their time.
pub struct Net<T: Tables, S> {
    pub now: Instant,
    pub members: Vec<Member<T, S>>,
    pub notices: Vec<(usize, Notice)>,
    /// Messages and bytes delivered so far.
    pub messages: usize,
    pub bytes: usize,
    pub tamper: Option<Tamper>,
    /// How long a message takes; without any it arrives before the next one is sent.
    pub delay: Duration,
    /// Under way, in the order in which they were sent.
    pub packets: VecDeque<Packet>,
    /// What a driver does where a node's store makes a call fail: with `None` it makes it again, a little later.
    pub gives_up: Option<GivesUp>,
    /// What should not have happened: which call, and what about it. Where nobody gathers them, the first one panics.
    pub complaints: Option<Vec<(&'static str, &'static str)>>,
    cut: BTreeSet<(usize, usize)>,
    starts: u8,
}

/// A driver that makes no call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivesUp {
    /// What the call was for is lost, and the node finds out by and by.
    Silently,
    /// It tells the node that a question which cannot be written has failed.
    AndTells,
}

/// A message under way.
#[derive(Clone)]
pub struct Packet {
    pub due: Instant,
    pub from: usize,
    pub to: usize,
    /// The asker's handle of who answers.
    peer: PeerId,
    pub bytes: Vec<u8>,
}

impl<T: Tables, S: TestStore> Net<T, S> {
    pub fn new() -> Self {
        Self {
            now: Instant::from_secs(1),
            members: Vec::new(),
            notices: Vec::new(),
            messages: 0,
            bytes: 0,
            tamper: None,
            delay: DELAY,
            packets: VecDeque::new(),
            gives_up: None,
            complaints: None,
            cut: BTreeSet::new(),
            starts: 0,
        }
    }

    /// Nodes of which each is answered at once.
    pub fn without_delay() -> Self {
        Self { delay: Duration::ZERO, ..Self::new() }
    }

    /// Adds a member on a store of its own.
    pub fn add_on(&mut self, name: &str, config: Config, store: S) -> usize {
        let node = Node::new(identity(name), config.clone(), self.seed(), self.now);
        let (name, routes) = (name.into(), BTreeMap::new());
        self.members.push(Member { node, store, name, config, requests: 0, is_up: true, routes });
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
        let peer = self.insist(a, "add_peer", |node, store| node.add_peer(store, vkey));
        self.members[a].routes.insert(peer, b);
        peer
    }

    pub fn peer(&self, a: usize, b: usize) -> PeerId {
        *self.members[a].routes.iter().find(|(_, to)| **to == b).unwrap().0
    }

    pub fn id(&self, a: usize) -> LogId {
        self.members[a].node.id()
    }

    pub fn vkey(&self, a: usize) -> Vkey<T::Scheme> {
        *self.members[a].node.vkey()
    }

    pub fn append(&mut self, a: usize, record: &[u8]) -> u64 {
        self.insist(a, "append", |node, store| node.append(store, record))
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
        for _ in 0..1_000 {
            let (seed, now, member) = (self.seed(), self.now, &mut self.members[a]);
            let (identity, config) = (identity(&member.name), member.config.clone());
            match Node::open(identity, config, seed, now, &mut member.store, start) {
                Ok(node) => return self.put(a, node),
                Err(Error::Store(_)) if member.store.may_fail() => self.starts -= 1,
                Err(error) => panic!("open: {error:?}"),
            }
        }
        panic!("open never succeeds");
    }

    fn put(&mut self, a: usize, node: Node<T>) {
        let member = &mut self.members[a];
        member.node = node;
        member.is_up = true;
        for to in std::mem::take(&mut member.routes).into_values() {
            self.dial(a, to);
        }
    }

    /// Makes a call that is made again, a little later, until it succeeds.
    pub fn insist<R>(
        &mut self,
        a: usize,
        name: &'static str,
        mut call: impl FnMut(&mut Node<T>, &mut dyn Store) -> Result<R, Error>,
    ) -> R {
        self.attempt(a, name, 1_000, |_, node, store| call(node, store)).expect(name)
    }

    /// Makes a call so often at most, while it is the store that makes it fail.
    fn attempt<R>(
        &mut self,
        a: usize,
        name: &'static str,
        tries: usize,
        mut call: impl FnMut(Instant, &mut Node<T>, &mut dyn Store) -> Result<R, Error>,
    ) -> Option<R> {
        for number in 0..tries {
            if number > 0 {
                self.now = self.now + Duration::from_millis(1);
            }
            let now = self.now;
            match self.call(a, name, |node, store| call(now, node, store)) {
                Ok(value) => return Some(value),
                Err(Error::Store(_)) if self.members[a].store.may_fail() => {}
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
        None
    }

    /// How often a driver makes a call that fails.
    fn tries(&self) -> usize {
        if self.gives_up.is_some() { 1 } else { 100 }
    }

    fn call<R>(
        &mut self,
        a: usize,
        name: &'static str,
        call: impl FnOnce(&mut Node<T>, &mut dyn Store) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let (result, complaint) = self.members[a].call(call);
        self.check(a, name, complaint);
        result
    }

    /// What must hold of a member after each call; all calls come by here.
    fn check(&mut self, a: usize, call: &'static str, complaint: Option<&'static str>) {
        let member = &mut self.members[a];
        let Some(complaint) = complaint.or_else(|| member.node.invariants().err()).or_else(|| member.disagreement())
        else {
            return;
        };
        match &mut self.complaints {
            Some(complaints) => complaints.push((call, complaint)),
            None => panic!("{call} of {}: {complaint}", member.name),
        }
    }

    /// Lets a member want one thing done, and sends what is to be sent for it; whether it wanted anything.
    pub fn poll(&mut self, a: usize) -> bool {
        let now = self.now;
        let polled = self.call(a, "poll", |node, store| Ok(node.poll(now, store)));
        let Ok(Some(command)) = polled else { return false };
        let Some((peer, request)) = command.request() else {
            let Command::Notify(notice) = command else { panic!("{command:?}") };
            self.notices.push((a, notice));
            return true;
        };
        let mut buf = vec![0; self.room(a)];
        let len = self.attempt(a, "encode", self.tries(), |_, node, store| {
            Ok(node.encode(store, &command, &mut buf)?.map(<[u8]>::len))
        });
        if let (Some(Some(len)), Some(to)) = (len, self.members[a].routes.get(&peer).copied()) {
            self.members[a].requests += 1;
            buf.truncate(len);
            self.send(a, to, peer, buf);
        } else if len.is_none() && self.gives_up == Some(GivesUp::AndTells) {
            self.hand_over(a, Event::RequestFailed { peer, request });
        }
        true
    }

    /// The length of the longest message that a member sends.
    fn room(&self, a: usize) -> usize {
        self.members[a].node.config().max_message as usize
    }

    fn send(&mut self, from: usize, to: usize, peer: PeerId, bytes: Vec<u8>) {
        self.packets.push_back(Packet { due: self.now + self.delay, from, to, peer, bytes });
    }

    /// A packet arrives.
    pub fn deliver(&mut self, packet: &Packet) {
        let Packet { from, to, peer, .. } = *packet;
        if self.cut.contains(&(from, to)) || !self.members[to].is_up {
            return;
        }
        let Ok(frame) = Frame::decode(&packet.bytes) else { return };
        let replaced = match &mut self.tamper {
            Some(tamper) => match tamper(from, to, &frame) {
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
            Message::Request(_) => {
                let answer = self.ask(to, bytes);
                self.send(to, from, peer, answer);
            }
            Message::Response(response) if self.members[to].routes.get(&peer) == Some(&from) => {
                self.hand_over(to, Event::Answer { peer, request: frame.id, response });
            }
            Message::Response(_) => {}
        }
    }

    /// What a member answers to a request, whoever asks.
    pub fn ask(&mut self, a: usize, bytes: &[u8]) -> Vec<u8> {
        let Frame { id, message: Message::Request(request) } = Frame::decode(bytes).unwrap() else {
            panic!("not a request")
        };
        let (now, mut buf) = (self.now, vec![0; self.room(a)]);
        let answer =
            self.call(a, "respond", |node, store| Ok(node.respond(now, store, id, &request, &mut buf).unwrap().len()));
        buf.truncate(answer.unwrap());
        buf
    }

    /// An event comes to a member.
    pub fn hand_over(&mut self, a: usize, event: Event<'_>) {
        self.attempt(a, "handle", self.tries(), |now, node, store| {
            let result = node.handle(now, store, event);
            assert!(matches!(result, Ok(()) | Err(Error::Store(StoreError::NotReady))), "{result:?}");
            result
        });
    }

    /// Lets a member do one thing, and what is due arrive; whether there was something to do.
    pub fn turn(&mut self, a: usize) -> bool {
        let is_busy = self.members[a].is_up && self.poll(a);
        self.deliver_due();
        is_busy
    }

    fn deliver_due(&mut self) {
        while self.packets.front().is_some_and(|packet| packet.due <= self.now) {
            if let Some(packet) = self.packets.pop_front() {
                self.deliver(&packet);
            }
        }
    }

    /// Lets everybody do what is due now.
    pub fn settle(&mut self) {
        self.deliver_due();
        for _ in 0..MOST_COMMANDS {
            let mut is_busy = false;
            for a in 0..self.members.len() {
                is_busy |= self.turn(a);
            }
            if !is_busy {
                return;
            }
        }
        let busy = (0..self.members.len()).find(|a| self.turn(*a));
        panic!("there is no end to it: {:?}", busy.map(|a| &self.members[a].node));
    }

    /// Runs until nothing is to be told any more and `is_done`; whether it came to that within `duration`.
    pub fn run_until(&mut self, duration: Duration, mut is_done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + duration;
        loop {
            self.settle();
            if is_done(self) {
                return true;
            }
            let wakes = self.members.iter().filter(|member| member.is_up).filter_map(|member| member.node.next_wake());
            let next = wakes.chain(self.packets.front().map(|packet| packet.due)).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = self.now.max(end);
                return false;
            };
            assert!(next >= self.now, "woken in the past");
            self.now = next.max(self.now + Duration::from_micros(1));
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(duration, |_| false);
    }

    pub fn run_rounds(&mut self, rounds: u32) {
        self.run_for(INTERVAL * rounds * 5 / 4);
    }

    /// Whether these members have the same complete heads of all logs.
    pub fn is_converged(&mut self, members: &[usize]) -> bool {
        let roots: BTreeSet<_> = members.iter().map(|a| self.members[*a].node.root()).collect();
        roots.len() == 1
    }

    /// Whether all members agree on all logs, and hold all there is.
    pub fn is_complete(&mut self) -> bool {
        let all = self.all();
        let own: Vec<_> = all.iter().map(|a| (self.id(*a), self.size(*a, &self.id(*a)))).collect();
        self.is_converged(&all) && all.iter().all(|a| own.iter().all(|(log, size)| self.size(*a, log) == *size))
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
    pub fn assert_fork_proof(&mut self, a: usize, log: &LogId, vkey: &Vkey<T::Scheme>) {
        let mut buf = vec![0; ForkProof::MAX_LEN];
        let len = self.members[a].store.fork(log, &mut buf).unwrap().expect("a fork proof is kept");
        let proof = ForkProof::decode(&buf[..len]).unwrap();
        assert_eq!(proof.verify(vkey), Ok(()));
    }
}

impl<T: Tables, S: TestStore + Default> Net<T, S> {
    /// Members with these names, not yet connected.
    pub fn of(names: &[&str]) -> Self {
        let mut net = Self::new();
        for name in names {
            net.add(name);
        }
        net
    }

    pub fn add(&mut self, name: &str) -> usize {
        self.add_with(name, config())
    }

    pub fn add_with(&mut self, name: &str, config: Config) -> usize {
        self.add_on(name, config, S::default())
    }

    /// Starts a stopped member as if its log had never existed.
    pub fn start_anew(&mut self, a: usize) {
        let (seed, now, member) = (self.seed(), self.now, &mut self.members[a]);
        member.store = S::default();
        let node = Node::new(identity(&member.name), member.config.clone(), seed, now);
        self.put(a, node);
    }

    /// Starts a member whose store is lost.
    pub fn start_from_nothing(&mut self, a: usize) {
        self.members[a].store = S::default();
        self.start(a, Start::Recover(Answers::All));
    }
}

/// The answer to a request, in a frame.
pub fn decode_response(bytes: &[u8], request: RequestId) -> Response<'_> {
    let Frame { id, message: Message::Response(response) } = Frame::decode(bytes).unwrap() else {
        panic!("not a response")
    };
    assert_eq!(id, request);
    response
}
