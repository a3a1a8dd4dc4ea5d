//! Attestations: DSSE-signed statements as records.
//!
//! A statement is a payload and a type that says how to read it. Its signature is over DSSE's
//! pre-authentication encoding (PAE) of both (secure-systems-lab DSSE 1.0), so that any DSSE verifier
//! accepts it; as a record it is postcard-encoded, and it can leave and enter as DSSE's JSON envelope.
//! What a payload says, and whether its signer may say it, is the application's business.

#![warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects)]

#[cfg(feature = "alloc")]
mod envelope;
mod statement;

#[cfg(feature = "alloc")]
pub use envelope::{MAX_ENVELOPE, MAX_ENVELOPE_SIGNATURES, OwnedAttestation};
pub use statement::{Attestation, AttestationError, pae, pae_len};
