//! All logs that a node follows: by id, in order of last change, and those with something to tell.
//!
//! A log keeps its slot as long as it is followed, and the node's own has the first. Whatever changes a log here makes
//! the digest forget it.

use super::digest::{Digest, Ordered};
use super::invariant::all;
use super::peers::Introduced;
use super::replica::{News, Replica};
use super::tables::{List, NONE, Tables};
use crate::key::LogId;
use crate::log::Hash;
use crate::store::{LogState, Origin};
use crate::time::Instant;
use crate::words::{Config, PeerId};

/// The slot of the node's own log: it is inserted before all others, and never removed.
const OWN: u32 = 0;

/// All followed logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Logs<T: Tables> {
    slots: T::PerLog<Option<Replica>>,
    /// Occupied slots in order of log id.
    order: T::PerLog<u32>,
    /// The ends of the list in order of last change.
    oldest: u32,
    newest: u32,
    /// The list of those with something to tell.
    noted: u32,
    /// The tree over all that a status says of them.
    digest: Digest<T>,
    /// Some log holds evidence that is still to be judged.
    pub(crate) has_evidence: bool,
    /// There may be a log with a head ahead that nothing leads to, and nobody has been told.
    pub(crate) may_stall: bool,
}

impl<T: Tables> Default for Logs<T> {
    fn default() -> Self {
        Self {
            slots: Default::default(),
            order: Default::default(),
            oldest: NONE,
            newest: NONE,
            noted: NONE,
            digest: Digest::default(),
            has_evidence: false,
            may_stall: true,
        }
    }
}

impl<T: Tables> Logs<T> {
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// How many there may be.
    pub(crate) fn limit(&self, config: &Config) -> usize {
        config.max_logs.min(self.slots.capacity_limit())
    }

