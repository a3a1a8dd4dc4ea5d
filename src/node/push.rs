//! Pushing: a new head of our own with records, at once; another's head as an offer, after a while; fork
//! proofs; and records to a peer that is behind and does not come for them.

use super::replica::Replica;
use super::request::{Blame, Ending};
use super::view::{Due, Root, View, ViewTable};
use super::{Ask, Command, Fault, Node, PushOutcome};
use crate::peer::PeerId;
use crate::rng::mix;
use crate::store::{Store, StoreError};
use crate::tables::{List, Tables};
use crate::wire::{Entry, PushWord, RequestId, Signed, SignedContext};
use crate::{Head, Instant, LogId};

/// Attempts at finding a difference that can be forgotten.
const DRAWS: u32 = 8;

impl<T: Tables> Node<T> {
    /// The next change that a peer is to be told of. Each peer has a place in the order of changes; what
    /// changed again before the peer was told is told once.
    pub(super) fn next_offer(&mut self, store: &mut dyn Store) -> Result<Option<Command>, StoreError> {
        for at in 0..self.peers.len() {
            while let Some((peer, slot)) = self.next_change(at) {
                let offer = match self.offer(store, &peer, slot) {
                    Err(StoreError::NotReady) => return Err(StoreError::NotReady),
                    Err(error) => {
                        // One log's trouble is not the others'.
                        self.block(slot, error);
                        Offer::None
                    }
                    Ok(offer) => offer,
                };
                if matches!(offer, Offer::Later) {
                    break;
                }
                if let Some(peer) = self.peers.get_mut(at) {
                    peer.offered = slot;
                }
                if let Offer::Now(command) = offer {
                    return Ok(Some(command));
                }
            }
        }
        Ok(None)
    }

    /// The peer at `at` and the next change it is to be told of, if its time has come.
    fn next_change(&mut self, at: usize) -> Option<(Offered, u32)> {
        let peer = self.peers.get_mut(at)?;
        let Some(slot) = self.replicas.changed_after(peer.offered) else {
            peer.offer_at = None;
            return None;
        };
        // The delay runs from the first change not told yet, so that a log that never rests is told of too.
        let (now, rng, delay) = (self.clock.now, &mut self.rng, self.config.relay_delay);
        let offer_at = *peer.offer_at.get_or_insert_with(|| now + rng.jitter(delay));
        let offered = Offered { id: peer.id, node: peer.node, is_healthy: peer.is_healthy() };
        (offer_at <= now).then_some((offered, slot))
    }

    fn offer(&mut self, store: &mut dyn Store, peer: &Offered, slot: u32) -> Result<Offer, StoreError> {
        let Some(replica) = self.replicas.get(slot) else { return Ok(Offer::None) };
        if !peer.is_healthy || replica.is_damaged {
            return Ok(Offer::None);
        }
        let (log, size) = (replica.id, replica.complete.size);
        if replica.is_forked {
            let is_known = self.views.of(&log, peer.id).is_some_and(|view| view.is_forked);
            return if is_known || cfg!(verisoo_bug = "evidence-not-relayed") {
                Ok(Offer::None)
            } else {
                self.push_fork(store, peer.id, log).map(Offer::from)
            };
        }
        let is_source = replica.source == Some(peer.id) || replica.id == peer.node;
        let is_known = self.is_known_to_have(replica, peer.id);
        if size == 0 || is_source || is_known || !self.is_chosen(replica, peer.id) {
            return Ok(Offer::None);
        }
        self.push(store, peer.id, log, size).map(Offer::from)
    }

    /// Whether a peer is among the `fanout` that are told of a change: drawn by a hash over the change, so
    /// that nothing needs to be remembered.
    fn is_chosen(&self, replica: &Replica, peer: PeerId) -> bool {
        let others = self.peers.iter().filter(|peer| peer.is_healthy()).count();
        if others <= self.config.fanout {
            return true;
        }
        let mut seed = [0; 8];
        seed.copy_from_slice(&replica.complete.root.as_bytes()[..8]);
        let seed = u64::from_le_bytes(seed) ^ self.rng_salt();
        let draw = |peer: PeerId| mix(seed ^ mix(u64::from(peer.get())));
        let healthy = self.peers.iter().filter(|peer| peer.is_healthy());
        healthy.filter(|other| draw(other.id) < draw(peer)).count() < self.config.fanout
    }

