//! What a node tells, in words for its operator.

use verisoo::Notice;

use crate::driver::Engine;

/// What an operator wants to read in the log. Heads and pushes come by too often for that.
pub fn tell(engine: &Engine, notice: Notice) {
    let name = |peer| engine.peers.get(&peer).map_or("a former peer", |peer| peer.name.as_str());
    match notice {
        Notice::Published { .. } | Notice::Pushed { .. } | Notice::Synced(_) | Notice::SyncEnded { .. } => {}
        Notice::Recovered { size } => eprintln!("recovered: {size} records taken back, writing"),
        Notice::PeerUnhealthy { peer } => {
            let error = engine.peers.get(&peer).and_then(|peer| peer.last_error.as_deref());
            eprintln!("{} does not answer: {}", name(peer), error.unwrap_or("no answer in time"));
        }
        Notice::PeerRecovered { peer } => eprintln!("{} answers again", name(peer)),
        Notice::PeerAtFault { peer, fault } => eprintln!("{} is at fault: it {fault}", name(peer)),
        Notice::ForkDetected { log } => eprintln!("FORK: the writer of log {log} has signed two histories"),
        Notice::LogIntroduced { log, by } => eprintln!("following log {log}, introduced by {}", name(by)),
        Notice::QuotaFull { peer } => eprintln!("{} introduces more logs than it may", name(peer)),
        Notice::LogStalled { log, have } => eprintln!("log {log} stalled at {have} records"),
        Notice::RecordTooLong { log, index } => eprintln!("log {log}: record {index} is longer than a message"),
        Notice::WritingStopped => eprintln!("STOPPED: this key has signed elsewhere; this node writes no more"),
        Notice::LogDamaged { log } => eprintln!("DAMAGED: what the store holds of log {log} is not what was signed"),
        Notice::StoreFailed { error } => eprintln!("the store failed: {error}"),
        other => eprintln!("{other:?}"),
    }
}
