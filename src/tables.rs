//! The node's tables behind one trait: growing where there is an allocator ([`Heap`]), with their
//! capacities in the type where there is none ([`Fixed`]). The same type names the signature scheme.

use core::fmt::Debug;
use core::hash::Hash as StdHash;
use core::marker::PhantomData;

use crate::key::{Ed25519, Scheme};
use crate::log::Hash;
use crate::node::{Outstanding, Replica, View};
use crate::peer::Peer;

/// A growable array, or one with a fixed capacity.
pub trait List<T>: Clone + Debug + Default + PartialEq + Eq + StdHash {
    /// The elements.
    fn as_slice(&self) -> &[T];
    /// The elements.
    fn as_mut_slice(&mut self) -> &mut [T];
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
impl<T: Clone + Debug + PartialEq + Eq + StdHash> List<T> for alloc::vec::Vec<T> {
    fn as_slice(&self) -> &[T] {
        self
    }
    fn as_mut_slice(&mut self) -> &mut [T] {
        self
    }
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

impl<T: Clone + Debug + PartialEq + Eq + StdHash, const N: usize> List<T> for heapless::Vec<T, N> {
    fn as_slice(&self) -> &[T] {
        self
    }
    fn as_mut_slice(&mut self) -> &mut [T] {
        self
    }
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
pub trait Tables: sealed::Sealed + Clone + Debug + PartialEq + Eq + StdHash {
    /// The signature scheme of every key in the federation.
    type Scheme: Scheme;
    #[doc(hidden)]
    type Peers: List<Peer<Self::Scheme>>;
    #[doc(hidden)]
    type Logs: List<Option<Replica>>;
    #[doc(hidden)]
    type Slots: List<u32>;
    #[doc(hidden)]
    type Views: List<View>;
    #[doc(hidden)]
    type Requests: List<Outstanding>;
    #[doc(hidden)]
    type Hashes: List<[u8; Hash::LEN]>;
    #[doc(hidden)]
    type Inner: List<Option<Hash>>;
}

mod sealed {
    pub trait Sealed {}
}

/// Tables on the heap, limited by [`Config`](crate::Config) alone.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Heap<S = Ed25519>(PhantomData<S>);

#[cfg(feature = "alloc")]
impl<S> sealed::Sealed for Heap<S> {}

#[cfg(feature = "alloc")]
impl<S: Scheme> Tables for Heap<S> {
    type Scheme = S;
    type Peers = alloc::vec::Vec<Peer<S>>;
    type Logs = alloc::vec::Vec<Option<Replica>>;
    type Slots = alloc::vec::Vec<u32>;
    type Views = alloc::vec::Vec<View>;
    type Requests = alloc::vec::Vec<Outstanding>;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fixed<
    const PEERS: usize,
    const LOGS: usize,
    const VIEWS: usize,
    const REQUESTS: usize,
    const HASHES: usize,
    S = Ed25519,
>(PhantomData<S>);

impl<const P: usize, const L: usize, const V: usize, const R: usize, const H: usize, S> sealed::Sealed
    for Fixed<P, L, V, R, H, S>
{
}

impl<const P: usize, const L: usize, const V: usize, const R: usize, const H: usize, S: Scheme> Tables
    for Fixed<P, L, V, R, H, S>
{
    type Scheme = S;
    type Peers = heapless::Vec<Peer<S>, P>;
    type Logs = heapless::Vec<Option<Replica>, L>;
    type Slots = heapless::Vec<u32, L>;
    type Views = heapless::Vec<View, V>;
    type Requests = heapless::Vec<Outstanding, R>;
    type Hashes = heapless::Vec<[u8; Hash::LEN], H>;
    // A few logs are hashed anew each time.
    type Inner = heapless::Vec<Option<Hash>, 0>;
}
