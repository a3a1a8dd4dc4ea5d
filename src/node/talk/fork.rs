//! Fork proofs: the log is forked there and not here, or here and not there.
//!
//! - Ask: for the proof, or to take ours (when, `due` and `feed` say).
//! - Answer: with the proof that is kept; or take the one that was pushed, and say so.
//! - Hear: a proof is verified with nothing but the log's key, so that it does not matter who sends it. One that proves
//!   nothing is the answerer's fault.
//!
//! The rule: a log is frozen by a fork proof that passes the stand-alone verifier, and by nothing else. What a proof is
//! made of is said in [`head`](crate::head).

use crate::error::Error;
use crate::judge::Trouble;
use crate::key::LogId;
use crate::node::ending::{Blame, Ending};
use crate::node::value::Node;
use crate::node::write::{encode, frame, put_fork, refusal_of};
use crate::state::Tables;
use crate::store::Store;
use crate::wire::{Refusal, RequestId, Response};
use crate::words::{Ask, Command, Fault, PeerId};

impl<T: Tables> Node<T> {
    pub(in crate::node) fn push_fork(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        log: LogId,
    ) -> Result<Option<Command>, Trouble> {
        self.settle(store).map_err(Trouble::anywhere)?;
        Ok(self.ask(peer, Ask::PushFork { log }))
    }

    #[inline(never)]
    pub(in crate::node) fn answer_fork(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        let slot = self.logs.slot(log).ok_or(Refusal::Unknown)?;
        if !self.logs.get(slot).is_some_and(|replica| replica.is_forked) {
            return Err(Refusal::NotHeld);
        }
        match put_fork(store, log, &frame(id, Response::Fork { log: *log, proof: &[] }), buf) {
            Ok(len) => len.ok_or(Refusal::NotHeld),
            Err(Error::Store(error)) => Err(self.refusal(Trouble::at(slot, error))),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// Takes a fork proof that was pushed.
    #[inline(never)]
    pub(in crate::node) fn answer_fork_push(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        proof: &[u8],
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        self.logs.find(log).ok_or(Refusal::Unknown)?;
        let is_proof = self.take_fork(store, log, proof).map_err(|trouble| self.refusal(trouble))?;
        if !is_proof {
            return Err(Refusal::Invalid);
        }
        self.settle(store).map_err(refusal_of)?;
        encode(id, Response::PushedFork { log: *log }, buf)
    }

    /// A fork proof came that was asked for.
    #[inline(never)]
    pub(in crate::node) fn hear_fork(
        &mut self,
        store: &mut dyn Store,
        log: &LogId,
        proof: &[u8],
    ) -> Result<Ending, Trouble> {
        match self.take_fork(store, log, proof) {
            Ok(false) => Ok(Ending::Fault(Fault::FalseForkProof, Blame::Transport)),
            Ok(true) => Ok(Ending::Answered),
            // A proof that a damaged store leaves unchecked is nobody's fault.
            Err(trouble) if self.notes_damage(trouble) => Ok(Ending::Answered),
            Err(trouble) => Err(trouble),
        }
    }

    /// A pushed fork proof was taken. The peer's next status will say so under its signature; until then there is
    /// nothing to push.
    pub(in crate::node) fn hear_fork_taken(&mut self, peer: PeerId, log: &LogId) -> Ending {
        let until = self.clock.now + self.config.interval;
        if let Some(view) = self.views.of_mut(log, peer) {
            view.retry_at = until;
        }
        Ending::Answered
    }
}
