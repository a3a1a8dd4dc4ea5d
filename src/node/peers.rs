//! Whom a node talks to: add, remove, ask now.

use super::Node;
use super::view::ViewTable;
use crate::error::Error;
use crate::key::Vkey;
use crate::peer::{Peer, PeerId, PeerInfo, Sync};
use crate::store::{Origin, Store};
use crate::tables::{List, Tables};

impl<T: Tables> Node<T> {
    /// Adds a peer and follows its log. A peer that is there already keeps its handle.
    ///
    /// Errors: [`Error::OwnKey`], [`Error::TooManyPeers`], [`Error::TooManyLogs`], [`Error::Store`].
    pub fn add_peer(&mut self, store: &mut dyn Store, vkey: Vkey<T::Scheme>) -> Result<PeerId, Error> {
        let node = vkey.id();
        if node == self.own {
            return Err(Error::OwnKey);
        }
        if let Some(peer) = self.peers.as_slice().iter().find(|peer| peer.node == node) {
            return Ok(peer.id);
        }
        let limit = self.config.max_peers.min(self.peers.capacity_limit());
        if self.peers.as_slice().len() >= limit {
            return Err(Error::TooManyPeers);
        }
        self.follow_as(store, &vkey, Origin::Peer)?;
        let id = PeerId::new(self.next_peer);
        let mut peer = Peer::new(id, vkey, self.replicas.newest());
        (peer.introduced_logs, peer.introduced_bytes) = self.introduced_by(&node);
        self.peers.push(peer).map_err(|_| Error::TooManyPeers)?;
        self.next_peer += 1;
        self.cache.idle_until = None;
        Ok(id)
    }

    /// Says whether the transport itself proves that answers come from this peer (TLS with its key
    /// pinned, say). Only then is a false answer held against it as a [`Fault`](crate::Fault); otherwise whoever sits
    /// between could have made it, and it counts as a failure. What a peer signs is always its own.
    pub fn set_authenticated(&mut self, peer: PeerId, is_authenticated: bool) -> Result<(), Error> {
        let at = self.peer_index(peer).ok_or(Error::UnknownPeer)?;
        if let Some(peer) = self.peers.as_mut_slice().get_mut(at) {
            peer.is_authenticated = is_authenticated;
        }
        Ok(())
    }

    /// Stops talking to a peer. Its log stays followed, until it is [unfollowed](Node::unfollow).
    pub fn remove_peer(&mut self, peer: PeerId) -> Result<(), Error> {
        let at = self.peer_index(peer).ok_or(Error::UnknownPeer)?;
        self.peers.remove(at);
        self.views.retain(|view| view.peer != peer);
        self.drop_requests(|request| request.peer == peer);
        self.cache.idle_until = None;
        Ok(())
    }

    /// The peers, in the order in which they were added.
    pub fn peers(&self) -> impl Iterator<Item = PeerInfo> + '_ {
        self.peers.as_slice().iter().map(|peer| peer.info(&self.config))
    }

    /// One peer.
    pub fn peer(&self, peer: PeerId) -> Option<PeerInfo> {
        self.peer_ref(peer).map(|peer| peer.info(&self.config))
    }

    /// Asks a peer for its status now, whatever its health and the schedule, and catches up on what it
    /// has more of. Each log that was behind ends in a [`Notice::Synced`](crate::Notice::Synced), the whole in a
    /// [`Notice::SyncEnded`](crate::Notice::SyncEnded).
    pub fn sync_now(&mut self, peer: PeerId) -> Result<(), Error> {
        let at = self.peer_index(peer).ok_or(Error::UnknownPeer)?;
        if let Some(peer) = self.peers.as_mut_slice().get_mut(at) {
            peer.sync = Some(Sync::Wanted);
            peer.sync_logs = 0;
            peer.walk = None;
            // The comparison is to find what is missing, not to be told that nothing changed.
            peer.compared = None;
        }
        self.cache.idle_until = None;
        Ok(())
    }

    pub(super) fn peer_index(&self, peer: PeerId) -> Option<usize> {
        // Handles only ever grow, so the table is in their order.
        self.peers.as_slice().binary_search_by_key(&peer, |peer| peer.id).ok()
    }

    pub(super) fn peer_ref(&self, peer: PeerId) -> Option<&Peer<T::Scheme>> {
        self.peers.as_slice().get(self.peer_index(peer)?)
    }

    pub(super) fn peer_mut(&mut self, peer: PeerId) -> Option<&mut Peer<T::Scheme>> {
        let at = self.peer_index(peer)?;
        self.peers.as_mut_slice().get_mut(at)
    }
}