    pub(crate) fn slot(&self, id: &LogId) -> Option<u32> {
        self.rank(id).ok().and_then(|rank| self.order.get(rank).copied())
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Replica> {
        self.slots.get(index(slot))?.as_ref()
    }

    /// A log that is about to change.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Replica> {
        self.forget_but(slot);
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

    /// Logs in order of log id, those after `after`.
    pub(crate) fn iter_after(&self, after: Option<&LogId>) -> impl Iterator<Item = &Replica> {
        let start = match after {
            None => 0,
            Some(id) => self.rank(id).map_or_else(|rank| rank, |rank| rank + 1),
        };
        self.order.get(start..).unwrap_or_default().iter().filter_map(|slot| self.get(*slot))
    }

    /// Takes over what the store has just committed: a state, and so many bytes of records. How the log came to be
    /// followed, and whether its complete head is another now; `None` where it is not followed.
    pub(crate) fn committed(
        &mut self,
        slot: u32,
        state: &LogState,
        bytes: u64,
        source: Option<PeerId>,
        now: Instant,
    ) -> Option<(Origin, bool)> {
        let replica = self.get_mut(slot)?;
        let before = replica.complete;
        replica.set_state(state);
        replica.bytes += bytes;
        replica.progress_at = now;
        if bytes > 0 {
            replica.is_stalled = false;
            replica.is_too_long = false;
        }
        let has_new_head = replica.complete != before;
        if has_new_head {
            replica.source = source;
        }
        let (has_evidence, is_ahead) = (replica.has_evidence(), replica.unproven.size > 0);
        let origin = replica.origin;
        self.has_evidence |= has_evidence;
        self.may_stall |= is_ahead;
        Some((origin, has_new_head))
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
        let order = order(&self.slots, &self.order);
        self.digest.entered(&order, rank, self.slots.capacity_limit());
        self.link(slot);
        Some(slot)
    }

    /// Removes a log. `cursors` are places in the order of change that must not be left dangling.
    pub(crate) fn remove<'a>(&mut self, id: &LogId, cursors: impl Iterator<Item = &'a mut u32>) -> Option<Replica> {
        let rank = self.rank(id).ok()?;
        self.forget_but(NONE);
        self.digest.leaves(&order(&self.slots, &self.order), rank);
        let slot = self.order.remove(rank);
        self.unlink(slot, cursors);
        self.take_news_links(slot);
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

    /// What the peer with this key introduced.
    pub(crate) fn introduced_by(&self, node: &LogId) -> Introduced {
        let mut introduced = Introduced::default();
        for replica in self.iter_after(None).filter(|replica| replica.origin == Origin::Introduced(*node)) {
            introduced.add(1, replica.bytes);
        }
        introduced
    }

    /// The root over all that a status says of every log.
    pub(crate) fn digest(&mut self) -> Hash {
        self.forget_but(NONE);
        self.digest.digest(&order(&self.slots, &self.order))
    }

    /// The root over the complete heads of the logs that have one.
    pub(crate) fn root(&self) -> Hash {
        super::digest::root(&order(&self.slots, &self.order))
    }

    /// The log in this slot is about to change: what is kept of the tree is forgotten for the one that changed
    /// before.
    fn forget_but(&mut self, slot: u32) {
        if let Some(before) = self.digest.touch(slot)
            && let Some(rank) = self.get(before).and_then(|replica| self.rank(&replica.id).ok())
        {
            self.digest.forget(&order(&self.slots, &self.order), rank);
        }
    }

    /// The store's content does not fit a log's heads: it is served no more.
    pub(crate) fn damaged(&mut self, slot: u32) {
        if let Some(replica) = self.get_mut(slot)
            && !core::mem::replace(&mut replica.is_damaged, true)
        {
            self.tell(slot, News::Damaged);
        }
    }

    /// Nobody asked provides what leads to a head ahead.
    pub(crate) fn stalled(&mut self, log: &LogId) {
        if let Some(slot) = self.slot(log)
            && let Some(replica) = self.get_mut(slot)
            && !core::mem::replace(&mut replica.is_stalled, true)
        {
            self.tell(slot, News::Stalled);
        }
    }

    /// Something about the log in `slot` is to be told.
    pub(crate) fn tell(&mut self, slot: u32, news: News) {
        let head = self.noted;
        let Some(replica) = self.place_mut(slot) else { return };
        if replica.news == 0 {
            replica.noted = head;
            self.noted = slot;
        }
        if let Some(replica) = self.place_mut(slot) {
            replica.news |= news as u8;
        }
    }

    /// Takes one thing to be told.
    pub(crate) fn take_news(&mut self) -> Option<(&Replica, News)> {
        let slot = self.noted;
        let replica = self.place_mut(slot)?;
        let all = [News::Introduced, News::Forked, News::Damaged, News::TooLong, News::Stalled];
        let news = all.into_iter().find(|news| replica.news & *news as u8 != 0);
        if let Some(news) = news {
            replica.news &= !(news as u8);
        }
        if replica.news == 0 {
            let rest = core::mem::replace(&mut replica.noted, NONE);
            self.noted = rest;
        }
        news.and_then(|news| Some((self.get(slot)?, news)))
    }

    pub(crate) fn has_news(&self) -> bool {
        self.noted != NONE
    }

    /// What must hold of the table between calls.
    pub(crate) fn check(&self, config: &Config, own: LogId) -> Result<(), &'static str> {
        let (mut listed, mut at, mut before) = (0, self.oldest, NONE);
        while let Some(replica) = self.get(at).filter(|replica| replica.older == before && listed <= self.len()) {
            (before, at, listed) = (at, replica.newer, listed + 1);
        }
        let (mut noted, mut next) = (0, self.noted);
        while let Some(replica) = self.get(next).filter(|replica| replica.news != 0 && noted <= self.len()) {
            (next, noted) = (replica.noted, noted + 1);
        }
        let mut replicas = self.iter_after(None);
        all(&[
            (self.len() <= self.limit(config), "there are more logs than may be"),
            (
                self.own().is_some_and(|replica| replica.id == own && replica.is_own()),
                "another log is taken for one's own",
            ),
            (self.iter_after(None).count() == self.len(), "a log in the order is not there"),
            (self.slots.iter().flatten().count() == self.len(), "a log is in no order"),
            (self.iter_after(None).is_sorted_by(|a, b| a.id < b.id), "logs are out of order"),
            (listed == self.len() && at == NONE && before == self.newest, "the order of change is torn"),
            (
                next == NONE && noted == self.iter_after(None).filter(|r| r.news != 0).count(),
                "the list of news is torn",
            ),
            (
                self.has_evidence || !replicas.any(|replica| replica.has_evidence() && !replica.is_damaged),
                "evidence waits, and nobody knows",
            ),
        ])
    }

