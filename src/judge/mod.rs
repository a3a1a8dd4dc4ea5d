//! The judge: what a signed head, a batch or two histories are worth against what the store holds of a log. Reads a
//! [`Shelf`], returns a verdict, and changes nothing: what is done with a verdict stands in `node`.

mod batch;
mod forks;
mod heads;
mod shelf;

pub(crate) use batch::{Rejected, known_head, weigh};
pub(crate) use forks::{Contradiction, Side, contradict};
pub(crate) use heads::{Verdict, hold};
pub(crate) use shelf::{Proven, Shelf, Trouble, read_error, root_of};
