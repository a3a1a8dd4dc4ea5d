//! What is served: to peers, who speak the wire format, and to people, who read JSON ([`public`]); and to the
//! operator, whose records come in elsewhere ([`admin`]).
//!
//! Every answer is bounded work. Requests beyond the limits are refused at once ([`gate`](limited)), and
//! connections wait ([`listen()`]).

pub mod admin;
mod error;
mod frames;
mod gate;
pub mod json;
mod listen;
pub mod public;
mod query;

pub use error::ApiError;
pub use gate::limited;
pub use listen::listen;
