//! What an adversary does once, because the plan says so: signs two histories, forges, invents, withholds, floods.
//! What it sends in doing so is of its own making, and no node behind it would send it.

use alloc::vec::Vec;

use super::faces::{Adversary, Outgoing, dial, frame_of, plain};
use super::outcome::Outcome;
use super::tamper::flip;
use crate::head::{ForkProof, Head, SignedHead};
use crate::key::{Identity, LogId, Scheme, Signature, Vkey};
use crate::log::Hash;
use crate::sim::hash::{draw, scale};
use crate::sim::member::{Member, expand, name};
use crate::sim::plan::Misdeed;
use crate::store::MemoryStore;
use crate::wire::{Batch, Message, Nonce, Proof, Push, Request, RequestId, StatusRequest};
use crate::words::Start;

/// Ids of requests that no node behind it made.
const OWN_REQUESTS: u64 = 1 << 40;

impl<S: Scheme> Adversary<S> {
    /// Does something once. `true` where it has signed two histories.
    pub(in crate::sim) fn misbehave(&mut self, now: u64, misdeed: Misdeed, salt: u64, out: &mut Vec<Outgoing>) -> bool {
        match misdeed {
            Misdeed::Fork { counts } => self.fork(now, counts, salt),
            Misdeed::Rollback { count } => self.roll_back(now, count, salt),
            Misdeed::Collude { .. } => false,
            Misdeed::ForgedHeads => self.forge_heads(salt, out),
            Misdeed::ForgedBatches => self.forge_batches(salt, out),
            Misdeed::ForgedForkProofs => self.forge_fork_proofs(salt, out),
            Misdeed::InventLogs { count } => self.invent_logs(count, salt),
            Misdeed::Requests { count } => self.ask_for_everything(count, salt, out),
            Misdeed::Garbage { count } => self.send_garbage(count, salt, out),
            Misdeed::InventedSize => self.invent_size(salt, out),
            Misdeed::Withhold { count } => self.withhold(count, salt),
        }
    }

    fn fork(&mut self, now: u64, counts: [u32; 2], salt: u64) -> bool {
        if self.faces.len() > 1 {
            return false;
        }
        let store = self.faces[0].disk.clone();
        let mut other = self.new_face(store);
        let started = other.restart(now, Start::Resume);
        if started.is_err() || other.node.check_writing().is_err() || self.faces[0].node.check_writing().is_err() {
            return false;
        }
        dial(&mut other, &self.peers, &self.honest);
        let [first, second] = counts;
        write(&mut self.faces[0], first.max(1), draw(&[salt, 1]));
        write(&mut other, second.max(1), draw(&[salt, 2]));
        self.faces.push(other);
        let shown = self.peers.iter().enumerate().filter(|(at, _)| (*at as u64).wrapping_add(salt).is_multiple_of(2));
        let shown: Vec<u32> = shown.map(|(_, (peer, _))| *peer).collect();
        self.second.extend(shown);
        self.has_forked = true;
        true
    }

    /// Begins its log anew with the first half of its records and goes on differently.
    fn roll_back(&mut self, now: u64, count: u32, salt: u64) -> bool {
        let own = self.id();
        let size = self.faces[0].node.log(&own).map_or(0, |info| info.complete.size);
        if size < 2 || self.faces[0].node.check_writing().is_err() || self.faces.len() > 1 {
            return false;
        }
        let mut fresh = self.new_face(MemoryStore::new());
        for index in 0..size / 2 {
            let record = self.faces[0].disk.record(&own, index).map(<[u8]>::to_vec).unwrap_or_default();
            let _ = fresh.node.append(&mut fresh.disk, &record);
        }
        if fresh.restart(now, Start::Resume).is_err() {
            return false;
        }
        dial(&mut fresh, &self.peers, &self.honest);
        write(&mut fresh, count.max(1), draw(&[salt, 3]));
        self.faces[0] = fresh;
        self.has_forked = true;
        true
    }

    fn new_face(&self, store: MemoryStore) -> Member<S, MemoryStore> {
        let name = name(self.index(), true);
        Member::new(self.index(), self.seed, &name, &self.plan, self.interval, store)
    }

