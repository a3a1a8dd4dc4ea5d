//! What a caller can do wrong: each error can be had, and leaves node and store equal to what they were.

mod net;

use std::error::Error as _;

use net::{Net, nth, small as config};
use verisoo::log::{MAX_SIZE, Position, leaf_hash};
use verisoo::sim::SimScheme;
use verisoo::store::{Commit, LogState, MemoryStore, Origin, RecordsRead, Store, StoreError, StoredLog};
use verisoo::wire::{
    Frame, MAX_MESSAGE, MIN_MESSAGE, Message, Nonce, Refusal, Request, RequestId, Response, StatusRequest,
};
use verisoo::{
    Answers, Ask, Command, Config, Error, Event, Fixed, Hash, Head, Heap, Instant, LogId, MAX_RECORD, Name, Node,
    Notice, Records, SignedHead, Start, Tables, Vkey,
};

type HeapNode = Node<Heap<SimScheme>>;
/// One peer, two logs, and hashes for records of 1,982 bytes.
type Tiny = Fixed<1, 2, 2, 1, 62, SimScheme>;

fn vkey(number: u8) -> Vkey<SimScheme> {
    *nth(number).vkey()
}

fn new<T: Tables<Scheme = SimScheme>>(config: Config) -> (Node<T>, MemoryStore) {
    (Node::new(nth(1), config, [1; 32], Instant::ZERO), MemoryStore::new())
}

/// The error a call fails with, after which all is as before.
#[track_caller]
fn fails<T: Tables, R>(
    (node, store): &mut (Node<T>, MemoryStore),
    call: impl FnOnce(&mut Node<T>, &mut MemoryStore) -> Result<R, Error>,
) -> Error {
    let before = (node.clone(), store.clone());
    let error = call(node, store).err().expect("it fails");
    assert_eq!((&*node, &*store), (&before.0, &before.1));
    // Nor is there anything more to do, or to tell.
    let (mut now, mut then) = ((node.clone(), store.clone()), before);
    let at = Instant::from_secs(1);
    assert_eq!(now.0.poll(at, &mut now.1), then.0.poll(at, &mut then.1));
    assert_eq!(now, then);
    error
}

#[test]
fn a_peer_that_is_gone_is_unknown() {
    let mut subject = new::<Heap<SimScheme>>(config());
    let peer = subject.0.add_peer(&mut subject.1, vkey(2)).unwrap();
    subject.0.remove_peer(peer).unwrap();
    assert_eq!(fails(&mut subject, |node, _| node.remove_peer(peer)), Error::UnknownPeer);
    assert_eq!(fails(&mut subject, |node, _| node.sync_now(peer)), Error::UnknownPeer);
    assert_eq!(fails(&mut subject, |node, _| node.set_authenticated(peer, true)), Error::UnknownPeer);
    assert_eq!(subject.0.peer(peer), None);
    // Its log stays, and if it comes back it is another.
    assert!(subject.0.log(&vkey(2).id()).is_some());
    assert_ne!(subject.0.add_peer(&mut subject.1, vkey(2)).unwrap(), peer);
}

#[test]
fn a_log_that_is_not_followed_is_unknown() {
    let mut subject = new::<Heap<SimScheme>>(config());
    assert_eq!(fails(&mut subject, |node, store| node.unfollow(store, &vkey(2).id())), Error::UnknownLog);
    subject.0.follow(&mut subject.1, &vkey(2)).unwrap();
    subject.0.unfollow(&mut subject.1, &vkey(2).id()).unwrap();
    assert_eq!(fails(&mut subject, |node, store| node.unfollow(store, &vkey(2).id())), Error::UnknownLog);
    assert_eq!(subject.1.log(&vkey(2).id()), Ok(None));
}

#[test]
fn a_node_is_not_its_own_peer() {
    let mut subject = new::<Heap<SimScheme>>(config());
    assert_eq!(fails(&mut subject, |node, store| node.add_peer(store, vkey(1))), Error::OwnKey);
    assert_eq!(fails(&mut subject, |node, store| node.unfollow(store, &vkey(1).id())), Error::OwnKey);
    // It follows its own log as it is.
    let before = subject.clone();
    subject.0.follow(&mut subject.1, &vkey(1)).unwrap();
    assert_eq!(subject, before);
}

