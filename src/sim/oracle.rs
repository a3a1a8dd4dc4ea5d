//! What must hold, whatever happens: checked from outside, with what the nodes show, what their disks hold
//! and what leaves them. Knows what every honest writer appended, and which adversaries signed two
//! histories.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::disk::Disk;
use super::member::Member;
use crate::head::ForkProof;
use crate::log::{Frontier, leaf_hash, root_at};
use crate::store::{Origin, Store, StoredLog};
use crate::wire::{Batch, Frame, Message, Nonce, PushWord, Request, Response, StatusBody};
use crate::words::{Introductions, LogInfo};
use crate::{Hash, Head, LogId, Records, Scheme, Vkey};

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Invariant {
    /// A replica is not a prefix of what its writer appended, or its root is not that of its records.
    Replica,
    /// A head was accepted that the log's key did not sign.
    Signature,
    /// What a node holds became less without a restart.
    Shrunk,
    /// Something left a node that its disk could still lose, or was lost though it had left.
    Durability,
    /// An honest node showed a head of an honest log that is none of its history.
    TwoHistories,
    /// An honest writer, or an honest peer, was accused.
    FalseAccusation,
    /// A fork proof was kept that does not verify by itself.
    ForkProof,
    /// A frozen log changed.
    Frozen,
    /// A table, a message or an answer grew beyond its bound.
    Bound,
    /// A node wanted something done without end, or woke up without end.
    Polling,
    /// A nonce was used twice: an answer to an earlier question could pass for one to a later.
    Nonce,
    /// An adversary's act did not have the outcome it must have.
    Outcome,
    /// After the faults ended, honest nodes did not converge within the bound.
    Liveness,
    /// Nodes that had converged did not fall silent.
    IdleTraffic,
}

/// What happened that must not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Violation {
    /// Which rule.
    pub invariant: Invariant,
    /// When, in microseconds of simulated time.
    pub at: u64,
    /// On which node.
    pub node: u32,
    /// What exactly, for people.
    pub what: String,
}

/// A rule that was broken, and how.
pub(super) type Broken = (Invariant, String);

/// The history of an honest writer's log, or what is known of an adversary's.
pub(super) struct Truth {
    /// The honest writer; `None` for an adversary's log.
    pub(super) writer: Option<u32>,
    records: Vec<Vec<u8>>,
    /// Roots by size, from 0.
    roots: Vec<Hash>,
    frontier: Frontier,
    /// When each record was appended.
    times: Vec<u64>,
    /// The largest size of a signed head that left the writer.
    pub(super) left: u64,
    /// Records that every core node holds.
    reached: u64,
    /// When its writer signed a second history.
    pub(super) forked_at: Option<u64>,
    /// What its writer forgot, with its index: that it was forgotten may be lost in the next crash.
    forgotten: Vec<(u64, Vec<u8>)>,
}