    /// Sends a request that no node behind it makes.
    fn ask(&mut self, to: u32, request: Request<'_>, out: &mut Vec<Outgoing>) -> RequestId {
        self.draws += 1;
        let id = RequestId::new(OWN_REQUESTS + self.draws);
        out.extend(frame_of(id, Message::Request(request)).map(|bytes| plain(to, bytes)));
        id
    }

    fn honest_peers(&self) -> Vec<u32> {
        self.peers.iter().map(|(peer, _)| *peer).filter(|peer| (*peer as usize) < self.honest.len()).collect()
    }

    fn forge_heads(&mut self, salt: u64, out: &mut Vec<Outgoing>) -> bool {
        let victims: Vec<LogId> = self.honest.iter().map(Vkey::id).collect();
        for (number, (to, log)) in (0..).zip(pairs(&self.honest_peers(), &victims)) {
            let drawn = draw(&[salt, number]);
            let head = Head { size: 1 + scale(drawn, 100), root: Hash::from_bytes(expand(&[drawn])) };
            let forged = match number % 3 {
                // Its own key's signature, one of another head, and none.
                0 => SignedHead::sign(&self.liar.identity, head),
                1 => SignedHead { head, signature: self.signature_of(&log) },
                _ => SignedHead { head, signature: Signature::from_bytes([7; 64]) },
            };
            let batch = Batch { log, start: head.size, head: forged, proof: Proof::default(), records: &[] };
            let push = Push { from: self.id(), nonce: Nonce([0; 16]), batch };
            let id = self.ask(to, Request::Push(push), out);
            self.must_be_refused.insert(id, "a forged head");
        }
        false
    }

    fn signature_of(&self, log: &LogId) -> Signature {
        self.liar.heads.get(log).map_or(Signature::from_bytes([9; 64]), |head| head.signature)
    }

    fn forge_batches(&mut self, salt: u64, out: &mut Vec<Outgoing>) -> bool {
        let seen: Vec<_> = self.seen.iter().map(|(log, seen)| (*log, seen.clone())).collect();
        for (number, to) in (0..).zip(self.honest_peers()) {
            for (log, (start, head, records)) in &seen {
                let mut records = records.clone();
                // Behind the first length, so that the framing of a single record stays.
                if let Some(bytes) = records.get_mut(2..) {
                    flip(bytes, draw(&[salt, number]));
                }
                let proof = [*Hash::EMPTY_ROOT.as_bytes()];
                let proof = Proof::new(&proof).filter(|_| number % 2 == 1).unwrap_or_default();
                let batch = Batch { log: *log, start: *start, head: *head, proof, records: &records };
                let push = Push { from: self.id(), nonce: Nonce([1; 16]), batch };
                self.ask(to, Request::Push(push), out);
            }
        }
        false
    }

    fn forge_fork_proofs(&mut self, salt: u64, out: &mut Vec<Outgoing>) -> bool {
        let victims: Vec<LogId> = self.honest.iter().map(Vkey::id).collect();
        for (number, (to, log)) in (0..).zip(pairs(&self.honest_peers(), &victims)) {
            let known = self.liar.heads.get(&log).copied();
            let root = Hash::from_bytes(expand(&[salt, number]));
            let made_up = Head { size: known.map_or(3, |head| head.head.size), root };
            let other = match number % 3 {
                0 => SignedHead::sign(&self.liar.identity, made_up),
                1 => SignedHead { head: made_up, signature: self.signature_of(&log) },
                _ => known.unwrap_or(SignedHead { head: made_up, signature: self.signature_of(&log) }),
            };
            let known = known.unwrap_or(other);
            let size = known.head.size.min(other.head.size);
            let proof = ForkProof { heads: [known, other], size, roots: [known.head.root, root], proofs: [&[], &[]] };
            let mut buf = [0; ForkProof::MAX_LEN];
            let len = proof.encode(&mut buf).unwrap_or(0);
            let request = Request::PushFork { log, proof: buf.get(..len).unwrap_or_default() };
            let id = self.ask(to, request, out);
            self.must_be_refused.insert(id, "a forged fork proof");
        }
        false
    }

