//! An adversary: production nodes behind which somebody else sits, who decides what arrives at them, what they
//! answer and whom, and which of what they want to send is sent.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::outcome::Outcome;
use super::tamper::{Liar, Tampered};
use crate::head::SignedHead;
use crate::key::{LogId, Scheme, Vkey};
use crate::sim::hash::{draw, happens};
use crate::sim::member::{Member, Polled};
use crate::sim::plan::{Habit, NodePlan};
use crate::store::MemoryStore;
use crate::wire::{Batch, Frame, Message, Proof, Push, Refusal, Request, RequestId, Response, StatusBody};
use crate::words::Event;

/// A message that an adversary sends.
pub(in crate::sim) struct Outgoing {
    pub(in crate::sim) to: u32,
    pub(in crate::sim) delay: u64,
    pub(in crate::sim) bytes: Vec<u8>,
    pub(in crate::sim) outcome: Option<Outcome>,
}

pub(in crate::sim) struct Adversary<S: Scheme> {
    /// The first shows the history that came first.
    pub(super) faces: Vec<Member<S, MemoryStore>>,
    pub(super) plan: NodePlan,
    pub(super) interval: u64,
    pub(super) seed: u64,
    /// Whom the second face is shown to.
    pub(super) second: Vec<u32>,
    habits: Vec<(Habit, u32)>,
    pub(super) liar: Liar<S>,
    pub(super) draws: u64,
    wake_at: u64,
    pub(super) has_forked: bool,
    /// Records of its own from there on are not given out.
    pub(super) withheld_from: u64,
    pub(super) peers: Vec<(u32, Vkey<S>)>,
    pub(super) honest: Vec<Vkey<S>>,
    /// Requests of its own that must be refused.
    pub(super) must_be_refused: BTreeMap<RequestId, &'static str>,
    /// The records of honest logs that came by last, with the head they came with.
    pub(super) seen: BTreeMap<LogId, (u64, SignedHead, Vec<u8>)>,
}

impl<S: Scheme> Adversary<S> {
    pub(in crate::sim) fn new(face: Member<S, MemoryStore>, plan: NodePlan, interval: u64, seed: u64) -> Self {
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

    pub(in crate::sim) fn index(&self) -> u32 {
        self.faces[0].index
    }

    pub(in crate::sim) fn id(&self) -> LogId {
        self.faces[0].node.id()
    }

    pub(in crate::sim) fn vkey(&self) -> Vkey<S> {
        self.faces[0].vkey()
    }

    pub(in crate::sim) fn dial(&mut self, peers: &[(u32, Vkey<S>)], honest: &[Vkey<S>]) {
        self.peers = peers.to_vec();
        self.honest = honest.to_vec();
        dial(&mut self.faces[0], peers, honest);
        let face = &mut self.faces[0];
        // Everybody has written something.
        let _ = face.node.append(&mut face.disk, b"the adversary's first record");
    }

    pub(in crate::sim) fn take_to(&mut self, habit: Habit, permille: u32) {
        self.habits.push((habit, permille));
    }

    pub(in crate::sim) fn show_second_face_to(&mut self, member: u32) {
        self.second.push(member);
    }

    pub(in crate::sim) fn is_due(&self, now: u64) -> bool {
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
    pub(in crate::sim) fn receive(
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
    pub(in crate::sim) fn poll(&mut self, now: u64, buf: &mut [u8], out: &mut Vec<Outgoing>) -> Option<u64> {
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
}

pub(super) fn dial<S: Scheme>(face: &mut Member<S, MemoryStore>, peers: &[(u32, Vkey<S>)], honest: &[Vkey<S>]) {
    for (peer, vkey) in peers {
        // A store in memory takes them all.
        let _ = face.dial(*peer, *vkey);
    }
    for vkey in honest {
        let _ = face.node.follow(&mut face.disk, vkey);
    }
}

/// A refusal is what forged things are met with.
fn is_refusal(response: &Response<'_>) -> bool {
    matches!(response, Response::Refused(_))
}

/// A push as an offer of the head alone, where its records are withheld.
fn held_back(id: RequestId, push: &Push<'_>, withheld_from: u64) -> Option<Vec<u8>> {
    if push.batch.head.head.size <= withheld_from {
        return None;
    }
    let batch = Batch { start: push.batch.head.head.size, proof: Proof::default(), records: &[], ..push.batch };
    frame_of(id, Message::Request(Request::Push(Push { batch, ..*push })))
}

pub(super) fn frame_of(id: RequestId, message: Message<'_>) -> Option<Vec<u8>> {
    let mut buf = vec![0; 1 << 17];
    Frame { id, message }.encode(&mut buf).map(<[u8]>::to_vec)
}

pub(super) fn plain(to: u32, bytes: Vec<u8>) -> Outgoing {
    Outgoing { to, delay: 0, bytes, outcome: None }
}