#[test]
fn there_is_an_end_to_peers() {
    fn check<T: Tables<Scheme = SimScheme>>(config: Config, room: u8) {
        let mut subject = new::<T>(config);
        for number in 2..2 + room {
            subject.0.add_peer(&mut subject.1, vkey(number)).unwrap();
        }
        assert_eq!(fails(&mut subject, |node, store| node.add_peer(store, vkey(9))), Error::TooManyPeers);
        assert_eq!(subject.0.log(&vkey(9).id()), None);
        // One that is there already is no more than before.
        let before = subject.clone();
        let peer = subject.0.peers().next().map(|peer| peer.id);
        assert_eq!(subject.0.add_peer(&mut subject.1, vkey(2)).ok(), peer);
        assert_eq!(subject, before);
        subject.0.remove_peer(peer.unwrap()).unwrap();
        subject.0.unfollow(&mut subject.1, &vkey(2).id()).unwrap();
        subject.0.add_peer(&mut subject.1, vkey(9)).unwrap();
    }
    let mut narrow = config();
    narrow.max_peers = 3;
    check::<Heap<SimScheme>>(narrow, 3);
    check::<Tiny>(config(), 1);
}

#[test]
fn a_node_may_be_told_to_have_no_peers() {
    let mut config = config();
    config.max_peers = 0;
    let mut subject = new::<Heap<SimScheme>>(config);
    assert_eq!(fails(&mut subject, |node, store| node.add_peer(store, vkey(2))), Error::TooManyPeers);
}

#[test]
fn there_is_an_end_to_logs() {
    fn check<T: Tables<Scheme = SimScheme>>(config: &Config) {
        let mut subject = new::<T>(config.clone());
        subject.0.follow(&mut subject.1, &vkey(2)).unwrap();
        assert_eq!(fails(&mut subject, |node, store| node.follow(store, &vkey(3))), Error::TooManyLogs);
        assert_eq!(fails(&mut subject, |node, store| node.add_peer(store, vkey(3))), Error::TooManyLogs);
        // Whose log is followed already can be a peer; and one that goes makes room.
        subject.0.follow(&mut subject.1, &vkey(2)).unwrap();
        let peer = subject.0.add_peer(&mut subject.1, vkey(2)).unwrap();
        subject.0.unfollow(&mut subject.1, &vkey(2).id()).unwrap();
        subject.0.remove_peer(peer).unwrap();
        subject.0.add_peer(&mut subject.1, vkey(3)).unwrap();

        // A store that holds more than there is room for.
        let (_, mut store) = subject;
        store.create(&vkey(4).id(), vkey(4).name(), vkey(4).key(), Origin::Pinned).unwrap();
        store.create(&vkey(1).id(), vkey(1).name(), vkey(1).key(), Origin::Own).unwrap();
        let before = store.clone();
        let opened = Node::<T>::open(nth(1), config.clone(), [2; 32], Instant::ZERO, &mut store, Start::Resume);
        assert_eq!(opened.err(), Some(Error::TooManyLogs));
        assert_eq!(store, before);
    }
    let mut narrow = config();
    narrow.max_logs = 2;
    check::<Heap<SimScheme>>(&narrow);
    check::<Tiny>(&config());
}

#[test]
fn a_record_is_as_long_as_a_message_can_carry() {
    fn check<T: Tables<Scheme = SimScheme>>(max_message: u32, longest: usize) {
        let mut config = config();
        config.max_message = max_message;
        let mut subject = new::<T>(config);
        // The store knows the log, so that nothing but the record counts.
        subject.0.append(&mut subject.1, b"").unwrap();
        for len in [longest + 1, longest + 2, 2 * longest, 1 << 20] {
            let record = vec![7; len];
            assert_eq!(fails(&mut subject, |node, store| node.append(store, &record)), Error::RecordTooLong, "{len}");
        }
        assert_eq!(subject.0.append(&mut subject.1, &vec![7; longest]), Ok(1));
    }
    check::<Heap<SimScheme>>(MIN_MESSAGE, 2_304);
    check::<Heap<SimScheme>>(0, 2_304);
    check::<Heap<SimScheme>>(MIN_MESSAGE + 100, 2_404);
    check::<Heap<SimScheme>>(MAX_MESSAGE, MAX_RECORD);
    check::<Heap<SimScheme>>(u32::MAX, MAX_RECORD);
    check::<Heap<SimScheme>>(Config::default().max_message, MAX_RECORD);
    // 62 hashes of 32 bytes, less the length.
    check::<Tiny>(MAX_MESSAGE, 1_982);
}

