//! Why a store cannot do what it is asked: not yet, no room, a mistake of the caller's, or a medium that failed.
//! Whatever it is, nothing has changed.

use core::fmt;

/// Why a store cannot do what it was asked. The store is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreError {
    /// Not yet: it has started to load (or to write) and keeps what it loaded; the same call succeeds
    /// later.
    NotReady,
    /// There is no room.
    Full,
    /// The store holds no such log.
    UnknownLog,
    /// Records and hashes before `first` were dropped.
    Dropped {
        /// The first record still held.
        first: u64,
    },
    /// The call does not fit what is held: a commit that does not begin where the log ends, a log created
    /// twice, a record or hash never written. A mistake of the caller, or a damaged store.
    Mismatch,
    /// What was read is not what was written.
    Damaged,
    /// The device failed.
    Failed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the store is not ready yet"),
            Self::Full => f.write_str("the store is full"),
            Self::UnknownLog => f.write_str("the store holds no such log"),
            Self::Dropped { first } => write!(f, "records before {first} were dropped"),
            Self::Mismatch => f.write_str("the call does not fit what the store holds"),
            Self::Damaged => f.write_str("the store is damaged"),
            Self::Failed => f.write_str("the storage device failed"),
        }
    }
}

impl core::error::Error for StoreError {}
