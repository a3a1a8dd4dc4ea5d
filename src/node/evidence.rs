//! Signed heads as evidence: every head that comes by, from wherever, is held against what is known of
//! its log. Two that cannot both be true become a fork proof, and only a fork proof that passes the
//! stand-alone verifier freezes a log.

use super::prove::{prove_to_head, root_of};
use super::value::Node;
use crate::head::{ForkProof, SignedHead};
use crate::key::{LogId, Scheme, Vkey};
use crate::log::{Hash, MAX_PROOF};
use crate::state::{List, Note, Replica, Tables};
use crate::store::{LogState, Store, StoreError, StoredLog};
use crate::time::Instant;
use crate::words::SyncError;

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
        let Some(replica) = self.logs.get(slot) else { return Ok(Observed::Consistent) };
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
        let Some(replica) = self.logs.get(slot).filter(|replica| replica.has_evidence()) else { return Ok(()) };
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
        while self.logs.has_evidence {
            let waiting = self.logs.iter_after(None).find(|replica| replica.has_evidence() && !replica.is_damaged);
            match waiting.and_then(|replica| self.logs.slot(&replica.id)) {
                Some(slot) => self.settle_evidence(store, slot)?,
                None => self.logs.has_evidence = false,
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
        if self.logs.get(slot).is_some_and(Replica::is_own) {
            // Last: a store that fails must find the node as it was.
            self.writing.raise_target(signed.head.size);
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
        let Some(replica) = self.logs.get(slot) else { return Ok(Observed::Consistent) };
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
            let is_writing = replica.is_own() && !self.writing.is_recovering();
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
        if let Some(replica) = self.logs.get_mut(slot) {
            replica.seen = replica.seen.max(size);
        }
        self.own_head_met(slot, signed.head);
        Ok(Observed::Ahead)
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
        let Some(replica) = self.logs.get_mut(slot) else { return };
        replica.is_forked = true;
        let (log, is_own) = (replica.id, replica.is_own());
        for view in self.views.iter_mut().filter(|view| view.log == log) {
            view.retry_at = Instant::ZERO;
            view.end_sync(Some(SyncError::Forked));
        }
        self.logs.note(slot, Note::Forked);
        self.touch(slot);
        self.changed();
        if is_own {
            self.writing.stop();
        }
    }

    /// Verifies and keeps a fork proof of a followed log; `false` where it proves nothing.
    #[inline(never)]
    pub(super) fn take_fork(&mut self, store: &mut dyn Store, log: &LogId, bytes: &[u8]) -> Result<bool, StoreError> {
        let Some(slot) = self.logs.slot(log) else { return Ok(false) };
        if self.logs.get(slot).is_some_and(|replica| replica.is_forked) {
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
