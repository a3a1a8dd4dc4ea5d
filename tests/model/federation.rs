//! The model: what can happen next in a federation of production nodes, and what must hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stateright::{Model, Property};
use verisoo::head::ForkProof;
use verisoo::sim::SimScheme;
use verisoo::store::{MemoryStore, Store};
use verisoo::wire::{Frame, Message, Nonce, Push, Request, RequestId, Response};
use verisoo::{Command, Config, Event, Heap, Identity, Instant, LogId, Node, Start};

use super::disk::Disk;
use super::liar::{LIES, Lie, lie};
use super::signing::identity;

type TestNode = Node<Heap<SimScheme>>;

/// The time between rounds, and what one step of time takes: all that waits for a round is then due.
const INTERVAL: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(1_300);

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Who the three of a federation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two honest nodes, and one that answers now by one history of its log, now by another.
    Forker,
    /// Three honest nodes, of which the first writes.
    Writer,
    /// The first writes, the second stands between, and lies when it likes, and the third reads.
    Liar,
}

#[derive(Clone)]
pub struct Federation {
    kind: Kind,
    appends: u8,
    ticks: u8,
    crashes: u8,
    /// Every node is every other's peer; otherwise they stand in a line, and the forker only pushes.
    is_meshed: bool,
    lies: &'static [Lie],
    /// What everything begins with has happened: the first append, the forker's pushes.
    has_begun: bool,
    /// The forker's two histories.
    personas: Vec<(TestNode, Disk)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    node: TestNode,
    disk: Disk,
    /// Records a crash left of its own log, and those appended since.
    own: Vec<u8>,
    /// What was ever durable of each log, and whether it was frozen.
    least: Vec<(u64, u64, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    now: Instant,
    members: Vec<Arc<Member>>,
    network: Arc<BTreeSet<Arc<Packet>>>,
    appends: u8,
    ticks: u8,
    crashes: u8,
    /// A crash took something that was written and not durable.
    has_lost: bool,
    /// A step did what must not be done.
    broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Deliver(Arc<Packet>),
    /// To the forker in one of its two persons.
    DeliverTo(usize, Arc<Packet>),
    /// To the relay, which answers falsely.
    DeliverAndLie(Lie, Arc<Packet>),
    Append,
    Tick,
    Crash(usize),
}

impl Federation {
    pub fn new(kind: Kind) -> Self {
        let histories: &[&[&[u8]]] = if kind == Kind::Forker { &[&[b"left"], &[b"right"]] } else { &[] };
        let personas = histories.iter().map(|records| persona(records)).collect();
        Self { kind, appends: 0, ticks: 0, crashes: 0, is_meshed: false, lies: &LIES, has_begun: false, personas }
    }

    pub fn meshed(self) -> Self {
        Self { is_meshed: true, ..self }
    }

    pub fn begun(self) -> Self {
        Self { has_begun: true, ..self }
    }

    pub fn lies(self, lies: &'static [Lie]) -> Self {
        Self { lies, ..self }
    }

    pub fn appends(self, appends: u8) -> Self {
        Self { appends, ..self }
    }

    pub fn ticks(self, ticks: u8) -> Self {
        Self { ticks, ..self }
    }

    pub fn crashes(self, crashes: u8) -> Self {
        Self { crashes, ..self }
    }

    /// What must be reachable.
    pub fn wanted(&self) -> Vec<&'static str> {
        match self.kind {
            // Recovering from a crash takes more steps than can all be looked at.
            _ if self.crashes > 0 && self.appends > 1 => vec!["lost in a crash"],
            _ if self.crashes > 0 => vec![],
            Kind::Forker => vec!["fork proven by all"],
            Kind::Writer | Kind::Liar => vec!["converged"],
        }
    }

