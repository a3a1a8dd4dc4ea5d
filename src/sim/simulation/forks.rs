//! Which forks can be seen in the core at the end, and which are proven. Of a history that its writer showed to
//! nobody, nobody has to know.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::state::Simulation;
use crate::key::{LogId, Scheme};
use crate::log::{Hash, root_at};
use crate::sim::disk::Disk;
use crate::sim::links::components;
use crate::sim::member::Member;

impl<S: Scheme, D: Disk> Simulation<S, D> {
    /// Logs whose fork is visible, and those of them that are proven wherever it is. A fork is visible where
    /// nodes of the core that follow the log, and are connected with each other through its followers, hold
    /// what contradicts each other, or one of them holds the fork proof; and proven when all of these nodes
    /// hold it.
    pub(super) fn forks(&mut self) -> (u64, u64) {
        let forked = self.oracle.logs.iter().filter(|(_, truth)| truth.forked_at.is_some());
        let forked: Vec<LogId> = forked.map(|(log, _)| *log).collect();
        let (mut visible, mut proven) = (0, 0);
        for log in forked {
            let follows = |at: &u32| self.members[*at as usize].node.log(&log).is_some();
            let followers: Vec<u32> = self.core.iter().copied().filter(follows).collect();
            let (mut is_visible, mut is_proven) = (false, true);
            for together in components(&followers, &self.plan.links) {
                let is_forked = |at: &u32| self.members[*at as usize].node.log(&log).is_some_and(|info| info.is_forked);
                let with_proof = together.iter().filter(|at| is_forked(at)).count();
                if with_proof > 0 || contradict(&log, &together, &mut self.members) {
                    is_visible = true;
                    is_proven &= with_proof == together.len();
                }
            }
            visible += u64::from(is_visible);
            proven += u64::from(is_visible && is_proven);
        }
        (visible, proven)
    }
}

/// Whether what these nodes hold of a log, signed heads and the records under them, is of two histories.
fn contradict<S: Scheme, D: Disk>(log: &LogId, nodes: &[u32], members: &mut [Member<S, D>]) -> bool {
    let mut roots: BTreeMap<u64, BTreeSet<Hash>> = BTreeMap::new();
    let mut held = Vec::new();
    for at in nodes {
        let Ok(Some(stored)) = members[*at as usize].disk.contents().log(log) else { continue };
        let state = stored.state;
        for signed in [state.complete, state.covering, state.unproven].into_iter().flatten() {
            roots.entry(signed.head.size).or_default().insert(signed.head.root);
        }
        roots.entry(state.have).or_default();
        held.push((*at, state.have));
    }
    for (at, have) in held {
        let disk = members[at as usize].disk.contents();
        for (size, roots) in roots.range_mut(..=have) {
            roots.extend(root_at(*size, |position| disk.hash(log, position)).ok());
        }
    }
    roots.values().any(|roots| roots.len() > 1)
}
