//! The door for what happens: an answer finds the request that it fits, its conversation says how that ends, and
//! `close` ends it. What fits no request is ignored, and nobody is blamed for it.
//!
//! Whatever a peer sends, the only error is a store that is not ready; the node is then as it was. Any other trouble
//! with the store is taken note of here.

use super::ending::Ending;
use super::value::Node;
use crate::error::Error;
use crate::judge::Trouble;
use crate::state::Tables;
use crate::store::{Store, StoreError};
use crate::time::Instant;
use crate::wire::{RequestId, Response};
use crate::words::{Ask, Event, PeerId};

impl<T: Tables> Node<T> {
    /// Everything that happens comes in here.
    ///
    /// Nothing a peer sends makes this fail. The only `Err` is the store's [`StoreError::NotReady`]: nothing
    /// has changed, and the same event can be handled again once the store is ready (or be dropped: its
    /// deadline then passes). Other failures of the store become a [`Notice::StoreFailed`](crate::Notice::StoreFailed).
    ///
    /// `now` is the caller's clock; the node's time stands still while that goes backwards.
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::wire::RequestId;
    /// use verisoo::{Command, Config, Event, Identity, Instant, Node, Notice, Vkey};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, mut now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// let vkey = Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")?;
    /// let peer = node.add_peer(&mut store, vkey)?;
    ///
    /// // An answer to a question that was never asked changes nothing.
    /// let before = node.clone();
    /// node.handle(now, &mut store, Event::RequestFailed { peer, request: RequestId::new(99) })?;
    /// assert_eq!(node, before);
    ///
    /// // A driver that cannot connect says so, and need not wait for a deadline.
    /// let notice = loop {
    ///     match node.poll(now, &mut store) {
    ///         Some(Command::Notify(notice)) => break notice,
    ///         Some(command) => {
    ///             let Some((peer, request)) = command.request() else { continue };
    ///             node.handle(now, &mut store, Event::RequestFailed { peer, request })?;
    ///         }
    ///         // Here a driver sleeps; time is what the caller says it is.
    ///         None => now = node.next_wake().unwrap(),
    ///     }
    /// };
    /// assert_eq!(notice, Notice::PeerUnhealthy { peer });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(never)]
    pub fn handle(&mut self, now: Instant, store: &mut dyn Store, event: Event<'_>) -> Result<(), Error> {
        let clock = self.clock;
        self.clock.advance(now);
        match self.dispatch(store, event) {
            Ok(()) => {
                self.save_stop_soon(store);
                // The passing of time alone is what `poll` looks at anyway.
                if !matches!(event, Event::Tick) {
                    self.cache.idle_until = None;
                }
                Ok(())
            }
            Err(trouble) if trouble.is_not_ready() => {
                self.clock = clock;
                Err(Error::Store(StoreError::NotReady))
            }
            Err(trouble) => {
                let error = self.noted(trouble);
                self.failed_here(&event, error);
                Ok(())
            }
        }
    }

    fn dispatch(&mut self, store: &mut dyn Store, event: Event<'_>) -> Result<(), Trouble> {
        let Some((peer, request)) = event.request() else { return Ok(()) };
        let Some((at, asked)) = self.requests.find(peer, request) else { return Ok(()) };
        let ending = match event {
            Event::Answer { response, .. } => self.hear(store, peer, request, asked, &response)?,
            _ => Ending::Failed,
        };
        self.end(at, ending);
        Ok(())
    }

    /// What an answer means; one to another question means nothing.
    fn hear(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        request: RequestId,
        asked: Ask,
        response: &Response<'_>,
    ) -> Result<Ending, Trouble> {
        match (asked, response) {
            (Ask::Status, Response::Status(status)) => self.hear_status(store, peer, request, status),
            (Ask::Proof { log, size }, Response::Proof(answer)) if (answer.log, answer.size) == (log, size) => {
                self.hear_proof(store, peer, answer)
            }
            (Ask::Records { log, start, count }, Response::Records(batch))
                if (batch.log, batch.start) == (log, start) =>
            {
                self.hear_records(store, peer, count, batch)
            }
            (Ask::Key { log }, Response::Key { log: of, name, key }) if log == *of => {
                self.hear_key(store, peer, log, name, *key)
            }
            (Ask::Fork { log }, Response::Fork { log: of, proof }) if log == *of => self.hear_fork(store, &log, proof),
            (Ask::Push { log, start }, Response::Pushed(word)) => {
                Ok(self.hear_push_word(store, peer, request, log, start, word))
            }
            (Ask::PushFork { log }, Response::PushedFork { log: of }) if log == *of => {
                Ok(self.hear_fork_taken(peer, &log))
            }
            (_, Response::Refused(refusal)) => Ok(self.hear_refusal(peer, asked, *refusal)),
            _ => Ok(Ending::None),
        }
    }
}
