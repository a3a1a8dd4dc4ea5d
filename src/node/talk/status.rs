//! The status: what have you?
//!
//! - Ask: in rounds, of up to `fanout` peers drawn at random, and sooner where something suggests it. With our digest
//!   and a nonce; page by page where there is more.
//! - Answer: our digest, what we know of the asker's own log and, where the digests differ, our logs in order of id, as
//!   many as fit. All of it signed, over the asker's nonce (see [`wire`](crate::wire)).
//! - Hear: the signature before anything else. Then what it says of our own log; then each entry is held against what
//!   we have, and what differs becomes a view.
//!
//! The rule: what a peer has is known by its own signed and fresh word alone, whatever the transport.

use crate::codec::Writer;
use crate::head::{Head, SignedHead};
use crate::judge::Trouble;
use crate::key::{LogId, Signature};
use crate::log::Hash;
use crate::node::ending::{Blame, Ending};
use crate::node::evidence::Observed;
use crate::node::value::Node;
use crate::node::write::{NO_SIGNATURE, frame, open, refusal_of};
use crate::state::{Compared, Peer, Replica, Stage, Tables, Wake, Walk};
use crate::store::{Store, StoreError};
use crate::time::Instant;
use crate::wire::{
    Entries, Entry, MAX_MESSAGE, MIN_MESSAGE, OwnLog, Refusal, Request, RequestId, Response, Signed, SignedContext,
    StatusBody, StatusRequest,
};
use crate::words::{Ask, Command, Fault, Introductions, PeerId, SyncError};

impl<T: Tables> Node<T> {
    /// Begins a round when its time has come: marks the peers that are to be asked.
    pub(in crate::node) fn begin_round(&mut self, wake: &mut Wake) {
        if self.peers.is_empty() || !wake.is_due(self.peers.next_round) {
            return;
        }
        self.peers.next_round = self.clock.now + self.chance.rng.jitter(self.config.interval);
        wake.wait(self.peers.next_round);
        let now = self.clock.now;
        // A full quota is told once a round at most.
        self.peers.iter_mut().for_each(|peer| peer.untold.quota_told = false);
        self.check_stalls();
        self.mark(Peer::is_healthy);
        self.mark(|peer| !peer.is_healthy() && peer.standing.retry_at() <= now);
        if self.writing.is_recovering() {
            // Each of them is waited for.
            let peers = self.peers.iter_mut();
            peers.filter(|peer| !peer.has_answered && peer.standing.retry_at() <= now).for_each(Peer::try_again);
        }
    }

    /// Marks up to `fanout` of the peers that qualify, each set of them as likely as any other.
    fn mark(&mut self, qualifies: impl Fn(&Peer<T::Scheme>) -> bool) {
        let mut left = self.peers.iter().filter(|peer| qualifies(peer)).count();
        let mut wanted = self.config.fanout.min(left);
        for peer in self.peers.iter_mut().filter(|peer| qualifies(peer)) {
            // Selection sampling: take this one with probability wanted / left.
            if self.chance.rng.below(left) < wanted {
                peer.try_again();
                wanted -= 1;
            }
            left -= 1;
        }
    }

    /// The next status to ask for.
    pub(in crate::node) fn next_status_request(&mut self) -> Option<Command> {
        let at = self.peers.iter().position(|peer| peer.listing.is_due() && !self.requests.is_status_asked(peer.id))?;
        let peer = self.peers.get(at)?.id;
        let command = self.ask(peer, Ask::Status)?;
        let digest = self.digest();
        let peer = self.peers.get_mut(at)?;
        peer.listing.asked(digest);
        peer.sync_goes_on(Stage::Wanted, Stage::Comparing);
        Some(command)
    }

