//! The wire format written down once more, field by field, with the place of all that could be encoded in
//! another way.

use std::ops::Range;

use verisoo::wire::{
    Batch, Entry, Frame, Message, OwnLog, ProofAnswer, PushWord, Refusal, Request, Response, Signed, StatusBody,
};
use verisoo::{Head, LogId, SignedHead};

#[derive(Debug, Default)]
pub struct Plain {
    pub bytes: Vec<u8>,
    /// Numbers, lengths and variants.
    pub varints: Vec<Range<usize>>,
    /// Those of them that are the length of a byte string.
    pub lengths: Vec<Range<usize>>,
    /// Those of them that choose a variant, and how many there are.
    pub variants: Vec<(Range<usize>, u64)>,
    /// Booleans, and whether there is a value.
    pub flags: Vec<usize>,
}

impl Plain {
    pub fn frame(frame: &Frame<'_>) -> Self {
        let mut plain = Self::default();
        plain.raw(&[1]);
        plain.number(frame.id.get());
        match &frame.message {
            Message::Request(request) => {
                plain.variant(0, 2);
                plain.request(request);
            }
            Message::Response(response) => {
                plain.variant(1, 2);
                plain.response(response);
            }
        }
        plain
    }

    pub fn status(body: &StatusBody<'_>, entries: &[Entry]) -> Self {
        let mut plain = Self::default();
        plain.raw(body.digest.as_bytes());
        plain.number(body.max_message.into());
        plain.flag(body.recovering);
        plain.option(body.own.as_ref(), |plain, OwnLog { have, head }| {
            plain.number(*have);
            plain.option(head.as_ref(), Self::signed_head);
        });
        plain.flag(body.listed);
        plain.flag(body.more);
        let mut listed = Self::default();
        for entry in entries {
            listed.entry(entry);
        }
        plain.string(&listed.bytes);
        plain
    }

    pub fn entry(&mut self, entry: &Entry) {
        self.log(&entry.log);
        self.head(&entry.complete);
        self.number(entry.have);
        self.option(entry.covering.as_ref(), Self::head);
        self.option(entry.unproven.as_ref(), Self::signed_head);
        self.flag(entry.forked);
    }

    pub fn word(word: &PushWord) -> Self {
        let mut plain = Self::default();
        plain.log(&word.log);
        plain.head(&word.complete);
        plain.number(word.have);
        plain
    }

    fn request(&mut self, request: &Request<'_>) {
        match request {
            Request::Status(status) => {
                self.variant(0, 7);
                self.log(&status.asker);
                self.raw(&status.nonce.0);
                self.raw(status.digest.as_bytes());
                self.option(status.compared.as_ref(), |plain, digest| plain.raw(digest.as_bytes()));
                self.option(status.after.as_ref(), Self::log);
                self.number(status.limit.into());
            }
            Request::Proof { log, size, limit } => {
                self.variant(1, 7);
                self.log(log);
                self.number(*size);
                self.number((*limit).into());
            }
            Request::Records { log, start, count, limit } => {
                self.variant(2, 7);
                self.log(log);
                self.number(*start);
                self.number(*count);
                self.number((*limit).into());
            }
            Request::Key { log } => {
                self.variant(3, 7);
                self.log(log);
            }
            Request::Fork { log } => {
                self.variant(4, 7);
                self.log(log);
            }
            Request::Push(push) => {
                self.variant(5, 7);
                self.log(&push.from);
                self.raw(&push.nonce.0);
                self.batch(&push.batch);
            }
            Request::PushFork { log, proof } => {
                self.variant(6, 7);
                self.log(log);
                self.string(proof);
            }
            _ => unreachable!("no other request is made here"),
        }
    }

    fn response(&mut self, response: &Response<'_>) {
        match response {
            Response::Status(signed) => {
                self.variant(0, 8);
                self.signed(signed);
            }
            Response::Proof(ProofAnswer { log, size, root, head, proof }) => {
                self.variant(1, 8);
                self.log(log);
                self.number(*size);
                self.raw(root.as_bytes());
                self.signed_head(head);
                self.string(proof.hashes().as_flattened());
            }
            Response::Records(batch) => {
                self.variant(2, 8);
                self.batch(batch);
            }
            Response::Key { log, name, key } => {
                self.variant(3, 8);
                self.log(log);
                self.string(name.as_bytes());
                self.raw(key);
            }
            Response::Fork { log, proof } => {
                self.variant(4, 8);
                self.log(log);
                self.string(proof);
            }
            Response::Pushed(signed) => {
                self.variant(5, 8);
                self.signed(signed);
            }
            Response::PushedFork { log } => {
                self.variant(6, 8);
                self.log(log);
            }
            Response::Refused(refusal) => {
                self.variant(7, 8);
                self.refusal(refusal);
            }
            _ => unreachable!("no other response is made here"),
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        let (variant, number) = match refusal {
            Refusal::Unknown => (0, None),
            Refusal::NotHeld => (1, None),
            Refusal::Dropped { first } => (2, Some(*first)),
            Refusal::Busy => (3, None),
            Refusal::TooLong { index } => (4, Some(*index)),
            Refusal::Invalid => (5, None),
            _ => unreachable!("no other refusal is made here"),
        };
        self.variant(variant, 6);
        if let Some(number) = number {
            self.number(number);
        }
    }

    fn batch(&mut self, batch: &Batch<'_>) {
        self.log(&batch.log);
        self.number(batch.start);
        self.signed_head(&batch.head);
        self.string(batch.proof.hashes().as_flattened());
        self.string(batch.records);
    }

    fn signed(&mut self, signed: &Signed<'_>) {
        self.raw(signed.signature.as_bytes());
        self.string(signed.body);
    }

    fn signed_head(&mut self, signed: &SignedHead) {
        self.head(&signed.head);
        self.raw(signed.signature.as_bytes());
    }

    fn head(&mut self, head: &Head) {
        self.number(head.size);
        self.raw(head.root.as_bytes());
    }

    fn log(&mut self, log: &LogId) {
        self.raw(log.as_bytes());
    }

    fn option<T>(&mut self, value: Option<&T>, put: impl Fn(&mut Self, &T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn flag(&mut self, is_set: bool) {
        self.flags.push(self.bytes.len());
        self.bytes.push(is_set.into());
    }

    fn string(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.lengths.extend(self.varints.last().cloned());
        self.raw(bytes);
    }

    fn variant(&mut self, variant: u64, of: u64) {
        self.number(variant);
        self.variants.extend(self.varints.last().map(|place| (place.clone(), of)));
    }

    fn number(&mut self, number: u64) {
        let start = self.bytes.len();
        self.bytes.extend(varint(number));
        self.varints.push(start..self.bytes.len());
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes with what is in `place` replaced.
    pub fn with(&self, place: &Range<usize>, by: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.splice(place.clone(), by.iter().copied());
        bytes
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that there are more.
pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let [low, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The same number, in one byte more.
pub fn padded(varint: &[u8]) -> Vec<u8> {
    let mut padded = varint.to_vec();
    if let Some(last) = padded.last_mut() {
        *last |= 0x80;
    }
    padded.push(0);
    padded
}
