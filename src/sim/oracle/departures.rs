//! What leaves an honest node: it is durable, of one history, and fresh, and says that no more is held than is.
//! Also remembers it: what was once said must still be so after a crash.

use alloc::format;

use super::invariant::{Broken, Invariant};
use super::knowledge::Oracle;
use crate::head::Head;
use crate::key::{LogId, Scheme};
use crate::record::Records;
use crate::sim::disk::Disk;
use crate::sim::member::Member;
use crate::wire::{Batch, Frame, Message, Nonce, PushWord, Request, Response, StatusBody};

impl Oracle {
    /// Judges what leaves an honest node: all of it must be durable, and every head of an honest log its
    /// history's.
    pub(in crate::sim) fn departs<S: Scheme, D: Disk>(
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
}
