//! One node among peers that the fuzzer plays: what the peers can truthfully say is built from writers'
//! logs; then it is changed. After each step everything that must hold is checked.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use verisoo::log::{ForkProof, leaf_hash};
use verisoo::store::{MemoryStore, Store};
use verisoo::wire::{
    Batch, Entries, Entry, Frame, Message, OwnLog, Proof, ProofAnswer, Push, PushWord, Refusal, Request, RequestId,
    Response, Signed, StatusBody, StatusRequest,
};
use verisoo::{
    Command, Config, Error, Event, Hash, Head, Heap, Identity, Instant, Introductions, LogId, Node, Notice, PeerId,
    Signature, SignedHead, Start,
};

use super::cheap::{Cheap, identity, signed_text};
use super::input::Input;
use super::store::FaultyStore;
use super::verifier::is_consistent;
use super::writer::Writer;

pub type TestNode = Node<Heap<Cheap>>;

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
    peers: BTreeMap<PeerId, Identity<Cheap>>,
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
        self.sent.clear();
        self.add_peers();
    }

    pub fn append(&mut self, record: &[u8]) -> Result<u64, Error> {
        let may_fail = self.store.fail.is_some() || !self.expects_writing;
        let before = may_fail.then(|| (self.node.clone(), self.store.memory.clone()));
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
    fn has_same_logs(&self, before: &MemoryStore) -> bool {
        let mut now = self.store.memory.clone();
        let mut before = before.clone();
        let own = self.own.id();
        if before.log(&own).ok().flatten().is_none()
            && now.log(&own).ok().flatten().is_some_and(|log| log.state.have == 0)
        {
            now.remove(&own).expect("memory");
            before.remove(&own).expect("memory");
        }
        now == before
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

    fn check_notice(&self, notice: Notice) {
        match notice {
            Notice::ForkDetected { log } => self.assert_forker(&log),
            Notice::WritingStopped => panic!("nobody else has the node's key"),
            Notice::LogDamaged { .. } => panic!("nothing is damaged"),
            Notice::StoreFailed { error } => assert!(self.store.has_failed, "the store has not failed: {error}"),
            _ => {}
        }
    }

    fn assert_forker(&self, log: &LogId) {
        assert_eq!(*log, self.writers[FORKER[0]].id(), "an honest writer is accused");
        assert!(self.has_forked(), "a writer is accused of what it has not done yet");
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

    // What the node is told.

    /// Gives the node an answer's bytes, as a driver would.
    pub fn answer(&mut self, peer: PeerId, bytes: &[u8]) {
        let Ok(Frame { id, message: Message::Response(response) }) = Frame::decode(bytes) else { return };
        self.handle(Event::answer(peer, id, response));
    }

    pub fn handle(&mut self, event: Event<'_>) {
        let before = self.store.fail.is_some().then(|| (self.node.clone(), self.store.memory.clone()));
        if let Err(error) = self.node.handle(self.now, &mut self.store, event) {
            let Some(before) = before else { panic!("{event:?} failed: {error}") };
            let kind = std::mem::discriminant(&event);
            let what = |node: &TestNode| format!("{node:#?}");
            assert!(
                self.node == before.0,
                "an event ({kind:?}) that failed ({error}) changed the node: {}",
                differences(&what(&before.0), &what(&self.node))
            );
            assert!(self.store.memory == before.1, "an event ({kind:?}) that failed ({error}) changed the store");
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

    // Safety.

    /// Everything that must hold after each step.
    pub fn check(&mut self) {
        let logs: Vec<_> = self.node.logs().collect();
        assert!(logs.len() <= self.config.max_logs && self.node.peers().count() <= self.config.max_peers);
        if self.expects_writing {
            assert_eq!(self.node.check_writing(), Ok(()), "the node was stopped from writing");
        }
        // (Read without failing.)
        let mut store = std::mem::take(&mut self.store.memory);
        for info in logs {
            let Some(stored) = store.log(&info.log).expect("memory") else {
                assert_eq!((info.have, info.log), (0, self.own.id()));
                continue;
            };
            assert!(!info.is_damaged);
            let state = stored.state;
            let complete = state.complete.map_or(Head::EMPTY, |signed| signed.head);
            assert_eq!((info.have, info.complete, info.is_forked), (state.have, complete, stored.forked));
            assert!(complete.size <= state.have);

            let histories = self.histories(&info.log);
            let mut framed = vec![0; usize::try_from(stored.bytes).expect("small")];
            let read = store.records(&info.log, 0, state.have, &mut framed).expect("memory");
            assert_eq!(read.count, state.have);
            assert!(
                state.have == 0 || histories.iter().any(|writer| writer.has(0, &framed[..read.len])),
                "the node holds records that nobody wrote"
            );
            for signed in [state.complete, state.covering, state.unproven].into_iter().flatten() {
                assert!(
                    histories.iter().any(|writer| is_head_of(&signed, writer)),
                    "the node took a head that its writer did not sign"
                );
            }
            let least = self.least.entry(info.log).or_default();
            assert!(state.have >= least.0 && complete.size >= least.1, "a log became shorter");
            *least = (state.have, complete.size);
            self.check_frozen(&mut store, &info.log, stored.forked, state.have);
        }
        self.store.memory = store;
        for log in self.frozen.keys() {
            assert!(self.node.log(log).is_none_or(|log| log.is_forked), "a frozen log thawed");
        }
    }

    /// A log is not followed any more: what is held of it may begin anew.
    pub fn forget(&mut self, log: &LogId) {
        self.least.remove(log);
        self.frozen.remove(log);
    }

    /// The node starts on an older store.
    pub fn forget_all(&mut self) {
        self.least.clear();
        self.frozen.clear();
    }

    fn check_frozen(&mut self, store: &mut MemoryStore, log: &LogId, is_forked: bool, have: u64) {
        if !is_forked {
            assert!(!self.frozen.contains_key(log), "a fork proof was forgotten");
            return;
        }
        self.assert_forker(log);
        let mut buf = [0; ForkProof::MAX_LEN];
        let len = store.fork(log, &mut buf).expect("memory").expect("a frozen log has its proof");
        let proof = ForkProof::decode(&buf[..len]).expect("a kept proof can be read");
        assert_eq!(proof.verify(self.writers[FORKER[0]].identity.vkey()), Ok(()));
        assert_eq!(*self.frozen.entry(*log).or_insert(have), have, "a frozen log grew");
    }

    /// What may leave the node: true, durable, and of what it holds.
    fn check_sent(&mut self, bytes: &[u8]) {
        let frame = Frame::decode(bytes).expect("what a node says is a frame");
        match frame.message {
            Message::Request(Request::Push(push)) => {
                assert_eq!(push.from, self.own.id());
                self.check_batch(&push.batch);
            }
            Message::Request(Request::PushFork { log, proof }) => self.check_fork(&log, proof),
            Message::Request(_) => {}
            Message::Response(_) => panic!("a request is no response"),
        }
    }

    fn check_answer(&mut self, request: &Request<'_>, response: &Response<'_>, len: usize) {
        let limit = match request {
            Request::Status(asked) => asked.limit,
            Request::Proof { limit, .. } | Request::Records { limit, .. } => *limit,
            _ => u32::MAX,
        };
        let is_refusal = matches!(response, Response::Refused(_));
        assert!(is_refusal || len <= limit.min(self.config.max_message) as usize, "longer than was asked for");
        match (request, response) {
            (_, Response::Refused(_)) => {}
            (Request::Status(asked), Response::Status(status)) => {
                self.check_status(asked, status);
            }
            (Request::Proof { log, size, .. }, Response::Proof(answer)) => {
                assert_eq!((answer.log, answer.size), (*log, *size));
                let Head { size: new, root } = answer.head.head;
                let proof = answer.proof.hashes();
                assert!(*size == 0 || is_consistent(*size, &answer.root, new, &root, proof), "a false proof");
                self.check_head(log, &answer.head);
            }
            (Request::Records { log, start, count, .. }, Response::Records(batch)) => {
                assert_eq!((batch.log, batch.start), (*log, *start));
                let records = verisoo::Records::new(batch.records).iter().count() as u64;
                assert!(records > 0 && records <= *count || *count == 0);
                self.check_batch(batch);
            }
            (Request::Key { log }, Response::Key { log: answered, name, key }) => {
                assert_eq!(log, answered);
                let vkey = verisoo::Vkey::<Cheap>::new(verisoo::Name::new(name).expect("a name"), *key);
                assert_eq!(vkey.expect("a key").id(), *log);
            }
            (Request::Fork { log }, Response::Fork { proof, .. }) => self.check_fork(log, proof),
            (Request::Push(push), Response::Pushed(word)) => self.check_word(push, word),
            (Request::PushFork { log, .. }, Response::PushedFork { .. }) => {
                assert!(self.store.synced.log(log).expect("memory").is_some_and(|log| log.forked), "not durable");
            }
            (request, response) => panic!("{request:?} is answered by {response:?}"),
        }
    }

    fn check_status(&mut self, asked: &StatusRequest, status: &Signed<'_>) {
        let text = signed_text(*b"verisoo/status", &self.own.id(), &asked.asker, &asked.nonce, status.body);
        assert!(self.node.vkey().verify(&text, &status.signature));
        let body = StatusBody::decode(status.body).expect("a status");
        if let Some(own) = body.own {
            let histories = self.histories(&asked.asker);
            let longest = histories.iter().map(|writer| writer.size()).max();
            assert!(longest >= Some(own.have), "more than there is");
        }
        for entry in body.entries.iter() {
            let entry = entry.expect("an entry");
            assert!(asked.after < Some(entry.log));
            let have = self.store.synced.log(&entry.log).expect("memory").map_or(0, |log| log.state.have);
            assert!(entry.have <= have && entry.complete.size <= entry.have, "it is not durable");
            if let Some(unproven) = entry.unproven {
                self.check_head(&entry.log, &unproven);
            }
        }
    }

    fn check_word(&mut self, push: &Push<'_>, word: &Signed<'_>) {
        let text = signed_text(*b"verisoo/pushed", &self.own.id(), &push.from, &push.nonce, word.body);
        assert!(self.node.vkey().verify(&text, &word.signature));
        let word = PushWord::decode(word.body).expect("a word");
        assert_eq!(word.log, push.batch.log);
        let have = self.store.synced.log(&word.log).expect("memory").map_or(0, |log| log.state.have);
        assert!(word.complete.size <= word.have && word.have <= have, "it is not durable");
    }

    fn check_batch(&mut self, batch: &Batch<'_>) {
        self.check_head(&batch.log, &batch.head);
        let count = verisoo::Records::new(batch.records).iter().count() as u64;
        let end = batch.start + count;
        if count > 0 {
            let synced = self.store.synced.log(&batch.log).expect("memory").map_or(0, |log| log.state.have);
            assert!(end <= synced, "records are sent that are not durable");
            let histories = self.histories(&batch.log);
            let history = histories.iter().find(|writer| writer.has(batch.start, batch.records));
            let history = history.expect("records are sent that nobody wrote");
            let Head { size, root } = batch.head.head;
            let any = histories.iter().filter(|writer| writer.has(batch.start, batch.records));
            let leads =
                any.into_iter().any(|writer| is_consistent(end, &writer.root(end), size, &root, batch.proof.hashes()));
            assert!(leads, "a false batch of {}", history.identity.vkey());
        }
    }

    /// A head that leaves the node is signed and durable; of its own log there is never more than one
    /// history.
    fn check_head(&mut self, log: &LogId, signed: &SignedHead) {
        let histories = self.histories(log);
        assert!(histories.iter().any(|writer| is_head_of(signed, writer)), "a head is shown that nobody signed");
        let state = self.store.synced.log(log).expect("memory").expect("a log that is stored").state;
        let durable = [state.complete, state.covering, state.unproven];
        assert!(
            durable.contains(&Some(*signed)),
            "a head is shown that is not durable: {signed:?}, {state:?}, own {}",
            *log == self.own.id()
        );
        if *log == self.own.id() {
            self.shown.insert(signed.head.size, *signed);
        }
    }

    fn check_fork(&self, log: &LogId, proof: &[u8]) {
        self.assert_forker(log);
        let proof = ForkProof::decode(proof).expect("a fork proof");
        assert_eq!(proof.verify(self.writers[FORKER[0]].identity.vkey()), Ok(()));
    }

    // What peers say.

    /// A peer's answer to a request, true if `input` is `None`; otherwise of what the input chooses, and
    /// changed as it says.
    pub fn reply(&self, peer: PeerId, request: &[u8], input: Option<&mut Input<'_>>) -> Vec<u8> {
        let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(request) else {
            panic!("requests are kept as they were sent")
        };
        let honest = &mut Input::new(&[]);
        let (is_honest, input) = input.map_or((true, honest), |input| (false, input));
        match request {
            Request::Status(asked) => self.reply_status(peer, id, &asked, is_honest, input),
            Request::Proof { log, size, .. } => self.reply_proof(peer, id, log, size, is_honest, input),
            Request::Records { log, start, count, limit } => {
                self.reply_records(peer, id, log, start..start.saturating_add(count), limit, is_honest, input)
            }
            Request::Key { log } => {
                let other = &self.writers[input.below(5)];
                let writer = if !is_honest && input.below(4) == 0 {
                    Some(Cow::Borrowed(other))
                } else {
                    self.held_by(peer, &log)
                };
                let Some(writer) = writer else { return encode(id, Response::Refused(Refusal::Unknown)) };
                let vkey = writer.identity.vkey();
                encode(id, Response::Key { log, name: vkey.name().as_str(), key: *vkey.key() })
            }
            Request::Fork { log } => match self.fork_proof(input) {
                Some(proof) if log == self.writers[FORKER[0]].id() => encode(id, Response::Fork { log, proof: &proof }),
                _ => encode(id, Response::Refused(Refusal::NotHeld)),
            },
            Request::Push(push) => {
                let have = if is_honest { push.batch.head.head.size } else { input.between(0, 20) };
                let complete = if is_honest { push.batch.head.head } else { Head::EMPTY };
                self.reply_word(peer, id, &push, &PushWord { log: push.batch.log, complete, have })
            }
            Request::PushFork { log, .. } => {
                self.told.borrow_mut().insert(self.node_of(peer));
                encode(id, Response::PushedFork { log })
            }
            _ => unreachable!("all requests there are"),
        }
    }

    /// The history of a log that a peer stands for: the second peer saw the forker's other one.
    fn held_by(&self, peer: PeerId, log: &LogId) -> Option<Cow<'_, Writer>> {
        if *log == self.own.id() {
            return Some(Cow::Owned(self.shown_own()));
        }
        let histories = self.histories(log);
        let is_second = self.peers.keys().position(|other| *other == peer) == Some(1);
        let history = if is_second { histories.last() } else { histories.first() };
        history.copied().map(Cow::Borrowed)
    }

    /// What the node has shown of its own log: nobody else can sign for it.
    fn shown_own(&self) -> Writer {
        self.own.truncated(self.shown.keys().next_back().copied().unwrap_or(0))
    }

    fn any_history(&self, log: &LogId, input: &mut Input<'_>) -> Option<Cow<'_, Writer>> {
        if *log == self.own.id() {
            return Some(Cow::Owned(self.shown_own()));
        }
        let histories = self.histories(log);
        histories.get(input.below(histories.len())).copied().map(Cow::Borrowed)
    }

    fn reply_status(
        &self,
        peer: PeerId,
        id: RequestId,
        asked: &StatusRequest,
        is_honest: bool,
        input: &mut Input<'_>,
    ) -> Vec<u8> {
        let mut logs: BTreeSet<LogId> = self.writers.iter().map(Writer::id).collect();
        logs.insert(self.own.id());
        if !is_honest {
            logs.retain(|_| input.below(4) != 0);
            (0..input.below(3)).for_each(|_| {
                logs.insert(LogId::from_bytes([input.byte(); 32]));
            });
        }
        let mut entries = Vec::new();
        for log in logs.into_iter().filter(|log| Some(*log) > asked.after) {
            let entry = self.entry(peer, log, is_honest, input);
            entries.extend(to_bytes(&entry));
        }
        let shown = self.shown.values().last().copied();
        let own = shown.map(|head| OwnLog { have: head.head.size, head: Some(head) });
        let own = own.unwrap_or(OwnLog { have: 0, head: None });
        let body = StatusBody {
            digest: leaf_hash(&entries),
            max_message: if is_honest { 8_192 } else { input.choose(&[0, 4_608, 8_192, u32::MAX]) },
            recovering: false,
            own: Some(own).filter(|_| is_honest || input.flag()),
            listed: is_honest || input.below(8) != 7,
            more: !is_honest && input.below(8) == 1,
            entries: Entries::new(&entries),
        };
        let mut body = to_bytes(&body);
        if !is_honest && input.below(8) == 1 {
            input.mutate(&mut body, 2);
        }
        let text = signed_text(*b"verisoo/status", &self.node_of(peer), &asked.asker, &asked.nonce, &body);
        let signature = self.peers[&peer].sign(&text);
        encode(id, Response::Status(Signed { signature, body: &body }))
    }

    fn entry(&self, peer: PeerId, log: LogId, is_honest: bool, input: &mut Input<'_>) -> Entry {
        if log == self.own.id() {
            let shown = self.shown.values().last().map_or(Head::EMPTY, |signed| signed.head);
            let complete = if is_honest || input.flag() { shown } else { Head { size: 7, root: leaf_hash(b"lie") } };
            return Entry { log, complete, have: complete.size, covering: None, unproven: None, forked: false };
        }
        if is_honest {
            let complete = self.held_by(peer, &log).map_or(Head::EMPTY, |writer| writer.head(writer.size()));
            let forked = self.writers[FORKER[0]].id() == log && self.told.borrow().contains(&self.node_of(peer));
            return Entry { log, complete, have: complete.size, covering: None, unproven: None, forked };
        }
        let Some(writer) = self.any_history(&log, input) else {
            let complete = Head { size: input.between(1, 9), root: leaf_hash(b"invented") };
            return Entry { log, complete, have: complete.size, covering: None, unproven: None, forked: input.flag() };
        };
        let at = input.between(0, writer.size());
        let mut complete = writer.head(at);
        let mut have = input.between(at, writer.size());
        match input.below(8) {
            1 => complete = Head { size: at + 1, root: leaf_hash(b"false") },
            2 => have = u64::MAX,
            3 => complete = Head { size: 1 << 62, root: leaf_hash(b"false") },
            _ => {}
        }
        let unproven = (input.below(3) == 0).then(|| self.some_head(&writer, input));
        Entry { log, complete, have, covering: None, unproven, forked: input.below(8) == 1 }
    }

    /// A head that the writer signed, or one that nobody did.
    fn some_head(&self, writer: &Writer, input: &mut Input<'_>) -> SignedHead {
        let signed = writer.sign(input.between(0, writer.size()));
        match input.below(8) {
            1 => SignedHead { signature: Signature::from_bytes([input.byte(); 64]), ..signed },
            2 => SignedHead { head: Head { size: signed.head.size + 1, ..signed.head }, ..signed },
            3 => self.writers[input.below(5)].sign(0),
            _ => signed,
        }
    }

    fn reply_proof(
        &self,
        peer: PeerId,
        id: RequestId,
        log: LogId,
        size: u64,
        is_honest: bool,
        input: &mut Input<'_>,
    ) -> Vec<u8> {
        let history = if is_honest { self.held_by(peer, &log) } else { self.any_history(&log, input) };
        let Some(writer) = history.filter(|writer| size <= writer.size()) else {
            return encode(id, Response::Refused(Refusal::NotHeld));
        };
        let new = if is_honest { writer.size() } else { input.between(size, writer.size()) };
        let (mut head, mut root, mut hashes) = (writer.sign(new), writer.root(size), writer.proof(size, new));
        let (mut named, mut at) = (log, size);
        if !is_honest {
            for _ in 0..input.below(3) {
                match input.below(6) {
                    0 => head = self.some_head(&writer, input),
                    1 => root = leaf_hash(&[input.byte()]),
                    2 => drop(input.mutate_hashes(&mut hashes)),
                    3 => named = self.writers[input.below(5)].id(),
                    4 => at = input.between(0, 20),
                    _ => root = Hash::EMPTY_ROOT,
                }
            }
        }
        let proof = Proof::new(&hashes).unwrap_or_default();
        encode(id, Response::Proof(ProofAnswer { log: named, size: at, root, head, proof }))
    }

    #[expect(clippy::too_many_arguments, reason = "a request's parts")]
    fn reply_records(
        &self,
        peer: PeerId,
        id: RequestId,
        log: LogId,
        range: std::ops::Range<u64>,
        limit: u32,
        is_honest: bool,
        input: &mut Input<'_>,
    ) -> Vec<u8> {
        if is_honest {
            let history = self.held_by(peer, &log).filter(|writer| range.start < writer.size());
            let Some(writer) = history else { return encode(id, Response::Refused(Refusal::NotHeld)) };
            let mut end = range.end.min(writer.size());
            while end > range.start + 1 && writer.framed(range.start, end).len() + 2_400 > limit as usize {
                end -= 1;
            }
            let (records, head) = (writer.framed(range.start, end), writer.sign(writer.size()));
            let hashes = writer.proof(end, writer.size());
            let proof = Proof::new(&hashes).expect("a proof");
            return encode(id, Response::Records(Batch { log, start: range.start, head, proof, records: &records }));
        }
        let batch = self.some_batch(log, range.start, input);
        encode(id, Response::Records(batch.as_batch()))
    }

    /// A batch of some history of the log from `start` on, perhaps changed.
    pub fn some_batch(&self, log: LogId, start: u64, input: &mut Input<'_>) -> OwnedBatch {
        let writer = self.any_history(&log, input).unwrap_or(Cow::Borrowed(&self.writers[0]));
        let start = start.min(writer.size());
        let end = input.between(start, writer.size());
        let size = input.between(end, writer.size());
        let mut batch = OwnedBatch {
            log,
            start,
            head: writer.sign(size),
            proof: writer.proof(end, size),
            records: writer.framed(start, end),
        };
        for _ in 0..input.below(3) {
            match input.below(7) {
                0 => batch.head = self.some_head(&writer, input),
                1 => drop(input.mutate_hashes(&mut batch.proof)),
                2 => input.mutate(&mut batch.records, 2),
                3 => batch.log = self.writers[input.below(5)].id(),
                4 => batch.start = input.between(0, 20),
                5 => batch.records = writer.framed(0, end),
                _ => batch.records.extend(writer.framed(start, end)),
            }
        }
        batch
    }

    fn reply_word(&self, peer: PeerId, id: RequestId, push: &Push<'_>, word: &PushWord) -> Vec<u8> {
        let body = to_bytes(word);
        let text = signed_text(*b"verisoo/pushed", &self.node_of(peer), &push.from, &push.nonce, &body);
        encode(id, Response::Pushed(Signed { signature: self.peers[&peer].sign(&text), body: &body }))
    }

    fn node_of(&self, peer: PeerId) -> LogId {
        self.peers[&peer].vkey().id()
    }

    /// A proof that the forker forked, if it has, perhaps changed.
    pub fn fork_proof(&self, input: &mut Input<'_>) -> Option<Vec<u8>> {
        let [left, right] = FORKER.map(|at| &self.writers[at]);
        let least = left.size().min(right.size());
        let first = (1..=least).find(|size| left.root(*size) != right.root(*size))?;
        let size = input.between(first, least);
        let heads = [left.sign(input.between(size, left.size())), right.sign(input.between(size, right.size()))];
        let proofs = [left.proof(size, heads[0].head.size), right.proof(size, heads[1].head.size)];
        let proof =
            ForkProof { heads, size, roots: [left.root(size), right.root(size)], proofs: [&proofs[0], &proofs[1]] };
        let mut bytes = vec![0; ForkProof::MAX_LEN];
        let len = proof.encode(&mut bytes).expect("there is room");
        bytes.truncate(len);
        Some(bytes)
    }

    /// From here on all peers are honest and the store works: the node catches up with everybody, or
    /// proves the fork, before so many rounds have passed.
    pub fn drain(&mut self, rounds: u64) {
        self.store.fail = None;
        self.node.resume();
        let end = self.now + Duration::from_secs(rounds);
        loop {
            self.poll();
            for (peer, request) in std::mem::take(&mut self.sent) {
                let reply = self.reply(peer, &request, None);
                self.answer(peer, &reply);
            }
            self.poll();
            if !self.sent.is_empty() {
                continue;
            }
            self.check();
            let behind = self.what_is_missing();
            let Some(behind) = behind else { return };
            assert!(self.now < end, "{behind}: {:#?}", self.node);
            let wake = self.node.next_wake().expect("a node with peers has something to wait for");
            assert!(wake > self.now, "the node wakes itself for nothing");
            self.now = wake;
        }
    }

    /// What keeps the node from having everything.
    fn what_is_missing(&self) -> Option<&'static str> {
        for at in HONEST {
            let writer = &self.writers[at];
            if self.node.log(&writer.id()).expect("followed").complete.size < writer.size() {
                return Some("behind an honest writer");
            }
        }
        let forker = self.node.log(&self.writers[FORKER[0]].id()).expect("followed");
        let longest = FORKER.map(|at| self.writers[at].size()).into_iter().max();
        if self.has_forked() && !forker.is_forked {
            return Some("a fork was not proven");
        }
        if !self.has_forked() && Some(forker.complete.size) < longest {
            return Some("behind the forker, which has not forked yet");
        }
        let own = self.node.log(&self.own.id()).expect("its own");
        if self.node.check_writing().is_err() || own.complete.size < self.own.size() {
            return Some("its own log is not published");
        }
        None
    }
}

pub struct OwnedBatch {
    pub log: LogId,
    pub start: u64,
    pub head: SignedHead,
    pub proof: Vec<[u8; 32]>,
    pub records: Vec<u8>,
}

impl OwnedBatch {
    pub fn as_batch(&self) -> Batch<'_> {
        let proof = Proof::new(&self.proof).unwrap_or_default();
        Batch { log: self.log, start: self.start, head: self.head, proof, records: &self.records }
    }
}

fn is_head_of(signed: &SignedHead, writer: &Writer) -> bool {
    signed.head.size <= writer.size()
        && writer.head(signed.head.size) == signed.head
        && signed.verify(writer.identity.vkey()).is_ok()
}

pub fn encode(id: RequestId, response: Response<'_>) -> Vec<u8> {
    encode_frame(&Frame { id, message: Message::Response(response) })
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
