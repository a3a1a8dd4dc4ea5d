//! Proofs: roots disagree.
//!
//! - Ask: where the root that a peer claims is not ours ([`Node::compare`]), or a batch from it did not verify.
//! - Answer: our root at the size asked about, a signed head, and the consistency proof (RFC 9162 section 2.1.4)
//!   between the two.
//! - Hear: a proof that does not lead to its head, or a head that is not signed, is the answerer's fault. Another root
//!   that does lead there is the writer's: a fork. Where the root is ours the peer's log is, and a batch it sent was
//!   false.
//!
//! The rule: every failure has an owner, and what is wrong with our own store is blamed on nobody else.

use crate::judge::{Proven, Shelf, Side, Trouble, root_of};
use crate::key::LogId;
use crate::log::{Hash, MAX_PROOF, verify_consistency};
use crate::node::ending::{Blame, Ending};
use crate::node::value::Node;
use crate::node::write::encode;
use crate::state::{Root, Tables, View};
use crate::store::Store;
use crate::wire::{Proof, ProofAnswer, Refusal, RequestId, Response};
use crate::words::{Fault, PeerId};

impl<T: Tables> Node<T> {
    /// Holds the root that a peer claims against our own at that size.
    #[inline(never)]
    pub(in crate::node) fn compare(&mut self, store: &mut dyn Store, at: usize, view: &View) -> Result<(), Trouble> {
        let Some(slot) = self.logs.slot(&view.log) else { return Ok(()) };
        let root = root_of(store, &view.log, view.complete.size);
        let is_disputed = match root.map_err(|error| Trouble::at(slot, error)) {
            // Older than what is held: there is nothing to compare it with.
            Err(trouble) if trouble.is_dropped() => false,
            Err(trouble) if self.notes_damage(trouble) => false,
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
        let slot = self.served(log)?;
        let buf = self.within(limit, buf);
        let mut hashes = [[0; Hash::LEN]; MAX_PROOF];
        let proven = prove_at(store, slot, *log, size, &mut hashes);
        let Proven { head, root, len } = proven.map_err(|trouble| self.refusal(trouble))?.ok_or(Refusal::NotHeld)?;
        let proof = Proof::new(hashes.get(..len).unwrap_or_default()).ok_or(Refusal::Busy)?;
        encode(id, Response::Proof(ProofAnswer { log: *log, size, root, head, proof }), buf)
    }

    /// A proof came: at the size asked about the peer's log is ours, or the log has forked, or the peer
    /// answered falsely.
    #[inline(never)]
    pub(in crate::node) fn hear_proof(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        answer: &ProofAnswer<'_>,
    ) -> Result<Ending, Trouble> {
        match self.judge_proof(store, peer, answer) {
            // Our own store cannot be held against the answer: that is nobody's fault but ours.
            Err(trouble) if self.notes_damage(trouble) => Ok(Ending::Answered),
            judged => judged,
        }
    }

    fn judge_proof(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        answer: &ProofAnswer<'_>,
    ) -> Result<Ending, Trouble> {
        let (log, size) = (answer.log, answer.size);
        let Some(slot) = self.logs.slot(&log) else { return Ok(Ending::None) };
        let mut shelf = self.shelf(store, slot)?;
        if answer.head.verify(&shelf.vkey::<T::Scheme>()).is_err() {
            return Ok(Ending::Fault(Fault::HeadSignature, Blame::Transport));
        }
        let head = answer.head.head;
        if verify_consistency(size, &answer.root, head.size, &head.root, answer.proof.hashes()).is_err() {
            return Ok(Ending::Fault(Fault::FalseProof, Blame::Transport));
        }
        let is_ours = match shelf.root_at(size) {
            Err(trouble) if trouble.is_dropped() => None,
            root => Some(root? == answer.root),
        };
        let sent_batch =
            self.views.of(&log, peer).is_some_and(|view| matches!(view.root, Root::Disputed { by_batch: true, .. }));
        if is_ours == Some(false) {
            let side = Side { head: answer.head, root: answer.root, proof: answer.proof.hashes() };
            self.prove_fork(&mut shelf, size, &side)?;
            self.own_head_met(slot, head);
        } else {
            self.judge(&mut shelf, answer.head)?;
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

/// Our root at a size, and how it leads to a signed head; from size 0 there is no proof.
fn prove_at(
    store: &mut dyn Store,
    slot: u32,
    log: LogId,
    size: u64,
    hashes: &mut [[u8; Hash::LEN]; MAX_PROOF],
) -> Result<Option<Proven>, Trouble> {
    // A log of its own that is still empty is not in the store yet.
    let Some(mut shelf) = Shelf::open(store, slot, log)? else { return Ok(None) };
    if size > 0 {
        return shelf.prove(size, hashes);
    }
    let head = shelf.state().complete.or(shelf.state().covering);
    Ok(head.map(|head| Proven { head, root: Hash::EMPTY_ROOT, len: 0 }))
}
