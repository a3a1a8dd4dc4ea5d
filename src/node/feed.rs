//! What has changed and peers are to be told of: new heads of logs, offered without their records, and fork proofs.
//!
//! Each peer has a place in the order of change, and is told after a jittered delay: once, however often a log has
//! changed meanwhile, and not at all where it sent the head itself or is known to have it. Our own log's heads do not
//! wait for this (`owed`), and what is missed here a round repairs.

use super::value::Node;
use crate::judge::Trouble;
use crate::key::LogId;
use crate::state::{Tables, Wake};
use crate::store::Store;
use crate::words::{Command, PeerId};

impl<T: Tables> Node<T> {
    /// The next change that a peer is to be told of. Each peer has a place in the order of changes; what
    /// changed again before the peer was told is told once.
    pub(super) fn next_offer(&mut self, store: &mut dyn Store, wake: &mut Wake) -> Result<Option<Command>, Trouble> {
        for at in 0..self.peers.len() {
            while let Some((peer, slot)) = self.next_change(at, wake) {
                let offer = match self.offer(store, &peer, slot) {
                    Err(trouble) if trouble.is_not_ready() => return Err(trouble),
                    Err(trouble) => {
                        // One log's trouble is not the others'.
                        let error = self.noted(trouble);
                        self.block(slot, error);
                        Offer::None
                    }
                    Ok(offer) => offer,
                };
                if matches!(offer, Offer::Later) {
                    break;
                }
                if let Some(peer) = self.peers.get_mut(at) {
                    peer.fed = slot;
                }
                if let Offer::Now(command) = offer {
                    return Ok(Some(command));
                }
            }
        }
        Ok(None)
    }

    /// The peer at `at` and the next change it is to be told of, if its time has come.
    fn next_change(&mut self, at: usize, wake: &mut Wake) -> Option<(Offered, u32)> {
        let peer = self.peers.get_mut(at)?;
        let Some(slot) = self.logs.changed_after(peer.fed) else {
            peer.feed_at = None;
            return None;
        };
        // The delay runs from the first change not told yet, so that a log that never rests is told of too.
        let (now, rng, delay) = (self.clock.now, &mut self.chance.rng, self.config.relay_delay);
        let offer_at = *peer.feed_at.get_or_insert_with(|| now + rng.jitter(delay));
        let offered = Offered { id: peer.id, node: peer.node, is_healthy: peer.is_healthy() };
        wake.is_due(offer_at).then_some((offered, slot))
    }

    fn offer(&mut self, store: &mut dyn Store, peer: &Offered, slot: u32) -> Result<Offer, Trouble> {
        let Some(replica) = self.logs.get(slot) else { return Ok(Offer::None) };
        if !peer.is_healthy || replica.is_damaged {
            return Ok(Offer::None);
        }
        let (log, size) = (replica.id, replica.complete.size);
        if replica.is_forked {
            let is_known = self.views.of(&log, peer.id).is_some_and(|view| view.is_forked);
            return if is_known { Ok(Offer::None) } else { self.push_fork(store, peer.id, log).map(Offer::from) };
        }
        let is_source = replica.source == Some(peer.id) || replica.id == peer.node;
        let is_known = self.is_known_to_have(replica, peer.id);
        if size == 0 || is_source || is_known || !self.is_chosen(replica, peer.id) {
            return Ok(Offer::None);
        }
        self.push(store, peer.id, log, size).map(Offer::from)
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
