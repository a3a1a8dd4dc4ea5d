//! The simulator's disk and its stand-in for signatures.
//!
//! The fuzzer's crate has them from the library. Plain `cargo test` builds that without its feature `sim`:
//! there the simulator's own files are compiled into the test, whose root names what they use of the crate.

#[cfg(feature = "sim")]
pub use verisoo::sim::{Disk, DiskFault, SimDisk, SimScheme};

#[cfg(not(feature = "sim"))]
pub use {
    disk::{Disk, SimDisk},
    plan::DiskFault,
    scheme::SimScheme,
};

#[cfg(not(feature = "sim"))]
#[path = "../../src/sim/disk.rs"]
#[allow(clippy::option_option, reason = "it is no lint where it is the library's")]
mod disk;
#[cfg(not(feature = "sim"))]
#[path = "../../src/sim/hash.rs"]
mod hash;
#[cfg(not(feature = "sim"))]
#[path = "../../src/sim/plan.rs"]
mod plan;
#[cfg(not(feature = "sim"))]
#[path = "../../src/sim/scheme.rs"]
mod scheme;
