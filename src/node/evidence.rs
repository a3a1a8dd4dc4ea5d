//! Signed heads as evidence: every head that comes by, from wherever, is held against what is known of
//! its log. Two that cannot both be true become a fork proof, and only a fork proof that passes the
//! stand-alone verifier freezes a log.

use super::logs::{read_error, reader, root_of};
use super::replica::{Note, Replica};
use super::request::{Blame, Ending};
use super::view::{Root, ViewTable};
use super::{Fault, Mode, Node, SyncError};
use crate::head::ForkProof;
use crate::log::{MAX_PROOF, extend_consistency, prove_consistency, verify_consistency};
use crate::peer::PeerId;
use crate::store::{Commit, LogState, Store, StoreError, StoredLog};
use crate::tables::{List, Tables};
use crate::wire::ProofAnswer;
use crate::{Hash, Head, LogId, Records, Scheme, SignedHead, Vkey};

/// What a signed head turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    /// Nothing new, or consistent with what is held.
    Consistent,
    /// Beyond what is held: kept, and something to fetch for.
    Ahead,
    /// The log's key did not sign it.
    NotSigned,
    /// It proved a fork.
    Forked,
}

/// One side of a contradiction: a signed head, the root it has at a size, and how that leads to it.
pub(super) struct Side<'a> {
    pub(super) head: SignedHead,
    pub(super) root: Hash,
    pub(super) proof: &'a [[u8; Hash::LEN]],
}

impl<T: Tables> Node<T> {
    /// Holds a head that came by against what is known of its log.
    #[inline(never)]
    pub(super) fn observe(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        signed: SignedHead,
    ) -> Result<Observed, StoreError> {
        let Some(replica) = self.replicas.get(slot) else { return Ok(Observed::Consistent) };
        if replica.is_forked || replica.is_damaged || signed.head.size == 0 || replica.knows(&signed.head) {
            return Ok(Observed::Consistent);
        }
        let log = replica.id;
        let observed = match self.key_of(store, &log) {
            Ok((vkey, _)) if signed.verify(&vkey).is_err() => Ok(Observed::NotSigned),
            Ok((vkey, stored)) => self.judge(store, slot, &vkey, &stored, signed),
            Err(error) => Err(error),
        };
        observed.inspect_err(|error| self.note_damage(&log, *error))
    }

    /// Judges the evidence that an accepted batch left behind: a head seen before that the records now
    /// held contradict, or confirm. Kept in the store until it is, so that neither a crash nor a store
    /// that is not ready loses it.
    pub(super) fn settle_evidence(&mut self, store: &mut dyn Store, slot: u32) -> Result<(), StoreError> {
        let Some(replica) = self.replicas.get(slot).filter(|replica| replica.has_evidence()) else { return Ok(()) };
        let log = replica.id;
        let (vkey, stored) = self.key_of(store, &log)?;
        if let Some(unproven) = stored.state.unproven {
            let observed = self.judge(store, slot, &vkey, &stored, unproven)?;
            if observed != Observed::Forked {
                // It says what is known, or what can no longer be told.
                self.restate(store, slot, &mut |state| state.unproven = None)?;
            }
        }
        Ok(())
    }

    /// The same for all logs that have some.
    pub(super) fn settle_all_evidence(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        while self.has_evidence {
            let waiting = self.replicas.iter_after(None).find(|replica| replica.has_evidence() && !replica.is_damaged);
            match waiting.and_then(|replica| self.replicas.slot(&replica.id)) {
                Some(slot) => self.settle_evidence(store, slot)?,
                None => self.has_evidence = false,
            }
        }
        Ok(())
    }

    /// The same for a head whose signature is known to be true.
    #[inline(never)]
    pub(super) fn judge(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        vkey: &Vkey<T::Scheme>,
        stored: &StoredLog,
        signed: SignedHead,
    ) -> Result<Observed, StoreError> {
        let observed = self.hold_against(store, slot, vkey, stored, signed)?;
        if self.replicas.get(slot).is_some_and(Replica::is_own) {
            // Last: a store that fails must find the node as it was.
            self.raise_target(signed.head.size);
        }
        Ok(observed)
    }

