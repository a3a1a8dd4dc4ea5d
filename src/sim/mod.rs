//! A deterministic simulator of federations: production nodes and production wire bytes, in virtual time,
//! under faults, with an oracle that knows what is true.
//!
//! One seed [expands](Plan::expand) into a [`Plan`]: who is there and who knows whom, what is appended,
//! what crashes, is cut off, fails or lies, and when. A [`Simulation`] carries it out. After every event
//! the node it touched is held against the safety [invariants](Invariant); from the moment the plan says
//! that faults end, the honest nodes that are connected have a bounded time to converge. The same plan
//! gives the same trace, to the byte: its digest is in the [`Report`].
//!
//! ```
//! use verisoo::sim::{Plan, Profile, Simulation};
//!
//! let plan = Plan::expand(7, Profile::Lite, None);
//! let report = Simulation::new(plan.clone()).run();
//! assert!(report.violation.is_none());
//! assert_eq!(Simulation::new(plan).run().digest, report.digest);
//! ```
//!
//! To try a store of your own, implement [`Disk`] for it and use [`Simulation::with`]; to try a policy,
//! change the plan. `examples/simulate` is the command line for all this.
//!
//! # What is checked
//!
//! After every event, on the node it touched: each replica is a prefix of what its writer appended, byte for
//! byte, and its root is the oracle's; heads are signed and nothing shrinks; a frozen log stays frozen;
//! nobody honest is accused; every fork proof verifies by itself; where a disk is found to be damaged, that is noted of
//! a log; what must hold of a node's own state does; tables and answers keep to their bounds, and
//! what a node sends of its own accord to twice what it is sent and writes, for each peer, and its rounds; a
//! node stops wanting things and stops waking up, and has left nothing undone when it does. Of everything that
//! leaves an honest node: it is durable, its heads are its history's, its nonces are new. Of what an adversary
//! sends: its outcome.
//!
//! At the end: within [`Plan::patience`] intervals after the faults, everything that one node of the core
//! holds is held by all that are connected with it through followers of that log, or they all hold the fork
//! proof; and three intervals later, when no push that was put off can be left, they fall silent: at most one
//! question and answer a link and round, of at most 400 bytes on average. (The *core* is the largest set of
//! honest nodes connected by honest nodes, less those whose disks read falsely at times: these stop serving
//! what they find damaged, by design.) What a [`Report`] calls pending says what is missing and why.
//!
//! [`Profile::Perf`] checks nothing: it is there to be timed. What is counted there as in all other profiles is
//! a message delivered, a node's wake-up that came due, a record appended, or an entry of the plan come due;
//! what falls away unseen (a packet lost, a wake-up overtaken by an earlier one) is not.
//!
//! That these checks can fail is shown by `tests/planted_bugs.sh`, which plants one bug after the other in a copy of the
//! crate (`tests/planted`: each says what a user would lose by it), and prints after how many seeds each was caught, in
//! a build with debug assertions:
//!
//! | bug | seeds until caught | by |
//! | --- | --- | --- |
//! | back-off-never-reset | 17 | `Liveness` |
//! | damage-not-noted | 43 | `Damage` |
//! | deadlines-never-pass | 1 | `Liveness` |
//! | equal-sizes-taken-for-equal | 10 | `Liveness` |
//! | evidence-not-relayed | 1 | `Liveness` |
//! | frozen-log-grows | 177 | `Frozen` |
//! | head-signature-unchecked | 6 | `FalseAccusation` |
//! | limit-ignored | 1 | `Bound` |
//! | one-root-compared | 182 | `Outcome` |
//! | order-of-change-torn | 1 | `State` |
//! | proof-length-unchecked | 173 | `FalseAccusation` |
//! | pushed-before-durable | 1 | `Durability` |
//! | pushed-without-progress | 1257 | `Bound` |
//! | quota-begins-anew | 1 | `State` |
//! | quota-unchecked | 45 | `Bound` |
//! | recovery-without-answers | 3 | `FalseAccusation` |
//! | sent-taken-for-received | 1 | `Outcome` |
//! | stale-answer-accepted | 1 | `Nonce` |
//! | stored-before-proven | 5 | `Replica` |
//! | word-not-clamped | 6 | `State` |
//! | writer-blamed-for-relay | 18 | `FalseAccusation` |
//!
//! # What is simulated
//!
//! - The network loses (evenly and in bursts), duplicates, replays much later, reorders, delays, is narrow,
//!   and is cut one way or both ways. A packet's fate is drawn from the seed, its link and its number there.
//! - Nodes crash and restart, stand still, and have clocks that are off, drift and jump.
//! - Disks lose unsynced writes, fail, are full, are not ready, flip bits, and are replaced by old copies
//!   ([`DiskFault`], [`SimDisk`]).
//! - Adversaries are production nodes behind which somebody else sits: [`Misdeed`] and [`Habit`].

mod adversary;
mod disk;
mod expand;
mod hash;
mod links;
mod member;
mod metrics;
mod network;
mod oracle;
mod plan;
mod scheme;
mod shrink;
mod simulation;

pub use disk::{Disk, SimDisk};
pub use metrics::{Report, Sample};
pub use oracle::{Invariant, Violation};
pub use plan::{Act, DiskFault, Entry, Habit, Link, Misdeed, NodePlan, Plan, Profile, Restart, Weather};
pub use scheme::SimScheme;
pub use shrink::{shrink, shrink_with};
pub use simulation::{Happening, Observer, Simulation};
