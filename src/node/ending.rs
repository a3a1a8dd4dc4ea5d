//! How requests end, as the conversations say it. They judge an answer, return one of these, and know nothing of the
//! table of requests nor of a peer's health: what follows from it stands in `close`.

use crate::words::Fault;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It did not: what came answers something else.
    None,
    Answered,
    Refused,
    Failed,
    /// It was answered falsely.
    Fault(Fault, Blame),
    /// It was answered, and whether falsely is still to be asked.
    Disputed,
}

/// Whose a false answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The peer's, by its signature.
    Signed,
    /// The peer's where its transport says so.
    Transport,
}
