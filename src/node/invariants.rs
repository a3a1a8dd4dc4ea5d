//! What must hold of a node between any two calls, whatever the calls were: for simulators, fuzzers and tests.

use super::value::Node;
use crate::state::{Replica, Tables, View, all};
use crate::words::Ask;

impl<T: Tables> Node<T> {
    /// Whether everything that must hold of a node between calls does; if not, what is broken. It takes time in
    /// proportion to all that the node remembers, and is for tests: the simulator asks after each step of a build
    /// with debug assertions.
    ///
    /// Errors: what does not hold, in words for the one who mends this crate.
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Config, Identity, Instant, Node};
    ///
    /// let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// node.append(&mut store, b"a record")?;
    /// assert_eq!(node.invariants(), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invariants(&self) -> Result<(), &'static str> {
        self.peers.check(&self.config)?;
        self.logs.check(&self.config, self.writing.id())?;
        self.views.check(&self.config)?;
        self.requests.check(&self.config)?;
        let own = self.logs.own().ok_or("the own log is gone")?;
        let signed = own.have.max(self.writing.recovery().map_or(0, |recovery| recovery.target));
        let is_counted =
            |view: &View| view.sync.is_none() || self.peers.find(view.peer).is_some_and(|p| p.sync.is_some());
        let is_asked = |log| self.logs.find(&log).is_some();
        all(&[
            (self.cache.hashes.is_empty(), "scratch space is left full"),
            (self.cache.root.is_none_or(|root| root == self.logs.root()), "the root kept is not the root"),
            (!own.is_forked || self.writing.check().is_err(), "a forked log of one's own is written to"),
            (self.views.iter().all(|view| self.peers.find(view.peer).is_some()), "a view is of nobody"),
            (self.views.iter().all(is_counted), "a log is part of a sync that is none"),
            (self.requests.iter().all(|request| self.peers.find(request.peer).is_some()), "a request is to nobody"),
            (
                self.requests.iter().all(|r| r.ask.log().is_none_or(is_asked) || matches!(r.ask, Ask::Key { .. })),
                "something is asked of a log that is not followed",
            ),
        ])?;
        for peer in self.peers.iter() {
            let statuses = self.requests.iter().filter(|r| r.peer == peer.id && r.ask == Ask::Status).count();
            all(&[
                (statuses <= 1, "two statuses are asked of one peer"),
                (statuses == 1 || !peer.listing.is_awaited(), "a page is awaited that was not asked for"),
                (peer.acknowledged.is_none_or(|size| size <= signed), "a peer took what was never there"),
                (peer.introduced == self.logs.introduced_by(&peer.node), "a quota is miscounted"),
            ])?;
        }
        self.logs.iter_after(None).try_for_each(Replica::check)
    }
}