    /// What must never be seen.
    pub fn safety() -> Vec<&'static str> {
        vec![
            "replicas are prefixes",
            "only the forker is accused",
            "what is durable stays",
            "every node is sound",
            "no step is wrong",
        ]
    }

    /// Nodes that run as they should; the forker is not one of them.
    fn honest(&self) -> usize {
        if self.kind == Kind::Forker { 2 } else { 3 }
    }

    fn peers_of(&self, member: usize) -> Vec<usize> {
        let are_linked = |other: usize| {
            let is_neighbour = other.abs_diff(member) == 1 && other < self.honest();
            other != member && (self.is_meshed || is_neighbour)
        };
        (0..3).filter(|other| are_linked(*other)).collect()
    }

    fn add_peers(&self, at: usize, node: &mut TestNode, disk: &mut Disk) {
        for peer in self.peers_of(at) {
            node.add_peer(disk, *name(peer).vkey()).expect("room for all");
        }
        for other in (0..3).filter(|other| *other != at) {
            node.follow(disk, name(other).vkey()).expect("room for all");
        }
    }

    fn member(&self, at: usize) -> Member {
        let mut disk = Disk::default();
        let mut node = TestNode::new(name(at), config(), [1; 32], Instant::ZERO);
        self.add_peers(at, &mut node, &mut disk);
        Member { node, disk, own: Vec::new(), least: vec![(0, 0, false); 3] }
    }

    /// Everything the node wants done now is done.
    fn run(&self, state: &mut State, at: usize) {
        let mut buf = vec![0; 8_192];
        let peers = self.peers_of(at);
        for count in 0.. {
            if count > 500 {
                state.broken = Some("polling does not end");
                return;
            }
            let now = state.now;
            let Member { node, disk, .. } = Arc::make_mut(&mut state.members[at]);
            let Some(command) = node.poll(now, disk) else { break };
            let Command::Notify(_) = command else {
                let (peer, _) = command.request().expect("a request");
                let to = peers[peer.get() as usize];
                if let Ok(Some(bytes)) = node.encode(disk, &command, &mut buf) {
                    send(state, Packet { from: at, to, bytes: bytes.to_vec() });
                }
                continue;
            };
        }
        Self::remember(state, at);
    }

    /// Keeps what is durable of each log, and sees that it never becomes less.
    fn remember(state: &mut State, at: usize) {
        let mut broken = None;
        let member = Arc::make_mut(&mut state.members[at]);
        for (log, least) in member.least.iter_mut().enumerate() {
            let (have, complete, forked) = held(&mut member.disk.durable, &name(log).vkey().id());
            if have < least.0 || complete < least.1 || (least.2 && (!forked || have != least.0)) {
                broken = Some("a log shrank or thawed");
            }
            *least = (have, complete, forked);
        }
        state.broken = state.broken.or(broken);
    }

    fn deliver(&self, state: &mut State, packet: &Packet) {
        let frame = Frame::decode(&packet.bytes).expect("a frame was sent");
        let (now, at) = (state.now, packet.to);
        match frame.message {
            Message::Request(request) => {
                let mut buf = vec![0; 8_192];
                let Member { node, disk, .. } = Arc::make_mut(&mut state.members[at]);
                let answer = node.respond(now, disk, frame.id, &request, &mut buf).expect("there is room");
                let bytes = answer.to_vec();
                send(state, Packet { from: at, to: packet.from, bytes });
            }
            Message::Response(response) => {
                let peer = self.peers_of(at).iter().position(|peer| *peer == packet.from);
                let Member { node, disk, .. } = Arc::make_mut(&mut state.members[at]);
                let peer = peer.and_then(|at| node.peers().nth(at)).expect("peers answer").id;
                if node.handle(now, disk, Event::Answer { peer, request: frame.id, response }).is_err() {
                    state.broken = Some("a message made a call fail");
                }
            }
        }
        self.run(state, at);
    }

    /// The forker answers as one of its persons; it learns nothing.
    fn answer_as(&self, persona: usize, state: &mut State, packet: &Packet) {
        let (mut node, mut disk) = self.personas[persona].clone();
        let frame = Frame::decode(&packet.bytes).expect("a frame was sent");
        let Message::Request(request) = frame.message else { return };
        let mut buf = vec![0; 8_192];
        let answer = node.respond(state.now, &mut disk, frame.id, &request, &mut buf).expect("there is room");
        let bytes = answer.to_vec();
        send(state, Packet { from: packet.to, to: packet.from, bytes });
    }

    fn answer_falsely(how: Lie, state: &mut State, packet: &Packet) {
        let frame = Frame::decode(&packet.bytes).expect("a frame was sent");
        let Message::Request(request) = frame.message else { return };
        let member = &state.members[packet.to];
        let (mut node, mut disk) = (member.node.clone(), member.disk.clone());
        let mut buf = vec![0; 8_192];
        let answer = node.respond(state.now, &mut disk, frame.id, &request, &mut buf).expect("there is room");
        let answer = Frame::decode(answer).expect("a frame");
        if let Some(bytes) = lie(how, NAMES[packet.to], &request, &answer) {
            send(state, Packet { from: packet.to, to: packet.from, bytes });
        }
    }

    fn crash(&self, state: &mut State, at: usize) {
        let now = state.now;
        let member = Arc::make_mut(&mut state.members[at]);
        state.has_lost |= member.disk.written != member.disk.durable;
        member.disk.crash();
        let seed = [10 + state.crashes; 32];
        let opened = TestNode::open(name(at), config(), seed, now, &mut member.disk, Start::Resume);
        member.node = opened.expect("it opens");
        self.add_peers(at, &mut member.node, &mut member.disk);
        let have = member.node.log(&name(at).vkey().id()).map_or(0, |own| own.have);
        member.own.truncate(usize::try_from(have).expect("small"));
        self.run(state, at);
    }

    fn are_prefixes(state: &State) -> bool {
        let ids = [0, 1, 2].map(|log| name(log).vkey().id());
        state.members.iter().all(|member| {
            (0..3).all(|log| {
                let id = ids[log];
                let mut records = (0..).map_while(|index| member.disk.written.record(&id, index));
                match state.members.get(log) {
                    Some(writer) => records.enumerate().all(|(at, record)| writer.own.get(at..=at) == Some(record)),
                    // The forker's two histories have a record each.
                    None => records.all(|record| [&b"left"[..], b"right"].contains(&record)),
                }
            })
        })
    }

    fn accuses_only_the_forker(&self, state: &State) -> bool {
        let vkeys = [0, 1, 2].map(|log| *name(log).vkey());
        state.members.iter().all(|member| {
            (0..3).all(|log| {
                let vkey = vkeys[log];
                let Some(info) = member.node.log(&vkey.id()) else { return true };
                if info.is_damaged || member.node.check_writing().is_err() {
                    return false;
                }
                if !info.is_forked {
                    return true;
                }
                let mut buf = [0; ForkProof::MAX_LEN];
                let len = member.disk.written.clone().fork(&vkey.id(), &mut buf).ok().flatten();
                let proven = len.and_then(|len| ForkProof::decode(&buf[..len]).ok()?.verify(&vkey).ok());
                log >= self.honest() && proven.is_some()
            })
        })
    }

    fn is_converged(state: &State) -> bool {
        let heads = |member: &'_ Member| -> Vec<_> {
            member.node.logs().map(|log| (log.log, log.complete, log.is_forked)).collect()
        };
        let first = heads(&state.members[0]);
        state.appends == 0 && state.members.iter().all(|member| heads(member) == first)
    }
}

