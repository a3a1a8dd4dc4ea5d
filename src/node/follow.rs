//! Whom a node talks to, and which logs it follows: by the operator's word, or introduced by a peer (`talk::key`,
//! within the quotas of `quota`). What is followed is in the store and outlives the process; who is a peer is told anew
//! at each start.

use super::value::Node;
use crate::error::Error;
use crate::key::{LogId, Vkey};
use crate::state::{Replica, Tables};
use crate::store::{Origin, Store};
use crate::words::PeerId;

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
        if node == self.writing.id() {
            return Err(Error::OwnKey);
        }
        if let Some(peer) = self.peers.of_node(&node) {
            return Ok(peer.id);
        }
        if self.peers.len() >= self.peers.limit(&self.config) {
            return Err(Error::TooManyPeers);
        }
        self.follow_as(store, &vkey, Origin::Peer)?;
        let id = self.peers.add(vkey, self.logs.newest(), self.logs.introduced_by(&node))?;
        self.cache.idle_until = None;
        Ok(id)
    }

    /// Stops talking to a peer; an answer that is still under way is ignored. Its log stays followed, until it
    /// is [unfollowed](Node::unfollow). For an example, see [`Node::add_peer`].
    ///
    /// Errors: [`Error::UnknownPeer`].
    pub fn remove_peer(&mut self, peer: PeerId) -> Result<(), Error> {
        self.peers.remove(peer)?;
        self.views.retain(|view| view.peer != peer);
        self.requests.drop_those(|request| request.peer == peer);
        self.cache.idle_until = None;
        Ok(())
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
        self.peers.find_mut(peer).ok_or(Error::UnknownPeer)?.begin_sync();
        self.cache.idle_until = None;
        Ok(())
    }

    /// Follows a log by hand: its records are fetched from whoever has them, and it counts against no
    /// quota. A log that was introduced stays, and is by hand from now on.
    ///
    /// Following the log of a peer, a log that is followed by hand already, or the node's own changes nothing.
    ///
    /// Errors: [`Error::TooManyLogs`], [`Error::Store`].
    ///
    /// ```
    /// use verisoo::store::{MemoryStore, Origin};
    /// use verisoo::{Config, Error, Identity, Instant, Node, Vkey};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// let vkey = Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")?;
    /// node.follow(&mut store, &vkey)?;
    /// let info = node.log(&vkey.id()).unwrap();
    /// assert_eq!((info.origin, info.have), (Origin::Pinned, 0));
    /// // The node's own log is one of them.
    /// assert_eq!(node.logs().count(), 2);
    ///
    /// node.unfollow(&mut store, &vkey.id())?;
    /// assert_eq!(node.log(&vkey.id()), None);
    /// assert_eq!(node.unfollow(&mut store, &vkey.id()), Err(Error::UnknownLog));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow(&mut self, store: &mut dyn Store, vkey: &Vkey<T::Scheme>) -> Result<(), Error> {
        self.follow_as(store, vkey, Origin::Pinned)
    }

    /// Stops following a log and removes all that is held of it, a fork proof too. A peer whose log it is stays
    /// a peer. A log that a peer still lists may be introduced again, as
    /// [`Config::introductions`](crate::Config) says.
    ///
    /// Errors: [`Error::OwnKey`] for the node's own log, [`Error::UnknownLog`], [`Error::Store`].
    pub fn unfollow(&mut self, store: &mut dyn Store, log: &LogId) -> Result<(), Error> {
        if *log == self.writing.id() {
            return Err(Error::OwnKey);
        }
        let origin = self.logs.find(log).ok_or(Error::UnknownLog)?.origin;
        store.remove(log)?;
        self.wrote();
        let removed = self.logs.remove(log, self.peers.cursors());
        if let (Some(replica), Some(peer)) = (removed, self.peers.introducer_mut(origin)) {
            peer.introduced.take(1, replica.bytes);
        }
        self.views.drop_log(log);
        self.requests.drop_those(|request| request.ask.log() == Some(*log));
        self.changed();
        Ok(())
    }

    #[inline(never)]
    pub(super) fn follow_as(
        &mut self,
        store: &mut dyn Store,
        vkey: &Vkey<T::Scheme>,
        origin: Origin,
    ) -> Result<(), Error> {
        let log = vkey.id();
        if log == self.writing.id() {
            return Ok(());
        }
        if let Some(replica) = self.logs.find(&log) {
            if matches!(replica.origin, Origin::Introduced(_)) && !matches!(origin, Origin::Introduced(_)) {
                self.adopt(store, &log, origin)?;
            }
            return Ok(());
        }
        if self.logs.len() >= self.logs.limit(&self.config) {
            return Err(Error::TooManyLogs);
        }
        store.create(&log, vkey.name(), vkey.key(), origin)?;
        self.wrote();
        let mut replica = Replica::new(log, origin);
        replica.progress_at = self.clock.now;
        self.logs.insert(replica).ok_or(Error::TooManyLogs)?;
        // What others said of it while it was unknown is to be heard again.
        for peer in self.peers.iter_mut() {
            peer.compared = None;
        }
        self.changed();
        Ok(())
    }

    /// A log that was introduced is from now on followed for another reason.
    fn adopt(&mut self, store: &mut dyn Store, log: &LogId, origin: Origin) -> Result<(), Error> {
        store.set_origin(log, origin)?;
        self.wrote();
        let Some(replica) = self.logs.find_mut(log) else { return Err(Error::UnknownLog) };
        let (before, bytes) = (core::mem::replace(&mut replica.origin, origin), replica.bytes);
        if let Some(peer) = self.peers.introducer_mut(before) {
            peer.introduced.take(1, bytes);
            // There is room for another: what it lists is to be heard again.
            peer.compared = None;
        }
        if let Some(peer) = self.peers.introducer_mut(origin) {
            peer.introduced.add(1, bytes);
        }
        self.cache.idle_until = None;
        Ok(())
    }

    /// A log whose introducer is no peer any more counts against the quota of another that lists it.
    pub(super) fn introduce_again(&mut self, store: &mut dyn Store, slot: u32, peer: PeerId) -> Result<(), Error> {
        let Some(replica) = self.logs.get(slot) else { return Ok(()) };
        let is_introduced = matches!(replica.origin, Origin::Introduced(_));
        let is_orphan = is_introduced && self.peers.introducer(replica.origin).is_none();
        let (log, node) = (replica.id, self.peers.find(peer).map(|peer| peer.node));
        match node.filter(|_| is_orphan && self.may_introduce(peer)) {
            Some(node) => self.adopt(store, &log, Origin::Introduced(node)),
            None => Ok(()),
        }
    }
}
