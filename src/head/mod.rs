//! Signed tree heads: C2SP tlog-checkpoint and signed-note.
//!
//! A head travels in binary, but what is signed is the text of a checkpoint, so that any checkpoint
//! verifier accepts it. [`SignedHead::to_note`] writes that text with its signature and [`Checkpoint`]
//! reads it; [`TlogProof`] is the text that carries a record's inclusion proof with it (C2SP tlog-proof).

#![warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects)]

mod checkpoint;
mod encoding;
mod fork;
mod note;
mod signed;
mod tlog_proof;

pub use checkpoint::Checkpoint;
pub use fork::{ForkError, ForkProof};
pub use note::{MAX_NOTE, MAX_NOTE_SIGNATURES, NoteError, SignatureLine, SignatureLines};
pub use signed::{Head, HeadError, SignedHead};
pub use tlog_proof::{MAX_TLOG_PROOF, TlogProof, TlogProofError, tlog_proof};

pub use crate::key::Signature;
