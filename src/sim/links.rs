//! Who is connected with whom, by a plan's links alone: the core, which has to converge, and the parts of it that a
//! log's followers make.

use alloc::vec;
use alloc::vec::Vec;

use super::plan::{Act, DiskFault, Link, Plan};

/// The largest set of honest nodes that are connected through honest nodes. One whose disk reads falsely at
/// times is none of them: it stops serving what it finds damaged, and says so.
pub(super) fn connected(plan: &Plan) -> Vec<u32> {
    let honest = u32::try_from(plan.honest()).unwrap_or(0);
    let rots = |node: u32| {
        plan.entries.iter().any(
            |entry| matches!(entry.act, Act::Disk { node: rotten, fault: DiskFault::Rot { .. }, .. } if rotten == node),
        )
    };
    let sound: Vec<u32> = (0..honest).filter(|node| !rots(*node)).collect();
    // Of equally large ones the first.
    let components = components(&sound, &plan.links);
    components.into_iter().rev().max_by_key(Vec::len).unwrap_or_default()
}

/// Parts nodes into those that are connected with each other through links among them.
pub(super) fn components(nodes: &[u32], links: &[Link]) -> Vec<Vec<u32>> {
    let mut left = nodes.to_vec();
    let mut components = Vec::new();
    while let Some(start) = left.first().copied() {
        left.remove(0);
        let mut reached = vec![start];
        let mut next = 0;
        while let Some(at) = reached.get(next).copied() {
            next += 1;
            let is_linked = |other: u32| {
                links.iter().any(|link| (link.from, link.to) == (at, other) || (link.from, link.to) == (other, at))
            };
            let (linked, others) = left.into_iter().partition(|other| is_linked(*other));
            left = others;
            let linked: Vec<u32> = linked;
            reached.extend(linked);
        }
        reached.sort_unstable();
        components.push(reached);
    }
    components
}