impl Model for Federation {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let members = (0..self.honest()).map(|at| Arc::new(self.member(at))).collect();
        let Self { appends, ticks, crashes, .. } = *self;
        let (now, network) = (Instant::ZERO + INTERVAL, Arc::default());
        let mut state = State { now, members, network, appends, ticks, crashes, has_lost: false, broken: None };
        (0..self.honest()).for_each(|at| self.run(&mut state, at));
        for (persona, to) in self.personas.iter().zip(0..) {
            let push = push_of(persona, to);
            if self.has_begun {
                self.deliver(&mut state, &push);
            }
            send(&mut state, push);
        }
        let begun = if self.has_begun && appends > 0 { self.next_state(&state, Action::Append) } else { None };
        let mut state = begun.unwrap_or(state);
        (0..self.honest()).for_each(|at| self.run(&mut state, at));
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for packet in state.network.iter() {
            if packet.to < self.honest() {
                actions.push(Action::Deliver(packet.clone()));
            } else {
                (0..self.personas.len()).for_each(|persona| actions.push(Action::DeliverTo(persona, packet.clone())));
            }
            if self.kind == Kind::Liar && packet.to == 1 {
                actions.extend(self.lies.iter().map(|lie| Action::DeliverAndLie(*lie, packet.clone())));
            }
        }
        if state.appends > 0 {
            actions.push(Action::Append);
        }
        if state.ticks > 0 {
            actions.push(Action::Tick);
        }
        if state.crashes > 0 {
            actions.extend((0..self.honest()).map(Action::Crash));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Deliver(packet) => self.deliver(&mut state, &packet),
            Action::DeliverTo(persona, packet) => self.answer_as(persona, &mut state, &packet),
            Action::DeliverAndLie(lie, packet) => Self::answer_falsely(lie, &mut state, &packet),
            Action::Append => {
                // No two records are the same, so that one lost and one written in its place differ.
                let record = state.appends;
                state.appends -= 1;
                let Member { node, disk, own, .. } = Arc::make_mut(&mut state.members[0]);
                node.append(disk, &[record]).ok()?;
                own.push(record);
                // Nothing is signed yet: a crash may come first.
            }
            Action::Tick => {
                state.ticks -= 1;
                state.now = state.now + STEP;
                (0..self.honest()).for_each(|at| self.run(&mut state, at));
            }
            Action::Crash(at) => {
                state.crashes -= 1;
                self.crash(&mut state, at);
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("replicas are prefixes", |_, state| Self::are_prefixes(state)),
            Property::always("only the forker is accused", Self::accuses_only_the_forker),
            Property::always("what is durable stays", |_, state: &State| {
                state.broken != Some("a log shrank or thawed")
            }),
            Property::always("every node is sound", |_, state: &State| {
                state.members.iter().all(|member| member.node.invariants().is_ok())
            }),
            Property::always("no step is wrong", |_, state: &State| state.broken.is_none()),
            Property::sometimes("lost in a crash", |_, state: &State| state.has_lost),
            Property::sometimes("converged", |_, state| Self::is_converged(state)),
            Property::sometimes("fork proven by all", |model: &Self, state: &State| {
                let forker = name(2).vkey().id();
                let is_proven = |member: &Arc<Member>| member.node.log(&forker).is_some_and(|log| log.is_forked);
                model.kind == Kind::Forker && state.members.iter().all(is_proven)
            }),
        ]
    }
}

