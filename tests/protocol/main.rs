//! The protocol between nodes, in virtual time.

#![allow(missing_docs, reason = "a test")]

mod federation;
mod federations_converge;
mod forks_are_proven;
