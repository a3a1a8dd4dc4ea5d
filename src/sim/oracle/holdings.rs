//! What a node holds: its logs byte for byte and hash for hash, its heads, its fork proofs, its tables. Read from its
//! disk, without the faults that the disk shows to the node.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::invariant::{Broken, Invariant};
use super::truth::Truth;
use crate::error::Error;
use crate::head::{ForkProof, Head};
use crate::key::{LogId, Scheme, Vkey};
use crate::log::{Frontier, leaf_hash, root_at};
use crate::record::Records;
use crate::sim::disk::Disk;
use crate::sim::member::Member;
use crate::store::{Origin, Store, StoredLog};
use crate::words::{Introductions, LogInfo};

/// What a node was seen to hold of a log.
pub(super) struct Held {
    pub(super) have: u64,
    pub(super) complete: Head,
    pub(super) is_forked: bool,
    frontier: Frontier,
    /// The most it said to others that it holds.
    pub(super) claimed: u64,
    pub(super) claimed_forked: bool,
}

impl Held {
    pub(super) fn new() -> Self {
        Self {
            have: 0,
            complete: Head::EMPTY,
            is_forked: false,
            frontier: Frontier::new(),
            claimed: 0,
            claimed_forked: false,
        }
    }
}

/// Holds what a node has of a log, where that changed, against what is true of it.
pub(super) fn check_log<S: Scheme>(
    truths: &BTreeMap<LogId, Truth>,
    held: &mut Held,
    info: &LogInfo,
    disk: &mut dyn Store,
    buf: &mut [u8],
) -> Result<(), Broken> {
    let log = &info.log;
    let truth = truths.get(log);
    if info.have < held.have || info.complete.size < held.complete.size || (held.is_forked && !info.is_forked) {
        return Err((Invariant::Shrunk, format!("{log:?} went from {} to {}", held.have, info.have)));
    }
    if held.is_forked {
        return Err((Invariant::Frozen, format!("{log:?} was frozen at {} and is now at {}", held.have, info.have)));
    }
    let Ok(Some(stored)) = disk.log(log) else {
        return Err((Invariant::Replica, format!("{log:?} is not in the store")));
    };
    let vkey = Vkey::<S>::trusted(stored.name, stored.key);
    check_records(truth, held, info, disk, buf)?;
    check_heads(truth, held, info, &stored, &vkey, disk)?;
    if info.is_forked {
        check_fork(truth, log, &vkey, disk)?;
    }
    (held.have, held.complete, held.is_forked) = (info.have, info.complete, info.is_forked);
    Ok(())
}

/// Reads what was stored since and holds it against what the writer appended, byte for byte.
fn check_records(
    truth: Option<&Truth>,
    held: &mut Held,
    info: &LogInfo,
    disk: &mut dyn Store,
    buf: &mut [u8],
) -> Result<(), Broken> {
    let log = &info.log;
    let mut at = held.have;
    while at < info.have {
        let read = disk.records(log, at, info.have, buf);
        let Some(read) = read.ok().filter(|read| read.count > 0) else {
            return Err((Invariant::Replica, format!("record {at} of {log:?} is not in the store")));
        };
        for record in Records::new(buf.get(..read.len).unwrap_or_default()).iter().flatten() {
            let written = truth
                .filter(|truth| truth.writer.is_some())
                .map(|truth| usize::try_from(at).ok().and_then(|at| truth.records.get(at)));
            if written.is_some_and(|written| written.map(Vec::as_slice) != Some(record)) {
                return Err((Invariant::Replica, format!("record {at} of {log:?} is not what was appended")));
            }
            let _ = held.frontier.push(leaf_hash(record), |_| {});
            at += 1;
        }
    }
    Ok(())
}

fn check_heads<S: Scheme>(
    truth: Option<&Truth>,
    held: &Held,
    info: &LogInfo,
    stored: &StoredLog,
    vkey: &Vkey<S>,
    disk: &mut dyn Store,
) -> Result<(), Broken> {
    let log = &info.log;
    let state = &stored.state;
    for signed in [state.complete, state.covering, state.unproven].into_iter().flatten() {
        if signed.verify(vkey).is_err() {
            return Err((Invariant::Signature, format!("a head of {log:?} of size {}", signed.head.size)));
        }
    }
    let size = info.complete.size;
    let root = if size == held.frontier.size() {
        Some(held.frontier.root())
    } else {
        root_at(size, |position| disk.hash(log, position)).ok()
    };
    let is_true = truth.filter(|truth| truth.writer.is_some()).is_none_or(|truth| truth.root(size) == root);
    if root != Some(info.complete.root) || !is_true {
        let what = format!("the root of {log:?} at size {size} is not that of its records");
        return Err((Invariant::Replica, what));
    }
    Ok(())
}

fn check_fork<S: Scheme>(
    truth: Option<&Truth>,
    log: &LogId,
    vkey: &Vkey<S>,
    disk: &mut dyn Store,
) -> Result<(), Broken> {
    if truth.is_none_or(|truth| truth.forked_at.is_none()) {
        return Err((Invariant::FalseAccusation, format!("{log:?} is held to be forked, and is not")));
    }
    let mut buf = [0; ForkProof::MAX_LEN];
    let len = disk.fork(log, &mut buf).ok().flatten().unwrap_or(0);
    let proof = ForkProof::decode(buf.get(..len).unwrap_or_default());
    if proof.is_ok_and(|proof| proof.verify(vkey).is_ok()) {
        Ok(())
    } else {
        Err((Invariant::ForkProof, format!("of {log:?}")))
    }
}

/// Nobody introduces more logs than his quota.
pub(super) fn check_introductions<S: Scheme, D: Disk>(member: &Member<S, D>) -> Result<(), Broken> {
    let Introductions::Accept { logs: quota, .. } = member.config().introductions else { return Ok(()) };
    let mut counts: BTreeMap<LogId, usize> = BTreeMap::new();
    for info in member.node.logs() {
        if let Origin::Introduced(by) = info.origin {
            let count = counts.entry(by).or_default();
            *count += 1;
            if *count > quota {
                return Err((Invariant::Bound, format!("{by:?} introduced more than {quota} logs")));
            }
        }
    }
    Ok(())
}

/// No table grows beyond its bound, and nobody is taken to hold what was never signed.
pub(super) fn check_tables<S: Scheme, D: Disk>(member: &Member<S, D>) -> Result<(), Broken> {
    let (node, config) = (&member.node, member.config());
    let tables = [
        (node.outstanding_requests(), config.max_requests, "requests are outstanding"),
        (node.remembered_views(), config.max_views, "differences are remembered"),
    ];
    if let Some((len, limit, what)) = tables.into_iter().find(|(len, limit, _)| len > limit) {
        return Err((Invariant::Bound, format!("{len} {what}, where at most {limit} may be")));
    }
    if member.node.check_writing() == Err(Error::Stopped) {
        // A node that stopped while it recovered has been told of more than it will ever take back.
        return Ok(());
    }
    // While it recovers, a node has signed what its own key's heads say, though it does not hold it yet.
    let complete = member.node.log(&member.node.id()).map_or(0, |info| info.complete.size);
    let own = complete.max(member.node.recovery().map_or(0, |recovery| recovery.signed));
    match member.node.peers().find(|peer| peer.acknowledged.is_some_and(|size| size > own)) {
        Some(peer) => Err((Invariant::Outcome, format!("{:?} is said to hold more than was signed", peer.node))),
        None => Ok(()),
    }
}
