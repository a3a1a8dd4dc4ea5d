//! A store with its capacities in its type.

/// Logs in a fixed amount of memory.
#[derive(Clone, Debug)]
pub struct FixedStore {}