    #[inline(never)]
    pub(in crate::node) fn status_request(&mut self, peer: PeerId, id: RequestId, limit: u32) -> Request<'static> {
        let digest = self.digest();
        let is_pending = self.views.iter().any(|view| view.peer == peer);
        let known = self.peers.find(peer);
        // What was found then is dealt with, and nothing changed here since: if nothing did there either,
        // there is nothing to compare.
        let compared = known.and_then(|known| known.compared).filter(|compared| compared.ours == digest && !is_pending);
        let after = known.and_then(|known| known.listing.walk()).and_then(|walk| walk.after);
        Request::Status(StatusRequest {
            asker: self.writing.id(),
            nonce: self.chance.nonce(id),
            digest,
            compared: compared.map(|compared| compared.theirs),
            after,
            limit,
        })
    }

    #[inline(never)]
    pub(in crate::node) fn answer_status(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        asked: &StatusRequest,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        let buf = self.within(asked.limit, buf);
        let digest = self.digest();
        let own = self.hold_of(store, &asked.asker)?;
        let listed = asked.digest != digest && asked.compared != Some(digest);
        let body = StatusBody {
            digest,
            max_message: self.config.max_message,
            recovering: self.writing.is_recovering(),
            own,
            listed,
            more: false,
            entries: Entries::default(),
        };
        let empty = Response::Status(Signed { signature: NO_SIGNATURE, body: &[] });
        let mut writer = open(buf, &frame(id, empty)).ok_or(Refusal::Busy)?;
        let signature_at = writer.len() - Signature::LEN;
        let mut rest = self.logs.iter_after(asked.after.as_ref()).filter(|_| listed);
        let written = writer.put_bytes_with(|buf| put_listing(buf, &body, store, &mut rest));
        written.map_err(refusal_of)?.ok_or(Refusal::Busy)?;
        self.sign(writer, signature_at, SignedContext::Status, &asked.asker, &asked.nonce)
    }

    /// What we know of the asker's own log; `None` where it is not followed, or cannot be read: one log that cannot
    /// must not silence the node on all others.
    fn hold_of(&mut self, store: &mut dyn Store, asker: &LogId) -> Result<Option<OwnLog>, Refusal> {
        let Some(slot) = self.logs.slot(asker) else { return Ok(None) };
        let Some(replica) = self.logs.get(slot) else { return Ok(None) };
        match own_log(store, replica) {
            Ok(own) => Ok(Some(own)),
            Err(error) if self.notes_damage(Trouble::at(slot, error)) => Ok(None),
            Err(error) => Err(refusal_of(error)),
        }
    }

    /// A status came.
    #[inline(never)]
    pub(in crate::node) fn hear_status(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        request: RequestId,
        status: &Signed<'_>,
    ) -> Result<Ending, Trouble> {
        let Some(known) = self.peers.find(peer) else { return Ok(Ending::None) };
        if !status.verify(SignedContext::Status, &known.vkey, &self.writing.id(), &self.chance.nonce(request)) {
            // Somebody else may have made it: a failure, nobody's fault.
            return Ok(Ending::Failed);
        }
        let Some(body) = StatusBody::decode(status.body).ok().filter(|body| is_next_page(known.listing.walk(), body))
        else {
            return Ok(Ending::Fault(Fault::Malformed, Blame::Signed));
        };
        if !self.hear_of_own_log(store, peer, &body)? {
            return Ok(Ending::Fault(Fault::HeadSignature, Blame::Signed));
        }
        if let Some(peer) = self.peers.find_mut(peer) {
            peer.max_message = body.max_message.clamp(MIN_MESSAGE, MAX_MESSAGE);
        }
        self.compare_listing(store, peer, &body);
        Ok(Ending::Answered)
    }

    /// What the peer knows of our own log; `false` where it shows a head that we cannot have signed.
    #[inline(never)]
    fn hear_of_own_log(&mut self, store: &mut dyn Store, peer: PeerId, body: &StatusBody<'_>) -> Result<bool, Trouble> {
        let Some(slot) = self.logs.slot(&self.writing.id()) else { return Ok(true) };
        if let Some(head) = body.own.and_then(|own| own.head) {
            match self.observe(store, slot, head) {
                Ok(Observed::NotSigned) => return Ok(false),
                Ok(_) => {}
                // Our log is damaged here; the rest of the status is worth having.
                Err(trouble) if self.notes_damage(trouble) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        if let Some(own) = body.own {
            self.acknowledged(store, peer, own.have);
        }
        let is_recovering = self.writing.is_recovering();
        if let Some(peer) = self.peers.find_mut(peer) {
            // One that does not follow our log does not say what it knows of it.
            peer.has_answered |= is_recovering && !body.recovering && body.own.is_some();
        }
        if let Some(own) = body.own {
            let complete = own.head.map_or(Head::EMPTY, |head| head.head);
            let (log, have) = (self.writing.id(), own.have);
            let entry = Entry { log, complete, have, covering: None, unproven: None, forked: false };
            // What we wrote is owed to whoever follows us.
            let before = self.views.of(&log, peer).map_or(have, |view| view.have);
            self.heard(peer, &entry, |view| {
                view.is_owed = true;
                // It takes what it is pushed, though it may not have said so in time.
                if have > before {
                    view.failures = 0;
                    view.retry_at = Instant::ZERO;
                }
            });
        }
        Ok(true)
    }

    /// Compares what a status lists with what we have.
    #[inline(never)]
    fn compare_listing(&mut self, store: &mut dyn Store, peer: PeerId, body: &StatusBody<'_>) {
        let Some(mut walk) = self.peers.find_mut(peer).and_then(|peer| peer.listing.answered()) else { return };
        let own = self.writing.id();
        if !body.listed {
            // Everything is as it was when the two last compared: nothing differs, or nothing that can
            // be mended.
            self.views.retain(|view| view.peer != peer || view.sync.is_some() || view.log == own);
            return self.compared(peer, &walk, body.digest);
        }
        walk.is_partial |= walk.theirs.is_some_and(|theirs| theirs != body.digest);
        walk.theirs = Some(body.digest);
        let after = walk.after;
        let mut last = after;
        for entry in body.entries.iter().flatten() {
            walk.is_partial |= !self.compare_entry(store, peer, &entry);
            last = Some(entry.log);
            walk.entries += 1;
        }
        // A log in this range that the peer did not list is one that it does not follow. (Entries are in order.)
        let mut before = after;
        for entry in body.entries.iter().flatten() {
            self.views.drop_between(peer, before.as_ref(), Some(&entry.log), &own);
            before = Some(entry.log);
        }
        if !body.more {
            self.views.drop_between(peer, before.as_ref(), None, &own);
        }
        // More logs than could ever be followed: the rest can wait for the next round.
        let is_endless = walk.entries > self.config.max_logs.saturating_mul(2);
        if !body.more || is_endless {
            walk.is_partial |= is_endless;
            return self.compared(peer, &walk, body.digest);
        }
        walk.after = last;
        if let Some(peer) = self.peers.find_mut(peer) {
            peer.listing.goes_on(walk);
        }
    }

    /// Everything a peer has was compared.
    fn compared(&mut self, peer: PeerId, walk: &Walk, theirs: Hash) {
        if let Some(peer) = self.peers.find_mut(peer) {
            peer.compared = (!walk.is_partial).then_some(Compared { ours: walk.ours, theirs });
            peer.sync_goes_on(Stage::Comparing, Stage::Compared);
        }
    }

    /// One log in a peer's status; `false` where it differs and could not be remembered.
    fn compare_entry(&mut self, store: &mut dyn Store, peer: PeerId, entry: &Entry) -> bool {
        let Some(slot) = self.logs.slot(&entry.log) else { return self.hear_of_unknown_log(peer, entry) };
        let Some(replica) = self.logs.get(slot) else { return true };
        let (have, is_own) = (replica.have, replica.is_own());
        // (Where the store fails at it, the next status brings it again.)
        let mut is_heard = self.introduce_again(store, slot, peer).is_ok();
        if let Some(unproven) = entry.unproven {
            match self.observe(store, slot, unproven) {
                Ok(Observed::Consistent | Observed::Ahead | Observed::Forked) => {}
                // The peer has signed that its log signed this.
                Ok(Observed::NotSigned) => self.accuse(peer, Fault::HeadSignature),
                // It is in the next status again.
                Err(trouble) => {
                    self.noted(trouble);
                    is_heard = false;
                }
            }
        }
        let syncs = self.peers.find(peer).is_some_and(|peer| peer.is_syncing(Stage::Comparing));
        let (before, theirs) = (have, entry.have);
        let begins_sync = syncs && theirs > before && (!is_own || self.writing.is_recovering());
        let is_new_sync = begins_sync && self.views.of(&entry.log, peer).is_none_or(|view| view.sync.is_none());
        is_heard &= self.heard(peer, entry, |view| {
            // It was behind at the last status already, and did not get any further by itself.
            view.is_owed = is_own || (view.was_behind == Some(entry.have) && entry.have < have);
            view.was_behind = Some(entry.have);
            view.has_brought = false;
            // A status says it either way: one that took it back must not be asked for the proof for ever.
            view.is_forked = entry.forked;
            if is_new_sync {
                view.begin_sync(before, theirs);
            }
        });
        if is_new_sync && is_heard {
            self.count_synced(peer);
        }
        is_heard
    }

    /// A log that is not followed here: followed from now on, if it may be introduced.
    fn hear_of_unknown_log(&mut self, peer: PeerId, entry: &Entry) -> bool {
        if !self.may_introduce(peer) {
            let is_accepting = matches!(self.config.introductions, Introductions::Accept { .. });
            if let Some(peer) = self.peers.find_mut(peer).filter(|_| is_accepting) {
                peer.note_quota();
            }
            // What was heard of it when it could still be introduced is of no use any more.
            self.views.drop_of(&entry.log, peer);
            return true;
        }
        let syncs = self.peers.find(peer).is_some_and(|peer| peer.is_syncing(Stage::Comparing));
        let theirs = entry.have;
        let is_heard = self.heard(peer, entry, |view| {
            if syncs && view.sync.is_none() && theirs > 0 {
                view.begin_sync(0, theirs);
            }
        });
        if syncs && theirs > 0 && is_heard {
            self.count_synced(peer);
        }
        is_heard
    }

    /// One more log was found behind in the on-demand sync with a peer.
    fn count_synced(&mut self, peer: PeerId) {
        if let Some(sync) = self.peers.find_mut(peer).and_then(|peer| peer.sync.as_mut()) {
            sync.logs += 1;
        }
    }

    /// Heads that are ahead and that nobody leads to: said once, after three intervals without progress.
    fn check_stalls(&mut self) {
        if !core::mem::take(&mut self.logs.may_stall) {
            return;
        }
        let patience = self.config.interval.saturating_mul(3);
        let (now, is_writing) = (self.clock.now, !self.writing.is_recovering());
        let is_waiting = |replica: &&Replica| {
            let is_settled = replica.is_forked || replica.is_damaged || replica.is_stalled;
            replica.unproven.size > 0 && !is_settled && !(replica.is_own() && is_writing)
        };
        let mut after = None;
        loop {
            let next = self.logs.iter_after(after.as_ref()).find(is_waiting);
            let Some((log, since)) = next.map(|replica| (replica.id, replica.progress_at)) else { return };
            if now - since > patience {
                self.logs.stalled(&log);
            } else {
                self.logs.may_stall = true;
            }
            after = Some(log);
        }
    }

    /// A status did not come, or was none.
    pub(in crate::node) fn status_failed(&mut self, peer: PeerId, error: SyncError) {
        let Some(peer) = self.peers.find_mut(peer) else { return };
        peer.listing.failed();
        peer.sync_goes_on(Stage::Comparing, Stage::Failed(error));
    }
}

/// Entries on a page, at least, if there are more pages: as many as fit the smallest message. A peer that
/// hands them out one by one would have us ask for ever.
const PAGE: usize = 8;

/// Whether a status goes on where the one before ended.
fn is_next_page(walk: Option<&Walk>, body: &StatusBody<'_>) -> bool {
    if body.more && body.entries.iter().count() < PAGE {
        return false;
    }
    let first = body.entries.iter().flatten().next().map(|entry| entry.log);
    let after = walk.and_then(|walk| walk.after);
    match (first, after) {
        (Some(first), Some(after)) => first > after,
        (None, _) => !body.more,
        (Some(_), None) => true,
    }
}

/// What we know of the asker's own log: how much of it, and the largest head its key signed.
fn own_log(store: &mut dyn Store, replica: &Replica) -> Result<OwnLog, StoreError> {
    let state = store.log(&replica.id)?.map(|stored| stored.state).unwrap_or_default();
    let heads = [state.complete, state.covering, state.unproven].into_iter().flatten();
    Ok(OwnLog { have: replica.provable(), head: heads.max_by_key(|signed| signed.head.size) })
}

/// The unproven head of a log with its signature, which is in the store.
fn signed_unproven(store: &mut dyn Store, replica: &Replica) -> Result<Option<SignedHead>, StoreError> {
    if replica.unproven.size == 0 {
        return Ok(None);
    }
    match store.log(&replica.id) {
        Err(StoreError::Damaged | StoreError::Mismatch) => Ok(None),
        stored => Ok(stored?.and_then(|stored| stored.state.unproven)),
    }
}

/// Writes the body of a status to the front of `buf`: its head, and as many entries as fit; `more` where not all do.
/// How many bytes that is.
fn put_listing<'r>(
    buf: &mut [u8],
    body: &StatusBody<'_>,
    store: &mut dyn Store,
    replicas: &mut impl Iterator<Item = &'r Replica>,
) -> Result<usize, StoreError> {
    let mut writer = Writer::new(buf);
    let Some(()) = writer.put(body).and_then(|()| writer.reopen()) else { return Err(StoreError::NotReady) };
    // `more` stands before the entries and is known after them.
    let more_at = writer.mark();
    let mut is_more = false;
    let entries = writer.put_bytes_with(|buf| {
        let mut writer = Writer::new(buf);
        for replica in replicas {
            let unproven = signed_unproven(store, replica)?;
            if writer.put(&replica.entry(unproven)).is_none() {
                is_more = true;
                break;
            }
        }
        Ok::<_, StoreError>(writer.finish().len())
    });
    entries?.ok_or(StoreError::NotReady)?;
    if is_more {
        writer.set(more_at, 1);
    }
    Ok(writer.finish().len())
}
