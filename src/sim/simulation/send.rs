//! What leaves a member, on its way through the network, which decides when it arrives, and whether.

use super::state::{Packet, Simulation, What};
use crate::key::Scheme;
use crate::sim::adversary::Outcome;
use crate::sim::disk::Disk;

impl<S: Scheme, D: Disk> Simulation<S, D> {
    /// Takes the bytes in `scratch[..len]` to a member.
    pub(super) fn send(&mut self, from: u32, to: u32, len: usize, delay: u64, outcome: Option<Outcome>) {
        let fate = self.network.send(self.now, from, to, len);
        self.metrics.sent(len, self.is_idle_link(from, to));
        for (is_again, arrives) in [(false, fate.first), (true, fate.again)] {
            let Some(arrives) = arrives else { continue };
            let at = self.free.pop().unwrap_or_else(|| {
                self.packets.push(Packet::default());
                u32::try_from(self.packets.len() - 1).unwrap_or(u32::MAX)
            });
            let packet = &mut self.packets[at as usize];
            (packet.from, packet.to, packet.outcome, packet.is_again) = (from, to, outcome, is_again);
            packet.bytes.clear();
            packet.bytes.extend_from_slice(&self.scratch[..len]);
            self.schedule(arrives + delay, What::Packet(at));
        }
    }

    pub(super) fn is_idle_link(&self, from: u32, to: u32) -> bool {
        let honest = self.members.len();
        (from as usize) < honest && (to as usize) < honest
    }
}
