//! Members that misbehave: production nodes behind which somebody else sits, who answers what they would
//! not, holds back what they would send, and shows different peers different faces.

mod faces;
mod misdeeds;
mod outcome;
mod tamper;

pub(super) use faces::{Adversary, Outgoing};
pub(super) use outcome::Outcome;
