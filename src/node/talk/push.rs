//! Pushes: they are behind.
//!
//! - Ask: to take our newest head of a log, with the records that follow what the peer has by its own word, as many as
//!   fit; or the head alone.
//! - Answer: the batch is judged as if it had been asked for. Then our signed word, over the pusher's nonce, on what we
//!   have of the log now.
//! - Hear: the word moves what the peer is known to have. Pushing goes on as long as that gets it further.
//!
//! The rule: what was sent has not arrived; and nothing is acknowledged, as nothing is sent, that is not durable.

use crate::codec::write_value;
use crate::error::Error;
use crate::head::Head;
use crate::judge::Trouble;
use crate::key::{LogId, Signature};
use crate::node::accept::Accepted;
use crate::node::ending::{Blame, Ending};
use crate::node::value::Node;
use crate::node::write::{BatchError, Envelope, NO_SIGNATURE, frame, open, read_batch, refusal_of};
use crate::state::{Replica, Tables, View};
use crate::store::Store;
use crate::wire::{Batch, Entry, Proof, Push, PushWord, Refusal, RequestId, Response, Signed, SignedContext};
use crate::words::{Ask, Command, Fault, PeerId, PushOutcome};

impl<T: Tables> Node<T> {
    /// Pushes records to a peer that is behind, from where it is.
    pub(in crate::node) fn push_records(
        &mut self,
        store: &mut dyn Store,
        view: &View,
    ) -> Result<Option<Command>, Trouble> {
        let provable = self.logs.find(&view.log).map_or(0, Replica::provable);
        self.push(store, view.peer, view.log, view.have.min(provable))
    }

    pub(in crate::node) fn push(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        log: LogId,
        start: u64,
    ) -> Result<Option<Command>, Trouble> {
        if self.requests.is_pushed(peer, &log) {
            return Ok(None);
        }
        // Nothing leaves that is not durable.
        self.settle(store).map_err(Trouble::anywhere)?;
        Ok(self.ask(peer, Ask::Push { log, start }))
    }

    #[inline(never)]
    pub(in crate::node) fn encode_push(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        start: u64,
        buf: &mut [u8],
    ) -> Result<usize, Error> {
        self.settle(store)?;
        let (from, nonce) = (self.writing.id(), self.chance.nonce(id));
        let envelope = Envelope::Push { id, from, nonce };
        let slot = self.logs.slot(log).ok_or(Error::UnknownLog)?;
        match read_batch(store, slot, log, start, u64::MAX, buf, envelope) {
            Ok(len) => Ok(len),
            Err(BatchError::NoRoom) => Err(Error::BufferTooSmall),
            Err(BatchError::Store(trouble)) if !trouble.is_dropped() => Err(self.noted(trouble).into()),
            // A head can be offered without the records that do not fit, or that are not held any more.
            Err(BatchError::NotHeld | BatchError::TooLong | BatchError::Store(_)) => {
                let head = store.log(log)?.and_then(|stored| stored.state.complete).ok_or(Error::UnknownLog)?;
                let batch = Batch { log: *log, start: head.head.size, head, proof: Proof::default(), records: &[] };
                envelope.frame(batch).encode(buf).map(<[u8]>::len).ok_or(Error::BufferTooSmall)
            }
        }
    }

    #[inline(never)]
    pub(in crate::node) fn answer_push(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        push: &Push<'_>,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        let batch = &push.batch;
        let slot = self.served(&batch.log)?;
        let before = self.logs.get(slot).map_or((Head::EMPTY, 0), |replica| (replica.unproven, replica.seen));
        let accepted = self.accept(store, slot, batch, None);
        let accepted = accepted.map_err(|trouble| self.refusal(trouble))?;
        self.save_stop_soon(store);
        if accepted != Accepted::Known {
            self.cache.idle_until = None;
        }
        if let Some(replica) = self.logs.get(slot) {
            let is_news = (replica.unproven, replica.seen) != before && replica.seen > replica.have;
            if is_news {
                self.hint(&push.from);
            }
        }
        if matches!(accepted, Accepted::Undecided | Accepted::Fault(_)) {
            return Err(Refusal::Invalid);
        }
        self.settle(store).map_err(refusal_of)?;
        let Some(replica) = self.logs.get(slot) else { return Err(Refusal::Unknown) };
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

    /// A push was answered: the peer's signed word on what it has of the log now.
    #[inline(never)]
    pub(in crate::node) fn hear_push_word(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        request: RequestId,
        log: LogId,
        start: u64,
        word: &Signed<'_>,
    ) -> Ending {
        let Some(known) = self.peers.find(peer) else { return Ending::None };
        if !word.verify(SignedContext::Push, &known.vkey, &self.writing.id(), &self.chance.nonce(request)) {
            return Ending::Failed;
        }
        let Some(word) = PushWord::decode(word.body).ok().filter(|word| word.log == log) else {
            return Ending::Fault(Fault::Malformed, Blame::Signed);
        };
        if log == self.writing.id() {
            self.acknowledged(store, peer, word.have);
        }
        self.push_ended(peer, log, PushOutcome::Accepted { have: word.have });
        let PushWord { complete, have, .. } = word;
        let entry = Entry { log, complete, have, covering: None, unproven: None, forked: false };
        // Pushing goes on as long as it gets the peer further: than what was sent begins, and where that is not
        // where it was, than it was. Or one word, said over and over, would have us push for ever.
        let provable = self.logs.find(&log).map_or(0, Replica::provable);
        let before = self.views.of(&log, peer).map_or(start, |view| view.have);
        let (is_own, is_further) = (log == self.writing.id(), have > before);
        self.heard(peer, &entry, |view| {
            view.is_owed = have > start && (have < provable || is_further);
            if is_own && is_further {
                view.failures = 0;
            }
        });
        Ending::Answered
    }

    pub(in crate::node) fn push_ended(&mut self, peer: PeerId, log: LogId, outcome: PushOutcome) {
        if let Some(peer) = self.peers.find_mut(peer) {
            peer.untold.pushed = Some((log, outcome));
        }
        let (now, pause) = (self.clock.now, self.config.interval / 16);
        if !matches!(outcome, PushOutcome::Accepted { .. })
            && let Some(view) = self.views.of_mut(&log, peer)
        {
            view.failed(now, pause);
        }
    }
}
