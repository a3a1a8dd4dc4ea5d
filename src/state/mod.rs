//! What a node remembers, in tables and values that keep their own rules: peers, logs, views, requests, the own
//! log, the disk, time and chance. Nothing here talks to a peer or reads a store.

mod chance;
mod clock;
mod digest;
mod disk;
mod invariant;
mod listing;
mod logs;
mod peers;
mod replica;
mod requests;
mod standing;
mod tables;
mod views;
mod wake;
mod writing;

pub(crate) use chance::Chance;
pub(crate) use clock::Clock;
pub(crate) use disk::Disk;
pub(crate) use invariant::all;
pub(crate) use listing::{Compared, Stage, Walk};
pub(crate) use logs::Logs;
pub(crate) use peers::{Peer, Peers};
pub(crate) use replica::{News, Replica};
pub(crate) use requests::{Outstanding, Requests};
#[cfg(feature = "alloc")]
pub use tables::Heap;
pub(crate) use tables::List;
pub use tables::{Fixed, Tables};
pub(crate) use views::{Due, LogSync, Root, SyncProgress, View, Views};
pub(crate) use wake::Wake;
pub(crate) use writing::Writing;
