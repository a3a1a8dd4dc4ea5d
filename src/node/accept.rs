//! Judging a batch: records that came with the signed head they are said to lead to. Nothing unproven is
//! ever stored, and everything that could still fail comes before the store is written.

use super::evidence::Observed;
use super::prove::read_error;
use super::value::Node;
use crate::head::SignedHead;
use crate::key::{LogId, Vkey};
use crate::log::{Hash, MAX_SIZE, Position, leaf_hash, node_hash, root_at, stored_count, verify_consistency};
use crate::record::Records;
use crate::state::{List, Replica, Tables};
use crate::store::{Commit, LogState, Store, StoreError, StoredLog};
use crate::wire::Batch;
use crate::words::{Fault, PeerId};

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// So many records were appended.
    Appended(u64),
    /// It held nothing that could be appended: known already, or beyond the end of what is held.
    Nothing,
    /// It was no more than the head of what is held already: there is nothing to look at and nothing to do.
    Known,
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
    #[inline(never)]
    pub(super) fn accept(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        batch: &Batch<'_>,
        from: Option<PeerId>,
    ) -> Result<Accepted, StoreError> {
        let accepted = self.accept_sound(store, slot, batch, from);
        accepted.inspect_err(|error| self.note_damage(&batch.log, *error))
    }

    fn accept_sound(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        batch: &Batch<'_>,
        from: Option<PeerId>,
    ) -> Result<Accepted, StoreError> {
        let Some(replica) = self.logs.get(slot) else { return Ok(Accepted::Nothing) };
        let is_writing = replica.is_own() && !self.writing.is_recovering();
        if (replica.is_forked && !cfg!(verisoo_bug = "frozen-log-grows")) || replica.is_damaged {
            return Ok(Accepted::Nothing);
        }
        self.settle_evidence(store, slot)?;
        let is_open = |replica: &&Replica| !replica.is_forked || cfg!(verisoo_bug = "frozen-log-grows");
        let Some(replica) = self.logs.get(slot).filter(is_open) else {
            return Ok(Accepted::Forked);
        };
        let (log, have, is_known) = (replica.id, replica.have, replica.knows(&batch.head.head));
        if is_known && batch.records.is_empty() && batch.start <= batch.head.head.size {
            // An offer of what is held already, of which every relay sends one: the store need not be read.
            return Ok(Accepted::Known);
        }
        let (vkey, stored) = self.key_of(store, &log)?;
        let head = if is_known { known_head(&stored.state, &batch.head) } else { batch.head };
        if !is_known && head.verify(&vkey).is_err() && !cfg!(verisoo_bug = "head-signature-unchecked") {
            return Ok(Accepted::Fault(Fault::HeadSignature));
        }
        if batch.start > head.head.size || (batch.start == head.head.size && !batch.records.is_empty()) {
            // No head has records beyond its size.
            return Ok(Accepted::Fault(Fault::FalseRecords));
        }
        let new = have.checked_sub(batch.start).and_then(|held| Records::new(batch.records).skip(held).ok());
        let Some(records) = new.filter(|records| !records.is_empty() && !is_writing) else {
            let observed = self.judge_unless_known(store, slot, &vkey, &stored, head, is_known)?;
            return Ok(if observed == Observed::Forked { Accepted::Forked } else { Accepted::Nothing });
        };
        let result = self.accept_records(store, slot, &vkey, &stored, head, records, batch, from);
        self.cache.hashes.clear();
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

    #[inline(never)]
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
        from: Option<PeerId>,
    ) -> Result<Accepted, StoreError> {
        let log = vkey.id();
        let most = self.most_records();
        let hashed = match Self::hash_records(store, &log, &stored.state, most, records, &mut self.cache.hashes)? {
            Ok(found) => found,
            Err(accepted) => return Ok(accepted),
        };
        let proof = batch.proof.hashes();
        if verify_consistency(hashed.end, &hashed.root, head.head.size, &head.head.root, proof).is_err()
            && !cfg!(verisoo_bug = "stored-before-proven")
        {
            return Ok(Accepted::Undecided);
        }
        // Only now: records that are false take up nobody's quota.
        let len = records.as_bytes().len() as u64;
        if !self.logs.get(slot).is_some_and(|replica| self.has_room_for(replica, len)) {
            self.quota_full(stored.origin);
            return Ok(Accepted::OverQuota);
        }
        let state = next_state(&stored.state, head, &hashed);
        let proof = if state.covering.is_some() { proof } else { &[] };
        let hashes = &*self.cache.hashes;
        store.commit(&log, &Commit { start: stored.state.have, records, hashes, state, proof })?;
        self.committed(slot, &state, len, from);
        if self.writing.is_recovering() && self.writing.id() == log {
            self.writing.raise_target(head.head.size);
        }
        // The records are in. What they say about heads seen before is judged now if the store lets us, and
        // else by the next poll.
        let is_settled = self.settle_evidence(store, slot);
        let is_forked = self.logs.get(slot).is_some_and(|replica| replica.is_forked);
        match is_settled {
            Ok(()) | Err(StoreError::NotReady) => {}
            Err(error) => self.disk.report(error),
        }
        Ok(if is_forked { Accepted::Forked } else { Accepted::Appended(hashed.end - stored.state.have) })
    }

    /// Hashes records onto what is held, checking their framing on the way.
    #[inline(never)]
    fn hash_records(
        store: &mut dyn Store,
        log: &LogId,
        state: &LogState,
        most: u64,
        records: Records<'_>,
        hashes: &mut T::Hashes,
    ) -> Result<Result<Hashed, Accepted>, StoreError> {
        let known = [&state.covering, &state.unproven];
        let mut grown = Grown { store, log, have: state.have, size: state.have, hashes };
        let mut reached = [None; 2];
        for record in records {
            let Ok(record) = record else { return Ok(Err(Accepted::Fault(Fault::FalseRecords))) };
            if grown.size - grown.have >= most || !grown.has_room() {
                // More than this node ever asks for.
                return Ok(Err(Accepted::Excess));
            }
            if !grown.push(leaf_hash(record))? {
                return Ok(Err(Accepted::Fault(Fault::FalseRecords)));
            }
            for (known, reached) in known.into_iter().zip(&mut reached) {
                if known.is_some_and(|known| known.head.size == grown.size) {
                    *reached = Some(grown.root()?);
                }
            }
        }
        Ok(Ok(Hashed { end: grown.size, root: grown.root()?, reached }))
    }
}

