//! The protocol between nodes, in virtual time.

#![cfg(feature = "alloc")]
#![allow(missing_docs, reason = "a test")]

mod answers_are_judged;
mod byzantine_peers;
mod damaged_stores;
mod federation;
mod federations_converge;
mod forks_are_proven;
mod hostile;
mod peers_have_health;
mod writers_recover;
