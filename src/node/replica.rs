//! What a node keeps in memory of each log it follows, its own included, and the table of them: by id,
//! and in order of last change.

use super::sparse::Inner;
use crate::peer::PeerId;
use crate::store::{LogState, Origin, StoredLog};
use crate::tables::{List, Tables};
use crate::wire::Entry;
use crate::{Hash, Head, Instant, LogId, SignedHead};

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// The slot of the node's own log: it is inserted before all others, and never removed.
const OWN: u32 = 0;

/// One followed log. Signatures, records, hashes and the key are in the store. Public only for the
/// [`Tables`](crate::Tables) trait.
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
    notes: u8,
    noted: u32,
    older: u32,
    newer: u32,
}

/// What the application is still to be told of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
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
            notes: 0,
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
        let Self { notes, noted, older, newer, .. } = *self;
        *self = Self { notes, noted, older, newer, ..loaded.clone() };
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

/// All followed logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Replicas<T: Tables> {
    slots: T::PerLog<Option<Replica>>,
    /// Occupied slots in order of log id.
    order: T::PerLog<u32>,
    /// The ends of the list in order of last change.
    oldest: u32,
    newest: u32,
    /// The list of those with something to tell.
    noted: u32,
    pub(super) inner: Inner<T>,
}

impl<T: Tables> Default for Replicas<T> {
    fn default() -> Self {
        Self {
            slots: Default::default(),
            order: Default::default(),
            oldest: NONE,
            newest: NONE,
            noted: NONE,
            inner: Inner::default(),
        }
    }
}

impl<T: Tables> Replicas<T> {
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Occupied slots in order of log id.
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    pub(crate) fn capacity(&self) -> usize {
        self.slots.capacity_limit()
    }

    pub(crate) fn slot(&self, id: &LogId) -> Option<u32> {
        self.rank(id).ok().and_then(|rank| self.order.get(rank).copied())
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Replica> {
        self.slots.get(index(slot))?.as_ref()
    }

    /// A log that is about to change.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Replica> {
        self.touches(slot);
        self.place_mut(slot)
    }

    /// The same where only its places in the lists change, and nothing that a status tells.
    fn place_mut(&mut self, slot: u32) -> Option<&mut Replica> {
        self.slots.get_mut(index(slot))?.as_mut()
    }

    /// The node's own log, which is asked about more than any other.
    pub(crate) fn own(&self) -> Option<&Replica> {
        self.get(OWN)
    }

    pub(crate) fn find(&self, id: &LogId) -> Option<&Replica> {
        self.get(self.slot(id)?)
    }

    pub(crate) fn find_mut(&mut self, id: &LogId) -> Option<&mut Replica> {
        self.get_mut(self.slot(id)?)
    }

    /// Replicas in order of log id, those after `after`.
    pub(crate) fn iter_after(&self, after: Option<&LogId>) -> impl Iterator<Item = &Replica> {
        let start = match after {
            None => 0,
            Some(id) => self.rank(id).map_or_else(|rank| rank, |rank| rank + 1),
        };
        self.order.get(start..).unwrap_or_default().iter().filter_map(|slot| self.get(*slot))
    }

    /// Adds a log that is not there yet; `None` where the table is full.
    pub(crate) fn insert(&mut self, replica: Replica) -> Option<u32> {
        let Err(rank) = self.rank(&replica.id) else { return None };
        let slots = &*self.slots;
        let has_vacant = self.len() < slots.len();
        let vacant = if has_vacant { slots.iter().position(Option::is_none) } else { None };
        let slot = u32::try_from(vacant.unwrap_or(slots.len())).ok().filter(|slot| *slot != NONE)?;
        match vacant {
            Some(vacant) => *self.slots.get_mut(vacant)? = Some(replica),
            None => self.slots.push(Some(replica)).ok()?,
        }
        self.order.insert(rank, slot).ok()?;
        self.entered(rank);
        self.link(slot);
        Some(slot)
    }

