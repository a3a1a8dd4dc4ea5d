//! What introduced logs may cost: each peer has a quota of logs and of bytes for those that it introduced, and a quarter
//! of the table stays free for logs that the operator names.

use super::value::Node;
use crate::state::{Replica, Tables};
use crate::store::Origin;
use crate::words::{Introductions, PeerId};

impl<T: Tables> Node<T> {
    /// Whether a peer may introduce one more log. A quarter of the table stays free for logs that the
    /// operator names.
    pub(super) fn may_introduce(&self, peer: PeerId) -> bool {
        let Introductions::Accept { logs, bytes } = self.config.introductions else { return false };
        let limit = self.logs.limit(&self.config);
        self.peers.find(peer).is_some_and(|peer| {
            peer.introduced.logs < logs && peer.introduced.bytes < bytes && self.logs.len() < limit - limit / 4
        })
    }

    /// Whether so many more bytes of this log may be stored: introduced ones have a quota.
    pub(super) fn has_room_for(&self, replica: &Replica, bytes: u64) -> bool {
        if !matches!(replica.origin, Origin::Introduced(_)) {
            return true;
        }
        let Introductions::Accept { bytes: quota, .. } = self.config.introductions else { return false };
        self.peers.introducer(replica.origin).is_some_and(|peer| peer.introduced.bytes.saturating_add(bytes) <= quota)
    }

    /// Says, once a round at most, that the introducer of this log has used up its quota.
    pub(super) fn quota_full(&mut self, origin: Origin) {
        if let Some(peer) = self.peers.introducer_mut(origin) {
            peer.note_quota();
        }
    }
}
