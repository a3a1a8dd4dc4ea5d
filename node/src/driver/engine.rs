//! The node with its store and clock: what a call through the mailbox works on.

use std::collections::HashMap;
use std::fmt::Write as _;

use tokio::time::Instant;
use verisoo::log::{ProveError, prove_consistency, prove_inclusion, root_at, verify_consistency};
use verisoo::store::{Store, StoreError, StoredLog};
use verisoo::wire::{Frame, Message, Refusal, Request, RequestId, Response};
use verisoo::{Command, Event, Hash, Head, Health, Identity, LogId, Node, PeerId, SignedHead, Vkey};

use super::{NotDone, Why};
use crate::link::{Answer, Peer, PeerAddress};

/// Moments as the node counts them, from tokio's clock.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(&self) -> verisoo::Instant {
        verisoo::Instant::ZERO + self.0.elapsed()
    }

    fn to_tokio(self, at: verisoo::Instant) -> Instant {
        self.0 + (at - verisoo::Instant::ZERO)
    }
}

/// What the driver's task owns.
pub struct Engine {
    /// The node.
    pub node: Node,
    /// Its store.
    pub store: Box<dyn Store + Send>,
    /// Those of its peers that have an address.
    pub peers: HashMap<PeerId, Peer>,
    /// Signs attestations; the node signs heads with its own.
    pub identity: Identity,
    clock: Clock,
    buf: Vec<u8>,
}

/// A log and the hashes of a proof about it.
pub type Hashes = Vec<[u8; Hash::LEN]>;

impl Engine {
    pub(super) fn new(
        node: Node,
        store: Box<dyn Store + Send>,
        identity: Identity,
        clock: Clock,
        peers: HashMap<PeerId, Peer>,
        max_message: usize,
    ) -> Self {
        Self { node, store, peers, identity, clock, buf: vec![0; max_message] }
    }

    /// Adds a peer, or changes nothing where it is one already.
    pub fn add_peer(&mut self, address: PeerAddress) -> Result<(), verisoo::Error> {
        let peer = self.node.add_peer(&mut *self.store, address.vkey)?;
        self.peers.entry(peer).or_insert_with(|| address.into());
        Ok(())
    }

