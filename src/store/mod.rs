//! Where logs live: the [`Store`] trait and the stores that come with the crate.
//!
//! The node decides what is true; a store keeps it. It never checks a signature or a proof, but it must
//! keep the promises of [`Store::commit`] (all or nothing) and [`Store::sync`] (durable means durable),
//! and it must answer what it was told, or say that it cannot.
//!
//! Records are kept framed as they travel ([`Records`](crate::Records)), hashes in the order in which a growing tree
//! completes them (post-order, see [`Position::stored_index`](crate::log::Position::stored_index)): both are only ever appended to, so that a
//! store can be a flat file or a flash page. [`MemoryStore`] grows; [`FixedStore`] has its capacities in
//! its type and needs no allocator.

mod around;
mod contract;
mod error;
mod fixed;
#[cfg(feature = "alloc")]
mod memory;
mod state;

pub use around::{Answer, Around, Call};
pub use contract::Store;
pub use error::StoreError;
pub use fixed::FixedStore;
#[cfg(feature = "alloc")]
pub use memory::MemoryStore;
pub use state::{Commit, LogState, Origin, RecordsRead, StoredLog};
