//! Federation core for tamper-evident logs: a sans-IO protocol state machine.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod attestation;
mod error;
pub mod head;
pub mod key;
pub mod log;
mod node;
mod peer;
mod record;
mod rng;
pub mod store;
mod tables;
mod time;
pub mod wire;

pub use error::Error;
pub use head::{Head, Signature, SignedHead};
pub use key::{Ed25519, Identity, LogId, Name, Scheme, Vkey};
pub use log::Hash;
pub use node::{
    Answers, Command, Config, Event, Fault, Introductions, LogInfo, Node, Notice, PushOutcome, Start, SyncError,
    SyncReport,
};
pub use peer::{Health, PeerId, PeerInfo};
pub use record::{MAX_RECORD, Records, RecordsIter, Truncated};
#[cfg(feature = "alloc")]
pub use tables::Heap;
pub use tables::{Fixed, Tables};
pub use time::Instant;