#[test]
fn a_recovering_node_does_not_write() {
    let mut store = MemoryStore::new();
    let start = Start::Recover(Answers::All);
    let node = HeapNode::open(nth(1), config(), [1; 32], Instant::ZERO, &mut store, start).unwrap();
    let mut subject = (node, store);
    assert!(subject.0.is_recovering());
    assert_eq!(subject.0.check_writing(), Err(Error::Recovering));
    assert_eq!(fails(&mut subject, |node, store| node.append(store, b"record")), Error::Recovering);
    assert_eq!(fails(&mut subject, |node, store| node.publish(store)), Error::Recovering);
    // Without a peer it stays so.
    for second in 0..1_000 {
        assert_eq!(subject.0.poll(Instant::from_secs(second), &mut subject.1), None);
    }
    assert_eq!(subject.0.check_writing(), Err(Error::Recovering));
}

#[test]
fn a_stopped_node_does_not_write_and_serves_on() {
    let (mut node, mut store) = new::<Heap<SimScheme>>(config());
    node.append(&mut store, b"record").unwrap();
    let head = node.publish(&mut store).unwrap();
    let mut state = store.log(&node.id()).unwrap().unwrap().state;
    state.stopped = true;
    let commit = Commit { start: 1, records: Records::default(), hashes: &[], state, proof: &[] };
    store.commit(&node.id(), &commit).unwrap();

    for start in [Start::Resume, Start::Recover(Answers::AtLeast(1))] {
        let (mut node, mut store) = (open(&mut store, start), store.clone());
        assert_eq!(node.poll(Instant::ZERO, &mut store), Some(Command::Notify(Notice::WritingStopped)));
        let mut subject = (node, store);
        assert_eq!(subject.0.check_writing(), Err(Error::Stopped));
        assert_eq!(fails(&mut subject, |node, store| node.append(store, b"another")), Error::Stopped);
        assert_eq!(fails(&mut subject, |node, store| node.publish(store)), Error::Stopped);
        let request = Request::Proof { log: subject.0.id(), size: 0, limit: u32::MAX };
        let mut buf = [0; MIN_MESSAGE as usize];
        let answer = subject.0.respond(Instant::ZERO, &mut subject.1, RequestId::new(1), &request, &mut buf).unwrap();
        let Response::Proof(answer) = net::decode_response(answer, RequestId::new(1)) else { panic!("no proof") };
        assert_eq!(answer.head.head, head);
    }
}

fn open(store: &mut MemoryStore, start: Start) -> HeapNode {
    HeapNode::open(nth(1), config(), [1; 32], Instant::ZERO, store, start).unwrap()
}

#[test]
fn a_log_that_exists_is_not_begun_anew() {
    let (mut node, mut store) = new::<Heap<SimScheme>>(config());
    node.append(&mut store, b"record").unwrap();
    let mut subject = (new::<Heap<SimScheme>>(config()).0, store);
    assert_eq!(fails(&mut subject, |node, store| node.append(store, b"other")), Error::LogExists);
    assert_eq!(subject.0.publish(&mut subject.1), Ok(Head::EMPTY));
    // An empty one is no other than none.
    let (mut node, mut store) = new::<Heap<SimScheme>>(config());
    store.create(&node.id(), vkey(1).name(), vkey(1).key(), Origin::Own).unwrap();
    assert_eq!(node.append(&mut store, b"record"), Ok(0));
}

/// A store whose own log has all the records there can be.
struct FullLog(StoredLog);

