//! Proofs: roots disagree. What the peer's root is at a size, and how that leads to its head.

use crate::head::SignedHead;
use crate::key::LogId;
use crate::log::{Hash, MAX_PROOF, verify_consistency};
use crate::node::ending::{Blame, Ending};
use crate::node::evidence::Side;
use crate::node::prove::{prove_to_head, root_of};
use crate::node::value::Node;
use crate::node::write::encode;
use crate::state::{Root, Tables, View};
use crate::store::{Store, StoreError, StoredLog};
use crate::wire::{Proof, ProofAnswer, Refusal, RequestId, Response};
use crate::words::{Fault, PeerId};

impl<T: Tables> Node<T> {
    /// Holds the root that a peer claims against our own at that size.
    #[inline(never)]
    pub(in crate::node) fn compare(&mut self, store: &mut dyn Store, at: usize, view: &View) -> Result<(), StoreError> {
        let root = root_of(store, &view.log, view.complete.size);
        let is_disputed = match root {
            // Older than what is held: there is nothing to compare it with.
            Err(StoreError::Dropped { .. }) => false,
            Err(StoreError::Damaged | StoreError::Mismatch) => {
                if let Some(slot) = self.logs.slot(&view.log) {
                    self.damaged(slot);
                }
                false
            }
            root => root? != view.complete.root,
        };
        if let Some(view) = self.views.get_mut(at) {
            let size = view.complete.size;
            view.root = if is_disputed { Root::Disputed { size, by_batch: false } } else { Root::Compared };
        }
        Ok(())
    }

    #[inline(never)]
    pub(in crate::node) fn answer_proof(
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

    /// A proof came: at the size asked about the peer's log is ours, or the log has forked, or the peer
    /// answered falsely.
    #[inline(never)]
    pub(in crate::node) fn hear_proof(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        answer: &ProofAnswer<'_>,
    ) -> Result<Ending, StoreError> {
        match self.judge_proof(store, peer, answer) {
            Err(error @ (StoreError::Damaged | StoreError::Mismatch)) => {
                // Our own store cannot be held against the answer: that is nobody's fault but ours.
                self.note_damage(&answer.log, error);
                Ok(Ending::Answered)
            }
            judged => judged,
        }
    }

    fn judge_proof(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        answer: &ProofAnswer<'_>,
    ) -> Result<Ending, StoreError> {
        let (log, size) = (answer.log, answer.size);
        let Some(slot) = self.logs.slot(&log) else { return Ok(Ending::None) };
        let (vkey, stored) = self.key_of(store, &log)?;
        if answer.head.verify(&vkey).is_err() {
            return Ok(Ending::Fault(Fault::HeadSignature, Blame::Transport));
        }
        let head = answer.head.head;
        if verify_consistency(size, &answer.root, head.size, &head.root, answer.proof.hashes()).is_err() {
            if cfg!(verisoo_bug = "writer-blamed-for-relay")
                && let Some(replica) = self.logs.get_mut(slot)
            {
                replica.is_forked = true;
            }
            return Ok(Ending::Fault(Fault::FalseProof, Blame::Transport));
        }
        let is_ours = match root_of(store, &log, size) {
            Err(StoreError::Dropped { .. }) => None,
            root => Some(root? == answer.root),
        };
        let sent_batch =
            self.views.of(&log, peer).is_some_and(|view| matches!(view.root, Root::Disputed { by_batch: true, .. }));
        if is_ours == Some(false) {
            let side = Side { head: answer.head, root: answer.root, proof: answer.proof.hashes() };
            self.prove_fork(store, slot, &vkey, &stored, size, &side)?;
            self.own_head_met(slot, head);
        } else {
            self.judge(store, slot, &vkey, &stored, answer.head)?;
        }
        self.clear_dispute(&log, peer);
        let is_forked = self.logs.get(slot).is_some_and(|replica| replica.is_forked);
        if sent_batch && is_ours == Some(true) && !is_forked {
            // Its log is ours up to there, and its head is true: the records it sent were not.
            return Ok(Ending::Fault(Fault::FalseRecords, Blame::Transport));
        }
        // Also where nothing can be proven by it, for want of a signed head on our side: it is true.
        Ok(Ending::Answered)
    }

    fn clear_dispute(&mut self, log: &LogId, peer: PeerId) {
        if let Some(view) = self.views.of_mut(log, peer) {
            // It is known now, one way or the other; asking once more would bring no more.
            view.root = Root::Compared;
            view.retry_at = self.clock.now + self.config.timeout;
        }
    }
}