/// A log with what a batch would add to it: hashes below `have` are in the store, the others in scratch
/// space in the order in which they will be stored. (A frontier of its own would take 2 KB of stack.)
struct Grown<'a, L> {
    store: &'a mut dyn Store,
    log: &'a LogId,
    have: u64,
    size: u64,
    hashes: &'a mut L,
}

impl<L: List<[u8; Hash::LEN]>> Grown<'_, L> {
    /// Whether the hashes that the next leaf adds fit.
    fn has_room(&self) -> bool {
        let adds = 1 + self.size.trailing_ones() as usize;
        self.hashes.len() + adds <= self.hashes.capacity_limit()
    }

    /// Adds a leaf; `false` where the log has 2^62.
    fn push(&mut self, leaf: Hash) -> Result<bool, StoreError> {
        let index = self.size;
        if index >= MAX_SIZE {
            return Ok(false);
        }
        let mut hash = leaf;
        let _ = self.hashes.push(*hash.as_bytes());
        for level in 0..index.trailing_ones() {
            // The subtree to the left of the one that this leaf has just completed.
            let left = u8::try_from(level).ok().and_then(|level| Position::new(level, (index >> level) - 1));
            let left = self.read(left.ok_or(StoreError::Mismatch)?)?;
            hash = node_hash(&left, &hash);
            // There is room: it was checked before.
            let _ = self.hashes.push(*hash.as_bytes());
        }
        self.size = index + 1;
        Ok(true)
    }

    fn root(&mut self) -> Result<Hash, StoreError> {
        root_at(self.size, |position| self.read(position)).map_err(read_error)
    }

    fn read(&mut self, position: Position) -> Result<Hash, StoreError> {
        let added = position.stored_index().checked_sub(stored_count(self.have));
        let Some(added) = added else { return self.store.hash(self.log, position) };
        let hash = usize::try_from(added).ok().and_then(|at| self.hashes.get(at));
        hash.map(|hash| Hash::from_bytes(*hash)).ok_or(StoreError::Mismatch)
    }
}

/// The state after a batch that verified: what its head is now, and what became of the heads known before.
/// One that the records contradict stays, as evidence to be judged once they are in.
fn next_state(before: &LogState, head: SignedHead, hashed: &Hashed) -> LogState {
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
    state
}

/// A head that is known to be signed, with the signature that is known to be true.
fn known_head(state: &LogState, head: &SignedHead) -> SignedHead {
    let known = [state.complete, state.covering, state.unproven].into_iter().flatten();
    known.into_iter().find(|known| known.head == head.head).unwrap_or(*head)
}
