//! What a simulation measured.

use alloc::string::String;
use alloc::vec::Vec;

use super::oracle::Violation;
use super::plan::Profile;

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
    /// Bytes of records that had to travel at the least: what was appended, times the other honest nodes.
    pub record_bytes: u64,
    /// Crashes.
    pub crashes: u64,
    /// Logs whose writer signed two histories.
    pub forks_made: u64,
    /// Those of them that every node of the core that follows them holds a fork proof of.
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
    pub(super) crashes: u64,
    pub(super) forks_made: u64,
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
            record_bytes: self.record_bytes,
            crashes: self.crashes,
            forks_made: self.forks_made,
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