fn name(at: usize) -> Identity<SimScheme> {
    identity(NAMES[at])
}

fn config() -> Config {
    let mut config = Config::default();
    config.interval = INTERVAL;
    config.timeout = Duration::from_millis(100);
    config.relay_delay = Duration::from_millis(0);
    config.max_message = 4_608;
    config.window = 1;
    config.max_requests = 4;
    config.max_views = 6;
    config.max_peers = 2;
    config.max_logs = 4;
    config.introductions = verisoo::Introductions::Refuse;
    config
}

fn send(state: &mut State, packet: Packet) {
    if !state.network.contains(&packet) {
        Arc::make_mut(&mut state.network).insert(Arc::new(packet));
    }
}

fn held(store: &mut MemoryStore, log: &LogId) -> (u64, u64, bool) {
    let stored = store.log(log).ok().flatten();
    stored.map_or((0, 0, false), |log| {
        (log.state.have, log.state.complete.map_or(0, |complete| complete.head.size), log.forked)
    })
}

/// One of the forker's persons: a node that follows nobody and has written these records.
fn persona(records: &[&[u8]]) -> (TestNode, Disk) {
    let mut disk = Disk::default();
    let mut node = TestNode::new(name(2), config(), [1; 32], Instant::ZERO);
    for record in records {
        node.append(&mut disk, record).expect("memory has room");
    }
    node.publish(&mut disk).expect("memory does not fail");
    (node, disk)
}

/// The push of its log with which a person of the forker begins.
fn push_of((node, disk): &(TestNode, Disk), to: usize) -> Packet {
    let (mut node, mut disk) = (node.clone(), disk.clone());
    let log = node.id();
    let request = Request::Records { log, start: 0, count: 9, limit: 4_608 };
    let mut buf = vec![0; 8_192];
    let answer = node.respond(Instant::ZERO, &mut disk, RequestId::new(0), &request, &mut buf);
    let frame = Frame::decode(answer.expect("there is room")).expect("a frame");
    let Message::Response(Response::Records(batch)) = frame.message else { panic!("it has records") };
    let push = Push { from: log, nonce: Nonce([7; 16]), batch };
    let frame = Frame { id: RequestId::new(0), message: Message::Request(Request::Push(push)) };
    let mut buf = vec![0; 8_192];
    let bytes = frame.encode(&mut buf).expect("there is room").to_vec();
    Packet { from: 2, to, bytes }
}
