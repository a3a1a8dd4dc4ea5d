//! Federation core for tamper-evident logs: a sans-IO protocol state machine.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod attestation;
pub mod head;
pub mod key;
pub mod log;
mod record;
mod rng;
pub mod store;
mod time;
pub mod wire;

pub use head::{Head, Signature, SignedHead};
pub use key::{Ed25519, Identity, LogId, Name, Scheme, Vkey};
pub use log::Hash;
pub use record::{MAX_RECORD, Records, RecordsIter, Truncated};
pub use time::Instant;
