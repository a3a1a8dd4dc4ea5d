//! The node: a value that is told what happens ([`Node::handle`]), says what to do ([`Node::poll`]), and
//! answers what others ask ([`Node::respond`]).
//!
//! It queues nothing. It keeps what is known and what is due, and each poll derives the next command from
//! that, so that newer state replaces older before it was sent and memory is bounded by the tables.
//! Everything from outside is judged before anything changes.

mod batch;
mod command;
mod config;
mod encode;
mod event;
mod evidence;
mod logs;
mod notices;
mod own;
mod peers;
mod push;
mod recover;
mod replica;
mod request;
mod round;
mod serve;
mod sparse;
mod sync;
mod view;

use core::fmt;
use core::hash::{Hash as StdHash, Hasher};
use core::time::Duration;

pub use command::{Ask, Command, Fault, Notice, PushOutcome, SyncError, SyncReport};
pub use config::{Config, Introductions};
pub use event::Event;
pub use logs::LogInfo;
pub use recover::{Answers, RecoveryInfo, Start};
use replica::Replica;
use request::Outstanding;
use view::View;

use crate::error::Error;
use crate::key::Identity;
use crate::peer::Peer;
use crate::rng::Rng;
use crate::store::{Store, StoreError};
use crate::tables::Tables;
use crate::wire::{RequestId, Response};
use crate::{Hash, Head, Instant, LogId, PeerId, Vkey};
use recover::Mode;
use replica::Replicas;
use request::Ending;

#[cfg(feature = "alloc")]
type DefaultTables = crate::tables::Heap;
#[cfg(not(feature = "alloc"))]
type DefaultTables = crate::tables::Fixed<8, 16, 64, 16, 206>;

/// A member of a federation: writes its own log and keeps verified replicas of others'.
///
/// An ordinary value: no I/O, no clock, no randomness of its own. Two nodes fed the same calls are equal.
/// (A clone of a node must never be let out to sign: two signers of one log fork it.) The type parameter
/// names tables and signature scheme; it is `Heap` where there is an allocator.
///
/// The crate's front page shows two nodes converging. Further examples: [`append`](Node::append),
/// [`checkpoint`](Node::checkpoint), [`open`](Node::open), [`add_peer`](Node::add_peer),
/// [`follow`](Node::follow), [`poll`](Node::poll), [`handle`](Node::handle), [`respond`](Node::respond),
/// [`sync_now`](Node::sync_now).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node<T: Tables = DefaultTables> {
    identity: Identity<T::Scheme>,
    own: LogId,
    config: Config,
    /// Nonces are hashes over this: derived from the identity and the seed, never sent.
    secret: Secret,
    rng: Rng,
    clock: Clock,
    mode: Mode,
    next_request: u64,
    next_peer: u32,
    next_round: Instant,
    /// When the last head was signed.
    published_at: Instant,
    peers: T::PerPeer<Peer<T::Scheme>>,
    replicas: Replicas<T>,
    views: T::PerView<View>,
    requests: T::PerRequest<Outstanding>,
    notes: Notes,
    is_paused: bool,
    /// After the store failed, nothing is asked of it before this moment by `poll`.
    store_retry_at: Instant,
    /// How long the store was last left alone for failing; zero once it has worked.
    store_pause: Duration,
    /// The root over all records of the node's own log, signed or not, since it last appended: what its
    /// store says must agree with it before anything is built upon it.
    own_root: Option<Hash>,
    /// Something was written that is not known to be durable, and is to be by then at the latest.
    unsynced: Option<Instant>,
    /// Some log holds evidence that is still to be judged.
    has_evidence: bool,
    /// There may be a log with a head ahead that nothing leads to, and nobody has been told.
    may_stall: bool,
    /// Where the search for the next difference to work on begins.
    next_view: usize,
    cache: Cache<T>,
}

/// What the application is still to be told of the node itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Notes {
    published: Option<Head>,
    recovered: bool,
    stopped: bool,
    store: Option<StoreError>,
}

/// What only this node knows; not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Secret(Hash);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The node's time: advances with the caller's clock and stands still while that goes backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Clock {
    now: Instant,
    last: Instant,
}

impl Clock {
    /// The longest step: after a year everything is due that ever will be, and a clock that jumps to the
    /// end of time must not take the node there, where no deadline lies ahead any more.
    const LONGEST_STEP: Duration = Duration::from_secs(365 * 24 * 3_600);

    fn advance(&mut self, now: Instant) {
        self.now = self.now + (now - self.last).min(Self::LONGEST_STEP);
        self.last = now;
    }
}

/// What can be derived from the rest, or is scratch space: counts neither for equality nor for hashing.
#[derive(Clone, Debug)]
struct Cache<T: Tables> {
    /// Hashes of the batch being judged; empty between calls.
    hashes: T::Hashes,
    digest: Option<Hash>,
    root: Option<Hash>,
    /// Nothing is due before this moment.
    idle_until: Option<Instant>,
}

