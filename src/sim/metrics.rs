//! What a simulation measured.

use alloc::string::String;
use alloc::vec::Vec;

use super::oracle::Violation;
use super::plan::Profile;
use crate::codec::size_of_value;
use crate::key::Signature;
use crate::log::{Hash, consistency_proof_len};

/// How far the honest nodes agreed at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sample {
    /// Microseconds of simulated time.
    pub at: u64,
    /// Of a thousand pairs of node and log, how many were as far as the furthest node.
    pub converged: u32,
}

/// What came of a simulation. Times are microseconds of simulated time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The plan's seed.
    pub seed: u64,
    /// The plan's profile.
    pub profile: Profile,
    /// A hash over everything that happened, in order: equal plans give equal ones, on every machine.
    pub digest: u64,
    /// Messages delivered, wake-ups, records appended, and entries of the plan.
    pub events: u64,
    /// Messages delivered.
    pub messages: u64,
    /// Bytes sent by all.
    pub bytes: u64,
    /// The least that could have been sent: for each other honest node, each head that a writer published,
    /// in a message with the records that it is the first to cover.
    pub optimum_messages: u64,
    /// [`record_bytes`](Self::record_bytes), [`head_bytes`](Self::head_bytes) and
    /// [`proof_bytes`](Self::proof_bytes).
    pub optimum_bytes: u64,
    /// Bytes of records, without any framing, that had to travel at the least: what was appended, times the
    /// other honest nodes.
    pub record_bytes: u64,
    /// Bytes of signed heads that had to travel at the least: each that was published, as on the wire (size,
    /// root and signature), times the other honest nodes.
    pub head_bytes: u64,
    /// Bytes of consistency proofs (RFC 9162 section 2.1.4) between each head published and the one published
    /// before it, times the other honest nodes. Whoever has all records can do without them; they count as
    /// they are what whoever checks a head before its records come must be sent.
    pub proof_bytes: u64,
    /// Crashes.
    pub crashes: u64,
    /// Logs whose writer signed two histories.
    pub forks_made: u64,
    /// Those of them of which nodes of the core, connected with each other through followers of the log, held
    /// two histories in the end, or at least one the fork proof. (What a writer shows to nobody, or withholds
    /// the records of, nobody can see.)
    pub forks_visible: u64,
    /// Those of the visible ones of which all these nodes held the fork proof. Where nothing was broken, these
    /// are all the visible ones.
    pub forks_proven: u64,
    /// Forks that honest nodes said they had found.
    pub detections: u64,
    /// Peers that honest nodes said were at fault.
    pub accusations: u64,
    /// Those of them that were honest.
    pub false_accusations: u64,
    /// From append until all of the core held a record: the median.
    pub latency_p50: u64,
    /// The same: of a hundred records, the slowest but one.
    pub latency_p99: u64,
    /// From the signing of a second history until it was proven everywhere.
    pub time_to_proof: Option<u64>,
    /// When all of the core had converged after faults ended.
    pub converged_at: Option<u64>,
    /// When it was over.
    pub ended_at: u64,
    /// What was still pending then, and why.
    pub pending: Vec<String>,
    /// How convergence went.
    pub samples: Vec<Sample>,
    /// What was broken.
    pub violation: Option<Violation>,
}

#[derive(Default)]
pub(super) struct Metrics {
    pub(super) digest: u64,
    pub(super) events: u64,
    pub(super) messages: u64,
    bytes: u64,
    pub(super) record_bytes: u64,
    /// Honest nodes but one.
    pub(super) replicas: u64,
    /// The size of the head that each node published last.
    sizes: Vec<u64>,
    heads: u64,
    head_bytes: u64,
    proof_bytes: u64,
    pub(super) crashes: u64,
    pub(super) forks_made: u64,
    pub(super) forks_visible: u64,
    pub(super) forks_proven: u64,
    pub(super) detections: u64,
    pub(super) accusations: u64,
    pub(super) false_accusations: u64,
    pub(super) proven_at: Option<u64>,
    pub(super) converged_at: Option<u64>,
    pub(super) ended_at: Option<u64>,
    pub(super) pending: Vec<String>,
    pub(super) samples: Vec<Sample>,
    idle_messages: u64,
    idle_bytes: u64,
}

impl Metrics {
    /// Bytes left a member, for another honest one or not.
    pub(super) fn sent(&mut self, len: usize, is_honest: bool) {
        self.bytes += len as u64;
        if is_honest {
            self.idle_messages += 1;
            self.idle_bytes += len as u64;
        }
    }

    /// A writer published a head of its own log.
    pub(super) fn published(&mut self, node: usize, size: u64) {
        if self.sizes.len() <= node {
            self.sizes.resize(node + 1, 0);
        }
        let before = core::mem::replace(&mut self.sizes[node], size);
        if size > before {
            let proof = consistency_proof_len(before.max(1), size).unwrap_or(0);
            self.heads += 1;
            self.head_bytes += size_of_value(&size).unwrap_or(0) as u64 + (Hash::LEN + Signature::LEN) as u64;
            self.proof_bytes += (proof * Hash::LEN) as u64;
        }
    }

    pub(super) fn begin_idle(&mut self) {
        self.idle_messages = 0;
        self.idle_bytes = 0;
    }

    /// Messages and bytes between honest nodes since everything had converged.
    pub(super) fn idle(&self) -> (u64, u64) {
        (self.idle_messages, self.idle_bytes)
    }

    pub(super) fn into_report(
        self,
        seed: u64,
        profile: Profile,
        now: u64,
        mut latencies: Vec<u64>,
        violation: Option<Violation>,
    ) -> Report {
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            let last = latencies.len().saturating_sub(1);
            latencies.get(last * percent / 100).copied().unwrap_or(0)
        };
        Report {
            seed,
            profile,
            digest: self.digest,
            events: self.events,
            messages: self.messages,
            bytes: self.bytes,
            optimum_messages: self.heads * self.replicas,
            optimum_bytes: self.record_bytes + (self.head_bytes + self.proof_bytes) * self.replicas,
            record_bytes: self.record_bytes,
            head_bytes: self.head_bytes * self.replicas,
            proof_bytes: self.proof_bytes * self.replicas,
            crashes: self.crashes,
            forks_made: self.forks_made,
            forks_visible: self.forks_visible,
            forks_proven: self.forks_proven,
            detections: self.detections,
            accusations: self.accusations,
            false_accusations: self.false_accusations,
            latency_p50: percentile(50),
            latency_p99: percentile(99),
            time_to_proof: self.proven_at,
            converged_at: self.converged_at,
            ended_at: self.ended_at.unwrap_or(now),
            pending: self.pending,
            samples: self.samples,
            violation,
        }
    }
}
