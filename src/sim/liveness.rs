//! Whether the honest nodes come to agree, and fall silent, once faults have ended.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::disk::{Disk, DiskFault};
use super::member::Member;
use super::plan::{Act, Plan, Profile};
use super::{IDLE_INTERVALS, Invariant, Sample, Simulation, What};
use crate::Scheme;

impl<S: Scheme, D: Disk> Simulation<S, D> {
    pub(super) fn sample(&mut self) {
        self.wakes.iter_mut().for_each(|wakes| *wakes = 0);
        let (converged, pending) = self.convergence();
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
                self.metrics.begin_idle();
            } else if now > self.plan.calm_at + self.plan.patience * interval {
                let node = self.core.first().copied().unwrap_or(0);
                self.metrics.pending = pending.to_vec();
                self.broken(node, (Invariant::Liveness, pending.join("; ")));
            }
            return;
        };
        if now < converged_at + IDLE_INTERVALS * interval {
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
        let (mut pairs, mut agreed) = (0_u32, 0_u32);
        let members = &self.members;
        let core: Vec<&Member<S, D>> = self.core.iter().map(|at| &members[*at as usize]).collect();
        for (log, truth) in &self.oracle.logs {
            let infos: Vec<_> = core.iter().filter_map(|member| Some((member, member.node.log(log)?))).collect();
            let is_forked = infos.iter().any(|(_, info)| info.is_forked);
            let best = infos.iter().map(|(_, info)| (info.have, info.complete.size)).max().unwrap_or_default();
            let root = infos.iter().find(|(_, info)| (info.have, info.complete.size) == best).map(|(_, i)| i.complete);
            if truth.writer.is_some_and(|writer| self.core.contains(&writer)) && infos.len() < core.len() {
                pending.push(format!("{log:?} is followed by {} of {}", infos.len(), core.len()));
            }
            for (member, info) in &infos {
                pairs += 1;
                let agrees = if is_forked {
                    info.is_forked
                } else {
                    // A head alone may be ahead where its writer withholds what leads to it.
                    (info.have, info.complete.size) == best && Some(info.complete) == root
                };
                let is_excused = info.is_damaged;
                if agrees || is_excused {
                    agreed += 1;
                } else {
                    let reason = if is_forked {
                        "no fork proof"
                    } else if !member.is_up {
                        "down"
                    } else if info.is_stalled {
                        "stalled"
                    } else {
                        "behind"
                    };
                    pending.push(format!(
                        "node {} {reason} on {log:?}: {} (head {}) of {} (head {})",
                        member.index, info.have, info.complete.size, best.0, best.1
                    ));
                }
            }
        }
        for member in core.iter().filter(|member| !member.is_up) {
            pending.push(format!("node {} is down", member.index));
        }
        if let Some(forked) = self.oracle.logs.values().filter_map(|truth| truth.forked_at).min()
            && self.metrics.proven_at.is_none()
            && self.core.iter().any(|at| members[*at as usize].node.logs().any(|info| info.is_forked))
            && pending.is_empty()
        {
            self.metrics.proven_at = Some(self.now.saturating_sub(forked));
        }
        ((agreed * 1_000).checked_div(pairs).unwrap_or(1_000), pending)
    }
}

/// The largest set of honest nodes that are connected through honest nodes. One whose disk reads falsely at
/// times is none of them: it stops serving what it finds damaged, and says so.
pub(super) fn connected(plan: &Plan) -> Vec<u32> {
    let honest = u32::try_from(plan.honest()).unwrap_or(0);
    let rots = |node: u32| {
        plan.entries.iter().any(
            |entry| matches!(entry.act, Act::Disk { node: rotten, fault: DiskFault::Rot { .. }, .. } if rotten == node),
        )
    };
    let mut largest: Vec<u32> = Vec::new();
    for start in (0..honest).filter(|start| !rots(*start)) {
        let mut reached = vec![start];
        let mut next = 0;
        while let Some(at) = reached.get(next).copied() {
            next += 1;
            for link in plan.links.iter().filter(|link| link.from.max(link.to) < honest) {
                let other = if link.from == at {
                    link.to
                } else if link.to == at {
                    link.from
                } else {
                    continue;
                };
                if !rots(other) && !reached.contains(&other) {
                    reached.push(other);
                }
            }
        }
        if reached.len() > largest.len() {
            reached.sort_unstable();
            largest = reached;
        }
    }
    largest
}
