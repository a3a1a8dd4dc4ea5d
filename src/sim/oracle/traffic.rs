//! How much a node sends of its own accord, for what it is sent and writes: whoever sends more can be made to flood
//! others.

use alloc::format;

use super::invariant::{Broken, Invariant};

/// Bytes that came to an honest node, were appended at it, and left it as its own questions and pushes. (Its
/// answers are bounded one by one, by what their asker takes.)
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sim) struct Traffic {
    received: u64,
    appended: u64,
    sent: u64,
}

impl Traffic {
    pub(in crate::sim) fn received(&mut self, len: usize) {
        self.received += len as u64;
    }

    pub(in crate::sim) fn appended(&mut self, len: usize) {
        // With its share of what signs and proves it.
        self.appended += len as u64 + 300;
    }

    pub(in crate::sim) fn sent(&mut self, len: usize) {
        self.sent += len as u64;
    }

    /// For each byte that it is sent or writes, a node sends at most two to each peer; beside that, what a round
    /// asks a peer, and as much as a few messages to begin with.
    pub(in crate::sim) fn check(&self, peers: u64, rounds: u64) -> Result<(), Broken> {
        let bound = peers * (2 * (self.received + self.appended) + 300 * rounds) + 40_000;
        if self.sent <= bound {
            return Ok(());
        }
        let Self { received, appended, sent } = self;
        let what = format!("sent {sent} bytes to {peers} peers, having received {received} and appended {appended}");
        Err((Invariant::Bound, what))
    }
}