    fn hold_against(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        vkey: &Vkey<T::Scheme>,
        stored: &StoredLog,
        signed: SignedHead,
    ) -> Result<Observed, StoreError> {
        let Some(replica) = self.replicas.get(slot) else { return Ok(Observed::Consistent) };
        let (log, have, size) = (replica.id, replica.have, signed.head.size);
        let their_side = Side { head: signed, root: signed.head.root, proof: &[] };
        if size <= have {
            let root = match root_of(store, &log, size) {
                // Too old to be compared with what is still held.
                Err(StoreError::Dropped { .. }) => return Ok(Observed::Consistent),
                root => root?,
            };
            if root != signed.head.root && !cfg!(verisoo_bug = "equal-sizes-taken-for-equal") {
                let is_forked = self.prove_fork(store, slot, vkey, stored, size, &their_side)?;
                self.own_head_met(slot, signed.head);
                return Ok(if is_forked { Observed::Forked } else { Observed::Consistent });
            }
            let is_new = size > stored.state.complete.map_or(0, |complete| complete.head.size);
            // A head of our own log that we did not sign is nothing to go on from, but while recovering.
            let is_writing = replica.is_own() && !self.is_recovering();
            if is_new && !is_writing {
                self.restate(store, slot, &mut |state| {
                    state.complete = Some(signed);
                    if signed.head.size == state.have {
                        state.covering = None;
                    }
                })?;
            }
            self.own_head_met(slot, signed.head);
            return Ok(Observed::Consistent);
        }
        let rival = [stored.state.covering, stored.state.unproven]
            .into_iter()
            .flatten()
            .find(|known| known.head.size == size && known.head.root != signed.head.root);
        if rival.is_some() && self.prove_fork(store, slot, vkey, stored, size, &their_side)? {
            return Ok(Observed::Forked);
        }
        // The one soonest checkable is kept: an invented size gives way to any that is real.
        if stored.state.unproven.is_none_or(|unproven| unproven.head.size > size) {
            self.restate(store, slot, &mut |state| state.unproven = Some(signed))?;
        }
        if let Some(replica) = self.replicas.get_mut(slot) {
            replica.seen = replica.seen.max(size);
        }
        self.own_head_met(slot, signed.head);
        Ok(Observed::Ahead)
    }

    /// Changes a log's state in the store, from what it is there now; the proof kept for the covering head
    /// stays.
    #[inline(never)]
    fn restate(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        change: &mut dyn FnMut(&mut LogState),
    ) -> Result<(), StoreError> {
        let Some(log) = self.replicas.get(slot).map(|replica| replica.id) else { return Ok(()) };
        let mut state = store.log(&log)?.ok_or(StoreError::UnknownLog)?.state;
        change(&mut state);
        let mut kept = [[0; Hash::LEN]; MAX_PROOF];
        let count = if state.covering.is_some() { store.proof(&log, &mut kept)? } else { 0 };
        let proof = kept.get(..count).unwrap_or_default();
        if let Some(Head { size, root }) = state.covering.map(|covering| covering.head).filter(|_| state.have > 0) {
            // What was read falsely once must not be written back, to be false for good.
            let held = root_of(store, &log, state.have)?;
            verify_consistency(state.have, &held, size, &root, proof).map_err(|_| StoreError::Damaged)?;
        }
        let commit = Commit { start: state.have, records: Records::default(), hashes: &[], state, proof };
        self.commit(store, slot, &commit, None)
    }

    /// A head signed by the node's own key: while recovering it says how far the log has to be taken back;
    /// afterwards one that the node did not sign means that somebody else signs with its key.
    fn own_head_met(&mut self, slot: u32, head: Head) {
        let Some(replica) = self.replicas.get(slot).filter(|replica| replica.is_own()) else { return };
        let is_ours = head.size <= replica.complete.size && !replica.is_forked;
        match &mut self.mode {
            Mode::Recovering(recovery) => recovery.target = recovery.target.max(head.size),
            Mode::Writing if !is_ours => self.stop_writing(),
            Mode::Writing | Mode::Stopped { .. } => {}
        }
    }

    /// Ends writing for good, at once; the store is told by the next poll.
    pub(super) fn stop_writing(&mut self) {
        if !matches!(self.mode, Mode::Stopped { .. }) {
            self.mode = Mode::Stopped { is_saved: false };
            self.notes.stopped = true;
        }
    }

    /// Tries to have the store remember that writing has ended; if it cannot now, polls try again.
    pub(super) fn save_stop_soon(&mut self, store: &mut dyn Store) {
        // (Where it fails, the next poll tries again, and says so.)
        let _ = self.save_stop(store);
    }

