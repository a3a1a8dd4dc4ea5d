//! The door for what is to be done.

use super::ending::Ending;
use super::value::Node;
use crate::judge::Trouble;
use crate::state::Tables;
use crate::store::Store;
use crate::time::Instant;
use crate::words::Command;

impl<T: Tables> Node<T> {
    /// Everything to be done comes out here, until `None`. Each call does a bounded amount of work; when
    /// nothing is due it returns at once. It never fails: a store that does is a [`Notice::StoreFailed`], and
    /// what was to be done is tried again.
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Ask, Command, Config, Identity, Instant, Node, Vkey};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, mut now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// // Alone, a node has nothing to do, and nothing to wait for.
    /// assert_eq!((node.poll(now, &mut store), node.next_wake()), (None, None));
    ///
    /// let vkey = Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")?;
    /// let bob = node.add_peer(&mut store, vkey)?;
    /// let command = node.poll(now, &mut store);
    /// assert!(matches!(command, Some(Command::Ask { peer, ask: Ask::Status, .. }) if peer == bob));
    /// assert_eq!(node.poll(now, &mut store), None);
    ///
    /// // From then on a driver sleeps until the node wakes it, or something happens. Bob never answers.
    /// let command = loop {
    ///     now = node.next_wake().unwrap();
    ///     if let Some(command) = node.poll(now, &mut store) {
    ///         break command;
    ///     }
    /// };
    /// assert!(matches!(command, Command::Ask { peer, ask: Ask::Status, .. } if peer == bob));
    /// // That is the next round: an interval later, give or take a quarter.
    /// assert!(now.as_micros().abs_diff(60_000_000) <= 15_000_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(never)]
    pub fn poll(&mut self, now: Instant, store: &mut dyn Store) -> Option<Command> {
        self.clock.advance(now);
        if self.cache.idle_until.is_some_and(|until| self.clock.now < until) {
            return None;
        }
        self.expire_requests();
        let command = self.next_command(store);
        if command.is_none() {
            self.cache.idle_until = Some(self.next_due());
        }
        command
    }

    fn next_command(&mut self, store: &mut dyn Store) -> Option<Command> {
        if let Some(notice) = self.next_notice(store) {
            return Some(Command::Notify(notice));
        }
        if self.disk.retry_at() <= self.clock.now {
            let worked = self.next_request(store);
            match worked {
                Ok(command) => {
                    self.disk.worked();
                    if command.is_some() {
                        return command;
                    }
                }
                Err(trouble) => {
                    let error = self.noted(trouble);
                    self.store_failed(error);
                }
            }
        }
        // What was just done may be worth telling.
        self.next_notice(store).map(Command::Notify)
    }

    fn next_request(&mut self, store: &mut dyn Store) -> Result<Option<Command>, Trouble> {
        self.save_stop(store)?;
        self.settle_all_evidence(store)?;
        self.end_recovery(store)?;
        self.publish_due(store)?;
        if self.disk.unsynced().is_some_and(|at| at <= self.clock.now) {
            self.settle(store).map_err(Trouble::anywhere)?;
        }
        if self.peers.is_paused {
            return Ok(None);
        }
        self.begin_round();
        if let Some(command) = self.next_status_request() {
            return Ok(Some(command));
        }
        if let Some(command) = self.next_for_views(store)? {
            return Ok(Some(command));
        }
        if let Some(command) = self.next_offer(store)? {
            return Ok(Some(command));
        }
        // A difference that turned out to be gone may have made a status due.
        Ok(self.next_status_request())
    }

    /// When to call [`Node::poll`] again if nothing happens before, on the caller's clock; `None` when
    /// there is nothing to wait for. Meaningful after a poll that returned `None`; see there for an example.
    pub fn next_wake(&self) -> Option<Instant> {
        let due = self.cache.idle_until.unwrap_or(self.clock.now);
        (due < Instant::MAX).then(|| self.clock.on_callers(due))
    }

    /// The next moment at which something is due by the passing of time alone.
    fn next_due(&self) -> Instant {
        let mut due = Instant::MAX;
        let mut consider = |at: Instant| {
            if at > self.clock.now {
                due = due.min(at);
            }
        };
        self.requests.iter().for_each(|request| consider(request.deadline));
        consider(self.disk.retry_at());
        if let Some(own) = self.logs.own().filter(|own| own.have > own.complete.size) {
            consider(self.publish_at().max(own.blocked_until));
        }
        self.disk.unsynced().into_iter().for_each(&mut consider);
        if !self.peers.is_paused {
            if !self.peers.is_empty() {
                consider(self.peers.next_round);
            }
            for peer in self.peers.iter() {
                peer.feed_at.into_iter().for_each(&mut consider);
            }
            for view in self.views.iter() {
                consider(view.retry_at);
                if let Some(replica) = self.logs.find(&view.log) {
                    consider(replica.blocked_until);
                }
            }
        }
        due
    }

    pub(super) fn expire_requests(&mut self) {
        if cfg!(verisoo_bug = "deadlines-never-pass") {
            return;
        }
        let now = self.clock.now;
        while let Some((at, peer)) = self.requests.expired(now) {
            if let Some(peer) = self.peers.find_mut(peer) {
                peer.standing.was_slow();
            }
            self.end(at, Ending::Failed);
        }
    }
}