impl Store for FullLog {
    fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
        Ok(if after.is_none() { Some(vkey(1).id()) } else { None })
    }
    fn log(&mut self, _: &LogId) -> Result<Option<StoredLog>, StoreError> {
        Ok(Some(self.0))
    }
    fn create(&mut self, _: &LogId, _: &Name, _: &[u8; 32], _: Origin) -> Result<(), StoreError> {
        unreachable!("it is there")
    }
    fn set_origin(&mut self, _: &LogId, _: Origin) -> Result<(), StoreError> {
        unreachable!("it stays what it is")
    }
    fn remove(&mut self, _: &LogId) -> Result<(), StoreError> {
        unreachable!("it stays where it is")
    }
    fn commit(&mut self, _: &LogId, _: &Commit<'_>) -> Result<(), StoreError> {
        unreachable!("it is full")
    }
    fn truncate(&mut self, _: &LogId, _: u64) -> Result<(), StoreError> {
        unreachable!("all is signed")
    }
    fn records(&mut self, _: &LogId, _: u64, _: u64, _: &mut [u8]) -> Result<RecordsRead, StoreError> {
        Err(StoreError::Damaged)
    }
    fn hash(&mut self, _: &LogId, _: Position) -> Result<Hash, StoreError> {
        Ok(Hash::EMPTY_ROOT)
    }
    fn proof(&mut self, _: &LogId, _: &mut [[u8; 32]]) -> Result<usize, StoreError> {
        Ok(0)
    }
    fn put_fork(&mut self, _: &LogId, _: &[u8]) -> Result<(), StoreError> {
        unreachable!("it has not forked")
    }
    fn fork(&mut self, _: &LogId, _: &mut [u8]) -> Result<Option<usize>, StoreError> {
        Ok(None)
    }
    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn a_log_ends_at_2_to_the_62() {
    // Its root is that of a tree of equal hashes; nobody looks into it here.
    let head = Head { size: MAX_SIZE, root: Hash::EMPTY_ROOT };
    let complete = Some(SignedHead::sign(&nth::<SimScheme>(1), head));
    let state = LogState { have: MAX_SIZE, complete, ..LogState::default() };
    let (name, key) = (*vkey(1).name(), *vkey(1).key());
    let stored = StoredLog { name, key, origin: Origin::Own, first: 0, bytes: u64::MAX, forked: false, state };
    let mut store = FullLog(stored);
    let mut node = HeapNode::open(nth(1), config(), [1; 32], Instant::ZERO, &mut store, Start::Resume).unwrap();
    let before = node.clone();
    assert_eq!(node.append(&mut store, b"one more"), Err(Error::LogFull));
    assert_eq!(node, before);
    assert_eq!(node.publish(&mut store), Ok(head));
    assert_eq!(store.0, stored);
}

#[test]
fn a_key_that_is_not_its_logs_is_damage() {
    let (mut node, mut store) = new::<Heap<SimScheme>>(config());
    node.append(&mut store, b"record").unwrap();
    store.create(&LogId::from_bytes([9; 32]), vkey(2).name(), vkey(2).key(), Origin::Peer).unwrap();
    let opened = HeapNode::open(nth(1), config(), [1; 32], Instant::ZERO, &mut store, Start::Resume);
    assert_eq!(opened.err(), Some(Error::Store(StoreError::Damaged)));
}

