//! Members that misbehave: production nodes behind which somebody else sits, who answers what they would
//! not, holds back what they would send, and shows different peers different faces.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::hash::{draw, happens, scale};
use super::is_refusal;
use super::member::{Member, Polled, expand};
use super::outcome::Outcome;
use super::plan::{Habit, Misdeed, NodePlan};
use super::tamper::{Liar, Tampered, flip};
use crate::head::ForkProof;
use crate::store::MemoryStore;
use crate::wire::{
    Batch, Frame, Message, Nonce, Proof, Push, Refusal, Request, RequestId, Response, StatusBody, StatusRequest,
};
use crate::{Event, Hash, Head, Identity, LogId, Scheme, Signature, SignedHead, Vkey};

/// A message that an adversary sends.
pub(super) struct Outgoing {
    pub(super) to: u32,
    pub(super) delay: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) outcome: Option<Outcome>,
}

/// Ids of requests that no node behind it made.
const OWN_REQUESTS: u64 = 1 << 40;

pub(super) struct Adversary<S: Scheme> {
    /// The first shows the history that came first.
    faces: Vec<Member<S, MemoryStore>>,
    plan: NodePlan,
    interval: u64,
    seed: u64,
    /// Whom the second face is shown to.
    second: Vec<u32>,
    habits: Vec<(Habit, u32)>,
    liar: Liar<S>,
    draws: u64,
    wake_at: u64,
    has_forked: bool,
    /// Records of its own from there on are not given out.
    withheld_from: u64,
    peers: Vec<(u32, Vkey<S>)>,
    honest: Vec<Vkey<S>>,
    /// Requests of its own that must be refused.
    must_be_refused: BTreeMap<RequestId, &'static str>,
    /// The records of honest logs that came by last, with the head they came with.
    seen: BTreeMap<LogId, (u64, SignedHead, Vec<u8>)>,
}

