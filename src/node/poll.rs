//! The door for what is to be done: requests that are overdue end, and the next command is derived from what is known.
//! First comes what an earlier call could not finish, then the rounds, then differences, then what has changed.
//!
//! It never fails, and does bounded work. Where nothing is due it knows until when, and looks at nothing before.

use super::value::Node;
use crate::judge::Trouble;
use crate::state::{Tables, Wake};
use crate::store::Store;
use crate::time::Instant;
use crate::words::Command;

impl<T: Tables> Node<T> {
    /// Everything to be done comes out here, until `None`. Each call does a bounded amount of work; when
    /// nothing is due it returns at once. It never fails: a store that does is a
    /// [`Notice::StoreFailed`](crate::Notice::StoreFailed), and what was to be done is tried again.
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
        let mut wake = Wake::new(self.clock.now);
        self.expire_requests(&mut wake);
        let command = self.next_command(store, &mut wake);
        if command.is_none() {
            // What is to be signed and made durable, as far as it is still to be, and a store that is left alone.
            let of_the_store = [self.publish_at(), self.disk.unsynced(), Some(self.disk.retry_at())];
            of_the_store.into_iter().flatten().for_each(|at| wake.wait(at));
            self.cache.idle_until = Some(wake.earliest());
        }
        command
    }

    fn next_command(&mut self, store: &mut dyn Store, wake: &mut Wake) -> Option<Command> {
        if let Some(notice) = self.next_notice(store) {
            return Some(Command::Notify(notice));
        }
        if self.disk.retry_at() <= self.clock.now {
            match self.next_request(store, wake) {
                Ok(None) => self.disk.worked(),
                Ok(command) => {
                    self.disk.worked();
                    return command;
                }
                Err(trouble) => {
                    let error = self.noted(trouble);
                    self.store_failed(error);
                    self.cut_short(wake);
                }
            }
        } else {
            self.cut_short(wake);
        }
        // What was just done may be worth telling.
        self.next_notice(store).map(Command::Notify)
    }

    /// What is to be done, in this order: what an earlier call could not finish, what peers are asked in rounds,
    /// what differences with them call for, and what they are to be told.
    fn next_request(&mut self, store: &mut dyn Store, wake: &mut Wake) -> Result<Option<Command>, Trouble> {
        self.save_stop(store)?;
        self.settle_all_evidence(store)?;
        self.end_recovery(store)?;
        self.publish_due(store)?;
        if self.disk.unsynced().is_some_and(|latest| latest <= self.clock.now) {
            self.settle(store).map_err(Trouble::anywhere)?;
        }
        if self.peers.is_paused {
            return Ok(None);
        }
        self.begin_round(wake);
        if let Some(command) = self.next_status_request() {
            return Ok(Some(command));
        }
        if let Some(command) = self.next_for_views(store, wake)? {
            return Ok(Some(command));
        }
        if let Some(command) = self.next_offer(store, wake)? {
            return Ok(Some(command));
        }
        // A difference that turned out to be gone may have made a status due.
        Ok(self.next_status_request())
    }

    /// The store let this poll reach no further: what was not reached has its time all the same.
    fn cut_short(&self, wake: &mut Wake) {
        if self.peers.is_paused || self.peers.is_empty() {
            return;
        }
        wake.wait(self.peers.next_round);
        (0..self.views.len()).for_each(|at| self.wait_for(at, wake));
        self.peers.iter().filter_map(|peer| peer.feed_at).for_each(|at| wake.wait(at));
    }

    /// When to call [`Node::poll`] again if nothing happens before, on the caller's clock; `None` when
    /// there is nothing to wait for. Meaningful after a poll that returned `None`; see there for an example.
    pub fn next_wake(&self) -> Option<Instant> {
        let due = self.cache.idle_until.unwrap_or(self.clock.now);
        (due < Instant::MAX).then(|| self.clock.on_callers(due))
    }
}
