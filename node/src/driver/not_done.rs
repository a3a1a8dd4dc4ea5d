//! Why something that was asked of a node was not done.

use std::error::Error;
use std::fmt;

use verisoo::store::StoreError;
use verisoo::wire::Refusal;

/// A reason, for a program and for people. Nothing has changed, but where a method says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone {
    /// For a program.
    pub why: Why,
    /// For people.
    pub message: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// What was asked makes no sense.
    Nonsense,
    /// It is not here, and perhaps nowhere.
    NotHeld,
    /// It was here, and has been dropped.
    Dropped,
    /// It is longer than what is taken or given.
    TooLong,
    /// It does not verify.
    Invalid,
    /// The node writes no more.
    Stopped,
    /// Not now; later, perhaps.
    Busy,
    /// What must not be.
    Internal,
}

impl NotDone {
    /// A reason.
    pub fn new(why: Why, message: impl Into<String>) -> Self {
        Self { why, message: message.into() }
    }

    /// What was asked makes no sense.
    pub fn nonsense(message: impl Into<String>) -> Self {
        Self::new(Why::Nonsense, message)
    }

    /// Later, perhaps.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(Why::Busy, message)
    }

    /// It is not here.
    pub fn not_held(message: impl Into<String>) -> Self {
        Self::new(Why::NotHeld, message)
    }

    /// A log without a head.
    pub fn nothing_signed() -> Self {
        Self::not_held("nothing is signed in this log yet")
    }

    /// What must not be.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Why::Internal, message)
    }

    /// A record that the node did not take; `recovering` says whom a node waits for that takes its log back.
    pub(super) fn not_appended(error: verisoo::Error, recovering: &str) -> Self {
        match error {
            verisoo::Error::Recovering => Self::busy(format!("{error}{recovering}")),
            verisoo::Error::Stopped => Self::new(Why::Stopped, error.to_string()),
            verisoo::Error::RecordTooLong => Self::new(Why::TooLong, error.to_string()),
            verisoo::Error::Store(error) => error.into(),
            error => Self::busy(error.to_string()),
        }
    }
}

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown | Refusal::NotHeld => Self::NotHeld,
            Refusal::Dropped { .. } => Self::Dropped,
            Refusal::TooLong { .. } => Self::TooLong,
            Refusal::Invalid => Self::Invalid,
            // Busy, and what there may be one day.
            _ => Self::Busy,
        }
    }
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.into(), refusal.to_string())
    }
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownLog | StoreError::Mismatch => Self::not_held("not held here"),
            StoreError::Dropped { .. } => Self::new(Why::Dropped, error.to_string()),
            error => Self::busy(error.to_string()),
        }
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for NotDone {}
