//! What peers are owed and what they are known to have: the rules of the table of views.
//!
//! A peer is known to have what its own signed word says; what was sent to it proves nothing. Where there is no room to
//! remember a difference a round repairs it, and one whose claims fill the table makes room for the others.

use super::value::Node;
use crate::head::Head;
use crate::rng::mix;
use crate::state::{Due, Replica, Root, Tables, View};
use crate::store::Store;
use crate::time::Instant;
use crate::wire::Entry;
use crate::words::PeerId;

/// Attempts at finding a difference that can be forgotten.
const DRAWS: u32 = 8;

impl<T: Tables> Node<T> {
    /// Whether a peer is among the `fanout` that are told of a change: drawn by a hash over the change, so
    /// that nothing needs to be remembered.
    pub(super) fn is_chosen(&self, replica: &Replica, peer: PeerId) -> bool {
        let others = self.peers.iter().filter(|peer| peer.is_healthy()).count();
        if others <= self.config.fanout {
            return true;
        }
        let mut seed = [0; 8];
        seed.copy_from_slice(&replica.complete.root.as_bytes()[..8]);
        let seed = u64::from_le_bytes(seed) ^ self.chance.salt();
        let draw = |peer: PeerId| mix(seed ^ mix(u64::from(peer.get())));
        let healthy = self.peers.iter().filter(|peer| peer.is_healthy());
        healthy.filter(|other| draw(other.id) < draw(peer)).count() < self.config.fanout
    }

    pub(super) fn is_known_to_have(&self, replica: &Replica, peer: PeerId) -> bool {
        self.views.of(&replica.id, peer).is_some_and(|view| view.have >= replica.complete.size)
    }

    /// Our own log has a new head, and is pushed at once.
    pub(super) fn owe_all(&mut self) {
        for at in 0..self.peers.len() {
            let Some((peer, is_healthy)) = self.peers.get(at).map(|peer| (peer.id, peer.is_healthy())) else {
                return;
            };
            let is_chosen = self.logs.own().is_some_and(|own| self.is_chosen(own, peer));
            if is_healthy && is_chosen {
                self.owe(peer);
            }
        }
    }

    /// A peer is to have our newest head: remembered as a difference with it, worked off as the peer's
    /// word advances.
    fn owe(&mut self, peer: PeerId) {
        let Some(have) = self.peers.find(peer).and_then(|peer| peer.acknowledged) else { return };
        let log = self.writing.id();
        if let Some(view) = self.views.of_mut(&log, peer) {
            view.is_owed = true;
            // One that takes no pushes is not sent everything again with each new head.
            if view.failures == 0 {
                view.retry_at = Instant::ZERO;
            }
            return;
        }
        let entry = Entry { log, complete: Head::EMPTY, have, covering: None, unproven: None, forked: false };
        // Where there is no room to remember it, a round repairs it.
        self.heard(peer, &entry, |view| {
            view.is_owed = true;
            view.root = Root::Compared;
        });
    }

    /// A peer's own word says that it holds the first `size` records of our log.
    pub(super) fn acknowledged(&mut self, store: &mut dyn Store, peer: PeerId, size: u64) {
        let (own, complete) = (self.writing.id(), self.logs.own().map_or(0, |own| own.complete.size));
        // Only what we signed can have been taken; while we recover, up to the largest head met of our own, so
        // that a store which drops old records has room for what comes back.
        let signed = complete.max(self.writing.recovery().map_or(0, |recovery| recovery.target));
        let size = size.min(signed);
        // A store that cannot take the hint now gets it again with the peer's next word.
        let _ = store.acknowledged(&own, size);
        if let Some(peer) = self.peers.find_mut(peer) {
            peer.acknowledged = Some(size);
        }
    }

    /// A peer said what it has of one followed log: remembered where it differs, forgotten where not.
    /// `false` where it differs and there is no room to remember it.
    pub(super) fn heard(&mut self, peer: PeerId, entry: &Entry, mark: impl FnOnce(&mut View)) -> bool {
        let mut heard = View::new(peer, entry);
        if self.logs.find(&entry.log).is_some_and(|replica| replica.is_doubtful(entry)) {
            heard.root = Root::Disputed { size: entry.have, by_batch: false };
        }
        match self.views.find(&entry.log, peer) {
            Ok(at) => {
                if let Some(view) = self.views.get_mut(at) {
                    view.update(entry);
                    if view.root == Root::Unknown {
                        view.root = heard.root;
                    }
                    mark(view);
                }
                true
            }
            Err(_) if heard.due(self.logs.find(&entry.log)) == Due::Nothing => true,
            Err(_) => {
                let has_room = self.views.len() < self.views.limit(&self.config) || self.make_room(peer);
                mark(&mut heard);
                has_room && self.views.insert(heard)
            }
        }
    }

    /// Forgets a difference with another peer, if one can be found that has more of them than this one: a
    /// peer whose claims fill the table must not keep the others from being heard.
    fn make_room(&mut self, peer: PeerId) -> bool {
        let own = self.views.count_of(peer);
        // Drawn from all: whoever has most of the table is likeliest to be met.
        for _ in 0..DRAWS {
            let at = self.chance.rng.below(self.views.len());
            let Some(other) = self.views.get(at).filter(|view| view.sync.is_none()) else { continue };
            let other = other.peer;
            if self.views.count_of(other) > own {
                self.views.remove(at);
                if let Some(other) = self.peers.find_mut(other) {
                    // What was forgotten is to be heard again.
                    other.compared = None;
                    other.listing.lost_something();
                }
                return true;
            }
        }
        false
    }
}