    /// Has the store remember that writing has ended.
    pub(super) fn save_stop(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        if self.mode == (Mode::Stopped { is_saved: false })
            && let Some(slot) = self.replicas.slot(&self.own)
        {
            if store.log(&self.own)?.is_some() {
                match self.restate(store, slot, &mut |state| state.stopped = true) {
                    // What is held of the log is damaged: that ends its writing as well, and must not end all else.
                    Err(error @ (StoreError::Damaged | StoreError::Mismatch)) => {
                        let own = self.own;
                        self.note_damage(&own, error);
                    }
                    saved => saved?,
                }
            }
            self.mode = Mode::Stopped { is_saved: true };
        }
        Ok(())
    }

    /// Builds the proof that a log's writer signed two histories, and freezes the log; `false` where it
    /// cannot be built from what is still held.
    #[inline(never)]
    pub(super) fn prove_fork(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        vkey: &Vkey<T::Scheme>,
        stored: &StoredLog,
        size: u64,
        theirs: &Side<'_>,
    ) -> Result<bool, StoreError> {
        // No batch is being judged any more, so that its scratch space is free.
        let kept = contradict(store, vkey, stored, size, theirs, proof_room(&mut self.cache.hashes));
        self.cache.hashes.clear();
        match kept? {
            Kept::Nothing => Ok(false),
            Kept::Damaged => {
                self.damaged(slot);
                Ok(false)
            }
            Kept::Proof => {
                self.fork_kept(slot);
                Ok(true)
            }
        }
    }

    /// A verified fork proof is in the store: the log is frozen.
    fn fork_kept(&mut self, slot: u32) {
        self.wrote();
        let Some(replica) = self.replicas.get_mut(slot) else { return };
        replica.is_forked = true;
        let (log, is_own) = (replica.id, replica.is_own());
        for view in self.views.iter_mut().filter(|view| view.log == log) {
            view.retry_at = crate::Instant::ZERO;
            view.end_sync(Some(SyncError::Forked));
        }
        self.replicas.note(slot, Note::Forked);
        self.touch(slot);
        self.changed();
        if is_own {
            self.stop_writing();
        }
    }

