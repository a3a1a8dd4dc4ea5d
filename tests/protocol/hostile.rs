//! What a hostile peer needs: histories of a log signed at will, and statuses signed again after a change.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use verisoo::log::{Frontier, Position, leaf_hash, prove_consistency, root_at};
use verisoo::wire::{
    Batch, Entries, Entry, Frame, Message, Nonce, Proof, Push, PushWord, Request, RequestId, Response, Signed,
    StatusBody, StatusRequest,
};
use verisoo::{Hash, Head, Health, Identity, LogId, Notice, Records, SignedHead, Vkey};

use crate::net::signing::signed_text;
use crate::net::{Federation, Tamper, identity};

/// One history of a log, with its key: every head of it, and every proof, can be made.
pub struct History {
    pub identity: Identity,
    records: Vec<Vec<u8>>,
    hashes: Vec<Hash>,
    frontier: Frontier,
}

impl History {
    /// The log of the member with this name, with records of its own.
    pub fn new(name: &str, records: &[&str]) -> Self {
        let mut history =
            Self { identity: identity(name), records: Vec::new(), hashes: Vec::new(), frontier: Frontier::new() };
        for record in records {
            history.push(record.as_bytes());
        }
        history
    }

    /// The first `size` records that [`Federation::append_many`] writes for this member.
    pub fn written_by(name: &str, size: usize) -> Self {
        let mut history = Self::new(name, &[]);
        (0..size).for_each(|index| history.push(format!("{name} {index}").as_bytes()));
        history
    }

    pub fn push(&mut self, record: &[u8]) {
        let hashes = &mut self.hashes;
        self.frontier.push(leaf_hash(record), |hash| hashes.push(hash)).unwrap();
        self.records.push(record.to_vec());
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn id(&self) -> LogId {
        self.vkey().id()
    }

    pub fn vkey(&self) -> &Vkey {
        self.identity.vkey()
    }

    pub fn root(&self, size: u64) -> Hash {
        root_at(size, |position| self.read(position)).unwrap()
    }

    /// The signed head over the first `size` records.
    pub fn head(&self, size: u64) -> SignedHead {
        self.sign(size, self.root(size))
    }

    /// Any head, signed.
    pub fn sign(&self, size: u64, root: Hash) -> SignedHead {
        SignedHead::sign(&self.identity, Head { size, root })
    }

    pub fn proof(&self, old: u64, new: u64) -> Vec<[u8; 32]> {
        let mut proof = Vec::new();
        prove_consistency(old, new, |position| self.read(position), |hash| proof.push(*hash.as_bytes())).unwrap();
        proof
    }

    /// Records as they travel.
    pub fn framed(&self, start: usize, end: usize) -> Vec<u8> {
        frame_all(self.records[start..end].iter().map(Vec::as_slice))
    }

    /// The push of records `start..end` under the head of size `end`.
    pub fn push_frame(&self, from: LogId, start: usize, end: usize) -> Vec<u8> {
        self.push_of(from, start as u64, self.head(end as u64), &[], &self.framed(start, end))
    }

    /// Any push of this log.
    pub fn push_of(&self, from: LogId, start: u64, head: SignedHead, proof: &[[u8; 32]], records: &[u8]) -> Vec<u8> {
        let proof = Proof::new(proof).unwrap();
        let batch = Batch { log: self.id(), start, head, proof, records };
        request_frame(Request::Push(Push { from, nonce: Nonce([9; 16]), batch }))
    }

    #[allow(clippy::unnecessary_wraps, reason = "the shape that the prover reads through")]
    fn read(&self, position: Position) -> Result<Hash, ()> {
        Ok(self.hashes[usize::try_from(position.stored_index()).unwrap()])
    }
}

pub fn frame_all<'a>(records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut framed = Vec::new();
    for record in records {
        let mut buf = vec![0; record.len() + 2];
        let len = Records::frame(record, &mut buf).unwrap();
        framed.extend_from_slice(&buf[..len]);
    }
    framed
}

pub fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut buf = vec![0; 1 << 17];
    frame.encode(&mut buf).unwrap().to_vec()
}

pub fn request_frame(request: Request<'_>) -> Vec<u8> {
    encode(&Frame { id: RequestId::new(77), message: Message::Request(request) })
}

pub fn response_frame(id: RequestId, response: Response<'_>) -> Vec<u8> {
    encode(&Frame { id, message: Message::Response(response) })
}

