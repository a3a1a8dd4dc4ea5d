//! The node: a value that is told what happens ([`Node::handle`]), says what to do ([`Node::poll`]), and
//! answers what others ask ([`Node::respond`]).
//!
//! It queues nothing. It keeps what is known and what is due, and each poll derives the next command from
//! that, so that newer state replaces older before it was sent and memory is bounded by the tables.
//! Everything from outside is judged before anything changes.

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
