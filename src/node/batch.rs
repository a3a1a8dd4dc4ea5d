//! Judging a batch: records that came with the signed head they are said to lead to. Nothing unproven is
//! ever stored, and everything that could still fail comes before the store is written.

use super::evidence::{Observed, Side};
use super::{Fault, Node};
use crate::log::{Frontier, leaf_hash, verify_consistency};
use crate::peer::PeerId;
use crate::store::{Commit, LogState, Store, StoreError, StoredLog};
use crate::tables::{List, Tables};
use crate::wire::Batch;
use crate::{Hash, LogId, Records, SignedHead, Vkey};

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// So many records were appended.
    Appended(u64),
    /// It held nothing that could be appended: known already, or beyond the end of what is held.
    Nothing,
    /// It holds more records than are ever asked for at once.
    Excess,
    /// Its introducer's quota of bytes has no room for it.
    OverQuota,
    /// It showed that the log has forked, and the log is frozen.
    Forked,
    /// It does not lead from what is held to its head: false, or of another branch.
    Undecided,
    /// It is false whatever the log's history.
    Fault(Fault),
}

/// What hashing the records of a batch found.
struct Hashed {
    end: u64,
    root: Hash,
    /// Roots at the sizes of the heads known before that the batch reaches.
    reached: [Option<Hash>; 2],
}

impl<T: Tables> Node<T> {
    /// Verifies a batch and appends what is new of it.
    pub(super) fn accept(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        batch: &Batch<'_>,
        from: Option<PeerId>,
    ) -> Result<Accepted, StoreError> {
        let Some(replica) = self.replicas.get(slot) else { return Ok(Accepted::Nothing) };
        let is_writing = replica.is_own() && !self.is_recovering();
        if replica.is_forked || replica.is_damaged {
            return Ok(Accepted::Nothing);
        }
        let (log, have, is_known) = (replica.id, replica.have, replica.knows(&batch.head.head));
        let (vkey, stored) = Self::key_of(store, &log)?;
        let head = if is_known { known_head(&stored.state, &batch.head) } else { batch.head };
        if !is_known && head.verify(&vkey).is_err() {
            return Ok(Accepted::Fault(Fault::HeadSignature));
        }
        let new = have.checked_sub(batch.start).and_then(|held| Records::new(batch.records).skip(held).ok());
        let Some(records) = new.filter(|records| !records.is_empty() && !is_writing) else {
            let observed = self.judge_unless_known(store, slot, &vkey, &stored, head, is_known)?;
            return Ok(if observed == Observed::Forked { Accepted::Forked } else { Accepted::Nothing });
        };
        let mut hashes = core::mem::take(&mut self.cache.hashes);
        let result = self.accept_records(store, slot, &vkey, &stored, head, records, batch, &mut hashes, from);
        hashes.clear();
        self.cache.hashes = hashes;
        if matches!(result, Ok(Accepted::Undecided | Accepted::OverQuota)) {
            // Its head is signed all the same, and evidence.
            let observed = self.judge_unless_known(store, slot, &vkey, &stored, head, is_known)?;
            if observed == Observed::Forked {
                return Ok(Accepted::Forked);
            }
        }
        result
    }

