//! A store with its capacities in its type: no allocator, nothing outside the value itself. Each log has a slot, and
//! in it two rings, of records and of hashes.

mod ring;
mod slot;
mod store;

pub use store::FixedStore;
