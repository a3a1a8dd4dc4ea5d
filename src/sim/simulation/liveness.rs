//! Whether the honest nodes come to agree, and fall silent, once faults have ended. Looked at twice an interval; what
//! keeps them from it is said node by node and log by log.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::state::{Simulation, What};
use crate::key::{LogId, Scheme};
use crate::sim::disk::Disk;
use crate::sim::links::components;
use crate::sim::member::Member;
use crate::sim::metrics::Sample;
use crate::sim::oracle::Invariant;
use crate::sim::plan::Profile;

/// Intervals of silence that are watched after all have converged.
const IDLE_INTERVALS: u64 = 4;

/// Intervals after convergence in which a push that was put off may still come.
const SETTLING_INTERVALS: u64 = 3;

impl<S: Scheme, D: Disk> Simulation<S, D> {
    pub(super) fn sample(&mut self) {
        self.wakes.iter_mut().for_each(|wakes| *wakes = 0);
        self.check_traffic();
        let (converged, mut pending) = self.convergence();
        if pending.is_empty() && self.plan.profile != Profile::Perf {
            let (visible, proven) = self.forks();
            if visible != proven {
                pending.push(format!("{visible} forks are visible, and {proven} are proven"));
            }
        }
        self.metrics.samples.push(Sample { at: self.now, converged });
        if self.is_calm && self.plan.profile != Profile::Perf {
            self.judge_liveness(&pending);
        } else if self.is_calm && pending.is_empty() {
            self.metrics.ended_at = Some(self.now);
        }
        if self.metrics.ended_at.is_none() {
            self.schedule(self.now + self.plan.interval / 2, What::Sample);
        }
    }

    fn judge_liveness(&mut self, pending: &[String]) {
        let (now, interval) = (self.now, self.plan.interval);
        let Some(converged_at) = self.metrics.converged_at else {
            if pending.is_empty() {
                self.metrics.converged_at = Some(now);
            } else if now > self.plan.calm_at + self.plan.patience * interval {
                let node = self.core.first().copied().unwrap_or(0);
                self.metrics.pending = pending.to_vec();
                self.broken(node, (Invariant::Liveness, pending.join("; ")));
            }
            return;
        };
        let idle_from = converged_at + SETTLING_INTERVALS * interval;
        if now <= idle_from {
            self.metrics.begin_idle();
        }
        if now < idle_from + IDLE_INTERVALS * interval {
            return;
        }
        if !pending.is_empty() {
            // Adversaries go on: what they have shown since is to be dealt with as well.
            self.metrics.converged_at = None;
            return;
        }
        self.metrics.ended_at = Some(now);
        // While adversaries go on, or a damaged log is asked for in vain, there is something to talk about.
        let links = self.plan.links.iter().filter(|link| self.is_idle_link(link.from, link.to)).count() as u64;
        let (messages, bytes) = self.metrics.idle();
        let most = links * 2 * (IDLE_INTERVALS * 4 / 3 + 2);
        let is_quiet = self.adversaries.is_empty() && !self.disks.iter().any(|disk| disk.has_rotted);
        if is_quiet && (messages > most || bytes > messages * 400) {
            let what = format!("{messages} messages of {bytes} bytes on {links} links in {IDLE_INTERVALS} intervals");
            self.broken(0, (Invariant::IdleTraffic, what));
        }
    }

    /// How much of what the core should agree on it does agree on, in thousandths, and what is missing.
    pub(super) fn convergence(&mut self) -> (u32, Vec<String>) {
        let mut pending = Vec::new();
        let mut agreed = Agreed::default();
        let core = self.core.clone();
        for (log, truth) in &self.oracle.logs {
            let follows = |at: &&u32| self.members[**at as usize].node.log(log).is_some();
            let followers: Vec<u32> = core.iter().filter(follows).copied().collect();
            if truth.writer.is_some_and(|writer| core.contains(&writer)) && followers.len() < core.len() {
                pending.push(format!("{log:?} is followed by {} of {}", followers.len(), core.len()));
            }
            // What one follower has reaches those that are connected with it through followers.
            let is_whole = followers.len() == core.len();
            let components = if is_whole { vec![followers] } else { components(&followers, &self.plan.links) };
            for together in components {
                let members: Vec<_> = together.iter().map(|at| &self.members[*at as usize]).collect();
                compare(log, &members, &mut agreed, &mut pending);
            }
        }
        for member in core.iter().map(|at| &self.members[*at as usize]).filter(|member| !member.is_up) {
            pending.push(format!("node {} is down", member.index));
        }
        if let Some(forked) = self.oracle.logs.values().filter_map(|truth| truth.forked_at).min()
            && self.metrics.proven_at.is_none()
            && core.iter().any(|at| self.members[*at as usize].node.logs().any(|info| info.is_forked))
            && pending.is_empty()
        {
            self.metrics.proven_at = Some(self.now.saturating_sub(forked));
        }
        ((agreed.agreed * 1_000).checked_div(agreed.pairs).unwrap_or(1_000), pending)
    }
}

/// Of so many pairs of node and log, so many are where they should be.
#[derive(Default)]
struct Agreed {
    pairs: u32,
    agreed: u32,
}

/// Holds what connected followers of one log have against each other: all the same, or all the fork proof.
fn compare<S: Scheme, D: Disk>(log: &LogId, members: &[&Member<S, D>], agreed: &mut Agreed, pending: &mut Vec<String>) {
    let infos = || members.iter().filter_map(|member| Some((member, member.node.log(log)?)));
    let is_forked = infos().any(|(_, info)| info.is_forked);
    let Some((_, best)) = infos().max_by_key(|(_, info)| (info.have, info.complete.size)) else { return };
    for (member, info) in infos() {
        agreed.pairs += 1;
        // (A head alone may be ahead, where its writer withholds what leads to it.)
        let agrees = if is_forked { info.is_forked } else { (info.have, info.complete) == (best.have, best.complete) };
        if agrees {
            agreed.agreed += 1;
            continue;
        }
        let reason = match () {
            () if is_forked => "without the fork proof",
            () if !member.is_up => "down",
            () if info.is_stalled => "stalled",
            () if (info.have, info.complete.size) == (best.have, best.complete.size) => "on another branch",
            () => "behind",
        };
        pending.push(format!(
            "node {} {reason} on {log:?}: {} (head {}) of {} (head {})",
            member.index, info.have, info.complete.size, best.have, best.complete.size
        ));
    }
}