/// Changes answers of one member, and lets everything else pass.
pub fn answers_of(
    liar: usize,
    mut change: impl FnMut(usize, RequestId, &Response<'_>) -> Option<Vec<u8>> + 'static,
) -> Tamper {
    Box::new(move |from, to, frame| match &frame.message {
        Message::Response(response) if from == liar => change(to, frame.id, response),
        _ => Some(encode(frame)),
    })
}

/// Lets a member say other things in its statuses, signed with its key all the same. `change` is given who
/// asks, the body and its entries.
pub fn statuses_of(
    liar: usize,
    name: &str,
    mut change: impl FnMut(usize, &mut StatusBody<'static>, &mut Vec<Entry>) + 'static,
) -> Tamper {
    let identity: Identity = identity(name);
    let mut asked: BTreeMap<(usize, RequestId), StatusRequest> = BTreeMap::new();
    Box::new(move |from, to, frame| {
        match &frame.message {
            Message::Request(Request::Status(request)) if to == liar => {
                asked.insert((from, frame.id), *request);
            }
            Message::Response(Response::Status(signed)) if from == liar => {
                let body = StatusBody::decode(signed.body).unwrap();
                let mut entries: Vec<Entry> = body.entries.iter().map(Result::unwrap).collect();
                let mut body = StatusBody { entries: Entries::default(), ..body };
                change(to, &mut body, &mut entries);
                let asked = asked[&(to, frame.id)];
                return Some(status_frame(frame.id, &identity, &asked.asker, &asked.nonce, body, &entries));
            }
            _ => {}
        }
        Some(encode(frame))
    })
}

/// A status signed by `identity`.
pub fn status_frame(
    id: RequestId,
    identity: &Identity,
    asker: &LogId,
    nonce: &Nonce,
    body: StatusBody<'_>,
    entries: &[Entry],
) -> Vec<u8> {
    let mut listed = Vec::new();
    let mut buf = vec![0; 1 << 16];
    for entry in entries {
        listed.extend_from_slice(postcard::to_slice(entry, &mut buf).unwrap());
    }
    let body = StatusBody { entries: Entries::new(&listed), ..body };
    let body = postcard::to_slice(&body, &mut buf).unwrap();
    let signature = identity.sign(&signed_text(*b"verisoo/status", &identity.vkey().id(), asker, nonce, body));
    response_frame(id, Response::Status(Signed { signature, body }))
}

/// Lets a member answer each push of a log with the same word, signed with its key all the same, and then tampers
/// as before. Counts the pushes.
pub fn always_says(federation: &mut Federation, liar: usize, name: &str, word: PushWord) -> Rc<Cell<usize>> {
    let identity: Identity = identity(name);
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    let mut asked: BTreeMap<(usize, RequestId), (LogId, Nonce)> = BTreeMap::new();
    let mut tamper = federation.tamper.take();
    federation.tamper = Some(Box::new(move |from, to, frame| {
        match &frame.message {
            Message::Request(Request::Push(push)) if to == liar && push.batch.log == word.log => {
                asked.insert((from, frame.id), (push.from, push.nonce));
                counted.set(counted.get() + 1);
            }
            Message::Response(_) if from == liar => {
                if let Some((asker, nonce)) = asked.get(&(to, frame.id)) {
                    let mut buf = [0; 128];
                    let body = &*postcard::to_slice(&word, &mut buf).unwrap();
                    let text = signed_text(*b"verisoo/pushed", &identity.vkey().id(), asker, nonce, body);
                    let answer = Signed { signature: identity.sign(&text), body };
                    return Some(response_frame(frame.id, Response::Pushed(answer)));
                }
            }
            _ => {}
        }
        match &mut tamper {
            Some(tamper) => tamper(from, to, frame),
            None => Some(encode(frame)),
        }
    }));
    count
}

/// Requests seen on the way: who asked whom for what.
pub type Seen = Rc<RefCell<Vec<(usize, usize, &'static str)>>>;

/// Notes every request that passes, and then tampers as before.
pub fn watch(federation: &mut Federation) -> Seen {
    let seen = Seen::default();
    let noted = Rc::clone(&seen);
    let mut tamper = federation.tamper.take();
    federation.tamper = Some(Box::new(move |from, to, frame| {
        if let Message::Request(request) = &frame.message {
            noted.borrow_mut().push((from, to, kind_of(request)));
        }
        match &mut tamper {
            Some(tamper) => tamper(from, to, frame),
            None => Some(encode(frame)),
        }
    }));
    seen
}

pub fn kind_of(request: &Request<'_>) -> &'static str {
    match request {
        Request::Status(_) => "status",
        Request::Proof { .. } => "proof",
        Request::Records { .. } => "records",
        Request::Key { .. } => "key",
        Request::Fork { .. } => "fork",
        Request::Push(_) => "push",
        Request::PushFork { .. } => "push fork",
        _ => "other",
    }
}

pub fn health(federation: &Federation, a: usize, b: usize) -> Health {
    federation.members[a].node.peer(federation.peer(a, b)).unwrap().health
}

pub fn authenticate(federation: &mut Federation, a: usize, b: usize) {
    let peer = federation.peer(a, b);
    federation.members[a].node.set_authenticated(peer, true).unwrap();
}

/// Nobody says of any of these logs that it has forked, nor holds a proof of it.
pub fn assert_never_accused(federation: &Federation, logs: &[LogId]) {
    for (a, notice) in &federation.notices {
        if let Notice::ForkDetected { log } = notice {
            assert!(!logs.contains(log), "{} accuses an honest log", federation.members[*a].name);
        }
    }
    for (a, log) in federation.all().into_iter().flat_map(|a| logs.iter().map(move |log| (a, log))) {
        assert!(!federation.is_forked(a, log), "{} froze an honest log", federation.members[a].name);
    }
}

/// What a member holds of a log is the beginning of this history.
pub fn assert_holds_only(federation: &Federation, a: usize, history: &History) {
    let log = history.id();
    let member = &federation.members[a];
    let have = member.node.log(&log).map_or(0, |log| log.have);
    assert!(have <= history.records.len() as u64);
    for (index, record) in (0..have).zip(&history.records) {
        assert_eq!(member.store.record(&log, index), Some(record.as_slice()));
    }
}
