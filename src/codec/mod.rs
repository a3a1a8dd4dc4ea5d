//! [postcard](https://postcard.jamesmunns.com/wire-format), as everything here uses it that has an encoding:
//! heads and fork proofs, attestations, messages. One value has one encoding, and a reader refuses any other,
//! so that what is encoded can be hashed, signed and compared by its bytes.
//!
//! Only the means: which value has which encoding is said where the value is defined.

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects)
)]

mod bytes;
mod read;
mod write;

pub(crate) use bytes::Bytes;
pub(crate) use read::{Read, Reader};
pub(crate) use write::{Writer, size_of_value, write_value};
