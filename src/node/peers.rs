//! Whom a node talks to: add, remove, ask now.

use super::Node;
use super::view::ViewTable;
use crate::error::Error;
use crate::key::Vkey;
use crate::peer::{Peer, PeerId, PeerInfo, Sync};
use crate::store::{Origin, Store};
use crate::tables::{List, Tables};

impl<T: Tables> Node<T> {
    /// Adds a peer and follows its log. A peer that is there already keeps its handle. Peers are not stored:
    /// they are added again at each start.
    ///
    /// Errors: [`Error::OwnKey`], [`Error::TooManyPeers`], [`Error::TooManyLogs`], [`Error::Store`].
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Config, Error, Health, Identity, Instant, Node, Vkey};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// let vkey = Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")?;
    /// let peer = node.add_peer(&mut store, vkey)?;
    /// assert_eq!(node.add_peer(&mut store, vkey)?, peer);
    /// assert_eq!(node.add_peer(&mut store, *node.vkey()), Err(Error::OwnKey));
    ///
    /// // A driver keeps addresses and connections in a table of its own, by this number.
    /// assert_eq!(peer.get(), 0);
    /// assert_eq!(node.peer(peer).unwrap().health, Health::Healthy);
    ///
    /// node.remove_peer(peer)?;
    /// assert_eq!(node.peers().count(), 0);
    /// // Its log stays, and a handle is not given out again.
    /// assert!(node.log(&vkey.id()).is_some());
    /// assert_eq!(node.add_peer(&mut store, vkey)?.get(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_peer(&mut self, store: &mut dyn Store, vkey: Vkey<T::Scheme>) -> Result<PeerId, Error> {
        let node = vkey.id();
        if node == self.own {
            return Err(Error::OwnKey);
        }
        if let Some(peer) = self.peers.iter().find(|peer| peer.node == node) {
            return Ok(peer.id);
        }
        let limit = self.config.max_peers.min(self.peers.capacity_limit());
        if self.peers.len() >= limit {
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
    /// pinned, say); a peer just added counts as not authenticated. Only then is a false answer held against it
    /// as a [`Fault`](crate::Fault); otherwise whoever sits between could have made it, and it counts as a
    /// failure. What a peer signs is always its own.
    ///
    /// Errors: [`Error::UnknownPeer`].
    ///
    /// ```
    /// use verisoo::local::exchange_over;
    /// use verisoo::store::MemoryStore;
    /// use verisoo::wire::{Batch, Message, Response};
    /// use verisoo::{Config, Fault, Health, Identity, Instant, Node};
    ///
    /// // What Anna thinks of Bob when somebody changes the records that he sends.
    /// let health = |is_authenticated| {
    ///     let now = Instant::ZERO;
    ///     let member = |name, seed| {
    ///         let node: Node = Node::new(Identity::from_seed(name, &[seed; 32])?, Config::default(), [seed; 32], now);
    ///         Ok::<_, Box<dyn std::error::Error>>((node, MemoryStore::new()))
    ///     };
    ///     let (mut anna, mut bob) = (member("anna.example", 1)?, member("bob.example", 2)?);
    ///     bob.0.append(&mut bob.1, b"true")?;
    ///     bob.0.publish(&mut bob.1)?;
    ///     let peer = anna.0.add_peer(&mut anna.1, *bob.0.vkey())?;
    ///     anna.0.set_authenticated(peer, is_authenticated)?;
    ///     exchange_over(now, &mut [&mut anna, &mut bob], |_, _, message| {
    ///         let Message::Response(Response::Records(batch)) = message else { return Some(message) };
    ///         Some(Message::Response(Response::Records(Batch { records: b"\x05\x00false", ..batch })))
    ///     })?;
    ///     // Either way nothing false was taken.
    ///     assert_eq!(anna.0.log(&bob.0.id()).unwrap().have, 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(anna.0.peer(peer).unwrap().health)
    /// };
    /// assert_eq!(health(true)?, Health::AtFault(Fault::FalseRecords));
    /// assert!(!matches!(health(false)?, Health::AtFault(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_authenticated(&mut self, peer: PeerId, is_authenticated: bool) -> Result<(), Error> {
        let at = self.peer_index(peer).ok_or(Error::UnknownPeer)?;
        if let Some(peer) = self.peers.get_mut(at) {
            peer.is_authenticated = is_authenticated;
        }
        Ok(())
    }

    /// Stops talking to a peer; an answer that is still under way is ignored. Its log stays followed, until it
    /// is [unfollowed](Node::unfollow). For an example, see [`Node::add_peer`].
    ///
    /// Errors: [`Error::UnknownPeer`].
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
        self.peers.iter().map(|peer| peer.info(&self.config))
    }

    /// One peer; `None` where it was removed.
    pub fn peer(&self, peer: PeerId) -> Option<PeerInfo> {
        self.peer_ref(peer).map(|peer| peer.info(&self.config))
    }

    /// Asks a peer for its status now, whatever its health and the schedule, and catches up on what it
    /// has more of. Each log that was behind ends in a [`Notice::Synced`](crate::Notice::Synced), the whole in a
    /// [`Notice::SyncEnded`](crate::Notice::SyncEnded). Nothing happens in this call: what is to be done comes
    /// out of [`Node::poll`], and while the node is paused, only after [`Node::resume`].
    ///
    /// Errors: [`Error::UnknownPeer`].
    ///
    /// ```
    /// use verisoo::local::exchange;
    /// use verisoo::store::MemoryStore;
    /// # use verisoo::{Config, Identity, Instant};
    /// use verisoo::{Node, Notice, SyncReport};
    ///
    /// # let now = Instant::ZERO;
    /// # let member = |name, seed| {
    /// #     let node: Node = Node::new(Identity::from_seed(name, &[seed; 32])?, Config::default(), [seed; 32], now);
    /// #     Ok::<_, Box<dyn std::error::Error>>((node, MemoryStore::new()))
    /// # };
    /// # let (mut anna, mut bob) = (member("anna.example", 1)?, member("bob.example", 2)?);
    /// // Anna and Bob have no records, and Anna has nothing more to do until her next round.
    /// let peer = anna.0.add_peer(&mut anna.1, *bob.0.vkey())?;
    /// exchange(now, &mut [&mut anna, &mut bob])?;
    ///
    /// bob.0.append(&mut bob.1, b"one")?;
    /// bob.0.append(&mut bob.1, b"two")?;
    /// let head = bob.0.publish(&mut bob.1)?;
    ///
    /// // She is told to look now.
    /// anna.0.sync_now(peer)?;
    /// let notices = exchange(now, &mut [&mut anna, &mut bob])?;
    /// let log = bob.0.id();
    /// let report = SyncReport { peer, log, received: 2, before: 0, after: 2, theirs: 2, error: None };
    /// let annas = [Notice::Synced(report), Notice::SyncEnded { peer, logs: 1, error: None }];
    /// assert_eq!(notices, [(0, annas[0]), (0, annas[1]), (1, Notice::Published { head })]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync_now(&mut self, peer: PeerId) -> Result<(), Error> {
        let at = self.peer_index(peer).ok_or(Error::UnknownPeer)?;
        if let Some(peer) = self.peers.get_mut(at) {
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
        self.peers.binary_search_by_key(&peer, |peer| peer.id).ok()
    }

    pub(super) fn peer_ref(&self, peer: PeerId) -> Option<&Peer<T::Scheme>> {
        self.peers.get(self.peer_index(peer)?)
    }

    pub(super) fn peer_mut(&mut self, peer: PeerId) -> Option<&mut Peer<T::Scheme>> {
        let at = self.peer_index(peer)?;
        self.peers.get_mut(at)
    }
}
