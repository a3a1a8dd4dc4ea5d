//! The oracle: what it knows of every log, what it saw each node hold, and what it heard each say. Is told of what is
//! appended and of who starts again, and looks at a node after each event that touched it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::holdings::{Held, check_introductions, check_log, check_tables};
use super::invariant::{Broken, Invariant};
use super::truth::Truth;
use crate::key::{LogId, Scheme};
use crate::sim::disk::Disk;
use crate::sim::member::Member;

/// Knows what is true.
pub(in crate::sim) struct Oracle {
    pub(in crate::sim) logs: BTreeMap<LogId, Truth>,
    pub(super) seen: Vec<BTreeMap<LogId, Held>>,
    buf: Vec<u8>,
    /// What each node ever said, signed, that it holds of another's log.
    pub(super) said: BTreeMap<(LogId, LogId), u64>,
    pub(super) nonces: BTreeSet<[u8; 16]>,
    /// Latencies from append until all of the core holds the record, in microseconds.
    pub(in crate::sim) latencies: Vec<u64>,
}

impl Oracle {
    pub(in crate::sim) fn new(honest: usize) -> Self {
        let seen = (0..honest).map(|_| BTreeMap::new()).collect();
        Self {
            logs: BTreeMap::new(),
            seen,
            buf: vec![0; 70_000],
            said: BTreeMap::new(),
            nonces: BTreeSet::new(),
            latencies: Vec::new(),
        }
    }

    pub(in crate::sim) fn know(&mut self, log: LogId, writer: Option<u32>) {
        self.logs.insert(log, Truth::new(writer));
    }

    /// An honest writer appended a record and was told its index.
    pub(in crate::sim) fn appended(
        &mut self,
        log: &LogId,
        index: u64,
        record: Vec<u8>,
        now: u64,
    ) -> Result<(), Broken> {
        let Some(truth) = self.logs.get_mut(log) else { return Ok(()) };
        if index != truth.len() {
            let what = format!("appended as record {index}, where {} were written", truth.len());
            return Err((Invariant::Replica, what));
        }
        truth.append(record, now);
        Ok(())
    }

    /// A node was started again. Where its disk kept its promises, what it said it had is still there.
    pub(in crate::sim) fn restarted<S: Scheme, D: Disk>(
        &mut self,
        member: &Member<S, D>,
        is_intact: bool,
        now: u64,
    ) -> Result<(), Broken> {
        let Some(seen) = self.seen.get_mut(member.index as usize) else { return Ok(()) };
        let before = core::mem::take(seen);
        if is_intact {
            for (log, held) in &before {
                let info = member.node.log(log);
                let (have, is_forked) = info.map_or((0, false), |info| (info.have, info.is_forked));
                if have < held.claimed || (held.claimed_forked && !is_forked) {
                    let what = format!("said it held {} of {log:?} and came back with {have}", held.claimed);
                    return Err((Invariant::Durability, what));
                }
            }
        }
        let own = member.node.id();
        let have = member.node.log(&own).map_or(0, |info| info.have);
        if let Some(truth) = self.logs.get_mut(&own) {
            if is_intact && have < truth.left {
                let what = format!("showed a head of size {} and came back with {have}", truth.left);
                return Err((Invariant::Durability, what));
            }
            truth.truncate(truth.left.max(have));
            truth.recall(have, now);
        }
        Ok(())
    }

    /// Holds what a node has against what is true, where it changed since it was last looked at.
    pub(in crate::sim) fn check<S: Scheme, D: Disk>(&mut self, member: &mut Member<S, D>) -> Result<bool, Broken> {
        let Some(seen) = self.seen.get_mut(member.index as usize) else { return Ok(false) };
        let mut has_changed = false;
        let mut count = 0;
        for info in member.node.logs() {
            count += 1;
            let held = seen.entry(info.log).or_insert_with(Held::new);
            if (held.have, held.complete, held.is_forked) == (info.have, info.complete, info.is_forked) {
                continue;
            }
            has_changed = true;
            check_log::<S>(&self.logs, held, &info, member.disk.contents(), &mut self.buf)?;
        }
        if has_changed || count > seen.len() {
            check_introductions(member)?;
        }
        if cfg!(debug_assertions) {
            member.node.invariants().map_err(|broken| (Invariant::State, broken.into()))?;
        }
        check_tables(member)?;
        self.check_acknowledged(member)?;
        Ok(has_changed)
    }

    /// What a node takes a peer to hold is what that peer said.
    fn check_acknowledged<S: Scheme, D: Disk>(&self, member: &Member<S, D>) -> Result<(), Broken> {
        let own = member.node.id();
        for peer in member.node.peers() {
            let Some(size) = peer.acknowledged.filter(|size| *size > 0) else { continue };
            let is_honest = self.logs.get(&peer.node).is_some_and(|truth| truth.writer.is_some());
            let said = self.said.get(&(peer.node, own)).copied().unwrap_or(0);
            if is_honest && size > said {
                let what = format!("takes {:?} to hold {size} records, and it never said more than {said}", peer.node);
                return Err((Invariant::Outcome, what));
            }
        }
        Ok(())
    }

    /// What all of the core holds of honest logs: how long it took to get there.
    pub(in crate::sim) fn measure<S: Scheme, D>(&mut self, now: u64, members: &[Member<S, D>], core: &[u32]) {
        for (log, truth) in self.logs.iter_mut().filter(|(_, truth)| truth.writer.is_some()) {
            if truth.reached == truth.len() {
                continue;
            }
            let held = core.iter().filter_map(|at| members.get(*at as usize));
            let reached = held.map(|member| member.node.log(log).map_or(0, |info| info.have)).min().unwrap_or(0);
            for index in truth.reached..reached.min(truth.len()) {
                let appended = usize::try_from(index).ok().and_then(|index| truth.times.get(index));
                self.latencies.extend(appended.map(|appended| now - appended));
            }
            truth.reached = truth.reached.max(reached.min(truth.len()));
        }
    }
}