    fn rank(&self, id: &LogId) -> Result<usize, usize> {
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

    fn take_news_links(&mut self, slot: u32) {
        let Some(next) = self.get(slot).filter(|replica| replica.news != 0).map(|replica| replica.noted) else {
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

/// Slots in order of log id, for the tree over them.
struct Order<'a> {
    slots: &'a [Option<Replica>],
    order: &'a [u32],
}

fn order<'a>(slots: &'a [Option<Replica>], order: &'a [u32]) -> Order<'a> {
    Order { slots, order }
}

impl Order<'_> {
    fn at(&self, rank: usize) -> Option<&Replica> {
        self.slots.get(index(*self.order.get(rank)?))?.as_ref()
    }
}

impl Ordered for Order<'_> {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn id(&self, rank: usize) -> Option<&LogId> {
        self.at(rank).map(|replica| &replica.id)
    }

    fn digest_leaf(&self, rank: usize) -> Option<Hash> {
        self.at(rank).map(Replica::digest_leaf)
    }

    fn root_leaf(&self, rank: usize) -> Option<Hash> {
        self.at(rank).and_then(Replica::root_leaf)
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::super::replica::Replica;
    use super::Logs;
    use crate::key::{Ed25519, LogId};
    use crate::state::{Fixed, Heap};
    use crate::store::Origin;

    /// Without an allocator nothing is kept, and all is hashed anew.
    type Anew = Logs<Fixed<1, 64, 1, 1, 80, Ed25519>>;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8),
        Remove(u8),
        Touch(u8),
        Digest,
    }

    /// Ids that share long prefixes, so that subtrees are of all depths.
    fn id(number: u8) -> LogId {
        let mut bytes = [0; 32];
        bytes[0] = number & 0b1100_0000;
        bytes[number as usize % 7] |= number & 0b11_1111;
        LogId::from_bytes(bytes)
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => any::<u8>().prop_map(Step::Insert),
            1 => any::<u8>().prop_map(Step::Remove),
            3 => any::<u8>().prop_map(Step::Touch),
            2 => Just(Step::Digest),
        ];
        proptest::collection::vec(step, 0..100)
    }

    proptest! {
        #[test]
        fn what_is_kept_of_the_tree_is_what_would_be_hashed(steps in steps()) {
            let mut kept = Logs::<Heap<Ed25519>>::default();
            let mut anew = Anew::default();
            for step in steps {
                match step {
                    Step::Insert(number) if kept.len() < 64 => {
                        let replica = Replica::new(id(number), Origin::Pinned);
                        prop_assert_eq!(kept.insert(replica.clone()), anew.insert(replica));
                    }
                    Step::Remove(number) => {
                        let none = core::iter::empty;
                        prop_assert_eq!(kept.remove(&id(number), none()), anew.remove(&id(number), none()));
                    }
                    Step::Touch(number) => {
                        kept.find_mut(&id(number)).into_iter().for_each(|replica| replica.complete.size += 1);
                        anew.find_mut(&id(number)).into_iter().for_each(|replica| replica.complete.size += 1);
                    }
                    Step::Insert(_) | Step::Digest => prop_assert_eq!(kept.digest(), anew.digest()),
                }
            }
            prop_assert_eq!(kept.digest(), anew.digest());
        }
    }
}