    fn judge_unless_known(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        vkey: &Vkey<T::Scheme>,
        stored: &StoredLog,
        head: SignedHead,
        is_known: bool,
    ) -> Result<Observed, StoreError> {
        if is_known || head.head.size == 0 {
            return Ok(Observed::Consistent);
        }
        self.judge(store, slot, vkey, stored, head)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one verification, gathered by its only caller")]
    fn accept_records(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        vkey: &Vkey<T::Scheme>,
        stored: &StoredLog,
        head: SignedHead,
        records: Records<'_>,
        batch: &Batch<'_>,
        hashes: &mut T::Hashes,
        from: Option<PeerId>,
    ) -> Result<Accepted, StoreError> {
        let log = vkey.id();
        let known = [stored.state.covering, stored.state.unproven];
        let hashed = match self.hash_records(store, &log, stored.state.have, &known, records, hashes)? {
            Ok(found) => found,
            Err(accepted) => return Ok(accepted),
        };
        let proof = batch.proof.hashes();
        if verify_consistency(hashed.end, &hashed.root, head.head.size, &head.head.root, proof).is_err() {
            return Ok(Accepted::Undecided);
        }
        // Only now: records that are false take up nobody's quota.
        let len = records.as_bytes().len() as u64;
        if !self.replicas.get(slot).is_some_and(|replica| self.has_room_for(replica, len)) {
            self.quota_full(stored.origin);
            return Ok(Accepted::OverQuota);
        }
        let (state, contradiction) = next_state(&stored.state, head, &hashed);
        let proof = if state.covering.is_some() { proof } else { &[] };
        let commit = Commit { start: stored.state.have, records, hashes: hashes.as_slice(), state, proof };
        self.commit(store, slot, &commit, from)?;
        if self.is_recovering() && self.own == log {
            self.raise_target(head.head.size);
        }
        if let Some(rival) = contradiction {
            let (_, stored) = Self::key_of(store, &log)?;
            let side = Side { head: rival, root: rival.head.root, proof: &[] };
            if self.prove_fork(store, slot, vkey, &stored, rival.head.size, &side)? {
                return Ok(Accepted::Forked);
            }
        }
        Ok(Accepted::Appended(hashed.end - stored.state.have))
    }

    /// Hashes records onto what is held, checking their framing on the way.
    fn hash_records(
        &self,
        store: &mut dyn Store,
        log: &LogId,
        have: u64,
        known: &[Option<SignedHead>; 2],
        records: Records<'_>,
        hashes: &mut T::Hashes,
    ) -> Result<Result<Hashed, Accepted>, StoreError> {
        let mut frontier =
            Frontier::load(have, |position| store.hash(log, position)).map_err(super::logs::read_error)?;
        let mut reached = [None; 2];
        let most = self.most_records();
        let room = hashes.capacity_limit();
        for record in records {
            let Ok(record) = record else { return Ok(Err(Accepted::Fault(Fault::FalseRecords))) };
            let adds = 1 + frontier.size().trailing_ones() as usize;
            if frontier.size() - have >= most || hashes.as_slice().len() + adds > room {
                // More than this node ever asks for.
                return Ok(Err(Accepted::Excess));
            }
            let pushed = frontier.push(leaf_hash(record), |hash| {
                // There is room: it was checked above.
                let _ = hashes.push(*hash.as_bytes());
            });
            if pushed.is_err() {
                return Ok(Err(Accepted::Fault(Fault::FalseRecords)));
            }
            for (known, reached) in known.iter().zip(&mut reached) {
                if known.is_some_and(|known| known.head.size == frontier.size()) {
                    *reached = Some(frontier.root());
                }
            }
        }
        Ok(Ok(Hashed { end: frontier.size(), root: frontier.root(), reached }))
    }
}

/// The state after a batch that verified: what its head is now, what became of the heads known before, and
/// one of those that the records contradict.
fn next_state(before: &LogState, head: SignedHead, hashed: &Hashed) -> (LogState, Option<SignedHead>) {
    let mut state = LogState { have: hashed.end, covering: None, unproven: None, ..*before };
    let mut contradiction = None;
    let complete = |state: &mut LogState, head: SignedHead| {
        if state.complete.is_none_or(|complete| complete.head.size < head.head.size) {
            state.complete = Some(head);
        }
    };
    for (known, root) in [before.covering, before.unproven].into_iter().zip(hashed.reached) {
        match (known, root) {
            (Some(known), Some(root)) if known.head.root == root => complete(&mut state, known),
            (Some(known), Some(_)) => contradiction = Some(known),
            (Some(known), None) if known.head.size == head.head.size && known.head != head.head => {
                contradiction = Some(known);
            }
            (Some(known), None) if known.head.size > hashed.end && known.head != head.head => {
                let is_sooner = |unproven: SignedHead| unproven.head.size > known.head.size;
                if state.unproven.is_none_or(is_sooner) {
                    state.unproven = Some(known);
                }
            }
            _ => {}
        }
    }
    if head.head.size == hashed.end {
        complete(&mut state, head);
    } else {
        state.covering = Some(head);
    }
    // Evidence is not lost to a crash before the fork proof is kept.
    state.unproven = contradiction.or(state.unproven);
    (state, contradiction)
}

/// A head that is known to be signed, with the signature that is known to be true.
fn known_head(state: &LogState, head: &SignedHead) -> SignedHead {
    let known = [state.complete, state.covering, state.unproven].into_iter().flatten();
    known.into_iter().find(|known| known.head == head.head).unwrap_or(*head)
}