#[test]
fn a_buffer_too_small_is_said_to_be() {
    let mut tried = Vec::new();
    // Whatever one of three on a line wants sent, until all is told.
    let mut net: Net<Heap<SimScheme>, MemoryStore> = Net::without_delay();
    for name in ["node-1", "node-2", "node-3"] {
        net.add_with(name, config());
    }
    for at in 0..3 {
        net.append(at, b"one record");
        net.append(at, b"and another");
    }
    net.connect(0, 1);
    net.connect(1, 2);
    for round in 0..200 {
        let (now, at) = (net.now, round % 3);
        // What it would want next, found out with a clone.
        let member = &mut net.members[at];
        let mut subject = (member.node.clone(), member.store.clone());
        if let Some(command) = subject.0.poll(now, &mut subject.1)
            && let Command::Ask { ask, .. } = command
        {
            let mut buf = [0; MIN_MESSAGE as usize];
            let whole = subject.0.encode(&mut subject.1, &command, &mut buf).unwrap().unwrap().len();
            tried.push(std::mem::discriminant(&ask));
            for len in 0..whole {
                let before = subject.clone();
                match subject.0.encode(&mut subject.1, &command, &mut buf[..len]) {
                    // With fewer records it may fit.
                    Ok(bytes) => {
                        assert!(matches!(ask, Ask::Push { .. }), "{command:?} in {len} of {whole}");
                        assert!(Frame::decode(bytes.unwrap()).is_ok());
                    }
                    Err(error) => assert_eq!(error, Error::BufferTooSmall),
                }
                assert_eq!(subject, before);
            }
        }
        if !net.turn(at) && round % 3 == 2 {
            net.now = net.now + std::time::Duration::from_millis(50);
        }
    }
    tried.sort_by_key(|kind| format!("{kind:?}"));
    tried.dedup();
    assert!(tried.len() >= 4, "status, records, key, push: {tried:?}");
}

#[test]
fn a_notice_and_a_request_that_is_over_have_no_bytes() {
    let (mut node, mut store) = new::<Heap<SimScheme>>(config());
    let peer = node.add_peer(&mut store, vkey(2)).unwrap();
    let command = node.poll(Instant::ZERO, &mut store).unwrap();
    let Command::Ask { request, ask: Ask::Status, .. } = command else { panic!("{command:?}") };
    node.handle(Instant::ZERO, &mut store, Event::RequestFailed { peer, request }).unwrap();
    let before = (node.clone(), store.clone());
    assert_eq!(node.encode(&mut store, &command, &mut []), Ok(None));
    assert_eq!(node.encode(&mut store, &Command::Notify(Notice::WritingStopped), &mut []), Ok(None));
    assert_eq!((node, store), before);
}

/// A node that has something to say, and a question what that is.
fn with_nine_records() -> (HeapNode, MemoryStore, StatusRequest) {
    let (mut node, mut store) = new::<Heap<SimScheme>>(config());
    for number in 0..9 {
        node.append(&mut store, &vec![number; 10 * usize::from(number)]).unwrap();
    }
    node.publish(&mut store).unwrap();
    node.follow(&mut store, &vkey(2)).unwrap();
    let (asker, nonce, digest) = (vkey(2).id(), Nonce([7; 16]), Hash::EMPTY_ROOT);
    let status = StatusRequest { asker, nonce, digest, compared: None, after: None, limit: u32::MAX };
    (node, store, status)
}

#[test]
fn every_request_is_answered_whatever_room_there_is() {
    let (node, mut store, status) = with_nine_records();
    let (id, log, limit, asker) = (RequestId::new(u64::MAX), node.id(), u32::MAX, status.asker);
    let head = store.log(&log).unwrap().unwrap().state.complete.unwrap();
    let batch = verisoo::wire::Batch { log, start: 9, head, proof: verisoo::wire::Proof::default(), records: &[] };
    let push = verisoo::wire::Push { from: asker, nonce: Nonce([7; 16]), batch };
    let unknown = LogId::from_bytes([9; 32]);
    let requests = [
        Request::Status(status),
        Request::Proof { log, size: 4, limit },
        Request::Records { log, start: 2, count: u64::MAX, limit },
        Request::Key { log },
        Request::Fork { log },
        Request::Push(push),
        Request::PushFork { log, proof: b"none" },
        Request::Proof { log, size: u64::MAX, limit },
        Request::Records { log, start: u64::MAX, count: u64::MAX, limit },
        Request::Records { log, start: 0, count: 0, limit: 0 },
        Request::Key { log: unknown },
    ];
    for request in requests {
        let mut lens = Vec::new();
        for len in 0..=2_000 {
            let mut buf = vec![0xee; len];
            let (mut node, mut store) = (node.clone(), store.clone());
            let answer = node.respond(Instant::ZERO, &mut store, id, &request, &mut buf);
            let Some(answer) = answer else {
                assert!(len < 20, "{request:?} in {len}");
                continue;
            };
            lens.push(answer.len());
            let frame = Frame::decode(answer).unwrap();
            assert!(matches!(frame, Frame { id: answered, message: Message::Response(_) } if answered == id));
        }
        assert!(lens.iter().all(|len| *len <= 2_000) && !lens.is_empty());
    }
}

