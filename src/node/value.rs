//! A node as a value: what it consists of, and what can be said of it without a store.
//!
//! Two nodes are equal where all is equal that decides what they do next; what can be derived from that is a cache, and
//! does not count. The rules of each part are its own, in [`state`](crate::state).

use core::fmt;
use core::hash::{Hash as StdHash, Hasher};

use crate::error::Error;
use crate::key::{Identity, LogId, Vkey};
use crate::log::Hash;
use crate::state::{Chance, Clock, Disk, List, Logs, Peers, Replica, Requests, Tables, Views, Writing};
use crate::store::Origin;
use crate::time::Instant;
use crate::wire::BYTES_PER_RECORD;
use crate::words::{Ask, Command, Config, Fault, LogInfo, PeerId, PeerInfo};

#[cfg(feature = "alloc")]
type DefaultTables = crate::state::Heap;

#[cfg(not(feature = "alloc"))]
type DefaultTables = crate::state::Fixed<8, 16, 64, 16, 206>;

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
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) chance: Chance,
    pub(super) writing: Writing<T::Scheme>,
    pub(super) disk: Disk,
    pub(super) peers: Peers<T>,
    pub(super) logs: Logs<T>,
    pub(super) views: Views<T>,
    pub(super) requests: Requests<T>,
    pub(super) cache: Cache<T>,
}

/// What can be derived from the rest, or is scratch space: counts neither for equality nor for hashing.
#[derive(Clone, Debug)]
pub(super) struct Cache<T: Tables> {
    /// Hashes of the batch being judged; empty between calls.
    pub(super) hashes: T::Hashes,
    pub(super) digest: Option<Hash>,
    pub(super) root: Option<Hash>,
    /// Nothing is due before this moment.
    pub(super) idle_until: Option<Instant>,
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
        let chance = Chance::new(&identity, &seed);
        let writing = Writing::new(identity);
        let mut logs = Logs::default();
        logs.insert(Replica::new(writing.id(), Origin::Own));
        Self {
            config: config.clamped(),
            clock: Clock::new(now),
            chance,
            writing,
            disk: Disk::default(),
            peers: Peers::new(),
            logs,
            views: Views::new(),
            requests: Requests::new(),
            cache: Cache { hashes: T::Hashes::default(), digest: None, root: None, idle_until: None },
        }
    }

    /// The node's public key.
    pub fn vkey(&self) -> &Vkey<T::Scheme> {
        self.writing.vkey()
    }

    /// The id of the node and of the log it writes.
    pub fn id(&self) -> LogId {
        self.writing.id()
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
        self.peers.is_paused = true;
        self.cache.idle_until = None;
    }

    /// Ends a [pause](Node::pause).
    pub fn resume(&mut self) {
        self.peers.is_paused = false;
        self.cache.idle_until = None;
    }

    /// Whether the node is [paused](Node::pause).
    pub fn is_paused(&self) -> bool {
        self.peers.is_paused
    }

    /// Whether an answer to this request of this node is still wanted. Where not, a driver may close what it
    /// keeps open for it.
    pub fn awaits(&self, peer: PeerId, request: crate::wire::RequestId) -> bool {
        self.requests.find(peer, request).is_some()
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
        let replicas = &self.logs;
        *self.cache.root.get_or_insert_with(|| replicas.root())
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
        self.peers.find_mut(peer).ok_or(Error::UnknownPeer)?.is_authenticated = is_authenticated;
        Ok(())
    }

    /// The peers, in the order in which they were added.
    pub fn peers(&self) -> impl Iterator<Item = PeerInfo> + '_ {
        self.peers.iter().map(|peer| peer.info(&self.config))
    }

    /// One peer; `None` where it was removed.
    pub fn peer(&self, peer: PeerId) -> Option<PeerInfo> {
        self.peers.find(peer).map(|peer| peer.info(&self.config))
    }

    /// The logs followed, the node's own included, in order of id.
    pub fn logs(&self) -> impl Iterator<Item = LogInfo> + '_ {
        self.logs.iter_after(None).map(Replica::info)
    }

    /// One log; `None` where it is not followed.
    pub fn log(&self, log: &LogId) -> Option<LogInfo> {
        self.logs.find(log).map(Replica::info)
    }

    /// The digest over all that a status says of every log.
    pub(crate) fn digest(&mut self) -> Hash {
        let replicas = &mut self.logs;
        *self.cache.digest.get_or_insert_with(|| replicas.digest())
    }

    /// Something in a replica changed that a status tells.
    pub(super) fn changed(&mut self) {
        self.cache.digest = None;
        self.cache.root = None;
        self.cache.idle_until = None;
    }

    /// Opens a request; `None` where as many are outstanding as may be.
    pub(super) fn ask(&mut self, peer: PeerId, ask: Ask) -> Option<Command> {
        let asked_at = self.clock.now;
        let deadline = asked_at + self.peers.find(peer)?.standing.timeout(&self.config);
        let request = self.requests.open(&self.config, peer, ask, asked_at, deadline)?;
        Some(Command::Ask { peer, request, ask })
    }

    /// Records in a batch, at most: by the size of a message, and by the room for their hashes.
    pub(super) fn most_records(&self) -> u64 {
        let by_message = self.config.max_message / BYTES_PER_RECORD;
        // A record adds its own hash, and all records together fewer nodes than there are records, but for
        // those that join them to what was there.
        let by_hashes = self.cache.hashes.capacity_limit().saturating_sub(62) / 2;
        u64::from(by_message).min(u64::try_from(by_hashes).unwrap_or(u64::MAX)).max(1)
    }

    /// A log's complete head, or whether it is forked, changed: peers are to be offered it.
    pub(super) fn touch(&mut self, slot: u32) {
        self.logs.touch(slot, self.peers.cursors());
    }

    /// A peer did, under its own signature, what no correct peer does.
    pub(super) fn accuse(&mut self, peer: PeerId, fault: Fault) {
        let now = self.clock.now;
        if let Some(peer) = self.peers.find_mut(peer) {
            peer.standing.set_aside(fault, now, &self.config, &mut self.chance.rng);
        }
    }
}

impl<T: Tables> fmt::Display for Node<T> {
    /// The node's name and the first digits of its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.writing.vkey().name().as_str(), self.writing.id())
    }
}
