//! What a node keeps in memory of one log that it follows, its own included: its heads without their signatures,
//! counts, and how things stand with it. At most 300 bytes, its places in the tables included. Signatures, records,
//! hashes, proofs and the key are in the store.

use super::invariant::all;
use super::tables::NONE;
use crate::head::{Head, SignedHead};
use crate::key::LogId;
use crate::log::Hash;
use crate::record::LENGTH_LEN;
use crate::store::{LogState, Origin, StoredLog};
use crate::time::Instant;
use crate::wire::Entry;
use crate::words::{LogInfo, PeerId};

/// One followed log. Signatures, records, hashes and the key are in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, in any combination")]
pub(crate) struct Replica {
    pub(crate) id: LogId,
    pub(crate) origin: Origin,
    /// The signed head whose records are all held; [`Head::EMPTY`] where there is none.
    pub(crate) complete: Head,
    /// Records held.
    pub(crate) have: u64,
    /// The signed head that covers what is held beyond the complete head; [`Head::EMPTY`] for none.
    pub(crate) covering: Head,
    /// A signed head beyond what is held, unproven; [`Head::EMPTY`] for none.
    pub(crate) unproven: Head,
    /// The size of the largest head seen that the log's key signed, if it was ever beyond what is held.
    pub(crate) seen: u64,
    /// Bytes of framed records held.
    pub(crate) bytes: u64,
    /// Who sent the complete head, and so need not be offered it.
    pub(crate) source: Option<PeerId>,
    /// When the unproven head came, or progress was last made.
    pub(crate) progress_at: Instant,
    /// Nothing more is fetched before this moment: the store failed.
    pub(crate) blocked_until: Instant,
    pub(crate) is_forked: bool,
    /// The store's content does not fit its heads.
    pub(crate) is_damaged: bool,
    /// All that have the next record say that it does not fit `max_message`, and that has been told.
    pub(crate) is_too_long: bool,
    pub(crate) is_stalled: bool,
    pub(super) news: u8,
    pub(super) noted: u32,
    pub(super) older: u32,
    pub(super) newer: u32,
}

/// What the application is still to be told of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Forked = 1,
    Stalled = 2,
    TooLong = 4,
    Introduced = 8,
    Damaged = 16,
}

impl Replica {
    pub(crate) fn new(id: LogId, origin: Origin) -> Self {
        Self {
            id,
            origin,
            complete: Head::EMPTY,
            have: 0,
            covering: Head::EMPTY,
            unproven: Head::EMPTY,
            seen: 0,
            bytes: 0,
            source: None,
            progress_at: Instant::ZERO,
            blocked_until: Instant::ZERO,
            is_forked: false,
            is_damaged: false,
            is_too_long: false,
            is_stalled: false,
            news: 0,
            noted: NONE,
            older: NONE,
            newer: NONE,
        }
    }

    pub(crate) fn from_stored(id: LogId, stored: &StoredLog) -> Self {
        let mut replica = Self::new(id, stored.origin);
        replica.set_state(&stored.state);
        replica.bytes = stored.bytes;
        replica.is_forked = stored.forked;
        replica
    }

    /// Takes over what another replica of the same log knows, keeping this one's place in the table.
    pub(crate) fn take_over(&mut self, loaded: &Self) {
        let Self { news, noted, older, newer, .. } = *self;
        *self = Self { news, noted, older, newer, ..loaded.clone() };
    }

    pub(crate) fn info(&self) -> LogInfo {
        LogInfo {
            log: self.id,
            origin: self.origin,
            complete: self.complete,
            have: self.have,
            bytes: self.bytes,
            is_forked: self.is_forked,
            is_damaged: self.is_damaged,
            is_stalled: self.is_stalled,
        }
    }

    pub(crate) fn is_own(&self) -> bool {
        self.origin == Origin::Own
    }

    /// Takes over what was just committed to the store.
    pub(crate) fn set_state(&mut self, state: &LogState) {
        self.have = state.have;
        self.complete = head_or_empty(state.complete);
        self.covering = head_or_empty(state.covering);
        self.unproven = head_or_empty(state.unproven);
    }

