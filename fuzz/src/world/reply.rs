//! What peers say: the truth, built from writers' logs, or what the input makes of it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use verisoo::head::ForkProof;
use verisoo::log::leaf_hash;
use verisoo::wire::{
    Batch, Entries, Entry, Frame, Message, OwnLog, Proof, ProofAnswer, Push, PushWord, Refusal, Request, RequestId,
    Response, Signed, StatusBody, StatusRequest,
};
use verisoo::{Hash, Head, LogId, PeerId, Signature, SignedHead};

use super::super::input::Input;
use super::super::net::signing::signed_text;
use super::super::writer::Writer;
use super::{FORKER, World, encode_frame, to_bytes};

impl World {
    /// A peer's answer to a request, true if `input` is `None`; otherwise of what the input chooses, and
    /// changed as it says.
    pub fn reply(&self, peer: PeerId, request: &[u8], input: Option<&mut Input<'_>>) -> Vec<u8> {
        let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(request) else {
            panic!("requests are kept as they were sent")
        };
        let honest = &mut Input::new(&[]);
        let (is_honest, input) = input.map_or((true, honest), |input| (false, input));
        match request {
            Request::Status(asked) => self.reply_status(peer, id, &asked, is_honest, input),
            Request::Proof { log, size, .. } => self.reply_proof(peer, id, log, size, is_honest, input),
            Request::Records { log, start, count, limit } => {
                self.reply_records(peer, id, log, start..start.saturating_add(count), limit, is_honest, input)
            }
            Request::Key { log } => {
                let other = &self.writers[input.below(5)];
                let writer = if !is_honest && input.below(4) == 0 {
                    Some(Cow::Borrowed(other))
                } else {
                    self.held_by(peer, &log)
                };
                let Some(writer) = writer else { return encode(id, Response::Refused(Refusal::Unknown)) };
                let vkey = writer.identity.vkey();
                encode(id, Response::Key { log, name: vkey.name().as_str(), key: *vkey.key() })
            }
            Request::Fork { log } => match self.fork_proof(input) {
                Some(proof) if log == self.writers[FORKER[0]].id() => encode(id, Response::Fork { log, proof: &proof }),
                _ => encode(id, Response::Refused(Refusal::NotHeld)),
            },
            Request::Push(push) => {
                let have = if is_honest { push.batch.head.head.size } else { input.between(0, 20) };
                let complete = if is_honest { push.batch.head.head } else { Head::EMPTY };
                self.reply_word(peer, id, &push, &PushWord { log: push.batch.log, complete, have })
            }
            Request::PushFork { log, .. } => {
                self.told.borrow_mut().insert(self.node_of(peer));
                encode(id, Response::PushedFork { log })
            }
            _ => unreachable!("all requests there are"),
        }
    }

