//! A plan being carried out: one event after the other, in virtual time.
//!
//! From the ground up: how it stands (`state`); who knows whom and what is on its way (`dial`, `send`); what a member
//! does about what reaches it (`settle`, `adversaries`, `deliver`); what the plan brings (`script`) and what is looked
//! at from time to time (`forks`, `liveness`); and the loop over all of them (`run`). None calls what is above it.

mod adversaries;
mod deliver;
mod dial;
mod forks;
mod happening;
mod liveness;
mod run;
mod script;
mod send;
mod settle;
mod state;

pub use happening::{Happening, Observer};
pub use state::Simulation;