    /// Whether a head seen before is to be judged by what is held now: its size is reached, or another head
    /// of that size is the covering one.
    pub(crate) fn has_evidence(&self) -> bool {
        let is_rival = self.unproven.size == self.covering.size && self.unproven.root != self.covering.root;
        !self.is_forked && self.unproven.size > 0 && (self.unproven.size <= self.have || is_rival)
    }

    /// Whether a peer holds as much under the same complete head, but what is beyond that under another head
    /// than we do: only its root there tells whether that is of one history.
    pub(crate) fn is_doubtful(&self, entry: &Entry) -> bool {
        let is_as_far = (self.complete, self.have) == (entry.complete, entry.have);
        let is_frozen = self.is_forked || entry.forked;
        let is_other = self.covering.size > 0 && entry.covering.is_some_and(|covering| covering != self.covering);
        is_as_far && is_other && !is_frozen && !self.is_own()
    }

    /// Is this head one of those already known to be signed?
    pub(crate) fn knows(&self, head: &Head) -> bool {
        head.size != 0 && (self.complete == *head || self.covering == *head || self.unproven == *head)
    }

    /// Records that a signed head covers: all that is held, but for those that the log's own writer has
    /// not signed a head for yet.
    pub(crate) fn provable(&self) -> u64 {
        if self.covering.size == 0 { self.complete.size } else { self.have }
    }

    /// What must hold of a log between calls.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let covered = if self.is_own() { self.have } else { self.provable() };
        let heads = [&self.complete, &self.covering, &self.unproven];
        all(&[
            (heads.iter().all(|head| head.is_well_formed()), "a head is malformed"),
            (self.complete.size <= self.have, "a complete head is beyond what is held"),
            (self.have == covered, "records are held that no head covers"),
            (self.covering.size == 0 || self.covering.size > self.have, "a covering head is within what is held"),
            (self.bytes >= self.have.saturating_mul(LENGTH_LEN as u64), "fewer bytes are held than records have"),
        ])
    }

    /// This log's line in a status; the unproven head's signature is in the store.
    pub(crate) fn entry(&self, unproven: Option<SignedHead>) -> Entry {
        Entry {
            log: self.id,
            complete: self.complete,
            have: self.provable(),
            covering: some_unless_empty(self.covering),
            unproven,
            forked: self.is_forked,
        }
    }

    /// Its leaf in the digest over all logs.
    pub(super) fn digest_leaf(&self) -> Hash {
        Entry::digest_leaf(
            &self.id,
            &self.complete,
            self.provable(),
            some_unless_empty(self.covering).as_ref(),
            some_unless_empty(self.unproven).as_ref(),
            self.is_forked,
        )
    }

    /// Its leaf in the root over all logs' complete heads; `None` where there is no head yet.
    pub(super) fn root_leaf(&self) -> Option<Hash> {
        if self.is_forked {
            // Nodes frozen on different branches agree on this.
            return Some(Hash::of(&[&[0x00], self.id.as_bytes(), b"forked"]));
        }
        let size = self.complete.size.to_le_bytes();
        (self.complete.size > 0).then(|| Hash::of(&[&[0x00], self.id.as_bytes(), &size, self.complete.root.as_bytes()]))
    }
}

fn head_or_empty(signed: Option<SignedHead>) -> Head {
    signed.map_or(Head::EMPTY, |signed| signed.head)
}

fn some_unless_empty(head: Head) -> Option<Head> {
    (head.size > 0).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::Replica;
    use crate::log::Hash;

    #[test]
    fn a_followed_log_takes_at_most_300_bytes_of_the_node() {
        // Its place in the table, its rank in the order of ids, and its share of the digest's tree.
        let bytes = size_of::<Option<Replica>>() + size_of::<u32>() + size_of::<Option<Hash>>();
        assert!(bytes <= 300, "{bytes}");
    }
}