    /// A proof came: at the size asked about the peer's log is ours, or the log has forked, or the peer
    /// answered falsely.
    #[inline(never)]
    pub(super) fn hear_proof(
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
        let Some(slot) = self.replicas.slot(&log) else { return Ok(Ending::None) };
        let (vkey, stored) = self.key_of(store, &log)?;
        if answer.head.verify(&vkey).is_err() {
            return Ok(Ending::Fault(Fault::HeadSignature, Blame::Transport));
        }
        let head = answer.head.head;
        if verify_consistency(size, &answer.root, head.size, &head.root, answer.proof.hashes()).is_err() {
            if cfg!(verisoo_bug = "writer-blamed-for-relay")
                && let Some(replica) = self.replicas.get_mut(slot)
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
        let is_forked = self.replicas.get(slot).is_some_and(|replica| replica.is_forked);
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

    /// A fork proof came that was asked for.
    #[inline(never)]
    pub(super) fn hear_fork(&mut self, store: &mut dyn Store, log: &LogId, proof: &[u8]) -> Result<Ending, StoreError> {
        match self.take_fork(store, log, proof) {
            Ok(false) => Ok(Ending::Fault(Fault::FalseForkProof, Blame::Transport)),
            // (A proof that a damaged store leaves unchecked is nobody's fault.)
            Ok(true) | Err(StoreError::Damaged | StoreError::Mismatch) => Ok(Ending::Answered),
            Err(error) => Err(error),
        }
    }

    /// Verifies and keeps a fork proof of a followed log; `false` where it proves nothing.
    #[inline(never)]
    pub(super) fn take_fork(&mut self, store: &mut dyn Store, log: &LogId, bytes: &[u8]) -> Result<bool, StoreError> {
        let Some(slot) = self.replicas.slot(log) else { return Ok(false) };
        if self.replicas.get(slot).is_some_and(|replica| replica.is_forked) {
            return Ok(true);
        }
        let vkey = self.vkey_of(store, log).inspect_err(|error| self.note_damage(log, *error))?;
        if !ForkProof::decode(bytes).is_ok_and(|proof| proof.verify(&vkey).is_ok()) {
            return Ok(false);
        }
        // A proof has one encoding, and only that is decoded: the bytes are what would be written again.
        store.put_fork(log, bytes)?;
        self.fork_kept(slot);
        Ok(true)
    }
}

/// What became of an attempt to prove a fork.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// There is no contradiction that could be shown.
    Nothing,
    /// What the store holds does not lead to the head it holds.
    Damaged,
    /// The store has it.
    Proof,
}

/// Builds, checks and keeps the proof that `theirs` contradicts what is held.
#[inline(never)]
fn contradict<S: Scheme>(
    store: &mut dyn Store,
    vkey: &Vkey<S>,
    stored: &StoredLog,
    size: u64,
    theirs: &Side<'_>,
    hashes: &mut [[u8; Hash::LEN]],
) -> Result<Kept, StoreError> {
    let log = vkey.id();
    let Some(ours) = our_side(store, &log, &stored.state, size, theirs.root, hashes)? else {
        return Ok(Kept::Nothing);
    };
    let heads = [ours.head, theirs.head];
    let (roots, proofs) = ([ours.root, theirs.root], [ours.proof, theirs.proof]);
    let proof = ForkProof { heads, size, roots, proofs };
    if proof.verify(vkey).is_err() {
        // Their side was checked before: it is ours that does not hold.
        return Ok(Kept::Damaged);
    }
    store_fork(store, &log, &proof)?;
    Ok(Kept::Proof)
}

#[inline(never)]
fn store_fork(store: &mut dyn Store, log: &LogId, proof: &ForkProof<'_>) -> Result<(), StoreError> {
    let mut buf = [0; ForkProof::MAX_LEN];
    let len = proof.encode(&mut buf).ok_or(StoreError::Mismatch)?;
    store.put_fork(log, buf.get(..len).unwrap_or_default())
}

/// Room for a proof in scratch space: for the longest, or for what a table of fixed capacity has.
fn proof_room(scratch: &mut impl List<[u8; Hash::LEN]>) -> &mut [[u8; Hash::LEN]] {
    while scratch.len() < MAX_PROOF && scratch.push([0; Hash::LEN]).is_ok() {}
    scratch
}

/// Our own signed head at or beyond `size` with another root there than `other`, and how that leads to it.
#[inline(never)]
fn our_side<'a>(
    store: &mut dyn Store,
    log: &LogId,
    state: &LogState,
    size: u64,
    other: Hash,
    hashes: &'a mut [[u8; Hash::LEN]],
) -> Result<Option<Side<'a>>, StoreError> {
    let exact = [state.complete, state.covering, state.unproven].into_iter().flatten();
    if let Some(head) = exact.into_iter().find(|known| known.head.size == size && known.head.root != other) {
        return Ok(Some(Side { head, root: head.head.root, proof: &[] }));
    }
    if size > state.have {
        return Ok(None);
    }
    let proven = prove_to_head(store, log, state, size, hashes).and_then(|proven| match proven {
        Some((head, count)) => Ok(Some((head, count, root_of(store, log, size)?))),
        None => Ok(None),
    });
    match proven {
        Ok(Some((head, count, root))) if root != other => {
            Ok(Some(Side { head, root, proof: hashes.get(..count).unwrap_or_default() }))
        }
        Ok(_) | Err(StoreError::Dropped { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The signed head that `size` leads to (the complete head where it is large enough, the covering head
/// beyond it) and the length of the proof, which is written to `hashes`.
#[inline(never)]
pub(super) fn prove_to_head(
    store: &mut dyn Store,
    log: &LogId,
    state: &LogState,
    size: u64,
    hashes: &mut [[u8; Hash::LEN]],
) -> Result<Option<(SignedHead, usize)>, StoreError> {
    let room = hashes.len();
    let mut count = 0;
    let mut emit = |hash: Hash| {
        if let Some(slot) = hashes.get_mut(count) {
            *slot = *hash.as_bytes();
        }
        count += 1;
    };
    if let Some(head) = state.complete.filter(|complete| complete.head.size >= size) {
        prove_consistency(size, head.head.size, reader(store, log), &mut emit).map_err(read_error)?;
        // Not for the longest proof, where a table of fixed capacity is the room.
        return if count <= room { Ok(Some((head, count))) } else { Err(StoreError::Full) };
    }
    let Some(head) = state.covering.filter(|_| size <= state.have) else { return Ok(None) };
    let mut kept = [[0; Hash::LEN]; MAX_PROOF];
    let kept_len = store.proof(log, &mut kept)?;
    let kept = kept.get(..kept_len).unwrap_or_default();
    extend_consistency(size, state.have, head.head.size, kept, reader(store, log), &mut emit).map_err(read_error)?;
    if count <= room { Ok(Some((head, count))) } else { Err(StoreError::Full) }
}
