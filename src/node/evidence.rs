//! Signed heads as evidence: every head that comes by, from wherever, is held against what is known of its log. Two
//! that cannot both be true become a fork proof, and only a fork proof that passes the stand-alone verifier
//! ([`ForkProof::verify`]) freezes a log.
//!
//! What a head is worth is judged in [`judge`](crate::judge); here the verdict is carried out. A head of our own log
//! that we did not sign ends our writing.

use super::value::Node;
use crate::head::{ForkProof, Head, SignedHead};
use crate::judge::{Contradiction, Shelf, Side, Trouble, Verdict, contradict, hold};
use crate::key::LogId;
use crate::log::{Hash, MAX_PROOF};
use crate::state::{List, News, Replica, Tables};
use crate::store::Store;
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

impl<T: Tables> Node<T> {
    /// Holds a head that came by against what is known of its log.
    #[inline(never)]
    pub(super) fn observe(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        signed: SignedHead,
    ) -> Result<Observed, Trouble> {
        let Some(replica) = self.logs.get(slot) else { return Ok(Observed::Consistent) };
        if replica.is_forked || replica.is_damaged || signed.head.size == 0 || replica.knows(&signed.head) {
            return Ok(Observed::Consistent);
        }
        let mut shelf = self.shelf(store, slot)?;
        if signed.verify(&shelf.vkey::<T::Scheme>()).is_err() {
            return Ok(Observed::NotSigned);
        }
        self.judge(&mut shelf, signed)
    }

    /// Judges the evidence that an accepted batch left behind: a head seen before that the records now
    /// held contradict, or confirm. Kept in the store until it is, so that neither a crash nor a store
    /// that is not ready loses it.
    pub(super) fn settle_evidence(&mut self, store: &mut dyn Store, slot: u32) -> Result<(), Trouble> {
        if !self.logs.get(slot).is_some_and(Replica::has_evidence) {
            return Ok(());
        }
        let mut shelf = self.shelf(store, slot)?;
        if let Some(unproven) = shelf.state().unproven {
            let observed = self.judge(&mut shelf, unproven)?;
            if observed != Observed::Forked {
                // It says what is known, or what can no longer be told.
                self.restate(&mut shelf, &mut |state| state.unproven = None)?;
            }
        }
        Ok(())
    }

    /// The same for all logs that have some.
    pub(super) fn settle_all_evidence(&mut self, store: &mut dyn Store) -> Result<(), Trouble> {
        while self.logs.has_evidence {
            let waiting = self.logs.iter_after(None).find(|replica| replica.has_evidence() && !replica.is_damaged);
            match waiting.and_then(|replica| self.logs.slot(&replica.id)) {
                Some(slot) => self.settle_evidence(store, slot)?,
                None => self.logs.has_evidence = false,
            }
        }
        Ok(())
    }

    /// Judges a head whose signature is known to be true, and does what follows.
    #[inline(never)]
    pub(super) fn judge(&mut self, shelf: &mut Shelf<'_>, signed: SignedHead) -> Result<Observed, Trouble> {
        let slot = shelf.slot;
        let Some(replica) = self.logs.get(slot) else { return Ok(Observed::Consistent) };
        let (is_own, have) = (replica.is_own(), replica.have);
        let verdict = hold(shelf, have, &signed)?;
        let observed = self.carry_out(shelf, verdict, signed, is_own)?;
        if is_own {
            // Last: a store that fails must find the node as it was.
            self.own_head_met(slot, signed.head);
        }
        Ok(observed)
    }

    fn carry_out(
        &mut self,
        shelf: &mut Shelf<'_>,
        verdict: Verdict,
        signed: SignedHead,
        is_own: bool,
    ) -> Result<Observed, Trouble> {
        let size = signed.head.size;
        let their_side = Side { head: signed, root: signed.head.root, proof: &[] };
        match verdict {
            Verdict::Known | Verdict::TooOld => Ok(Observed::Consistent),
            Verdict::Contradicts => {
                let is_forked = self.prove_fork(shelf, size, &their_side)?;
                Ok(if is_forked { Observed::Forked } else { Observed::Consistent })
            }
            Verdict::Confirms => {
                // A head of our own log that we did not sign is nothing to go on from, but while recovering.
                if !is_own || self.writing.is_recovering() {
                    self.restate(shelf, &mut |state| {
                        state.complete = Some(signed);
                        if size == state.have {
                            state.covering = None;
                        }
                    })?;
                }
                Ok(Observed::Consistent)
            }
            Verdict::Ahead { has_rival, is_soonest } => {
                if has_rival && self.prove_fork(shelf, size, &their_side)? {
                    return Ok(Observed::Forked);
                }
                if is_soonest {
                    self.restate(shelf, &mut |state| state.unproven = Some(signed))?;
                }
                if let Some(replica) = self.logs.get_mut(shelf.slot) {
                    replica.seen = replica.seen.max(size);
                }
                Ok(Observed::Ahead)
            }
        }
    }

    /// Builds the proof that a log's writer signed two histories, and freezes the log; `false` where it
    /// cannot be built from what is still held.
    #[inline(never)]
    pub(super) fn prove_fork(&mut self, shelf: &mut Shelf<'_>, size: u64, theirs: &Side<'_>) -> Result<bool, Trouble> {
        // No batch is being judged any more, so that its scratch space is free.
        let found = contradict::<T::Scheme>(shelf, size, theirs, proof_room(&mut self.cache.hashes));
        self.cache.hashes.clear();
        match found? {
            Contradiction::None => {}
            Contradiction::Damaged => self.logs.damaged(shelf.slot),
            Contradiction::Proven => {
                self.fork_kept(shelf.slot);
                return Ok(true);
            }
        }
        Ok(false)
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
        self.logs.tell(slot, News::Forked);
        self.touch(slot);
        self.changed();
        if is_own {
            self.writing.stop();
        }
    }

    /// Verifies and keeps a fork proof of a followed log; `false` where it proves nothing.
    #[inline(never)]
    pub(super) fn take_fork(&mut self, store: &mut dyn Store, log: &LogId, bytes: &[u8]) -> Result<bool, Trouble> {
        let Some(slot) = self.logs.slot(log) else { return Ok(false) };
        if self.logs.get(slot).is_some_and(|replica| replica.is_forked) {
            return Ok(true);
        }
        let vkey = self.shelf(store, slot)?.vkey::<T::Scheme>();
        if !ForkProof::decode(bytes).is_ok_and(|proof| proof.verify(&vkey).is_ok()) {
            return Ok(false);
        }
        // A proof has one encoding, and only that is decoded: the bytes are what would be written again.
        store.put_fork(log, bytes).map_err(|error| Trouble::at(slot, error))?;
        self.fork_kept(slot);
        Ok(true)
    }

    /// A head signed by the node's own key: while recovering it says how far the log has to be taken back;
    /// afterwards one that the node did not sign means that somebody else signs with its key.
    pub(super) fn own_head_met(&mut self, slot: u32, head: Head) {
        let Some(replica) = self.logs.get(slot).filter(|replica| replica.is_own()) else { return };
        let is_ours = head.size <= replica.complete.size && !replica.is_forked;
        if self.writing.is_recovering() {
            self.writing.raise_target(head.size);
        } else if !is_ours {
            self.writing.stop();
        }
    }
}

/// Room for a proof in scratch space: for the longest, or for what a table of fixed capacity has.
fn proof_room(scratch: &mut impl List<[u8; Hash::LEN]>) -> &mut [[u8; Hash::LEN]] {
    while scratch.len() < MAX_PROOF && scratch.push([0; Hash::LEN]).is_ok() {}
    scratch
}