impl<T: Tables> PartialEq for Cache<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: Tables> Eq for Cache<T> {}

impl<T: Tables> StdHash for Cache<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T: Tables> Node<T> {
    /// A node whose log has never existed. An operator says this once in a key's life; ever after the
    /// node is [opened](Node::open).
    ///
    /// `seed` is 32 bytes that differ at each start; they keep nonces unpredictable and jitter apart. (It is not
    /// the identity's seed, and need not be kept.) `now` is what the caller's clock shows; later calls take the
    /// same clock. Values of `config` that are out of range are taken as the nearest in range.
    ///
    /// The store given to later calls must not hold this node's log yet: [`Node::append`] is
    /// [`Error::LogExists`] then. One store serves one node.
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Config, Error, Identity, Instant, Node, Start};
    ///
    /// let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// let mut node: Node = Node::new(identity.clone(), Config::default(), [2; 32], now);
    /// assert_eq!(node.append(&mut store, b"the first")?, 0);
    ///
    /// // Where a process goes on with what an earlier one stored, its node is opened.
    /// let mut again: Node = Node::new(identity.clone(), Config::default(), [3; 32], now);
    /// assert_eq!(again.append(&mut store, b"another history"), Err(Error::LogExists));
    /// let mut node: Node = Node::open(identity, Config::default(), [4; 32], now, &mut store, Start::Resume)?;
    /// assert_eq!(node.append(&mut store, b"the second")?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(never)]
    pub fn new(identity: Identity<T::Scheme>, config: Config, seed: [u8; 32], now: Instant) -> Self {
        let own = identity.vkey().id();
        // A deterministic signature over the seed is a secret only this key's holder can compute.
        let secret = Secret(Hash::of(&[b"verisoo/secret", identity.sign(&seed).as_bytes(), &seed]));
        let mut rng_seed = [0; 8];
        rng_seed.copy_from_slice(&Hash::of(&[b"verisoo/jitter", secret.0.as_bytes()]).as_bytes()[..8]);
        let mut replicas = Replicas::default();
        replicas.insert(Replica::new(own, crate::store::Origin::Own));
        Self {
            identity,
            own,
            config: config.clamped(),
            secret,
            rng: Rng::new(u64::from_le_bytes(rng_seed)),
            clock: Clock { now: Instant::ZERO, last: now },
            mode: Mode::Writing,
            next_request: 0,
            next_peer: 0,
            next_round: Instant::ZERO,
            published_at: Instant::ZERO,
            peers: Default::default(),
            replicas,
            views: Default::default(),
            requests: Default::default(),
            notes: Notes::default(),
            is_paused: false,
            store_retry_at: Instant::ZERO,
            store_pause: Duration::ZERO,
            own_root: None,
            unsynced: None,
            has_evidence: false,
            may_stall: true,
            next_view: 0,
            cache: Cache { hashes: T::Hashes::default(), digest: None, root: None, idle_until: None },
        }
    }

    /// The node's public key.
    pub fn vkey(&self) -> &Vkey<T::Scheme> {
        self.identity.vkey()
    }

    /// The id of the node and of the log it writes.
    pub fn id(&self) -> LogId {
        self.own
    }

    /// The configuration, with every value in range.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Makes no more requests until [`Node::resume`]; goes on serving others, and takes answers to what
    /// was asked before. It goes on signing heads and making records durable, and [`Node::poll`] goes on giving
    /// notices.
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Ask, Command, Config, Identity, Instant, Node, Vkey};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// node.add_peer(&mut store, Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")?)?;
    /// node.pause();
    /// assert_eq!(node.poll(now, &mut store), None);
    /// node.resume();
    /// assert!(matches!(node.poll(now, &mut store), Some(Command::Ask { ask: Ask::Status, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&mut self) {
        self.is_paused = true;
        self.cache.idle_until = None;
    }

    /// Ends a [pause](Node::pause).
    pub fn resume(&mut self) {
        self.is_paused = false;
        self.cache.idle_until = None;
    }

    /// Whether the node is [paused](Node::pause).
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether an answer to this request of this node is still wanted. Where not, a driver may close what it
    /// keeps open for it.
    pub fn awaits(&self, peer: crate::PeerId, request: crate::wire::RequestId) -> bool {
        self.outstanding(peer, request).is_some()
    }

    /// Requests under way to all peers together; never more than [`Config::max_requests`].
    pub fn outstanding_requests(&self) -> usize {
        self.requests.len()
    }

    /// Pairs of peer and log that are remembered because the two differ; never more than
    /// [`Config::max_views`].
    pub fn remembered_views(&self) -> usize {
        self.views.len()
    }

    /// Everything that happens comes in here.
    ///
    /// Nothing a peer sends makes this fail. The only `Err` is the store's [`StoreError::NotReady`]: nothing
    /// has changed, and the same event can be handled again once the store is ready (or be dropped: its
    /// deadline then passes). Other failures of the store become a [`Notice::StoreFailed`].
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
            Err(StoreError::NotReady) => {
                self.clock = clock;
                Err(Error::Store(StoreError::NotReady))
            }
            Err(error) => {
                self.failed_here(&event, error);
                Ok(())
            }
        }
    }

    fn dispatch(&mut self, store: &mut dyn Store, event: Event<'_>) -> Result<(), StoreError> {
        let Some((peer, request)) = event.request() else { return Ok(()) };
        let Some((at, asked)) = self.outstanding(peer, request) else { return Ok(()) };
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
    ) -> Result<Ending, StoreError> {
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
        if self.store_retry_at <= self.clock.now {
            let worked = self.next_request(store);
            match worked {
                Ok(command) => {
                    self.store_pause = Duration::ZERO;
                    if command.is_some() {
                        return command;
                    }
                }
                Err(error) => self.store_failed(error),
            }
        }
        // What was just done may be worth telling.
        self.next_notice(store).map(Command::Notify)
    }

    fn next_request(&mut self, store: &mut dyn Store) -> Result<Option<Command>, StoreError> {
        self.save_stop(store)?;
        self.settle_all_evidence(store)?;
        self.end_recovery(store)?;
        self.publish_due(store)?;
        if self.unsynced.is_some_and(|at| at <= self.clock.now) {
            self.settle(store)?;
        }
        if self.is_paused {
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

    fn store_failed(&mut self, error: StoreError) {
        // A store that is only not ready is asked again soon, then a little less often (it may have to be asked
        // once for each hash of a proof), and nobody need be told.
        self.store_pause = if error == StoreError::NotReady {
            self.store_pause.saturating_mul(2).clamp(Duration::from_millis(1), Duration::from_millis(16))
        } else {
            self.notes.store = Some(error);
            self.config.interval.min(Duration::from_secs(1))
        };
        self.store_retry_at = self.clock.now + self.store_pause;
    }

    /// When to call [`Node::poll`] again if nothing happens before, on the caller's clock; `None` when
    /// there is nothing to wait for. Meaningful after a poll that returned `None`; see there for an example.
    pub fn next_wake(&self) -> Option<Instant> {
        let due = self.cache.idle_until.unwrap_or(self.clock.now);
        (due < Instant::MAX).then(|| self.clock.last + (due - self.clock.now))
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
        consider(self.store_retry_at);
        if let Some(own) = self.replicas.own().filter(|own| own.have > own.complete.size) {
            consider(self.publish_at().max(own.blocked_until));
        }
        self.unsynced.into_iter().for_each(&mut consider);
        if !self.is_paused {
            if !self.peers.is_empty() {
                consider(self.next_round);
            }
            for peer in self.peers.iter() {
                peer.offer_at.into_iter().for_each(&mut consider);
            }
            for view in self.views.iter() {
                consider(view.retry_at);
                if let Some(replica) = self.replicas.find(&view.log) {
                    consider(replica.blocked_until);
                }
            }
        }
        due
    }

    /// One hash over all logs' complete heads: equal on two nodes exactly if they follow the same logs
    /// and are converged on them. A log without a head is absent; a forked one counts as its id and that
    /// it is forked.
    ///
    /// The root of a sparse Merkle tree over the bits of the log id: leaf `H(00 ‖ id ‖ u64 LE size ‖ root)`,
    /// or `H(00 ‖ id ‖ "forked")`; node `H(01 ‖ l ‖ r)`; a subtree with one log is its leaf, and the root over
    /// no log at all is [`Hash::EMPTY_ROOT`].
    ///
    /// ```
    /// use verisoo::log::leaf_hash;
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Config, Hash, Identity, Instant, Node};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// assert_eq!(node.root(), Hash::EMPTY_ROOT);
    /// node.append(&mut store, b"a record")?;
    /// let head = node.publish(&mut store)?;
    ///
    /// // With one log, the root is that log's leaf.
    /// let leaf = [&node.id().as_bytes()[..], &head.size.to_le_bytes(), head.root.as_bytes()].concat();
    /// assert_eq!(node.root(), leaf_hash(&leaf));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn root(&mut self) -> Hash {
        let replicas = &self.replicas;
        *self.cache.root.get_or_insert_with(|| replicas.root())
    }

    /// The digest over all that a status says of every log.
    pub(crate) fn digest(&mut self) -> Hash {
        let replicas = &mut self.replicas;
        *self.cache.digest.get_or_insert_with(|| replicas.digest())
    }

    /// Something in a replica changed that a status tells.
    fn changed(&mut self) {
        self.cache.digest = None;
        self.cache.root = None;
        self.cache.idle_until = None;
    }
}

impl<T: Tables> fmt::Display for Node<T> {
    /// The node's name and the first digits of its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.identity.vkey().name().as_str(), self.own)
    }
}
