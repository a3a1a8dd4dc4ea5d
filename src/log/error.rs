//! What can be wrong with a tree's size, with a proof that is read, and with one that is to be built. What follows
//! from it, and whose fault it is, is not known here.

use core::fmt;

/// Why a proof does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProofError {
    /// Sizes or index are out of range for such a proof.
    OutOfRange,
    /// The proof does not have exactly the length that sizes and index ask for.
    WrongLength,
    /// The proof leads to another root.
    WrongRoot,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "no proof exists for these sizes or this index",
            Self::WrongLength => "the proof is too long or too short",
            Self::WrongRoot => "the proof leads to another root",
        })
    }
}

impl core::error::Error for ProofError {}

/// Why a proof (or a root, or a [`Frontier`](super::Frontier)) cannot be built. What was emitted before
/// is no proof, and is to be thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProveError<E> {
    /// Sizes or index are out of range for such a proof. Nothing was read or emitted.
    OutOfRange,
    /// The kept proof does not have exactly the length that its sizes ask for. Nothing was read or emitted.
    WrongLength,
    /// A hash could not be read.
    Read(E),
}

impl<E: fmt::Display> fmt::Display for ProveError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("no proof exists for these sizes or this index"),
            Self::WrongLength => f.write_str("the kept proof is too long or too short"),
            Self::Read(error) => write!(f, "a hash could not be read: {error}"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for ProveError<E> {}

/// A tree would grow beyond [`MAX_SIZE`](super::MAX_SIZE). What it was asked of is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tree holds at most 2^62 leaves")
    }
}

impl core::error::Error for TooLarge {}
