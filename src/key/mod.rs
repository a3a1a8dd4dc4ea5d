//! Names, keys and who a node is: C2SP signed-note keys.
//!
//! What is valid is decided here once, strictly, for all nodes: nodes that disagree on which keys and
//! signatures are valid do not converge. A [`Vkey`] that exists is one that can be used.

#![warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects)]

mod error;
mod id;
mod identity;
mod name;
mod scheme;
mod vkey;

pub use error::KeyError;
pub use id::LogId;
pub use identity::Identity;
pub use name::Name;
pub(crate) use name::is_note_name;
pub use scheme::{Ed25519, Scheme, Signature};
pub use vkey::Vkey;
pub(crate) use vkey::decode_base64;
