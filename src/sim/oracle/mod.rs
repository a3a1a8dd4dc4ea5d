//! What must hold, whatever happens: checked from outside, with what the nodes show, what their disks hold
//! and what leaves them. Knows what every honest writer appended, and which adversaries signed two
//! histories.

mod departures;
mod holdings;
mod invariant;
mod knowledge;
mod traffic;
mod truth;

pub(super) use invariant::Broken;
pub use invariant::{Invariant, Violation};
pub(super) use knowledge::Oracle;
pub(super) use traffic::Traffic;
pub(super) use truth::Truth;