impl<S: Scheme> Adversary<S> {
    pub(super) fn new(face: Member<S, MemoryStore>, plan: NodePlan, interval: u64, seed: u64) -> Self {
        let liar = Liar {
            identity: face.identity(),
            heads: BTreeMap::new(),
            statuses: BTreeMap::new(),
            patience: interval / 10,
        };
        Self {
            faces: vec![face],
            plan,
            interval,
            seed,
            second: Vec::new(),
            habits: Vec::new(),
            liar,
            draws: 0,
            wake_at: 0,
            has_forked: false,
            withheld_from: u64::MAX,
            peers: Vec::new(),
            honest: Vec::new(),
            must_be_refused: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn index(&self) -> u32 {
        self.faces[0].index
    }

    pub(super) fn id(&self) -> LogId {
        self.faces[0].node.id()
    }

    pub(super) fn vkey(&self) -> Vkey<S> {
        self.faces[0].vkey()
    }

    pub(super) fn dial(&mut self, peers: &[(u32, Vkey<S>)], honest: &[Vkey<S>]) {
        self.peers = peers.to_vec();
        self.honest = honest.to_vec();
        dial(&mut self.faces[0], peers, honest);
        let face = &mut self.faces[0];
        // Everybody has written something.
        let _ = face.node.append(&mut face.disk, b"the adversary's first record");
    }

    pub(super) fn take_to(&mut self, habit: Habit, permille: u32) {
        self.habits.push((habit, permille));
    }

    pub(super) fn show_second_face_to(&mut self, member: u32) {
        self.second.push(member);
    }

    pub(super) fn is_due(&self, now: u64) -> bool {
        self.wake_at <= now
    }

    fn face_for(&self, member: u32) -> usize {
        usize::from(self.faces.len() > 1 && self.second.contains(&member))
    }

    fn drawn(&mut self) -> u64 {
        self.draws += 1;
        draw(&[self.seed, u64::from(self.index()), self.draws, 0x6164_7665])
    }

    fn hides_forks(&self) -> bool {
        self.habits.iter().any(|(habit, _)| *habit == Habit::HideForks)
    }

    /// Something arrived. What must not have been answered so is said.
    pub(super) fn receive(
        &mut self,
        now: u64,
        from: u32,
        frame: &Frame<'_>,
        out: &mut Vec<Outgoing>,
    ) -> Option<String> {
        self.remember(frame);
        match &frame.message {
            Message::Request(request) => {
                self.respond(now, from, frame.id, request, out);
                None
            }
            Message::Response(response) => {
                if let Some(what) = self.must_be_refused.get(&frame.id) {
                    return (!is_refusal(response)).then(|| format!("took {what}: {response:?}"));
                }
                let at = self.face_for(from);
                let face = &mut self.faces[at];
                let peer = face.handle_of(from)?;
                let local = face.now(now);
                // A store in memory is always ready.
                let _ = face.node.handle(
                    local,
                    &mut face.disk,
                    Event::Answer { peer, request: frame.id, response: *response },
                );
                None
            }
        }
    }

    /// Keeps what may be of use later.
    fn remember(&mut self, frame: &Frame<'_>) {
        let batch = match &frame.message {
            Message::Request(Request::Push(push)) => push.batch,
            Message::Response(Response::Records(batch)) => *batch,
            Message::Response(Response::Status(signed)) => {
                let entries = StatusBody::decode(signed.body).map(|body| body.entries);
                for entry in entries.iter().flat_map(|entries| entries.iter().flatten()) {
                    if let Some(head) = entry.unproven {
                        self.liar.heads.entry(entry.log).or_insert(head);
                    }
                }
                return;
            }
            _ => return,
        };
        self.liar.heads.entry(batch.log).or_insert(batch.head);
        if !batch.records.is_empty() {
            self.seen.insert(batch.log, (batch.start, batch.head, batch.records.to_vec()));
        }
    }

    fn respond(&mut self, now: u64, from: u32, id: RequestId, request: &Request<'_>, out: &mut Vec<Outgoing>) {
        let own = self.id();
        let is_evidence = match request {
            Request::PushFork { log, .. } => self.hides_forks() || (self.has_forked && *log == own),
            Request::Push(push) => self.has_forked && push.batch.log == own,
            _ => false,
        };
        if is_evidence {
            let refusal = Response::Refused(Refusal::Busy);
            out.extend(frame_of(id, Message::Response(refusal)).map(|bytes| plain(from, bytes)));
            return;
        }
        if let Request::Records { log, start, count, .. } = request
            && *log == own
            && start.saturating_add(*count) > self.withheld_from
        {
            let refusal = Response::Refused(Refusal::NotHeld);
            out.extend(frame_of(id, Message::Response(refusal)).map(|bytes| plain(from, bytes)));
            return;
        }
        let at = self.face_for(from);
        let face = &mut self.faces[at];
        let local = face.now(now);
        let mut buf = vec![0; 1 << 17];
        let Some(answer) = face.node.respond(local, &mut face.disk, id, request, &mut buf) else { return };
        let answer = answer.to_vec();
        let drawn = self.drawn();
        let habits = self.habits.clone();
        let tampered = habits.iter().enumerate().find_map(|(number, (habit, permille))| {
            let does = happens(draw(&[drawn, number as u64]), *permille);
            does.then(|| self.liar.tamper(*habit, request, &answer, drawn)).flatten()
        });
        if let Request::Status(asked) = request {
            self.liar.statuses.entry(asked.asker).or_insert_with(|| answer.clone());
        }
        match tampered {
            None => out.push(plain(from, answer)),
            Some(Tampered { bytes: Some(bytes), outcome, delay }) => {
                out.push(Outgoing { to: from, delay, bytes, outcome });
            }
            Some(Tampered { bytes: None, .. }) => {}
        }
    }

    /// Lets the nodes behind it do what they want, as far as it suits. When to come back.
    pub(super) fn poll(&mut self, now: u64, buf: &mut [u8], out: &mut Vec<Outgoing>) -> Option<u64> {
        let own = self.id();
        let hides = self.hides_forks();
        let (has_forked, withheld_from, second) = (self.has_forked, self.withheld_from, self.second.clone());
        let is_two_faced = self.faces.len() > 1;
        let mut next = None;
        for (number, face) in self.faces.iter_mut().enumerate() {
            for _ in 0..1_000 {
                let Some(polled) = face.poll(now, buf) else { break };
                let Polled::Send { to, bytes } = polled else { continue };
                let Ok(frame) = Frame::decode(bytes) else { continue };
                let is_shown = !is_two_faced || (number == 1) == second.contains(&to);
                let suits = match &frame.message {
                    Message::Request(Request::PushFork { log, .. }) => !(hides || has_forked && *log == own),
                    Message::Request(Request::Push(push)) => !has_forked || push.batch.log == own,
                    // One that forked does not want to hear of it.
                    _ => !has_forked,
                };
                if !is_shown || !suits {
                    continue;
                }
                let held_back = match &frame.message {
                    Message::Request(Request::Push(push)) if push.batch.log == own => {
                        held_back(frame.id, push, withheld_from)
                    }
                    _ => None,
                };
                out.push(plain(to, held_back.unwrap_or_else(|| bytes.to_vec())));
            }
            let wake = face.next_wake(now);
            next = [next, wake].into_iter().flatten().min();
        }
        let wake = next.map(|wake| wake.max(now + 1_000));
        if wake.is_some_and(|wake| wake < self.wake_at || self.wake_at <= now) {
            self.wake_at = wake.unwrap_or(u64::MAX);
            return wake;
        }
        None
    }

    /// Does something once. `true` where it has signed two histories.
    pub(super) fn misbehave(&mut self, now: u64, misdeed: Misdeed, salt: u64, out: &mut Vec<Outgoing>) -> bool {
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
        let started = other.restart(now, crate::Start::Resume);
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
        if fresh.restart(now, crate::Start::Resume).is_err() {
            return false;
        }
        dial(&mut fresh, &self.peers, &self.honest);
        write(&mut fresh, count.max(1), draw(&[salt, 3]));
        self.faces[0] = fresh;
        self.has_forked = true;
        true
    }

    fn new_face(&self, store: MemoryStore) -> Member<S, MemoryStore> {
        let name = super::member::name(self.index(), true);
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

fn dial<S: Scheme>(face: &mut Member<S, MemoryStore>, peers: &[(u32, Vkey<S>)], honest: &[Vkey<S>]) {
    for (peer, vkey) in peers {
        // A store in memory takes them all.
        let _ = face.dial(*peer, *vkey);
    }
    for vkey in honest {
        let _ = face.node.follow(&mut face.disk, vkey);
    }
}

/// Appends records that nobody else would write, and signs a head over them.
fn write<S: Scheme>(face: &mut Member<S, MemoryStore>, count: u32, salt: u64) {
    for number in 0..count {
        let _ = face.node.append(&mut face.disk, &expand(&[salt, u64::from(number)]));
    }
    let _ = face.node.publish(&mut face.disk);
}

/// A push as an offer of the head alone, where its records are withheld.
fn held_back(id: RequestId, push: &Push<'_>, withheld_from: u64) -> Option<Vec<u8>> {
    if push.batch.head.head.size <= withheld_from {
        return None;
    }
    let batch = Batch { start: push.batch.head.head.size, proof: Proof::default(), records: &[], ..push.batch };
    frame_of(id, Message::Request(Request::Push(Push { batch, ..*push })))
}

fn frame_of(id: RequestId, message: Message<'_>) -> Option<Vec<u8>> {
    let mut buf = vec![0; 1 << 17];
    Frame { id, message }.encode(&mut buf).map(<[u8]>::to_vec)
}

fn plain(to: u32, bytes: Vec<u8>) -> Outgoing {
    Outgoing { to, delay: 0, bytes, outcome: None }
}

/// Each peer so many times.
fn repeated(peers: &[u32], count: u32) -> Vec<(u32, u64)> {
    peers.iter().flat_map(|peer| (0..u64::from(count)).map(move |number| (*peer, number))).collect()
}

fn pairs(peers: &[u32], logs: &[LogId]) -> Vec<(u32, LogId)> {
    peers.iter().flat_map(|peer| logs.iter().map(move |log| (*peer, *log))).collect()
}
