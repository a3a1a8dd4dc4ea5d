//! The node: a value that is told what happens ([`Node::handle`]), says what to do ([`Node::poll`]), and answers what
//! others ask ([`Node::respond`]).
//!
//! It queues nothing. It keeps what is known and what is due, and each poll derives the next command from that, so that
//! newer state replaces older before it was sent and memory is bounded by the tables. Everything from outside is judged
//! before anything changes.
//!
//! From the top: the doors, which say what happens in which order (`poll`, `handle`, `respond`, `encode`); what is due
//! to whom (`due`, `feed`), and how requests end (`close`); the conversations (`talk`); what is done with what comes
//! (`accept`, `evidence`, `writer`, `recover`, `follow`, `notices`, `write`); what is written and what is owed
//! (`commit`, `owed`, `quota`); and what a node is (`value`). None calls what is above it.

mod accept;
mod close;
mod commit;
mod due;
mod encode;
mod ending;
mod evidence;
mod feed;
mod follow;
mod handle;
mod invariants;
mod notices;
mod owed;
mod poll;
mod quota;
mod recover;
mod respond;
mod talk;
mod value;
mod write;
mod writer;

pub use value::Node;