    fn invent_logs(&mut self, count: u32, salt: u64) -> bool {
        for number in 0..count {
            let secret = expand(&[salt, u64::from(number), 0x696e_7665]);
            let Ok(invented) = Identity::<S>::from_seed("invented.example", &secret) else { continue };
            let face = &mut self.faces[0];
            let _ = face.node.follow(&mut face.disk, invented.vkey());
        }
        false
    }

    fn ask_for_everything(&mut self, count: u32, salt: u64, out: &mut Vec<Outgoing>) -> bool {
        let honest: Vec<LogId> = self.honest.iter().map(Vkey::id).collect();
        for (to, number) in repeated(&self.honest_peers(), count) {
            let drawn = draw(&[salt, number, u64::from(to)]);
            let at = usize::try_from(scale(drawn, honest.len() as u64 + 1)).unwrap_or(0);
            let log = honest.get(at).copied().unwrap_or(LogId::from_bytes([3; 32]));
            let (start, limit) = (scale(draw(&[drawn, 1]), 200), u32::try_from(drawn & 0x1_ffff).unwrap_or(0));
            let request = match drawn % 7 {
                0 => Request::Records { log, start, count: u64::MAX, limit },
                1 => Request::Records { log, start: u64::MAX, count: u64::MAX, limit: u32::MAX },
                2 => Request::Proof { log, size: start, limit },
                3 => Request::Proof { log, size: u64::MAX, limit: u32::MAX },
                4 => Request::Key { log },
                5 => Request::Fork { log },
                _ => Request::Status(StatusRequest {
                    asker: self.id(),
                    nonce: Nonce([2; 16]),
                    digest: Hash::EMPTY_ROOT,
                    compared: None,
                    after: Some(log).filter(|_| drawn & 8 == 0),
                    limit,
                }),
            };
            self.ask(to, request, out);
        }
        false
    }

    fn send_garbage(&mut self, count: u32, salt: u64, out: &mut Vec<Outgoing>) -> bool {
        for (to, number) in repeated(&self.honest_peers(), count) {
            let drawn = draw(&[salt, number, u64::from(to)]);
            let len = scale(drawn, 2_000);
            // Never a version that there is.
            let bytes = (0..len).map(|at| draw(&[drawn, at]).to_le_bytes()[0] | 0x80).collect();
            out.push(Outgoing { to, delay: 0, bytes, outcome: Some(Outcome::NoFrame) });
        }
        false
    }

    fn invent_size(&mut self, salt: u64, out: &mut Vec<Outgoing>) -> bool {
        // Of a size that is invented only once, or it would be a fork.
        let size = (1 << 62) - scale(salt, 1 << 40);
        let head = Head { size, root: Hash::from_bytes(expand(&[salt])) };
        let head = SignedHead::sign(&self.liar.identity, head);
        let batch = Batch { log: self.id(), start: size, head, proof: Proof::default(), records: &[] };
        let push = Push { from: self.id(), nonce: Nonce([4; 16]), batch };
        for to in self.honest_peers() {
            self.ask(to, Request::Push(push), out);
        }
        false
    }

    fn withhold(&mut self, count: u32, salt: u64) -> bool {
        let own = self.id();
        let size = self.faces[0].node.log(&own).map_or(0, |info| info.have);
        self.withheld_from = self.withheld_from.min(size);
        write(&mut self.faces[0], count, salt);
        false
    }
}

/// Appends records that nobody else would write, and signs a head over them.
fn write<S: Scheme>(face: &mut Member<S, MemoryStore>, count: u32, salt: u64) {
    for number in 0..count {
        let _ = face.node.append(&mut face.disk, &expand(&[salt, u64::from(number)]));
    }
    let _ = face.node.publish(&mut face.disk);
}

/// Each peer so many times.
fn repeated(peers: &[u32], count: u32) -> Vec<(u32, u64)> {
    peers.iter().flat_map(|peer| (0..u64::from(count)).map(move |number| (*peer, number))).collect()
}

fn pairs(peers: &[u32], logs: &[LogId]) -> Vec<(u32, LogId)> {
    peers.iter().flat_map(|peer| logs.iter().map(move |log| (*peer, *log))).collect()
}
