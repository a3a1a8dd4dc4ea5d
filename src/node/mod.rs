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
mod push;
mod recover;
mod replica;
mod request;
mod round;
mod serve;
mod sync;
mod view;

use core::fmt;
use core::hash::{Hash as StdHash, Hasher};
use core::time::Duration;

pub use command::{Command, Fault, Notice, PushOutcome, SyncError, SyncReport};
pub use config::{Config, Introductions};
pub use event::Event;
pub use logs::LogInfo;
pub use recover::{Answers, Start};
pub use replica::Replica;
pub use request::Outstanding;
pub use view::View;

use crate::error::Error;
use crate::key::Identity;
use crate::peer::{Kind, Peer, PeerId, PeerInfo, Sync};
use crate::rng::Rng;
use crate::store::{Store, StoreError};
use crate::tables::{List, Tables};
use crate::wire::{Nonce, RequestId};
use crate::{Hash, Head, Instant, LogId, Vkey};
use command::Fault as PeerFault;
use recover::Mode;
use replica::{Note, Replicas};
use request::Asked;
use view::ViewTable;

#[cfg(feature = "alloc")]
type DefaultTables = crate::tables::Heap;
#[cfg(not(feature = "alloc"))]
type DefaultTables = crate::tables::Fixed<8, 16, 64, 16, 206>;