    pub(super) fn poll(&mut self) -> Option<Command> {
        self.node.poll(self.clock.now(), &mut *self.store)
    }

    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.node.next_wake().map(|at| self.clock.to_tokio(at))
    }

    /// The wire bytes of a request.
    pub(super) fn encode(&mut self, command: &Command) -> Option<&[u8]> {
        self.node.encode(&mut *self.store, command, &mut self.buf).ok().flatten()
    }

    /// What came of a request of ours.
    pub(super) fn answered(&mut self, answer: &Answer) {
        let Answer { peer, request, result } = answer;
        let frame = result
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|bytes| Frame::decode(bytes).map_err(|error| error.to_string()));
        let error = frame.as_ref().err().cloned();
        let event = match frame {
            Ok(Frame { id, message: Message::Response(response) }) if id == *request => {
                Event::Answer { peer: *peer, request: *request, response }
            }
            _ => Event::RequestFailed { peer: *peer, request: *request },
        };
        // An error is the store's. It says so in a notice, or it is not ready: then the answer is dropped
        // and its deadline passes. (A store that is slow by design would have the event tried again.)
        let _ = self.node.handle(self.clock.now(), &mut *self.store, event);
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.last_error = error;
        }
    }

    /// The frame that answers somebody's request.
    pub fn respond(&mut self, id: RequestId, request: &Request<'_>) -> Result<&[u8], NotDone> {
        let now = self.clock.now();
        let answer = self.node.respond(now, &mut *self.store, id, request, &mut self.buf);
        answer.ok_or_else(|| NotDone::busy("no room for an answer"))
    }

    /// The answer to a request, for us to read.
    pub fn ask(&mut self, request: &Request<'_>) -> Result<Response<'_>, NotDone> {
        let frame = Frame::decode(self.respond(RequestId::new(0), request)?);
        match frame.map(|frame| frame.message) {
            Ok(Message::Response(Response::Refused(refusal))) => Err(refusal.into()),
            Ok(Message::Response(response)) => Ok(response),
            Ok(_) | Err(_) => Err(NotDone::internal("the node wrote no answer")),
        }
    }

    /// Appends records to the node's own log, all or as many as it takes: the index of the first, or why
    /// not, and how many were appended.
    pub fn append<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<u64, (NotDone, u64)> {
        let own = self.node.id();
        let start = self.node.log(&own).map_or(0, |log| log.have);
        for (count, record) in (0..).zip(records) {
            let appended = self.node.append(&mut *self.store, record.as_ref());
            appended.map_err(|error| (NotDone::not_appended(error, &self.why_not()), count))?;
        }
        Ok(start)
    }

    /// Whom a node that takes its log back is still waiting for, as far as is known here.
    fn why_not(&self) -> String {
        let mut text = String::new();
        if let Some(waits) = self.node.recovery() {
            // Writing into a string cannot fail.
            let _ = write!(text, "; {} of {} peers have said what they know of it", waits.answered, waits.needed);
            if waits.have < waits.signed {
                let _ = write!(text, "; {} of {} signed records have come back", waits.have, waits.signed);
            }
        }
        for info in self.node.peers() {
            let Some(peer) = self.peers.get(&info.id) else { continue };
            let error = match (&peer.last_error, info.health) {
                (Some(error), _) => error.as_str(),
                (None, Health::Healthy) => continue,
                (None, _) => "no answer",
            };
            let _ = write!(text, "; {}: {error}", peer.name);
        }
        if self.peers.is_empty() {
            text.push_str("; no peers are configured");
        }
        text
    }

    /// What the store holds of a log that is followed and may be served.
    pub fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, NotDone> {
        if self.node.log(log).is_none() {
            return Err(Refusal::Unknown.into());
        }
        // The node says whether the log may be served, and makes durable what is about to be shown.
        let request = Request::Proof { log: *log, size: 0, limit: u32::MAX };
        match self.ask(&request) {
            Err(error) if error.why == Why::NotHeld => {}
            answer => drop(answer?),
        }
        // The node's own log is in the store from its first record on.
        Ok(self.store.log(log)?)
    }

    /// The complete head of a log, and its key.
    pub fn head(&mut self, log: &LogId) -> Result<(SignedHead, Vkey), NotDone> {
        let stored = self.log(log)?.ok_or_else(NotDone::nothing_signed)?;
        let head = stored.state.complete.ok_or_else(NotDone::nothing_signed)?;
        let vkey = Vkey::new(stored.name, stored.key).map_err(|_| StoreError::Damaged)?;
        Ok((head, vkey))
    }

    /// The records of a log from `start` on, before `end`, as many as fit a message.
    pub fn records(&mut self, log: &LogId, start: u64, end: u64) -> Result<Vec<Vec<u8>>, NotDone> {
        let read = self.store.records(log, start, end, &mut self.buf)?;
        let framed = verisoo::Records::new(self.buf.get(..read.len).unwrap_or_default());
        framed.iter().map(|record| Ok(record.map_err(|_| StoreError::Damaged)?.to_vec())).collect()
    }

    /// The root at `size`, which must not be beyond the complete head.
    pub fn root_at(&mut self, log: &LogId, size: u64) -> Result<Hash, NotDone> {
        root_at(size, |position| self.store.hash(log, position)).map_err(prove_error)
    }

    /// The inclusion proof of a record in the tree of `size`.
    pub fn inclusion(&mut self, log: &LogId, index: u64, size: u64) -> Result<Hashes, NotDone> {
        let mut proof = Vec::new();
        let emit = |hash: Hash| proof.push(*hash.as_bytes());
        prove_inclusion(index, size, |position| self.store.hash(log, position), emit).map_err(prove_error)?;
        Ok(proof)
    }

    /// The roots at two sizes and the consistency proof between them. From size 0 the proof is empty.
    pub fn consistency(&mut self, log: &LogId, old: u64, new: u64) -> Result<(Head, Head, Hashes), NotDone> {
        let old = Head { size: old, root: self.root_at(log, old)? };
        let new = Head { size: new, root: self.root_at(log, new)? };
        let mut proof = Vec::new();
        if old.size > 0 {
            let emit = |hash: Hash| proof.push(*hash.as_bytes());
            prove_consistency(old.size, new.size, |position| self.store.hash(log, position), emit)
                .map_err(prove_error)?;
            // What a damaged store says is not given out.
            verify_consistency(old.size, &old.root, new.size, &new.root, &proof).map_err(|_| StoreError::Damaged)?;
        }
        Ok((old, new, proof))
    }
}

fn prove_error(error: ProveError<StoreError>) -> NotDone {
    match error {
        ProveError::Read(error) => error.into(),
        ProveError::OutOfRange | ProveError::WrongLength => NotDone::not_held("no such proof"),
    }
}
