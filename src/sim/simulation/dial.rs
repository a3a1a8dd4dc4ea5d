//! Who knows whom when he starts: the plan's links, and the logs that are followed by hand. A node that starts again
//! is told anew.

use alloc::vec::Vec;

use super::state::Simulation;
use crate::key::{Scheme, Vkey};
use crate::sim::disk::Disk;
use crate::sim::member::Member;

impl<S: Scheme, D: Disk> Simulation<S, D> {
    /// Makes the plan's links known to a node that has just started. `false` where its disk did not let it.
    pub(super) fn dial(&mut self, at: usize) -> bool {
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        let links: Vec<u32> = self.plan.links.iter().filter(|link| link.from == index).map(|link| link.to).collect();
        let mut is_done = true;
        for to in links {
            let vkey = self.vkey(to);
            is_done &= self.members[at].dial(to, vkey).is_ok();
        }
        if self.plan.nodes[at].pins {
            for other in 0..self.members.len() {
                let vkey = self.members[other].vkey();
                let member = &mut self.members[at];
                is_done &= member.node.follow(&mut member.disk, &vkey).is_ok();
            }
        }
        is_done
    }

    pub(super) fn dial_adversary(&mut self, at: usize) {
        let index = self.adversaries[at].index();
        let peers: Vec<_> = self
            .plan
            .links
            .iter()
            .filter(|link| link.from == index)
            .map(|link| (link.to, self.vkey(link.to)))
            .collect();
        let honest: Vec<_> = self.members.iter().map(Member::vkey).collect();
        self.adversaries[at].dial(&peers, &honest);
    }

    fn vkey(&self, index: u32) -> Vkey<S> {
        let at = index as usize;
        match self.members.get(at) {
            Some(member) => member.vkey(),
            None => self.adversaries[at - self.members.len()].vkey(),
        }
    }
}
