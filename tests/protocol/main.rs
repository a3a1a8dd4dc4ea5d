//! The protocol between nodes, in virtual time.

#![cfg(feature = "alloc")]
#![allow(missing_docs, reason = "a test")]

mod answers_are_judged;
mod answers_wrong_in_any_bit;
mod byzantine;
mod damaged_stores;
mod federations_converge;
mod floods;
mod forks_are_proven;
mod heads_are_judged;
mod hostile;
#[path = "../net/mod.rs"]
mod net;
mod peers_have_health;
mod relays_and_names;
mod writers_recover;
