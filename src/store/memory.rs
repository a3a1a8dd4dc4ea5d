//! A store in memory that grows as needed.

/// Logs in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {}
