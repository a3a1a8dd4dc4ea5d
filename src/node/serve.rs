//! The serving half: answers to anybody's request. Stateless towards the asker: a request never changes a
//! peer's health and never introduces a log, and what a stranger can cause is a bounded amount of work.

use super::Node;
use super::batch::Accepted;
use super::encode::{BatchError, Envelope, open, put_fork, read_batch};
use super::evidence::prove_to_head;
use super::logs::root_of;
use super::replica::Replica;
use crate::codec::{Reader, Writer, write_value};
use crate::error::Error;
use crate::log::{MAX_PROOF, verify_consistency};
use crate::store::{Store, StoreError, StoredLog};
use crate::tables::Tables;
use crate::wire::{
    Entries, Frame, Message, Nonce, OwnLog, Proof, ProofAnswer, Push, PushWord, Refusal, Request, RequestId, Response,
    Signed, SignedContext, StatusBody, StatusRequest, signed_text,
};
use crate::{Hash, Head, Instant, LogId, Signature, SignedHead};

/// A signature's place while what it signs is still being written.
const NO_SIGNATURE: Signature = Signature::from_bytes([0; 64]);

impl<T: Tables> Node<T> {
    /// Answers a request: the frame to send back, written to the front of `buf`. `None` where `buf` is too
    /// short even for a refusal; with [`MIN_MESSAGE`](crate::wire::MIN_MESSAGE) bytes it never is, and
    /// answers use no more of it than [`Config::max_message`](crate::Config) and the asker's limit allow.
    ///
    /// Whoever asks is answered. A driver bounds how often: a status costs a signature, a push may cost
    /// the check of one. What cannot be answered, and what a store fails at, is a
    /// [`Refusal`](crate::wire::Refusal).
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::wire::{Frame, MIN_MESSAGE, Message, Refusal, Request, RequestId, Response};
    /// use verisoo::{Config, Identity, Instant, LogId, Node, Records};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// node.append(&mut store, b"a record")?;
    /// node.publish(&mut store)?;
    /// let log = node.id();
    ///
    /// // A server takes the bytes of a request, and sends back those of the answer.
    /// let mut serve = |bytes: &[u8]| {
    ///     let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(bytes) else { return None };
    ///     let mut buf = vec![0; 131_072];
    ///     node.respond(now, &mut store, id, &request, &mut buf).map(<[u8]>::to_vec)
    /// };
    ///
    /// // Anybody can ask: here for records of its log, and for some of a log that it does not follow.
    /// let mut ask = |log| {
    ///     let request = Request::Records { log, start: 0, count: 100, limit: MIN_MESSAGE };
    ///     let mut buf = [0; 64];
    ///     serve(Frame { id: RequestId::new(7), message: Message::Request(request) }.encode(&mut buf)?)
    /// };
    /// let answer = ask(log).unwrap();
    /// let Message::Response(Response::Records(batch)) = Frame::decode(&answer)?.message else { panic!() };
    /// assert_eq!(Records::new(batch.records).iter().next(), Some(Ok(&b"a record"[..])));
    /// assert_eq!(batch.head.head.size, 1);
    ///
    /// let answer = ask(LogId::from_bytes([0; 32])).unwrap();
    /// let refused = Message::Response(Response::Refused(Refusal::Unknown));
    /// assert_eq!(Frame::decode(&answer)?, Frame { id: RequestId::new(7), message: refused });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(never)]
    pub fn respond<'b>(
        &mut self,
        now: Instant,
        store: &mut dyn Store,
        id: RequestId,
        request: &Request<'_>,
        buf: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        self.clock.advance(now);
        // Nothing is revealed that is not durable, and a push may have written something.
        let answer = self.settle(store).map_err(refusal_of).and_then(|()| self.answer(store, id, request, buf));
        let len = match answer {
            Ok(len) => len,
            Err(refusal) => {
                let message = Message::Response(Response::Refused(refusal));
                Frame { id, message }.encode(buf)?.len()
            }
        };
        buf.get(..len)
    }

    fn answer(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        request: &Request<'_>,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        match request {
            Request::Status(asked) => self.answer_status(store, id, asked, buf),
            Request::Proof { log, size, limit } => self.answer_proof(store, id, log, *size, *limit, buf),
            Request::Records { log, start, count, limit } => {
                let buf = self.within(*limit, buf);
                self.answer_records(store, id, log, *start, *count, buf)
            }
            Request::Key { log } => self.answer_key(store, id, log, buf),
            Request::Fork { log } => self.answer_fork(store, id, log, buf),
            Request::Push(push) => self.answer_push(store, id, push, buf),
            Request::PushFork { log, proof } => {
                self.replicas.find(log).ok_or(Refusal::Unknown)?;
                let is_proof = self.take_fork(store, log, proof).map_err(|error| self.refusal(error))?;
                if !is_proof {
                    return Err(Refusal::Invalid);
                }
                self.settle(store).map_err(refusal_of)?;
                encode(id, Response::PushedFork { log: *log }, buf)
            }
        }
    }

    fn within<'b>(&self, limit: u32, buf: &'b mut [u8]) -> &'b mut [u8] {
        let limit = if cfg!(verisoo_bug = "limit-ignored") { u32::MAX } else { limit };
        let limit = usize::try_from(limit.min(self.config.max_message)).unwrap_or(usize::MAX).min(buf.len());
        buf.get_mut(..limit).unwrap_or_default()
    }

    /// A failure of the store as a refusal, and as a notice unless it is only not ready.
    fn refusal(&mut self, error: StoreError) -> Refusal {
        if !matches!(error, StoreError::NotReady | StoreError::Dropped { .. }) {
            self.notes.store = Some(error);
            self.cache.idle_until = None;
        }
        refusal_of(error)
    }

    /// A log that is followed and not damaged.
    fn served(&self, log: &LogId) -> Result<&Replica, Refusal> {
        let replica = self.replicas.find(log).ok_or(Refusal::Unknown)?;
        // (Not busy: asking again would bring nothing, and other logs are served.)
        if replica.is_damaged { Err(Refusal::NotHeld) } else { Ok(replica) }
    }

    #[inline(never)]
    fn answer_status(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        asked: &StatusRequest,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        let buf = self.within(asked.limit, buf);
        let digest = self.digest();
        let own = match self.replicas.find(&asked.asker).map(|replica| own_log(store, replica)) {
            Some(Ok(own)) => Some(own),
            // One log that cannot be read must not silence the node on all others.
            Some(Err(error @ (StoreError::Damaged | StoreError::Mismatch))) => {
                self.note_damage(&asked.asker, error);
                None
            }
            Some(Err(error)) => return Err(refusal_of(error)),
            None => None,
        };
        let listed = asked.digest != digest && asked.compared != Some(digest);
        let mut body = StatusBody {
            digest,
            max_message: self.config.max_message,
            recovering: self.is_recovering(),
            own,
            listed,
            more: false,
            entries: Entries::default(),
        };
        let empty = Response::Status(Signed { signature: NO_SIGNATURE, body: &[] });
        let mut writer = open(buf, &frame(id, empty)).ok_or(Refusal::Busy)?;
        let signature_at = writer.len() - Signature::LEN;
        let replicas = &self.replicas;
        let written = writer.put_bytes_with(|buf| {
            let mut writer = Writer::new(buf);
            let Some(()) = writer.put(&body).and_then(|()| writer.reopen()) else { return Err(StoreError::NotReady) };
            // `more` stands before the entries and is known after them: it is one byte, mended below.
            let more_at = writer.len() - 1;
            let entries = writer.put_bytes_with(|buf| {
                let mut writer = Writer::new(buf);
                let mut rest = replicas.iter_after(asked.after.as_ref()).filter(|_| listed);
                for replica in &mut rest {
                    let unproven = signed_unproven(store, replica)?;
                    if writer.put(&replica.entry(unproven)).is_none() {
                        body.more = true;
                        break;
                    }
                }
                Ok::<_, StoreError>(writer.finish().len())
            })?;
            if entries.is_none() {
                return Err(StoreError::NotReady);
            }
            if body.more {
                writer.set(more_at, 1);
            }
            Ok::<_, StoreError>(writer.finish().len())
        });
        match written {
            Ok(Some(())) => {}
            Ok(None) => return Err(Refusal::Busy),
            Err(error) => return Err(refusal_of(error)),
        }
        self.sign(writer, signature_at, SignedContext::Status, &asked.asker, &asked.nonce)
    }

    /// Fills in the signature over the body that ends the message.
    #[inline(never)]
    fn sign(
        &self,
        writer: Writer<'_>,
        signature_at: usize,
        context: SignedContext,
        asker: &LogId,
        nonce: &Nonce,
    ) -> Result<usize, Refusal> {
        let message = writer.finish_mut();
        let (front, behind) = message.split_at_mut_checked(signature_at + Signature::LEN).ok_or(Refusal::Busy)?;
        let body = Reader::new(behind).bytes().ok_or(Refusal::Busy)?;
        let signature = self.identity.sign(&signed_text(context, &self.own, asker, nonce, body));
        let slot = front.get_mut(signature_at..).ok_or(Refusal::Busy)?;
        slot.copy_from_slice(signature.as_bytes());
        Ok(message.len())
    }

    #[inline(never)]
    fn answer_proof(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        size: u64,
        limit: u32,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        self.served(log)?;
        let buf = self.within(limit, buf);
        let mut hashes = [[0; Hash::LEN]; MAX_PROOF];
        let proven = Self::prove_at(store, log, size, &mut hashes);
        let proven = proven.inspect_err(|error| self.note_damage(log, *error));
        let (head, root, count) = proven.map_err(|error| self.refusal(error))?.ok_or(Refusal::NotHeld)?;
        let proof = Proof::new(hashes.get(..count).unwrap_or_default()).ok_or(Refusal::Busy)?;
        encode(id, Response::Proof(ProofAnswer { log: *log, size, root, head, proof }), buf)
    }

    /// The head, our root at `size`, and the proof between them, checked before it is given out: what a
    /// damaged store says is not sent.
    fn prove_at(
        store: &mut dyn Store,
        log: &LogId,
        size: u64,
        hashes: &mut [[u8; Hash::LEN]; MAX_PROOF],
    ) -> Result<Option<(SignedHead, Hash, usize)>, StoreError> {
        // A log of its own that is still empty is not in the store yet.
        let Some(StoredLog { state, .. }) = store.log(log)? else { return Ok(None) };
        if size == 0 {
            return Ok(state.complete.or(state.covering).map(|head| (head, Hash::EMPTY_ROOT, 0)));
        }
        let Some((head, count)) = prove_to_head(store, log, &state, size, hashes)? else { return Ok(None) };
        let root = root_of(store, log, size)?;
        let proof = hashes.get(..count).unwrap_or_default();
        if verify_consistency(size, &root, head.head.size, &head.head.root, proof).is_err() {
            return Err(StoreError::Damaged);
        }
        Ok(Some((head, root, count)))
    }

    #[inline(never)]
    fn answer_records(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        start: u64,
        count: u64,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        self.served(log)?;
        self.put_batch(store, log, start, count, buf, Envelope::Answer { id }).map_err(|error| match error {
            BatchError::NotHeld => Refusal::NotHeld,
            BatchError::TooLong => Refusal::TooLong { index: start },
            BatchError::NoRoom => Refusal::Busy,
            BatchError::Store(error) => self.refusal(error),
        })
    }

    /// Writes a message that ends in a batch, and checks the proof it gives out.
    pub(super) fn put_batch(
        &mut self,
        store: &mut dyn Store,
        log: &LogId,
        start: u64,
        count: u64,
        buf: &mut [u8],
        envelope: Envelope,
    ) -> Result<usize, BatchError> {
        let written = read_batch(store, log, start, count, buf, envelope);
        written.inspect_err(|error| {
            if let BatchError::Store(error) = error {
                self.note_damage(log, *error);
            }
        })
    }

    #[inline(never)]
    fn answer_key(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        if *log == self.own {
            let vkey = self.identity.vkey();
            return encode(id, Response::Key { log: *log, name: vkey.name().as_str(), key: *vkey.key() }, buf);
        }
        self.replicas.find(log).ok_or(Refusal::Unknown)?;
        let (vkey, _) = self.key_of(store, log).map_err(|error| self.refusal(error))?;
        encode(id, Response::Key { log: *log, name: vkey.name().as_str(), key: *vkey.key() }, buf)
    }

    #[inline(never)]
    fn answer_fork(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        let replica = self.replicas.find(log).ok_or(Refusal::Unknown)?;
        if !replica.is_forked {
            return Err(Refusal::NotHeld);
        }
        match put_fork(store, log, &frame(id, Response::Fork { log: *log, proof: &[] }), buf) {
            Ok(len) => len.ok_or(Refusal::NotHeld),
            Err(Error::Store(error)) => Err(self.refusal(error)),
            Err(_) => Err(Refusal::Busy),
        }
    }

    #[inline(never)]
    fn answer_push(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        push: &Push<'_>,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        let batch = &push.batch;
        self.served(&batch.log)?;
        let slot = self.replicas.slot(&batch.log).ok_or(Refusal::Unknown)?;
        let before = self.replicas.get(slot).map_or((Head::EMPTY, 0), |replica| (replica.unproven, replica.seen));
        let accepted = self.accept(store, slot, batch, None);
        let accepted = accepted.map_err(|error| self.refusal(error))?;
        self.save_stop_soon(store);
        if accepted != Accepted::Known {
            self.cache.idle_until = None;
        }
        if let Some(replica) = self.replicas.get(slot) {
            let is_news = (replica.unproven, replica.seen) != before && replica.seen > replica.have;
            if is_news {
                self.hint(&push.from);
            }
        }
        if matches!(accepted, Accepted::Undecided | Accepted::Fault(_)) {
            return Err(Refusal::Invalid);
        }
        self.settle(store).map_err(refusal_of)?;
        let Some(replica) = self.replicas.get(slot) else { return Err(Refusal::Unknown) };
        let word = PushWord { log: batch.log, complete: replica.complete, have: replica.provable() };
        let empty = Response::Pushed(Signed { signature: NO_SIGNATURE, body: &[] });
        let mut writer = open(buf, &frame(id, empty)).ok_or(Refusal::Busy)?;
        let signature_at = writer.len() - Signature::LEN;
        let written = writer.put_bytes_with(|buf| write_value(&word, buf).ok_or(()));
        written.ok().flatten().ok_or(Refusal::Busy)?;
        self.sign(writer, signature_at, SignedContext::Push, &push.from, &push.nonce)
    }

    /// Somebody who says to be this node pushed a head that is signed, ahead of us and new. If it is a peer,
    /// it is worth asking now rather than in the next round. Nothing more is taken on a name that nobody
    /// signed for: what a stranger can cause by it is one question a new head.
    fn hint(&mut self, from: &LogId) {
        let peer = self.peers.iter_mut().find(|peer| peer.node == *from && peer.is_healthy());
        if let Some(peer) = peer {
            peer.listing.ask();
        }
    }
}

