//! A plan being carried out: one event after the other, in virtual time.

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