    /// The history of a log that a peer stands for: the second peer saw the forker's other one.
    fn held_by(&self, peer: PeerId, log: &LogId) -> Option<Cow<'_, Writer>> {
        if *log == self.own.id() {
            return Some(Cow::Owned(self.shown_own()));
        }
        let histories = self.histories(log);
        let is_second = self.peers.keys().position(|other| *other == peer) == Some(1);
        let history = if is_second { histories.last() } else { histories.first() };
        history.copied().map(Cow::Borrowed)
    }

    /// What the node has shown of its own log: nobody else can sign for it.
    fn shown_own(&self) -> Writer {
        self.own.truncated(self.shown.keys().next_back().copied().unwrap_or(0))
    }

    fn any_history(&self, log: &LogId, input: &mut Input<'_>) -> Option<Cow<'_, Writer>> {
        if *log == self.own.id() {
            return Some(Cow::Owned(self.shown_own()));
        }
        let histories = self.histories(log);
        histories.get(input.below(histories.len())).copied().map(Cow::Borrowed)
    }

    fn reply_status(
        &self,
        peer: PeerId,
        id: RequestId,
        asked: &StatusRequest,
        is_honest: bool,
        input: &mut Input<'_>,
    ) -> Vec<u8> {
        let mut logs: BTreeSet<LogId> = self.writers.iter().map(Writer::id).collect();
        logs.insert(self.own.id());
        if !is_honest {
            logs.retain(|_| input.below(4) != 0);
            (0..input.below(3)).for_each(|_| {
                logs.insert(LogId::from_bytes([input.byte(); 32]));
            });
        }
        let mut entries = Vec::new();
        for log in logs.into_iter().filter(|log| Some(*log) > asked.after) {
            let entry = self.entry(peer, log, is_honest, input);
            entries.extend(to_bytes(&entry));
        }
        let shown = self.shown.values().last().copied();
        let own = shown.map(|head| OwnLog { have: head.head.size, head: Some(head) });
        let own = own.unwrap_or(OwnLog { have: 0, head: None });
        let body = StatusBody {
            digest: leaf_hash(&entries),
            max_message: if is_honest { 8_192 } else { input.choose(&[0, 4_608, 8_192, u32::MAX]) },
            recovering: false,
            own: Some(own).filter(|_| is_honest || input.flag()),
            listed: is_honest || input.below(8) != 7,
            more: !is_honest && input.below(8) == 1,
            entries: Entries::new(&entries),
        };
        let mut body = to_bytes(&body);
        if !is_honest && input.below(8) == 1 {
            input.mutate(&mut body, 2);
        }
        let text = signed_text(*b"verisoo/status", &self.node_of(peer), &asked.asker, &asked.nonce, &body);
        let signature = self.peers[&peer].sign(&text);
        encode(id, Response::Status(Signed { signature, body: &body }))
    }

    fn entry(&self, peer: PeerId, log: LogId, is_honest: bool, input: &mut Input<'_>) -> Entry {
        if log == self.own.id() {
            let shown = self.shown.values().last().map_or(Head::EMPTY, |signed| signed.head);
            let complete = if is_honest || input.flag() { shown } else { Head { size: 7, root: leaf_hash(b"lie") } };
            return Entry { log, complete, have: complete.size, covering: None, unproven: None, forked: false };
        }
        if is_honest {
            let complete = self.held_by(peer, &log).map_or(Head::EMPTY, |writer| writer.head(writer.size()));
            let forked = self.writers[FORKER[0]].id() == log && self.told.borrow().contains(&self.node_of(peer));
            return Entry { log, complete, have: complete.size, covering: None, unproven: None, forked };
        }
        let Some(writer) = self.any_history(&log, input) else {
            let complete = Head { size: input.between(1, 9), root: leaf_hash(b"invented") };
            return Entry { log, complete, have: complete.size, covering: None, unproven: None, forked: input.flag() };
        };
        let at = input.between(0, writer.size());
        let mut complete = writer.head(at);
        let mut have = input.between(at, writer.size());
        match input.below(8) {
            1 => complete = Head { size: at + 1, root: leaf_hash(b"false") },
            2 => have = u64::MAX,
            3 => complete = Head { size: 1 << 62, root: leaf_hash(b"false") },
            _ => {}
        }
        let unproven = (input.below(3) == 0).then(|| self.some_head(&writer, input));
        Entry { log, complete, have, covering: None, unproven, forked: input.below(8) == 1 }
    }

    /// A head that the writer signed, or one that nobody did.
    fn some_head(&self, writer: &Writer, input: &mut Input<'_>) -> SignedHead {
        let signed = writer.sign(input.between(0, writer.size()));
        match input.below(8) {
            1 => SignedHead { signature: Signature::from_bytes([input.byte(); 64]), ..signed },
            2 => SignedHead { head: Head { size: signed.head.size + 1, ..signed.head }, ..signed },
            3 => self.writers[input.below(5)].sign(0),
            _ => signed,
        }
    }

    fn reply_proof(
        &self,
        peer: PeerId,
        id: RequestId,
        log: LogId,
        size: u64,
        is_honest: bool,
        input: &mut Input<'_>,
    ) -> Vec<u8> {
        let history = if is_honest { self.held_by(peer, &log) } else { self.any_history(&log, input) };
        let Some(writer) = history.filter(|writer| size <= writer.size()) else {
            return encode(id, Response::Refused(Refusal::NotHeld));
        };
        let new = if is_honest { writer.size() } else { input.between(size, writer.size()) };
        let (mut head, mut root, mut hashes) = (writer.sign(new), writer.root(size), writer.proof(size, new));
        let (mut named, mut at) = (log, size);
        if !is_honest {
            for _ in 0..input.below(3) {
                match input.below(6) {
                    0 => head = self.some_head(&writer, input),
                    1 => root = leaf_hash(&[input.byte()]),
                    2 => drop(input.mutate_hashes(&mut hashes)),
                    3 => named = self.writers[input.below(5)].id(),
                    4 => at = input.between(0, 20),
                    _ => root = Hash::EMPTY_ROOT,
                }
            }
        }
        let proof = Proof::new(&hashes).unwrap_or_default();
        encode(id, Response::Proof(ProofAnswer { log: named, size: at, root, head, proof }))
    }

    #[expect(clippy::too_many_arguments, reason = "a request's parts")]
    fn reply_records(
        &self,
        peer: PeerId,
        id: RequestId,
        log: LogId,
        range: std::ops::Range<u64>,
        limit: u32,
        is_honest: bool,
        input: &mut Input<'_>,
    ) -> Vec<u8> {
        if is_honest {
            let history = self.held_by(peer, &log).filter(|writer| range.start < writer.size());
            let Some(writer) = history else { return encode(id, Response::Refused(Refusal::NotHeld)) };
            let mut end = range.end.min(writer.size());
            while end > range.start + 1 && writer.framed(range.start, end).len() + 2_400 > limit as usize {
                end -= 1;
            }
            let (records, head) = (writer.framed(range.start, end), writer.sign(writer.size()));
            let hashes = writer.proof(end, writer.size());
            let proof = Proof::new(&hashes).expect("a proof");
            return encode(id, Response::Records(Batch { log, start: range.start, head, proof, records: &records }));
        }
        let batch = self.some_batch(log, range.start, input);
        encode(id, Response::Records(batch.as_batch()))
    }

    /// A batch of some history of the log from `start` on, perhaps changed.
    pub fn some_batch(&self, log: LogId, start: u64, input: &mut Input<'_>) -> OwnedBatch {
        let writer = self.any_history(&log, input).unwrap_or(Cow::Borrowed(&self.writers[0]));
        let start = start.min(writer.size());
        let end = input.between(start, writer.size());
        let size = input.between(end, writer.size());
        let mut batch = OwnedBatch {
            log,
            start,
            head: writer.sign(size),
            proof: writer.proof(end, size),
            records: writer.framed(start, end),
        };
        for _ in 0..input.below(3) {
            match input.below(7) {
                0 => batch.head = self.some_head(&writer, input),
                1 => drop(input.mutate_hashes(&mut batch.proof)),
                2 => input.mutate(&mut batch.records, 2),
                3 => batch.log = self.writers[input.below(5)].id(),
                4 => batch.start = input.between(0, 20),
                5 => batch.records = writer.framed(0, end),
                _ => batch.records.extend(writer.framed(start, end)),
            }
        }
        batch
    }

    fn reply_word(&self, peer: PeerId, id: RequestId, push: &Push<'_>, word: &PushWord) -> Vec<u8> {
        let body = to_bytes(word);
        let text = signed_text(*b"verisoo/pushed", &self.node_of(peer), &push.from, &push.nonce, &body);
        encode(id, Response::Pushed(Signed { signature: self.peers[&peer].sign(&text), body: &body }))
    }

    fn node_of(&self, peer: PeerId) -> LogId {
        self.peers[&peer].vkey().id()
    }

    /// A proof that the forker forked, if it has, perhaps changed.
    pub fn fork_proof(&self, input: &mut Input<'_>) -> Option<Vec<u8>> {
        let [left, right] = FORKER.map(|at| &self.writers[at]);
        let least = left.size().min(right.size());
        let first = (1..=least).find(|size| left.root(*size) != right.root(*size))?;
        let size = input.between(first, least);
        let heads = [left.sign(input.between(size, left.size())), right.sign(input.between(size, right.size()))];
        let proofs = [left.proof(size, heads[0].head.size), right.proof(size, heads[1].head.size)];
        let proof =
            ForkProof { heads, size, roots: [left.root(size), right.root(size)], proofs: [&proofs[0], &proofs[1]] };
        let mut bytes = vec![0; ForkProof::MAX_LEN];
        let len = proof.encode(&mut bytes).expect("there is room");
        bytes.truncate(len);
        Some(bytes)
    }
}

pub struct OwnedBatch {
    pub log: LogId,
    pub start: u64,
    pub head: SignedHead,
    pub proof: Vec<[u8; 32]>,
    pub records: Vec<u8>,
}

impl OwnedBatch {
    pub fn as_batch(&self) -> Batch<'_> {
        let proof = Proof::new(&self.proof).unwrap_or_default();
        Batch { log: self.log, start: self.start, head: self.head, proof, records: &self.records }
    }
}

fn encode(id: RequestId, response: Response<'_>) -> Vec<u8> {
    encode_frame(&Frame { id, message: Message::Response(response) })
}