/// A member of a federation: writes its own log and keeps verified replicas of others'.
///
/// An ordinary value: no I/O, no clock, no randomness of its own. Two nodes fed the same calls are equal.
/// (A clone of a node must never be let out to sign: two signers of one log fork it.) The type parameter
/// names tables and signature scheme; it is [`Heap`](crate::Heap) where there is an allocator.
///
/// The crate's front page shows two nodes converging.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node<T: Tables = DefaultTables> {
    identity: Identity<T::Scheme>,
    own: LogId,
    config: Config,
    /// Nonces are hashes over this: derived from the identity and the seed, never sent.
    secret: Hash,
    rng: Rng,
    clock: Clock,
    mode: Mode,
    next_request: u64,
    next_peer: u32,
    next_round: Instant,
    peers: T::Peers,
    replicas: Replicas<T>,
    views: T::Views,
    requests: T::Requests,
    notes: Notes,
    is_paused: bool,
    /// After the store failed, nothing is asked of it before this moment by `poll`.
    store_retry_at: Instant,
    /// Something was written that is not known to be durable.
    is_unsynced: bool,
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
    /// `seed` is 32 bytes that differ at each start; they keep nonces unpredictable and jitter apart.
    /// The store given to later calls must not hold this node's log yet.
    #[inline(never)]
    pub fn new(identity: Identity<T::Scheme>, config: Config, seed: [u8; 32], now: Instant) -> Self {
        let own = identity.vkey().id();
        // A deterministic signature over the seed is a secret only this key's holder can compute.
        let secret = Hash::of(&[b"verisoo/secret", identity.sign(&seed).as_bytes(), &seed]);
        let mut rng_seed = [0; 8];
        rng_seed.copy_from_slice(&Hash::of(&[b"verisoo/jitter", secret.as_bytes()]).as_bytes()[..8]);
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
            peers: T::Peers::default(),
            replicas,
            views: T::Views::default(),
            requests: T::Requests::default(),
            notes: Notes::default(),
            is_paused: false,
            store_retry_at: Instant::ZERO,
            is_unsynced: false,
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
        self.follow_as(store, &vkey, crate::store::Origin::Peer)?;
        let id = PeerId::new(self.next_peer);
        let mut peer = Peer::new(id, vkey, self.replicas.newest());
        (peer.introduced_logs, peer.introduced_bytes) = self.introduced_by(&node);
        self.peers.push(peer).map_err(|_| Error::TooManyPeers)?;
        self.next_peer += 1;
        self.cache.idle_until = None;
        Ok(id)
    }

    /// Says whether the transport itself proves that answers come from this peer (TLS with its key
    /// pinned, say). Only then is a false answer held against it as a [`Fault`]; otherwise whoever sits
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
    /// has more of. Each log that was behind ends in a [`Notice::Synced`], the whole in a
    /// [`Notice::SyncEnded`].
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

    /// Makes no more requests until [`Node::resume`]; goes on serving others, and takes answers to what
    /// was asked before.
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

    /// Everything that happens comes in here.
    ///
    /// Nothing a peer sends makes this fail. An `Err` is the store's: with [`StoreError::NotReady`]
    /// nothing has changed, and the same event can be handled again once the store is ready (or be
    /// dropped: its deadline then passes). Other failures of the store become a [`Notice::StoreFailed`].
    #[inline(never)]
    pub fn handle(&mut self, now: Instant, store: &mut dyn Store, event: Event<'_>) -> Result<(), Error> {
        let clock = self.clock;
        self.clock.advance(now);
        let result = self.dispatch(store, event);
        if result.is_err() {
            self.clock = clock;
        } else {
            self.cache.idle_until = None;
        }
        result.map_err(Error::Store)
    }

    fn dispatch(&mut self, store: &mut dyn Store, event: Event<'_>) -> Result<(), StoreError> {
        match event {
            Event::Tick => Ok(()),
            Event::PeerStatus { peer, request, status } => self.on_status(store, peer, request, &status),
            Event::ProofReceived { peer, request, answer } => self.on_proof(store, peer, request, &answer),
            Event::RecordsReceived { peer, request, batch } => self.on_records(store, peer, request, &batch),
            Event::KeyReceived { peer, request, name, key } => self.on_key(store, peer, request, name, key),
            Event::ForkReceived { peer, request, proof } => self.on_fork(store, peer, request, proof),
            Event::PushAccepted { peer, request, word } => self.on_push_word(store, peer, request, &word),
            Event::ForkAccepted { peer, request } => {
                if let Some((at, Asked::PushFork { log })) = self.outstanding(peer, request) {
                    // Its next status will say so under its signature; until then there is nothing to push.
                    let until = self.clock.now + self.config.interval;
                    if let Some(view) = self.views.of_mut(&log, peer) {
                        view.retry_at = until;
                    }
                    self.answered(at, Kind::Push);
                }
                Ok(())
            }
            Event::RequestRefused { peer, request, refusal } => {
                self.on_refused(peer, request, refusal);
                Ok(())
            }
            Event::RequestFailed { peer, request } => {
                if let Some((at, _)) = self.outstanding(peer, request) {
                    self.fail(at, SyncError::Failed);
                }
                Ok(())
            }
        }
    }

    /// Everything to be done comes out here, until `None`. Each call does a bounded amount of work; when
    /// nothing is due it returns at once.
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
        if let Some(notice) = self.next_notice() {
            return Some(Command::Notify(notice));
        }
        if self.store_retry_at <= self.clock.now {
            let worked = self.next_request(store);
            match worked {
                Ok(Some(command)) => return Some(command),
                Ok(None) => {}
                Err(error) => self.store_failed(error),
            }
        }
        // What was just done may be worth telling.
        self.next_notice().map(Command::Notify)
    }

    fn next_request(&mut self, store: &mut dyn Store) -> Result<Option<Command>, StoreError> {
        self.end_recovery(store)?;
        self.publish_due(store)?;
        if self.is_paused {
            return Ok(None);
        }
        self.begin_round(store)?;
        if let Some(command) = self.next_status_request() {
            return Ok(Some(command));
        }
        if let Some(command) = self.next_for_views(store)? {
            return Ok(Some(command));
        }
        self.next_offer(store)
    }

    fn store_failed(&mut self, error: StoreError) {
        // A store that is only not ready is asked again soon, and nobody need be told.
        let pause = if error == StoreError::NotReady {
            Duration::from_millis(1)
        } else {
            self.notes.store = Some(error);
            self.config.interval.min(Duration::from_secs(1))
        };
        self.store_retry_at = self.clock.now + pause;
    }

    /// When to call [`Node::poll`] again if nothing happens before, on the caller's clock; `None` when
    /// there is nothing to wait for. Meaningful after a poll that returned `None`.
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
        self.requests.as_slice().iter().for_each(|request| consider(request.deadline));
        consider(self.store_retry_at);
        if !self.is_paused {
            if !self.peers.as_slice().is_empty() {
                consider(self.next_round);
            }
            for peer in self.peers.as_slice() {
                peer.offer_at.into_iter().for_each(&mut consider);
            }
            for view in self.views.as_slice() {
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
    /// or `H(00 ‖ id ‖ "forked")`; node `H(01 ‖ l ‖ r)`; a subtree with one log is its leaf.
    pub fn root(&mut self) -> Hash {
        let replicas = &self.replicas;
        *self.cache.root.get_or_insert_with(|| replicas.sparse_root(Replica::root_leaf))
    }

    /// The digest over all that a status says of every log.
    pub(crate) fn digest(&mut self) -> Hash {
        let replicas = &self.replicas;
        *self.cache.digest.get_or_insert_with(|| replicas.sparse_root(|replica| Some(replica.digest_leaf())))
    }

    /// Something in a replica changed that a status tells.
    fn changed(&mut self) {
        self.cache.digest = None;
        self.cache.root = None;
        self.cache.idle_until = None;
    }

    fn next_notice(&mut self) -> Option<Notice> {
        if let Some(head) = self.notes.published.take() {
            return Some(Notice::Published { head });
        }
        if core::mem::take(&mut self.notes.stopped) {
            return Some(Notice::WritingStopped);
        }
        if core::mem::take(&mut self.notes.recovered) {
            let size = self.replicas.find(&self.own).map_or(0, |replica| replica.have);
            return Some(Notice::Recovered { size });
        }
        if let Some(error) = self.notes.store.take() {
            return Some(Notice::StoreFailed { error });
        }
        if self.replicas.has_notes()
            && let Some(notice) = self.next_log_notice()
        {
            return Some(notice);
        }
        self.next_peer_notice().or_else(|| self.next_sync_notice())
    }

    fn next_log_notice(&mut self) -> Option<Notice> {
        while let Some((replica, note)) = self.replicas.take_note() {
            let (log, have, origin) = (replica.id, replica.have, replica.origin);
            return Some(match note {
                Note::Forked => Notice::ForkDetected { log },
                Note::Stalled => Notice::LogStalled { log, have },
                Note::TooLong => Notice::RecordTooLong { log, index: have },
                Note::Damaged => Notice::LogDamaged { log },
                Note::Introduced => {
                    let crate::store::Origin::Introduced(by) = origin else { continue };
                    let Some(peer) = self.peers.as_slice().iter().find(|peer| peer.node == by) else { continue };
                    Notice::LogIntroduced { log, by: peer.id }
                }
            });
        }
        None
    }

    fn next_peer_notice(&mut self) -> Option<Notice> {
        use crate::peer::Health;
        self.peers.as_mut_slice().iter_mut().find_map(|peer| {
            let id = peer.id;
            if core::mem::take(&mut peer.notes.health) {
                return Some(match peer.health {
                    Health::Healthy => Notice::PeerRecovered { peer: id },
                    Health::Unhealthy => Notice::PeerUnhealthy { peer: id },
                    Health::AtFault(fault) => Notice::PeerAtFault { peer: id, fault },
                });
            }
            if let Some((log, outcome)) = peer.notes.pushed.take() {
                return Some(Notice::Pushed { peer: id, log, outcome });
            }
            core::mem::take(&mut peer.notes.quota).then_some(Notice::QuotaFull { peer: id })
        })
    }

    // Peers and requests, for the modules beside this one.

    fn peer_index(&self, peer: PeerId) -> Option<usize> {
        // Handles only ever grow, so the table is in their order.
        self.peers.as_slice().binary_search_by_key(&peer, |peer| peer.id).ok()
    }

    fn peer_ref(&self, peer: PeerId) -> Option<&Peer<T::Scheme>> {
        self.peers.as_slice().get(self.peer_index(peer)?)
    }

    fn peer_mut(&mut self, peer: PeerId) -> Option<&mut Peer<T::Scheme>> {
        let at = self.peer_index(peer)?;
        self.peers.as_mut_slice().get_mut(at)
    }

    fn nonce(&self, request: RequestId) -> Nonce {
        let hash = Hash::of(&[b"verisoo/nonce", self.secret.as_bytes(), &request.get().to_le_bytes()]);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&hash.as_bytes()[..16]);
        Nonce(nonce)
    }

    /// Opens a request; `None` where as many are outstanding as may be.
    fn ask(&mut self, peer: PeerId, asked: Asked) -> Option<RequestId> {
        let limit = self.config.max_requests.min(self.requests.capacity_limit());
        if self.requests.as_slice().len() >= limit {
            return None;
        }
        let id = RequestId::new(self.next_request);
        let asked_at = self.clock.now;
        let deadline = asked_at + self.peer_ref(peer)?.timeout(&self.config);
        self.requests.push(Outstanding { id, peer, asked_at, deadline, asked }).ok()?;
        self.next_request += 1;
        Some(id)
    }

    /// The request that an answer is to, and its place in the table.
    fn outstanding(&self, peer: PeerId, request: RequestId) -> Option<(usize, Asked)> {
        let mut requests = self.requests.as_slice().iter();
        let at = requests.position(|outstanding| outstanding.id == request && outstanding.peer == peer)?;
        self.requests.as_slice().get(at).map(|outstanding| (at, outstanding.asked))
    }

    fn is_outstanding(&self, matches: impl Fn(&Outstanding) -> bool) -> bool {
        self.requests.as_slice().iter().any(matches)
    }

    fn drop_requests(&mut self, drop: impl Fn(&Outstanding) -> bool) {
        while let Some(at) = self.requests.as_slice().iter().position(&drop) {
            self.requests.remove(at);
        }
    }

    /// Closes a request that was answered.
    fn answered(&mut self, at: usize, kind: Kind) {
        let peer = self.requests.remove(at).peer;
        if let Some(peer) = self.peer_mut(peer) {
            peer.succeeded(kind);
        }
    }

    /// Closes a request that failed.
    fn fail(&mut self, at: usize, error: SyncError) {
        let request = self.requests.remove(at);
        let (now, config) = (self.clock.now, self.config.clone());
        if let Some(at) = self.peer_index(request.peer)
            && let Some(peer) = self.peers.as_mut_slice().get_mut(at)
        {
            peer.failed(request.asked.kind(), request.asked_at, now, &config, &mut self.rng);
        }
        self.request_failed(&request, error);
    }

    /// Closes a request that was answered falsely: the peer's fault where its transport, or its
    /// signature, says that it was the peer; a failure otherwise.
    fn fault(&mut self, at: usize, fault: PeerFault, is_signed: bool) {
        let Some(peer) = self.requests.as_slice().get(at).map(|request| request.peer) else { return };
        if !is_signed && !self.peer_ref(peer).is_some_and(|peer| peer.is_authenticated) {
            return self.fail(at, SyncError::Failed);
        }
        let request = self.requests.remove(at);
        self.accuse(peer, fault);
        self.request_failed(&request, SyncError::AtFault);
    }

    /// A peer did, under its own signature, what no correct peer does.
    fn accuse(&mut self, peer: PeerId, fault: PeerFault) {
        let (now, config) = (self.clock.now, self.config.clone());
        if let Some(at) = self.peer_index(peer)
            && let Some(peer) = self.peers.as_mut_slice().get_mut(at)
        {
            peer.set_aside(fault, now, &config, &mut self.rng);
        }
    }

    /// What a failed request means for what it was about.
    fn request_failed(&mut self, request: &Outstanding, error: SyncError) {
        match request.asked {
            Asked::Status => self.status_failed(request.peer, error),
            Asked::Push { log, .. } | Asked::PushFork { log } => {
                let outcome = if error == SyncError::Failed { PushOutcome::Failed } else { PushOutcome::Refused };
                self.push_ended(request.peer, log, outcome);
            }
            Asked::Proof { log, .. } | Asked::Records { log, .. } | Asked::Key { log } | Asked::Fork { log } => {
                self.fetch_failed(request.peer, &log, error);
            }
        }
    }

    fn expire_requests(&mut self) {
        let now = self.clock.now;
        while let Some(at) = self.requests.as_slice().iter().position(|request| request.deadline <= now) {
            let peer = self.requests.as_slice().get(at).map(|request| request.peer);
            if let Some(peer) = peer.and_then(|peer| self.peer_mut(peer)) {
                peer.was_slow();
            }
            self.fail(at, SyncError::Failed);
        }
    }
}

impl<T: Tables> fmt::Display for Node<T> {
    /// The node's name and the first digits of its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.identity.vkey().name().as_str(), self.own)
    }
}
