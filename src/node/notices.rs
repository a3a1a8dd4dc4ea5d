//! What the application is told: derived from what is marked as not told yet, so that of two things about the same the
//! later is told. What stops the writer comes first, and what is told as done is durable.

use super::value::Node;
use crate::state::{LogSync, News, Stage, SyncProgress, Tables, View};
use crate::store::Store;
use crate::words::{Health, Notice, SyncError, SyncReport};

impl<T: Tables> Node<T> {
    pub(super) fn next_notice(&mut self, store: &mut dyn Store) -> Option<Notice> {
        if let Some(error) = self.disk.take_report() {
            return Some(Notice::StoreFailed { error });
        }
        if self.writing.take_stopped() {
            return Some(Notice::WritingStopped);
        }
        let tells_of_logs = self.writing.has_untold() || self.logs.has_news();
        // What is told as done is durable.
        if tells_of_logs && self.is_told_later(store) {
            return self.next_peer_notice();
        }
        if let Some(head) = self.writing.take_published() {
            return Some(Notice::Published { head });
        }
        if self.writing.take_recovered() {
            let size = self.logs.own().map_or(0, |replica| replica.have);
            return Some(Notice::Recovered { size });
        }
        let of_a_log = if self.logs.has_news() { self.next_log_notice() } else { None };
        of_a_log.or_else(|| self.next_peer_notice()).or_else(|| self.next_sync_notice())
    }

    /// Whether the store has yet to make durable what there is to tell.
    fn is_told_later(&mut self, store: &mut dyn Store) -> bool {
        if self.disk.unsynced().is_some() && self.disk.retry_at() > self.clock.now {
            return true;
        }
        let settled = self.settle(store);
        settled.map_err(|error| self.store_failed(error)).is_err()
    }

    fn next_log_notice(&mut self) -> Option<Notice> {
        while let Some((replica, news)) = self.logs.take_news() {
            let (log, have, origin) = (replica.id, replica.have, replica.origin);
            return Some(match news {
                News::Forked => Notice::ForkDetected { log },
                News::Stalled => Notice::LogStalled { log, have },
                News::TooLong => Notice::RecordTooLong { log, index: have },
                News::Damaged => Notice::LogDamaged { log },
                News::Introduced => {
                    let Some(peer) = self.peers.introducer(origin) else { continue };
                    Notice::LogIntroduced { log, by: peer.id }
                }
            });
        }
        None
    }

    fn next_peer_notice(&mut self) -> Option<Notice> {
        self.peers.iter_mut().find_map(|peer| {
            let id = peer.id;
            if let Some(health) = peer.standing.take_news() {
                return Some(match health {
                    Health::Healthy => Notice::PeerRecovered { peer: id },
                    Health::Unhealthy => Notice::PeerUnhealthy { peer: id },
                    Health::AtFault(fault) => Notice::PeerAtFault { peer: id, fault },
                });
            }
            if let Some((log, outcome)) = peer.untold.pushed.take() {
                return Some(Notice::Pushed { peer: id, log, outcome });
            }
            core::mem::take(&mut peer.untold.quota).then_some(Notice::QuotaFull { peer: id })
        })
    }

    /// What is to be told of on-demand syncs.
    fn next_sync_notice(&mut self) -> Option<Notice> {
        let replicas = &self.logs;
        let ended = self.views.iter_mut().find_map(|view| {
            let Some(LogSync::Ended(SyncProgress { before, received, theirs }, error)) = view.sync else { return None };
            view.sync = None;
            let after = replicas.find(&view.log).map_or(before, |replica| replica.have);
            let (peer, log) = (view.peer, view.log);
            Some(SyncReport { peer, log, received, before, after, theirs, error })
        });
        if let Some(report) = ended {
            // Kept for this report alone, where the log is not followed any more. A log not followed yet is still
            // to be: its difference stays, as any other.
            let is_removed = report.error == Some(SyncError::Removed) && replicas.find(&report.log).is_none();
            let is_it = |view: &View| is_removed && (view.log, view.peer) == (report.log, report.peer);
            self.views.retain(|view| !is_it(view));
            return Some(Notice::Synced(report));
        }
        let views = &self.views;
        self.peers.iter_mut().find_map(|peer| {
            let sync = peer.sync?;
            let error = match sync.stage {
                Stage::Compared => None,
                Stage::Failed(error) => Some(error),
                Stage::Wanted | Stage::Comparing => return None,
            };
            if views.iter().any(|view| view.peer == peer.id && view.sync.is_some()) {
                return None;
            }
            peer.sync = None;
            Some(Notice::SyncEnded { peer: peer.id, logs: sync.logs, error })
        })
    }
}
