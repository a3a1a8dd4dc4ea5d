//! The protocol between nodes, in virtual time.

#![allow(missing_docs, reason = "a test")]

mod federation;
mod federations_converge;
mod forks_are_proven;
mod peers_have_health;
mod writers_recover;