#[test]
fn an_answer_keeps_to_the_askers_limit() {
    let (mut node, mut store, status) = with_nine_records();
    let (id, log) = (RequestId::new(u64::MAX), node.id());
    for limit in 0..2_000 {
        for request in [
            Request::Status(StatusRequest { limit, ..status }),
            Request::Proof { log, size: 4, limit },
            Request::Records { log, start: 2, count: u64::MAX, limit },
        ] {
            let mut buf = [0; MIN_MESSAGE as usize];
            let answer = node.respond(Instant::ZERO, &mut store, id, &request, &mut buf).unwrap();
            let response = net::decode_response(answer, id);
            let is_refusal = matches!(response, Response::Refused(Refusal::Busy | Refusal::TooLong { .. }));
            assert!(is_refusal || answer.len() <= limit as usize, "{limit}: {response:?}");
        }
    }
}

#[test]
fn answers_to_what_was_not_asked_change_nothing() {
    let (mut node, mut store) = new::<Heap<SimScheme>>(config());
    let [a, b] = [2, 3].map(|number| node.add_peer(&mut store, vkey(number)).unwrap());
    let Some(Command::Ask { peer, request, ask: Ask::Status }) = node.poll(Instant::ZERO, &mut store) else {
        panic!("the first thing is to ask for a status");
    };
    assert_eq!(peer, a);
    let log = vkey(2).id();
    let head = SignedHead::sign(&nth::<SimScheme>(2), Head { size: 1, root: leaf_hash(b"hi") });
    let proof = verisoo::wire::Proof::default();
    let batch = verisoo::wire::Batch { log, start: 0, head, proof, records: b"\x02\x00hi" };
    let answer = verisoo::wire::ProofAnswer { log, size: 1, root: head.head.root, head, proof };
    let signed = verisoo::wire::Signed { signature: head.signature, body: b"" };
    let of_another_kind = [
        Response::Proof(answer),
        Response::Records(batch),
        Response::Key { log, name: "node-2", key: [2; 32] },
        Response::Fork { log, proof: b"" },
        Response::Pushed(signed),
        Response::PushedFork { log },
    ];
    let (late, early) = (RequestId::new(request.get() + 1), RequestId::new(u64::MAX));
    let mut subject = (node, store);
    let mut check = |event: Event<'_>| {
        let before = subject.clone();
        assert_eq!(subject.0.handle(Instant::ZERO, &mut subject.1, event), Ok(()));
        assert_eq!(subject, before, "{event:?}");
    };
    check(Event::Tick);
    for response in of_another_kind {
        check(Event::Answer { peer: a, request, response });
    }
    let refused = Response::Refused(Refusal::Unknown);
    for response in of_another_kind.into_iter().chain([Response::Status(signed), refused]) {
        // Another request, and the same one answered by another peer.
        check(Event::Answer { peer: a, request: late, response });
        check(Event::Answer { peer: a, request: early, response });
        check(Event::Answer { peer: b, request, response });
    }
    check(Event::RequestFailed { peer: b, request });
    check(Event::RequestFailed { peer: a, request: late });
}

#[test]
fn an_error_says_what_it_is() {
    let errors = [
        Error::UnknownPeer,
        Error::UnknownLog,
        Error::TooManyPeers,
        Error::TooManyLogs,
        Error::OwnKey,
        Error::RecordTooLong,
        Error::LogFull,
        Error::Recovering,
        Error::Stopped,
        Error::LogExists,
        Error::BufferTooSmall,
        Error::Store(StoreError::Full),
    ];
    let mut texts = errors.map(|error| error.to_string());
    texts.sort();
    assert!(texts.windows(2).all(|pair| pair[0] != pair[1]) && texts.iter().all(|text| !text.is_empty()));
    assert!(errors.iter().all(|error| error.source().is_some() == matches!(error, Error::Store(_))));
    assert_eq!(Error::from(StoreError::NotReady), Error::Store(StoreError::NotReady));
}