fn frame(id: RequestId, response: Response<'_>) -> Frame<'_> {
    Frame { id, message: Message::Response(response) }
}

fn encode(id: RequestId, response: Response<'_>, buf: &mut [u8]) -> Result<usize, Refusal> {
    frame(id, response).encode(buf).map(<[u8]>::len).ok_or(Refusal::Busy)
}

fn refusal_of(error: StoreError) -> Refusal {
    match error {
        StoreError::Dropped { first } => Refusal::Dropped { first },
        StoreError::UnknownLog | StoreError::Damaged | StoreError::Mismatch => Refusal::NotHeld,
        _ => Refusal::Busy,
    }
}

/// What we know of the asker's own log: how much of it, and the largest head its key signed.
fn own_log(store: &mut dyn Store, replica: &Replica) -> Result<OwnLog, StoreError> {
    let state = store.log(&replica.id)?.map(|stored| stored.state).unwrap_or_default();
    let heads = [state.complete, state.covering, state.unproven].into_iter().flatten();
    Ok(OwnLog { have: replica.provable(), head: heads.max_by_key(|signed| signed.head.size) })
}

/// The unproven head of a log with its signature, which is in the store.
fn signed_unproven(store: &mut dyn Store, replica: &Replica) -> Result<Option<SignedHead>, StoreError> {
    if replica.unproven.size == 0 {
        return Ok(None);
    }
    match store.log(&replica.id) {
        Err(StoreError::Damaged | StoreError::Mismatch) => Ok(None),
        stored => Ok(stored?.and_then(|stored| stored.state.unproven)),
    }
}
