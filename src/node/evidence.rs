//! Signed heads as evidence: every head that comes by, from wherever, is held against what is known of
//! its log. Two that cannot both be true become a fork proof, and only a fork proof that passes the
//! stand-alone verifier freezes a log.

use super::logs::{read_error, reader, root_of};
use super::replica::Note;
use super::request::Asked;
use super::view::ViewTable;
use super::{Fault, Mode, Node, SyncError};
use crate::log::{ForkProof, MAX_PROOF, extend_consistency, prove_consistency, verify_consistency};
use crate::peer::{Kind, PeerId};
use crate::store::{Commit, LogState, Store, StoreError, StoredLog};
use crate::tables::{List, Tables};
use crate::wire::{ProofAnswer, RequestId};
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
        let (vkey, stored) = Self::key_of(store, &log)?;
        if signed.verify(&vkey).is_err() {
            return Ok(Observed::NotSigned);
        }
        self.judge(store, slot, &vkey, &stored, signed)
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
        let Some(replica) = self.replicas.get(slot) else { return Ok(Observed::Consistent) };
        let (log, have, size) = (replica.id, replica.have, signed.head.size);
        let their_side = Side { head: signed, root: signed.head.root, proof: &[] };
        if size <= have {
            let root = match root_of(store, &log, size) {
                // Too old to be compared with what is still held.
                Err(StoreError::Dropped { .. }) => return Ok(Observed::Consistent),
                root => root?,
            };
            if root != signed.head.root {
                let is_forked = self.prove_fork(store, slot, vkey, stored, size, &their_side)?;
                self.own_head_met(store, slot, signed.head)?;
                return Ok(if is_forked { Observed::Forked } else { Observed::Consistent });
            }
            self.own_head_met(store, slot, signed.head)?;
            if size > stored.state.complete.map_or(0, |complete| complete.head.size) {
                self.complete_with(store, slot, stored, signed)?;
            }
            return Ok(Observed::Consistent);
        }
        let rival = [stored.state.covering, stored.state.unproven]
            .into_iter()
            .flatten()
            .find(|known| known.head.size == size && known.head.root != signed.head.root);
        if rival.is_some() && self.prove_fork(store, slot, vkey, stored, size, &their_side)? {
            return Ok(Observed::Forked);
        }
        self.own_head_met(store, slot, signed.head)?;
        // The one soonest checkable is kept: an invented size gives way to any that is real.
        if stored.state.unproven.is_none_or(|unproven| unproven.head.size > size) {
            let stored = store.log(&log)?.ok_or(StoreError::UnknownLog)?;
            self.restate(store, slot, &LogState { unproven: Some(signed), ..stored.state })?;
        }
        Ok(Observed::Ahead)
    }

    /// A signed head all of whose records are held becomes the complete head.
    #[inline(never)]
    fn complete_with(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        stored: &StoredLog,
        signed: SignedHead,
    ) -> Result<(), StoreError> {
        let mut state = LogState { complete: Some(signed), ..stored.state };
        if signed.head.size == state.have {
            state.covering = None;
        }
        self.restate(store, slot, &state)
    }

    /// Commits a state without new records; the proof kept for the covering head stays.
    #[inline(never)]
    fn restate(&mut self, store: &mut dyn Store, slot: u32, state: &LogState) -> Result<(), StoreError> {
        let Some(log) = self.replicas.get(slot).map(|replica| replica.id) else { return Ok(()) };
        let mut kept = [[0; Hash::LEN]; MAX_PROOF];
        let count = if state.covering.is_some() { store.proof(&log, &mut kept)? } else { 0 };
        let proof = kept.get(..count).unwrap_or_default();
        let commit = Commit { start: state.have, records: Records::default(), hashes: &[], state: *state, proof };
        self.commit(store, slot, &commit, None)
    }

    /// A head signed by the node's own key: while recovering it says how far the log has to be taken back;
    /// afterwards one that the node did not sign means that somebody else signs with its key.
    #[inline(never)]
    fn own_head_met(&mut self, store: &mut dyn Store, slot: u32, head: Head) -> Result<(), StoreError> {
        let Some(replica) = self.replicas.get(slot).filter(|replica| replica.is_own()) else { return Ok(()) };
        let (is_ours, log) = (head.size <= replica.complete.size, replica.id);
        match &mut self.mode {
            Mode::Recovering(recovery) => recovery.target = recovery.target.max(head.size),
            Mode::Writing if !is_ours || replica.is_forked => self.stop_writing(store, slot, &log)?,
            Mode::Writing | Mode::Stopped => {}
        }
        Ok(())
    }

    /// Ends writing for good; the store remembers.
    #[inline(never)]
    pub(super) fn stop_writing(&mut self, store: &mut dyn Store, slot: u32, log: &LogId) -> Result<(), StoreError> {
        if self.mode == Mode::Stopped {
            return Ok(());
        }
        if let Some(stored) = store.log(log)? {
            self.restate(store, slot, &LogState { stopped: true, ..stored.state })?;
        }
        self.mode = Mode::Stopped;
        self.notes.stopped = true;
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
            Kept::Proof => self.fork_kept(store, slot).map(|()| true),
        }
    }

    /// A verified fork proof is in the store: the log is frozen.
    fn fork_kept(&mut self, store: &mut dyn Store, slot: u32) -> Result<(), StoreError> {
        self.is_unsynced = true;
        let Some(replica) = self.replicas.get_mut(slot) else { return Ok(()) };
        replica.is_forked = true;
        let (log, is_own) = (replica.id, replica.is_own());
        for view in self.views.as_mut_slice().iter_mut().filter(|view| view.log == log) {
            view.retry_at = crate::Instant::ZERO;
            view.end_sync(Some(SyncError::Forked));
        }
        self.replicas.note(slot, Note::Forked);
        self.touch(slot);
        self.changed();
        if is_own {
            self.stop_writing(store, slot, &log)?;
        }
        Ok(())
    }

    /// A proof came: at the size asked about the peer's log is ours, or the log has forked, or the peer
    /// answered falsely.
    #[inline(never)]
    pub(super) fn on_proof(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        request: RequestId,
        answer: &ProofAnswer<'_>,
    ) -> Result<(), StoreError> {
        let Some((at, Asked::Proof { log, size })) = self.outstanding(peer, request) else { return Ok(()) };
        if (answer.log, answer.size) != (log, size) {
            return Ok(());
        }
        let Some(slot) = self.replicas.slot(&log) else { return Ok(()) };
        let (vkey, stored) = Self::key_of(store, &log)?;
        if answer.head.verify(&vkey).is_err() {
            self.fault(at, Fault::HeadSignature, false);
            return Ok(());
        }
        let head = answer.head.head;
        if verify_consistency(size, &answer.root, head.size, &head.root, answer.proof.hashes()).is_err() {
            self.fault(at, Fault::FalseProof, false);
            return Ok(());
        }
        let is_ours = match root_of(store, &log, size) {
            // Not held: dropped since, or asked about on the word of a peer that knows no better.
            _ if size > stored.state.have => None,
            Err(StoreError::Dropped { .. }) => None,
            root => Some(root? == answer.root),
        };
        let sent_batch = self.views.of(&log, peer).is_some_and(|view| view.sent_batch);
        let mut is_settled = true;
        if is_ours == Some(false) {
            let side = Side { head: answer.head, root: answer.root, proof: answer.proof.hashes() };
            is_settled = self.prove_fork(store, slot, &vkey, &stored, size, &side)?;
            self.own_head_met(store, slot, head)?;
        } else {
            self.judge(store, slot, &vkey, &stored, answer.head)?;
        }
        self.clear_dispute(&log, peer);
        let is_forked = self.replicas.get(slot).is_some_and(|replica| replica.is_forked);
        if sent_batch && is_ours == Some(true) && !is_forked {
            // Its log is ours up to there, and its head is true: the records it sent were not.
            self.fault(at, Fault::FalseRecords, false);
        } else if is_settled {
            self.answered(at, Kind::Fetch);
        } else {
            self.fail(at, SyncError::Failed);
        }
        Ok(())
    }

    fn clear_dispute(&mut self, log: &LogId, peer: PeerId) {
        if let Some(view) = self.views.of_mut(log, peer) {
            view.disputed = 0;
            view.sent_batch = false;
            // Its root at its size is known now, one way or the other; asking once more would bring no more.
            view.is_compared = true;
            view.retry_at = self.clock.now + self.config.timeout;
        }
    }

    /// A fork proof came that was asked for.
    #[inline(never)]
    pub(super) fn on_fork(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        request: RequestId,
        proof: &[u8],
    ) -> Result<(), StoreError> {
        let Some((at, Asked::Fork { log })) = self.outstanding(peer, request) else { return Ok(()) };
        if self.take_fork(store, &log, proof)? {
            self.answered(at, Kind::Fetch);
        } else {
            self.fault(at, Fault::FalseForkProof, false);
        }
        Ok(())
    }

    /// Verifies and keeps a fork proof of a followed log; `false` where it proves nothing.
    #[inline(never)]
    pub(super) fn take_fork(&mut self, store: &mut dyn Store, log: &LogId, bytes: &[u8]) -> Result<bool, StoreError> {
        let Some(slot) = self.replicas.slot(log) else { return Ok(false) };
        if self.replicas.get(slot).is_some_and(|replica| replica.is_forked) {
            return Ok(true);
        }
        let vkey = Self::vkey_of(store, log)?;
        if !ForkProof::decode(bytes).is_ok_and(|proof| proof.verify(&vkey).is_ok()) {
            return Ok(false);
        }
        // A proof has one encoding, and only that is decoded: the bytes are what would be written again.
        store.put_fork(log, bytes)?;
        self.fork_kept(store, slot)?;
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
    while scratch.as_slice().len() < MAX_PROOF && scratch.push([0; Hash::LEN]).is_ok() {}
    scratch.as_mut_slice()
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