    /// Removes a log. `cursors` are places in the order of change that must not be left dangling.
    pub(crate) fn remove<'a>(&mut self, id: &LogId, cursors: impl Iterator<Item = &'a mut u32>) -> Option<Replica> {
        let rank = self.rank(id).ok()?;
        self.leaves(rank);
        let slot = self.order.remove(rank);
        self.unlink(slot, cursors);
        self.take_note_links(slot);
        self.slots.get_mut(index(slot))?.take()
    }

    /// Moves a log to the end of the order of change.
    pub(crate) fn touch<'a>(&mut self, slot: u32, cursors: impl Iterator<Item = &'a mut u32>) {
        self.unlink(slot, cursors);
        self.link(slot);
    }

    /// The log that changed last.
    pub(crate) fn newest(&self) -> u32 {
        self.newest
    }

    /// The log that changed next after the one at `cursor`.
    pub(crate) fn changed_after(&self, cursor: u32) -> Option<u32> {
        let next = if cursor == NONE { self.oldest } else { self.get(cursor)?.newer };
        (next != NONE).then_some(next)
    }

    /// Something about the log in `slot` is to be told.
    pub(crate) fn note(&mut self, slot: u32, note: Note) {
        let head = self.noted;
        let Some(replica) = self.place_mut(slot) else { return };
        if replica.notes == 0 {
            replica.noted = head;
            self.noted = slot;
        }
        if let Some(replica) = self.place_mut(slot) {
            replica.notes |= note as u8;
        }
    }

    /// Takes one thing to be told.
    pub(crate) fn take_note(&mut self) -> Option<(&Replica, Note)> {
        let slot = self.noted;
        let replica = self.place_mut(slot)?;
        let notes = [Note::Introduced, Note::Forked, Note::Damaged, Note::TooLong, Note::Stalled];
        let note = notes.into_iter().find(|note| replica.notes & *note as u8 != 0);
        if let Some(note) = note {
            replica.notes &= !(note as u8);
        }
        if replica.notes == 0 {
            let rest = core::mem::replace(&mut replica.noted, NONE);
            self.noted = rest;
        }
        note.and_then(|note| Some((self.get(slot)?, note)))
    }

    pub(crate) fn has_notes(&self) -> bool {
        self.noted != NONE
    }

    pub(super) fn rank(&self, id: &LogId) -> Result<usize, usize> {
        self.order.binary_search_by(|slot| match self.get(*slot) {
            Some(replica) => replica.id.cmp(id),
            None => core::cmp::Ordering::Less,
        })
    }

    fn link(&mut self, slot: u32) {
        let newest = self.newest;
        if let Some(replica) = self.place_mut(slot) {
            replica.older = newest;
            replica.newer = NONE;
        }
        match self.place_mut(newest) {
            Some(previous) => previous.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }

    fn unlink<'a>(&mut self, slot: u32, cursors: impl Iterator<Item = &'a mut u32>) {
        let Some((older, newer)) = self.get(slot).map(|replica| (replica.older, replica.newer)) else { return };
        match self.place_mut(older) {
            Some(replica) => replica.newer = newer,
            None => self.oldest = newer,
        }
        match self.place_mut(newer) {
            Some(replica) => replica.older = older,
            None => self.newest = older,
        }
        for cursor in cursors.filter(|cursor| **cursor == slot) {
            *cursor = older;
        }
    }

    fn take_note_links(&mut self, slot: u32) {
        let Some(next) = self.get(slot).filter(|replica| replica.notes != 0).map(|replica| replica.noted) else {
            return;
        };
        if self.noted == slot {
            self.noted = next;
            return;
        }
        let mut at = self.noted;
        while let Some(replica) = self.place_mut(at) {
            if replica.noted == slot {
                replica.noted = next;
                return;
            }
            at = replica.noted;
        }
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::Replica;
    use crate::Hash;

    #[test]
    fn a_followed_log_takes_at_most_300_bytes_of_the_node() {
        // Its place in the table, its rank in the order of ids, and its share of the digest's tree.
        let bytes = size_of::<Option<Replica>>() + size_of::<u32>() + size_of::<Option<Hash>>();
        assert!(bytes <= 300, "{bytes}");
    }
}