    fn rng_salt(&self) -> u64 {
        let mut salt = [0; 8];
        salt.copy_from_slice(&self.secret.0.as_bytes()[8..16]);
        u64::from_le_bytes(salt)
    }

    fn is_known_to_have(&self, replica: &Replica, peer: PeerId) -> bool {
        self.views.of(&replica.id, peer).is_some_and(|view| view.have >= replica.complete.size)
    }

    /// Our own log has a new head, and is pushed at once.
    pub(super) fn owe_all(&mut self) {
        for at in 0..self.peers.len() {
            let Some((peer, is_healthy)) = self.peers.get(at).map(|peer| (peer.id, peer.is_healthy())) else {
                return;
            };
            let is_chosen = self.replicas.own().is_some_and(|own| self.is_chosen(own, peer));
            if is_healthy && is_chosen {
                self.owe(peer);
            }
        }
    }

    /// A peer is to have our newest head: remembered as a difference with it, worked off as the peer's
    /// word advances.
    fn owe(&mut self, peer: PeerId) {
        let Some(have) = self.peer_ref(peer).and_then(|peer| peer.acknowledged) else { return };
        let log = self.own;
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

    pub(super) fn view_limit(&self) -> usize {
        self.config.max_views.min(self.views.capacity_limit())
    }

    /// Pushes records to a peer that is behind, from where it is.
    pub(super) fn push_records(&mut self, store: &mut dyn Store, view: &View) -> Result<Option<Command>, StoreError> {
        let replica = self.replicas.find(&view.log);
        let provable = replica.map_or(0, Replica::provable);
        let complete = replica.map_or(0, |replica| replica.complete.size);
        let end = if cfg!(verisoo_bug = "pushed-without-progress") { complete } else { provable };
        self.push(store, view.peer, view.log, view.have.min(end))
    }

    fn push(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        log: LogId,
        start: u64,
    ) -> Result<Option<Command>, StoreError> {
        let is_outstanding = self.is_outstanding(|request| {
            request.peer == peer && matches!(request.ask, Ask::Push { log: pushed, .. } if pushed == log)
        });
        if is_outstanding {
            return Ok(None);
        }
        // Nothing leaves that is not durable.
        if !cfg!(verisoo_bug = "pushed-before-durable") {
            self.settle(store)?;
        }
        let command = self.ask(peer, Ask::Push { log, start });
        if cfg!(verisoo_bug = "sent-taken-for-received") && log == self.own {
            self.acknowledged(store, peer, u64::MAX);
        }
        Ok(command)
    }

    pub(super) fn push_fork(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        log: LogId,
    ) -> Result<Option<Command>, StoreError> {
        self.settle(store)?;
        Ok(self.ask(peer, Ask::PushFork { log }))
    }

    /// A push was answered: the peer's signed word on what it has of the log now.
    #[inline(never)]
    pub(super) fn hear_push_word(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        request: RequestId,
        log: LogId,
        start: u64,
        word: &Signed<'_>,
    ) -> Ending {
        let Some(known) = self.peer_ref(peer) else { return Ending::None };
        if !word.verify(SignedContext::Push, &known.vkey, &self.own, &self.nonce(request)) {
            return Ending::Failed;
        }
        let Some(word) = PushWord::decode(word.body).ok().filter(|word| word.log == log) else {
            return Ending::Fault(Fault::Malformed, Blame::Signed);
        };
        if log == self.own {
            self.acknowledged(store, peer, word.have);
        }
        self.push_ended(peer, log, PushOutcome::Accepted { have: word.have });
        let PushWord { complete, have, .. } = word;
        let entry = Entry { log, complete, have, covering: None, unproven: None, forked: false };
        // Pushing goes on as long as it gets the peer further: than what was sent begins, and where that is not
        // where it was, than it was. Or one word, said over and over, would have us push for ever.
        let provable = self.replicas.find(&log).map_or(0, Replica::provable);
        let before = match self.views.of(&log, peer) {
            Some(view) if !cfg!(verisoo_bug = "pushed-without-progress") => view.have,
            _ => start,
        };
        let (is_own, is_further) = (log == self.own, have > before);
        self.heard(peer, &entry, |view| {
            view.is_owed = have > start && (have < provable || is_further);
            if is_own && is_further {
                view.failures = 0;
            }
        });
        Ending::Answered
    }

    /// A pushed fork proof was taken. The peer's next status will say so under its signature; until then there is
    /// nothing to push.
    pub(super) fn hear_fork_taken(&mut self, peer: PeerId, log: &LogId) -> Ending {
        let until = self.clock.now + self.config.interval;
        if let Some(view) = self.views.of_mut(log, peer) {
            view.retry_at = until;
        }
        Ending::Answered
    }

    /// A peer's own word says that it holds the first `size` records of our log.
    pub(super) fn acknowledged(&mut self, store: &mut dyn Store, peer: PeerId, size: u64) {
        let (own, complete) = (self.own, self.replicas.own().map_or(0, |own| own.complete.size));
        // Only what we signed can have been taken; while we recover, up to the largest head met of our own, so
        // that a store which drops old records has room for what comes back.
        let signed = complete.max(self.recovery_target());
        let size = if cfg!(verisoo_bug = "word-not-clamped") { size } else { size.min(signed) };
        // A store that cannot take the hint now gets it again with the peer's next word.
        let _ = store.acknowledged(&own, size);
        if let Some(peer) = self.peer_mut(peer) {
            peer.acknowledged = Some(size);
        }
    }

    /// A peer said what it has of one followed log: remembered where it differs, forgotten where not.
    /// `false` where it differs and there is no room to remember it.
    pub(super) fn heard(&mut self, peer: PeerId, entry: &Entry, mark: impl FnOnce(&mut View)) -> bool {
        let mut heard = View::new(peer, entry);
        if self.replicas.find(&entry.log).is_some_and(|replica| replica.is_doubtful(entry)) {
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
            Err(_) if heard.due(self.replicas.find(&entry.log)) == Due::Nothing => true,
            Err(_) => {
                let has_room = self.views.len() < self.view_limit() || self.make_room(peer);
                let Err(at) = self.views.find(&entry.log, peer) else { return false };
                mark(&mut heard);
                has_room && self.views.insert(at, heard).is_ok()
            }
        }
    }

    /// Forgets a difference with another peer, if one can be found that has more of them than this one: a
    /// peer whose claims fill the table must not keep the others from being heard.
    fn make_room(&mut self, peer: PeerId) -> bool {
        let of_peer = |node: &Self, peer| node.views.iter().filter(|view| view.peer == peer).count();
        let own = of_peer(self, peer);
        // Drawn from all: whoever has most of the table is likeliest to be met.
        for _ in 0..DRAWS {
            let at = self.rng.below(self.views.len());
            let Some(other) = self.views.get(at).filter(|view| view.sync.is_none()) else { continue };
            let other = other.peer;
            if of_peer(self, other) > own {
                self.views.remove(at);
                if let Some(other) = self.peer_mut(other) {
                    // What was forgotten is to be heard again.
                    other.compared = None;
                    other.listing.lost_something();
                }
                return true;
            }
        }
        false
    }

    pub(super) fn push_ended(&mut self, peer: PeerId, log: LogId, outcome: PushOutcome) {
        if let Some(peer) = self.peer_mut(peer) {
            peer.notes.pushed = Some((log, outcome));
        }
        let (now, pause) = (self.clock.now, self.config.interval / 16);
        if !matches!(outcome, PushOutcome::Accepted { .. })
            && let Some(view) = self.views.of_mut(&log, peer)
        {
            view.failed(now, pause);
        }
    }
}

/// Whether a change is told to a peer.
enum Offer {
    Now(Command),
    /// It need not be.
    None,
    /// Not before another request has ended: the same log is being pushed, or no more requests may be made.
    Later,
}

impl From<Option<Command>> for Offer {
    fn from(command: Option<Command>) -> Self {
        command.map_or(Self::Later, Self::Now)
    }
}

/// The peer that a change is offered to.
struct Offered {
    id: PeerId,
    node: LogId,
    is_healthy: bool,
}
