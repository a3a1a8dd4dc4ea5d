//! What is done with a batch, whether it was asked for or pushed: what verifies is appended, what does not is told
//! apart. Nothing unproven is ever stored, and everything that could still fail comes before the store is written.
//!
//! Whether records lead to the head they came with is judged in [`judge`](crate::judge). What follows for whoever sent
//! them is for the conversation that brought them.

use super::evidence::Observed;
use super::value::Node;
use crate::head::SignedHead;
use crate::judge::{Rejected, Shelf, Trouble, known_head, weigh};
use crate::record::Records;
use crate::state::{List, Replica, Tables};
use crate::store::{Commit, Store};
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

impl<T: Tables> Node<T> {
    /// Verifies a batch and appends what is new of it.
    #[inline(never)]
    pub(super) fn accept(
        &mut self,
        store: &mut dyn Store,
        slot: u32,
        batch: &Batch<'_>,
        from: Option<PeerId>,
    ) -> Result<Accepted, Trouble> {
        let Some(replica) = self.logs.get(slot) else { return Ok(Accepted::Nothing) };
        let is_writing = replica.is_own() && !self.writing.is_recovering();
        if replica.is_forked || replica.is_damaged {
            return Ok(Accepted::Nothing);
        }
        self.settle_evidence(store, slot)?;
        let Some(replica) = self.logs.get(slot).filter(|replica| !replica.is_forked) else {
            return Ok(Accepted::Forked);
        };
        let (have, is_known) = (replica.have, replica.knows(&batch.head.head));
        if is_known && batch.records.is_empty() && batch.start <= batch.head.head.size {
            // An offer of what is held already, of which every relay sends one: the store need not be read.
            return Ok(Accepted::Known);
        }
        let mut shelf = self.shelf(store, slot)?;
        let head = if is_known { known_head(shelf.state(), &batch.head) } else { batch.head };
        if !is_known && head.verify(&shelf.vkey::<T::Scheme>()).is_err() {
            return Ok(Accepted::Fault(Fault::HeadSignature));
        }
        if batch.start > head.head.size || (batch.start == head.head.size && !batch.records.is_empty()) {
            // No head has records beyond its size.
            return Ok(Accepted::Fault(Fault::FalseRecords));
        }
        let new = have.checked_sub(batch.start).and_then(|held| Records::new(batch.records).skip(held).ok());
        let Some(records) = new.filter(|records| !records.is_empty() && !is_writing) else {
            let is_forked = !is_known && self.is_forked_by(&mut shelf, head)?;
            return Ok(if is_forked { Accepted::Forked } else { Accepted::Nothing });
        };
        let result = self.accept_records(&mut shelf, head, records, batch, from);
        self.cache.hashes.clear();
        // Where they are not taken, the head is signed all the same, and evidence.
        let is_evidence = matches!(result, Ok(Accepted::Undecided | Accepted::OverQuota)) && !is_known;
        if is_evidence && self.is_forked_by(&mut shelf, head)? {
            return Ok(Accepted::Forked);
        }
        result
    }

    /// Judges the head that a batch came with.
    fn is_forked_by(&mut self, shelf: &mut Shelf<'_>, head: SignedHead) -> Result<bool, Trouble> {
        Ok(head.head.size > 0 && self.judge(shelf, head)? == Observed::Forked)
    }

    #[inline(never)]
    fn accept_records(
        &mut self,
        shelf: &mut Shelf<'_>,
        head: SignedHead,
        records: Records<'_>,
        batch: &Batch<'_>,
        from: Option<PeerId>,
    ) -> Result<Accepted, Trouble> {
        let (slot, proof, most) = (shelf.slot, batch.proof.hashes(), self.most_records());
        let weighed = match weigh(shelf, &head, records, proof, most, &mut self.cache.hashes)? {
            Ok(weighed) => weighed,
            Err(Rejected::Excess) => return Ok(Accepted::Excess),
            Err(Rejected::False) => return Ok(Accepted::Fault(Fault::FalseRecords)),
            Err(Rejected::Undecided) => return Ok(Accepted::Undecided),
        };
        // Only now: records that are false take up nobody's quota.
        let len = records.as_bytes().len() as u64;
        if !self.logs.get(slot).is_some_and(|replica| self.has_room_for(replica, len)) {
            self.quota_full(shelf.stored.origin);
            return Ok(Accepted::OverQuota);
        }
        let state = weighed.state;
        let proof = if state.covering.is_some() { proof } else { &[] };
        let hashes = &*self.cache.hashes;
        shelf.commit(&Commit { start: shelf.state().have, records, hashes, state, proof })?;
        self.committed(slot, &state, len, from);
        if self.logs.get(slot).is_some_and(Replica::is_own) {
            self.writing.raise_target(head.head.size);
        }
        // The records are in. What they say about heads seen before is judged now if the store lets us, and
        // else by the next poll.
        let is_settled = self.settle_evidence(shelf.store, slot);
        let is_forked = self.logs.get(slot).is_some_and(|replica| replica.is_forked);
        if let Err(trouble) = is_settled
            && !trouble.is_not_ready()
        {
            let error = self.noted(trouble);
            self.disk.report(error);
        }
        Ok(if is_forked { Accepted::Forked } else { Accepted::Appended(weighed.count) })
    }
}
