//! The node's tables behind one trait: growing where there is an allocator ([`Heap`]), with their
//! capacities in the type where there is none ([`Fixed`]). The same type names the signature scheme.

use core::fmt::Debug;
use core::hash::Hash as StdHash;
use core::marker::PhantomData;
use core::ops::DerefMut;

use crate::key::{Ed25519, Scheme};
use crate::log::Hash;

/// No slot, where a slot is the place of a row that stays where it is.
pub(super) const NONE: u32 = u32::MAX;

/// What a table can hold: plain data.
pub trait Row: Clone + Debug + PartialEq + Eq + StdHash {}

impl<T: Clone + Debug + PartialEq + Eq + StdHash> Row for T {}

/// A growable array, or one with a fixed capacity.
pub trait List<T>: Row + Default + DerefMut<Target = [T]> {
    /// Appends; gives the element back where there is no room.
    fn push(&mut self, element: T) -> Result<(), T>;
    /// Inserts before `index` (at most the length); gives the element back where there is no room.
    fn insert(&mut self, index: usize, element: T) -> Result<(), T>;
    /// Removes the element at `index`, which must be below the length.
    fn remove(&mut self, index: usize) -> T;
    /// Removes all elements, keeping the memory.
    fn clear(&mut self);
    /// How many elements it can ever hold.
    fn capacity_limit(&self) -> usize;
}

#[cfg(feature = "alloc")]
impl<T: Row> List<T> for alloc::vec::Vec<T> {
    fn push(&mut self, element: T) -> Result<(), T> {
        self.push(element);
        Ok(())
    }
    fn insert(&mut self, index: usize, element: T) -> Result<(), T> {
        self.insert(index, element);
        Ok(())
    }
    fn remove(&mut self, index: usize) -> T {
        self.remove(index)
    }
    fn clear(&mut self) {
        self.clear();
    }
    fn capacity_limit(&self) -> usize {
        usize::MAX
    }
}

impl<T: Row, const N: usize> List<T> for heapless::Vec<T, N> {
    fn push(&mut self, element: T) -> Result<(), T> {
        self.push(element)
    }
    fn insert(&mut self, index: usize, element: T) -> Result<(), T> {
        self.insert(index, element)
    }
    fn remove(&mut self, index: usize) -> T {
        self.remove(index)
    }
    fn clear(&mut self) {
        self.clear();
    }
    fn capacity_limit(&self) -> usize {
        N
    }
}

/// What a [`Node`](crate::Node) is made of: its tables and its signature scheme. Implemented by [`Heap`]
/// and [`Fixed`] only.
pub trait Tables: sealed::Sealed + Row {
    /// The signature scheme of every key in the federation.
    type Scheme: Scheme;
    #[doc(hidden)]
    type PerPeer<R: Row>: List<R>;
    #[doc(hidden)]
    type PerLog<R: Row>: List<R>;
    #[doc(hidden)]
    type PerView<R: Row>: List<R>;
    #[doc(hidden)]
    type PerRequest<R: Row>: List<R>;
    #[doc(hidden)]
    type Hashes: List<[u8; Hash::LEN]>;
    #[doc(hidden)]
    type Inner: List<Option<Hash>>;
}

mod sealed {
    pub trait Sealed {}
}

/// Tables on the heap, limited by [`Config`](crate::Config) alone: what [`Node`](crate::Node) has where none
/// are named. With another signature scheme, `Heap<S>`; see [`Scheme`] for an example.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Heap<S = Ed25519>(PhantomData<S>);

#[cfg(feature = "alloc")]
impl<S> sealed::Sealed for Heap<S> {}

#[cfg(feature = "alloc")]
impl<S: Scheme> Tables for Heap<S> {
    type Scheme = S;
    type PerPeer<R: Row> = alloc::vec::Vec<R>;
    type PerLog<R: Row> = alloc::vec::Vec<R>;
    type PerView<R: Row> = alloc::vec::Vec<R>;
    type PerRequest<R: Row> = alloc::vec::Vec<R>;
    type Hashes = alloc::vec::Vec<[u8; Hash::LEN]>;
    type Inner = alloc::vec::Vec<Option<Hash>>;
}

/// Tables of fixed capacity, inside the node itself.
///
/// - `PEERS`: peers, at most.
/// - `LOGS`: logs followed, the node's own included.
/// - `VIEWS`: pairs of peer and log that differ and are remembered at one time; `PEERS × LOGS` remembers
///   all, fewer cost rounds.
/// - `REQUESTS`: requests outstanding at one time, to all peers together.
/// - `HASHES`: hashes one batch may add. With 2 × n + 62, batches of n records are taken (and larger ones
///   refused); more than `max_message` / 64 records are never in one. A record of the node's own may have
///   at most 32 × `HASHES` − 2 bytes.
/// - `S`: the signature scheme.
///
/// ```
/// use verisoo::store::FixedStore;
/// use verisoo::{Config, Error, Fixed, Identity, Instant, Node, Start};
///
/// /// 2 peers and 4 logs. Messages of 4,608 bytes hold at most 72 records: 2 × 72 + 62 hashes.
/// type Tables = Fixed<2, 4, 8, 4, 206>;
///
/// let mut config = Config::default();
/// config.max_message = 4_608;
/// let mut store: FixedStore<3, 1_024, 64, 1_024, 64, 1_104> = FixedStore::new();
/// let identity = |name, seed| Identity::from_seed(name, &[seed; 32]);
/// let mut node: Node<Tables> = Node::new(identity("sensor-1", 1)?, config.clone(), [9; 32], Instant::ZERO);
/// node.append(&mut store, b"21.5 C")?;
///
/// // What is full says so.
/// node.add_peer(&mut store, *identity("sensor-2", 2)?.vkey())?;
/// node.add_peer(&mut store, *identity("sensor-3", 3)?.vkey())?;
/// let third = node.add_peer(&mut store, *identity("sensor-4", 4)?.vkey());
/// assert_eq!(third, Err(Error::TooManyPeers));
///
/// // After a restart on the same store. In a static, a node is begun by `new` and loaded in its place.
/// let mut node: Node<Tables> = Node::new(identity("sensor-1", 1)?, config, [10; 32], Instant::ZERO);
/// node.load(&mut store, Start::Resume)?;
/// assert_eq!(node.append(&mut store, b"21.6 C")?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fixed<
    const PEERS: usize,
    const LOGS: usize,
    const VIEWS: usize,
    const REQUESTS: usize,
    const HASHES: usize,
    S = Ed25519,
>(PhantomData<S>);

impl<const P: usize, const L: usize, const V: usize, const R_: usize, const H: usize, S> sealed::Sealed
    for Fixed<P, L, V, R_, H, S>
{
}

impl<const P: usize, const L: usize, const V: usize, const R_: usize, const H: usize, S: Scheme> Tables
    for Fixed<P, L, V, R_, H, S>
{
    type Scheme = S;
    type PerPeer<R: Row> = heapless::Vec<R, P>;
    type PerLog<R: Row> = heapless::Vec<R, L>;
    type PerView<R: Row> = heapless::Vec<R, V>;
    type PerRequest<R: Row> = heapless::Vec<R, R_>;
    type Hashes = heapless::Vec<[u8; Hash::LEN], H>;
    // A few logs are hashed anew each time.
    type Inner = heapless::Vec<Option<Hash>, 0>;
}
