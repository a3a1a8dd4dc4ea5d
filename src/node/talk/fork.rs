//! Fork proofs: asked for, and pushed on.

use crate::error::Error;
use crate::key::LogId;
use crate::node::ending::{Blame, Ending};
use crate::node::value::Node;
use crate::node::write::{frame, put_fork};
use crate::state::Tables;
use crate::store::{Store, StoreError};
use crate::wire::{Refusal, RequestId, Response};
use crate::words::{Ask, Command, Fault, PeerId};

impl<T: Tables> Node<T> {
    pub(in crate::node) fn push_fork(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        log: LogId,
    ) -> Result<Option<Command>, StoreError> {
        self.settle(store)?;
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
        let replica = self.logs.find(log).ok_or(Refusal::Unknown)?;
        if !replica.is_forked {
            return Err(Refusal::NotHeld);
        }
        match put_fork(store, log, &frame(id, Response::Fork { log: *log, proof: &[] }), buf) {
            Ok(len) => len.ok_or(Refusal::NotHeld),
            Err(Error::Store(error)) => Err(self.refusal(error)),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// A fork proof came that was asked for.
    #[inline(never)]
    pub(in crate::node) fn hear_fork(
        &mut self,
        store: &mut dyn Store,
        log: &LogId,
        proof: &[u8],
    ) -> Result<Ending, StoreError> {
        match self.take_fork(store, log, proof) {
            Ok(false) => Ok(Ending::Fault(Fault::FalseForkProof, Blame::Transport)),
            // (A proof that a damaged store leaves unchecked is nobody's fault.)
            Ok(true) | Err(StoreError::Damaged | StoreError::Mismatch) => Ok(Ending::Answered),
            Err(error) => Err(error),
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
