//! A store with its capacities in its type: no allocator, nothing outside the value itself.

mod ring;
mod slot;
mod store;

pub use store::FixedStore;