impl Truth {
    fn new(writer: Option<u32>) -> Self {
        Self {
            writer,
            records: Vec::new(),
            roots: vec![Hash::EMPTY_ROOT],
            frontier: Frontier::new(),
            times: Vec::new(),
            left: 0,
            reached: 0,
            forked_at: None,
            forgotten: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.records.iter().map(|record| record.len() as u64).sum()
    }

    fn root(&self, size: u64) -> Option<Hash> {
        self.roots.get(usize::try_from(size).ok()?).copied()
    }

    fn append(&mut self, record: Vec<u8>, now: u64) {
        // A simulation does not reach 2^62 records.
        let _ = self.frontier.push(leaf_hash(&record), |_| {});
        self.roots.push(self.frontier.root());
        self.records.push(record);
        self.times.push(now);
    }

    /// The writer forgot what it never showed to anybody.
    fn truncate(&mut self, size: u64) {
        let Ok(size) = usize::try_from(size) else { return };
        if size >= self.records.len() {
            return;
        }
        self.forgotten.extend((size as u64..).zip(self.records.drain(size..)));
        self.times.truncate(size);
        self.roots.truncate(size + 1);
        self.frontier = Frontier::new();
        for record in &self.records {
            let _ = self.frontier.push(leaf_hash(record), |_| {});
        }
        self.reached = self.reached.min(size as u64);
    }

    /// The writer holds again what it forgot, and never let anybody know that it did.
    fn recall(&mut self, size: u64, now: u64) {
        while self.len() < size {
            let next = self.len();
            let Some(at) = self.forgotten.iter().rposition(|(index, _)| *index == next) else { return };
            let (_, record) = self.forgotten.remove(at);
            self.append(record, now);
        }
    }
}

/// What a node was seen to hold of a log.
struct Held {
    have: u64,
    complete: Head,
    is_forked: bool,
    frontier: Frontier,
    /// The most it said to others that it holds.
    claimed: u64,
    claimed_forked: bool,
}

impl Held {
    fn new() -> Self {
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

/// Knows what is true.
pub(super) struct Oracle {
    pub(super) logs: BTreeMap<LogId, Truth>,
    seen: Vec<BTreeMap<LogId, Held>>,
    buf: Vec<u8>,
    /// What each node ever said, signed, that it holds of another's log.
    said: BTreeMap<(LogId, LogId), u64>,
    nonces: BTreeSet<[u8; 16]>,
    /// Latencies from append until all of the core holds the record, in microseconds.
    pub(super) latencies: Vec<u64>,
}

impl Oracle {
    pub(super) fn new(honest: usize) -> Self {
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

    pub(super) fn know(&mut self, log: LogId, writer: Option<u32>) {
        self.logs.insert(log, Truth::new(writer));
    }

    /// An honest writer appended a record and was told its index.
    pub(super) fn appended(&mut self, log: &LogId, index: u64, record: Vec<u8>, now: u64) -> Result<(), Broken> {
        let Some(truth) = self.logs.get_mut(log) else { return Ok(()) };
        if index != truth.len() {
            let what = format!("appended as record {index}, where {} were written", truth.len());
            return Err((Invariant::Replica, what));
        }
        truth.append(record, now);
        Ok(())
    }

    /// A node was started again. Where its disk kept its promises, what it said it had is still there.
    pub(super) fn restarted<S: Scheme, D: Disk>(
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
    pub(super) fn check<S: Scheme, D: Disk>(&mut self, member: &mut Member<S, D>) -> Result<bool, Broken> {
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

    /// Judges what leaves an honest node: all of it must be durable, and every head of an honest log its
    /// history's.
    pub(super) fn departs<S: Scheme, D: Disk>(
        &mut self,
        member: &mut Member<S, D>,
        to: &LogId,
        frame: &Frame<'_>,
    ) -> Result<(), Broken> {
        match &frame.message {
            Message::Request(Request::Push(push)) => {
                self.is_fresh(push.nonce)?;
                self.batch_departs(member, &push.batch)
            }
            Message::Request(Request::Status(asked)) => self.is_fresh(asked.nonce),
            Message::Request(Request::PushFork { log, .. }) => self.claims(member, log, 0, true),
            Message::Request(_) => Ok(()),
            Message::Response(response) => match response {
                Response::Records(batch) => self.batch_departs(member, batch),
                Response::Proof(answer) => {
                    self.head_departs(member, &answer.log, &answer.head.head)?;
                    self.claims(member, &answer.log, answer.size, false)
                }
                Response::Status(signed) => {
                    let Ok(body) = StatusBody::decode(signed.body) else {
                        return Err((Invariant::Outcome, "signed a malformed status".into()));
                    };
                    if let Some(own) = body.own {
                        self.claims(member, to, own.have, false)?;
                    }
                    for entry in body.entries.iter().flatten() {
                        self.head_departs(member, &entry.log, &entry.complete)?;
                        self.claims(member, &entry.log, entry.have, entry.forked)?;
                    }
                    Ok(())
                }
                Response::Pushed(signed) => {
                    let Ok(word) = PushWord::decode(signed.body) else {
                        return Err((Invariant::Outcome, "signed a malformed word".into()));
                    };
                    self.head_departs(member, &word.log, &word.complete)?;
                    self.claims(member, &word.log, word.have, false)
                }
                Response::PushedFork { log } | Response::Fork { log, .. } => self.claims(member, log, 0, true),
                Response::Key { .. } | Response::Refused(_) => Ok(()),
            },
        }
    }

    /// A signed answer is as fresh as its nonce: none is used twice.
    fn is_fresh(&mut self, nonce: Nonce) -> Result<(), Broken> {
        if self.nonces.insert(nonce.0) { Ok(()) } else { Err((Invariant::Nonce, "used a nonce again".into())) }
    }

    fn batch_departs<S: Scheme, D: Disk>(
        &mut self,
        member: &mut Member<S, D>,
        batch: &Batch<'_>,
    ) -> Result<(), Broken> {
        let records = Records::new(batch.records);
        let end = batch.start + records.iter().count() as u64;
        self.head_departs(member, &batch.log, &batch.head.head)?;
        if end > batch.head.head.size {
            return Err((Invariant::Replica, "sent records beyond the head they came with".into()));
        }
        if !records.is_empty() {
            self.claims(member, &batch.log, end, false)?;
        }
        Ok(())
    }

    fn head_departs<S: Scheme, D: Disk>(
        &mut self,
        member: &mut Member<S, D>,
        log: &LogId,
        head: &Head,
    ) -> Result<(), Broken> {
        let Some(truth) = self.logs.get_mut(log).filter(|truth| truth.writer.is_some()) else { return Ok(()) };
        if truth.root(head.size) != Some(head.root) {
            let what = format!("showed a head of {log:?} of size {} that is not its history's", head.size);
            return Err((Invariant::TwoHistories, what));
        }
        if *log == member.node.id() {
            truth.left = truth.left.max(head.size);
            if let Some(durable) = member.disk.durable(log) {
                let size = durable.and_then(|stored| stored.state.complete).map_or(0, |complete| complete.head.size);
                if size < head.size && !member.node.is_recovering() {
                    let what = format!("showed its head of size {}, and {size} is durable", head.size);
                    return Err((Invariant::Durability, what));
                }
            }
        }
        Ok(())
    }

    /// A node says that it holds so much of a log.
    fn claims<S: Scheme, D: Disk>(
        &mut self,
        member: &mut Member<S, D>,
        log: &LogId,
        have: u64,
        is_forked: bool,
    ) -> Result<(), Broken> {
        let said = self.said.entry((member.node.id(), *log)).or_default();
        *said = have.max(*said);
        let Some(durable) = member.disk.durable(log) else { return Ok(()) };
        let (size, forked) = durable.map_or((0, false), |stored| (stored.state.have, stored.forked));
        if size < have || (is_forked && !forked) {
            let what = format!("said it held {have} records of {log:?} (forked: {is_forked}), and {size} are durable");
            return Err((Invariant::Durability, what));
        }
        if let Some(held) = self.seen.get_mut(member.index as usize).and_then(|seen| seen.get_mut(log)) {
            held.claimed = held.claimed.max(have);
            held.claimed_forked |= is_forked;
        }
        Ok(())
    }

    /// What all of the core holds of honest logs: how long it took to get there.
    pub(super) fn measure<S: Scheme, D>(&mut self, now: u64, members: &[Member<S, D>], core: &[u32]) {
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

fn check_log<S: Scheme>(
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
fn check_introductions<S: Scheme, D: Disk>(member: &Member<S, D>) -> Result<(), Broken> {
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

fn check_tables<S: Scheme, D: Disk>(member: &Member<S, D>) -> Result<(), Broken> {
    let (node, config) = (&member.node, member.config());
    let tables = [
        (node.outstanding_requests(), config.max_requests, "requests are outstanding"),
        (node.remembered_views(), config.max_views, "differences are remembered"),
    ];
    if let Some((len, limit, what)) = tables.into_iter().find(|(len, limit, _)| len > limit) {
        return Err((Invariant::Bound, format!("{len} {what}, where at most {limit} may be")));
    }
    if member.node.check_writing() == Err(crate::Error::Stopped) {
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
