//! The fuzz targets: each is a function of bytes that panics where something that must hold does not.
//!
//! They are ordinary functions, so that `tests/fuzz_corpora.rs` runs the corpora on a stable compiler.

#![allow(missing_docs, dead_code, reason = "a test, of which each user needs a part")]
#![allow(unreachable_pub, reason = "a crate of its own for the fuzzer, a module for the tests")]

mod attestation;
mod faulty;
mod fork_proofs;
mod frame;
mod frontier;
mod input;
#[path = "../../tests/naive/mod.rs"]
mod naive;
#[path = "../../tests/net/mod.rs"]
mod net;
mod node_ops;
mod notes;
mod pair;
mod proofs;
mod seeds;
mod simulated;
mod store;
mod verifier;
mod world;
mod writer;

pub use attestation::attestation;
pub use fork_proofs::fork_proofs;
pub use frame::frame;
pub use frontier::frontier;
pub use node_ops::node_ops;
pub use notes::notes;
pub use pair::pair;
pub use proofs::proofs;
pub use seeds::seeds;
pub use store::store;

/// A target: its name, which is that of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("attestation", attestation),
    ("fork_proofs", fork_proofs),
    ("frame", frame),
    ("frontier", frontier),
    ("node_ops", node_ops),
    ("notes", notes),
    ("pair", pair),
    ("proofs", proofs),
    ("store", store),
];
