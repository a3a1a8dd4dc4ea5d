//! What adversaries do to answers on their way, habit by habit, and what must come of it. An answer made by a
//! production node goes in, and what is sent in its stead comes out.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::outcome::Outcome;
use crate::codec::Writer;
use crate::head::{Head, SignedHead};
use crate::key::{Identity, LogId, Scheme, Signature};
use crate::log::Hash;
use crate::record::Records;
use crate::sim::hash::{draw, scale};
use crate::sim::plan::Habit;
use crate::wire::{
    Batch, Entries, Entry, Frame, Message, Nonce, Proof, ProofAnswer, PushWord, Refusal, Request, RequestId, Response,
    Signed, SignedContext, StatusBody, VERSION, signed_text,
};
use crate::words::Fault;

/// What becomes of an answer.
pub(super) struct Tampered {
    /// `None`: it is not sent.
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) outcome: Option<Outcome>,
    /// Sent so many microseconds later.
    pub(super) delay: u64,
}

impl Tampered {
    fn bytes(bytes: Option<Vec<u8>>, outcome: Option<Outcome>) -> Option<Self> {
        bytes.map(|bytes| Self { bytes: Some(bytes), outcome, delay: 0 })
    }
}

/// What an adversary remembers in order to lie with.
pub(super) struct Liar<S: Scheme> {
    pub(super) identity: Identity<S>,
    /// The first head of each log that came by, with its signature.
    pub(super) heads: BTreeMap<LogId, SignedHead>,
    /// A status frame given to each asker.
    pub(super) statuses: BTreeMap<LogId, Vec<u8>>,
    /// How long askers wait.
    pub(super) patience: u64,
}

impl<S: Scheme> Liar<S> {
    /// The answer to `request` after a habit; `None` where the habit has nothing to do with such answers.
    pub(super) fn tamper(&self, habit: Habit, request: &Request<'_>, answer: &[u8], drawn: u64) -> Option<Tampered> {
        let frame = Frame::decode(answer).ok()?;
        let Message::Response(response) = frame.message else { return None };
        let id = frame.id;
        match habit {
            Habit::Silent => Some(Tampered { bytes: None, outcome: None, delay: 0 }),
            Habit::Slow => {
                let delay = self.patience * 9 / 10;
                Some(Tampered { bytes: Some(answer.to_vec()), outcome: Some(Outcome::Blameless), delay })
            }
            Habit::Refuse => Tampered::bytes(encode(id, Response::Refused(Refusal::Busy)), None),
            Habit::Garbage => {
                let len = scale(drawn, 300) + 1;
                let bytes: Vec<u8> = (0..len).map(|at| draw(&[drawn, at]).to_le_bytes()[0] | 0x80).collect();
                Tampered::bytes(Some(bytes), Some(Outcome::NoFrame))
            }
            Habit::NotCanonical => Tampered::bytes(padded(answer), Some(Outcome::NoFrame)),
            Habit::Oversize => {
                // The last length prefix promises more than comes.
                let bytes = answer.get(..answer.len().saturating_sub(1)).filter(|bytes| bytes.len() > 8);
                Tampered::bytes(bytes.map(<[u8]>::to_vec), Some(Outcome::NoFrame))
            }
            Habit::ProofBit
            | Habit::ProofTooLong
            | Habit::ProofTooShort
            | Habit::ProofSwapped
            | Habit::ProofOtherSize => tamper_with_proof(habit, id, response, drawn),
            Habit::RecordBit | Habit::RecordsSwapped | Habit::RecordsCut | Habit::RecordsTruncated => {
                tamper_with_records(habit, id, response, drawn)
            }
            Habit::HeadForged | Habit::HeadReplayed | Habit::HeadOfOtherLog => {
                self.tamper_with_head(habit, id, response, drawn)
            }
            Habit::OtherContext | Habit::StatusReplayed | Habit::StatusDisordered | Habit::HideForks => {
                self.tamper_with_status(habit, id, request, response)
            }
            Habit::FalseWord => self.tamper_with_word(id, request, response),
            Habit::FalseKey => match response {
                Response::Key { log, name, .. } => {
                    let key = *self.identity.vkey().key();
                    let is_false = log != self.identity.vkey().id();
                    let outcome = is_false.then_some(Outcome::Fault(Fault::FalseKey));
                    Tampered::bytes(encode(id, Response::Key { log, name, key }), outcome)
                }
                _ => None,
            },
            Habit::FalseForkProof => match response {
                Response::Fork { log, proof } => {
                    let mut proof = proof.to_vec();
                    flip(&mut proof, drawn);
                    // The bit may be in a hash or a number: either way it proves nothing.
                    let answer = encode(id, Response::Fork { log, proof: &proof });
                    Tampered::bytes(answer, Some(Outcome::Fault(Fault::FalseForkProof)))
                }
                _ => None,
            },
        }
    }

    fn tamper_with_head(&self, habit: Habit, id: RequestId, response: Response<'_>, drawn: u64) -> Option<Tampered> {
        let (log, head) = match response {
            Response::Records(batch) => (batch.log, batch.head),
            Response::Proof(answer) => (answer.log, answer.head),
            _ => return None,
        };
        let own = self.identity.vkey().id();
        let (head, outcome) = match habit {
            Habit::HeadForged => {
                let mut root = *head.head.root.as_bytes();
                flip(&mut root, drawn);
                let head = Head { root: Hash::from_bytes(root), ..head.head };
                (
                    SignedHead {
                        head,
                        ..self.heads.get(&log).copied().unwrap_or(SignedHead { head, signature: NONE })
                    },
                    Some(Outcome::Fault(Fault::HeadSignature)),
                )
            }
            Habit::HeadOfOtherLog if log != own => {
                // Signed, but by the wrong key.
                let size = head.head.size + 1;
                let head = SignedHead::sign(&self.identity, Head { size, ..head.head });
                (head, Some(Outcome::Fault(Fault::HeadSignature)))
            }
            Habit::HeadReplayed => (*self.heads.get(&log).filter(|old| old.head.size < head.head.size)?, None),
            _ => return None,
        };
        let head = if habit == Habit::HeadForged {
            SignedHead { head: head.head, signature: self.old_signature(&log) }
        } else {
            head
        };
        let response = match response {
            Response::Records(batch) => Response::Records(Batch { head, ..batch }),
            Response::Proof(answer) => Response::Proof(ProofAnswer { head, ..answer }),
            other => other,
        };
        Tampered::bytes(encode(id, response), outcome)
    }

    fn old_signature(&self, log: &LogId) -> Signature {
        self.heads.get(log).map_or(NONE, |head| head.signature)
    }

    fn tamper_with_status(
        &self,
        habit: Habit,
        id: RequestId,
        request: &Request<'_>,
        response: Response<'_>,
    ) -> Option<Tampered> {
        if habit == Habit::HideForks && matches!(response, Response::Fork { .. }) {
            return Tampered::bytes(encode(id, Response::Refused(Refusal::NotHeld)), None);
        }
        let (Response::Status(signed), Request::Status(asked)) = (response, request) else { return None };
        match habit {
            Habit::OtherContext => {
                let text = signed_text(SignedContext::Push, &self.own(), &asked.asker, &asked.nonce, signed.body);
                let signature = self.identity.sign(&text);
                let answer = encode(id, Response::Status(Signed { signature, body: signed.body }));
                Tampered::bytes(answer, Some(Outcome::NotTaken))
            }
            Habit::StatusReplayed => {
                // (A request that the network delivered twice is answered as before, and truly.)
                let old = Frame::decode(self.statuses.get(&asked.asker)?).ok().filter(|old| old.id != id)?;
                let answer = Frame { id, ..old }.encode(&mut vec![0; 1 << 17]).map(<[u8]>::to_vec);
                Tampered::bytes(answer, Some(Outcome::NotTaken))
            }
            Habit::StatusDisordered => {
                let body = StatusBody::decode(signed.body).ok()?;
                let mut entries: Vec<_> = body.entries.iter().flatten().collect();
                if entries.len() < 2 {
                    return None;
                }
                entries.reverse();
                let body = status_body(&body, &entries)?;
                let answer = self.signed_status(id, &asked.asker, &asked.nonce, &body);
                Tampered::bytes(answer, Some(Outcome::SignedFault(Fault::Malformed)))
            }
            _ => {
                let body = StatusBody::decode(signed.body).ok()?;
                let mut entries: Vec<_> = body.entries.iter().flatten().collect();
                if !entries.iter().any(|entry| entry.forked) {
                    return None;
                }
                for entry in &mut entries {
                    entry.forked = false;
                }
                let body = status_body(&body, &entries)?;
                Tampered::bytes(self.signed_status(id, &asked.asker, &asked.nonce, &body), None)
            }
        }
    }

    fn signed_status(&self, id: RequestId, asker: &LogId, nonce: &Nonce, body: &[u8]) -> Option<Vec<u8>> {
        let text = signed_text(SignedContext::Status, &self.own(), asker, nonce, body);
        encode(id, Response::Status(Signed { signature: self.identity.sign(&text), body }))
    }

    fn tamper_with_word(&self, id: RequestId, request: &Request<'_>, response: Response<'_>) -> Option<Tampered> {
        let (Response::Pushed(signed), Request::Push(push)) = (response, request) else { return None };
        let word = PushWord::decode(signed.body).ok()?;
        let word = PushWord { have: word.have.saturating_add(1_000).min(1 << 62), ..word };
        let mut buf = [0; 128];
        let mut writer = Writer::new(&mut buf);
        writer.put(&word)?;
        let body = writer.finish();
        let text = signed_text(SignedContext::Push, &self.own(), &push.from, &push.nonce, body);
        let answer = encode(id, Response::Pushed(Signed { signature: self.identity.sign(&text), body }));
        Tampered::bytes(answer, None)
    }

    fn own(&self) -> LogId {
        self.identity.vkey().id()
    }
}

const NONE: Signature = Signature::from_bytes([0; 64]);

fn encode(id: RequestId, response: Response<'_>) -> Option<Vec<u8>> {
    let mut buf = vec![0; 1 << 17];
    Frame { id, message: Message::Response(response) }.encode(&mut buf).map(<[u8]>::to_vec)
}

/// The same message with its request id in one byte more than it needs.
fn padded(answer: &[u8]) -> Option<Vec<u8>> {
    let end = 1 + answer.iter().skip(1).position(|byte| byte & 0x80 == 0)?;
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(answer.get(1..end)?);
    bytes.extend_from_slice(&[answer.get(end)? | 0x80, 0]);
    bytes.extend_from_slice(answer.get(end + 1..)?);
    Some(bytes)
}

pub(super) fn flip(bytes: &mut [u8], drawn: u64) {
    let bit = scale(drawn, bytes.len() as u64 * 8);
    if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1 << (bit % 8);
    }
}

fn tamper_with_proof(habit: Habit, id: RequestId, response: Response<'_>, drawn: u64) -> Option<Tampered> {
    let is_proof = matches!(response, Response::Proof(_));
    if habit == Habit::ProofOtherSize {
        return match response {
            Response::Proof(answer) => {
                let answer = encode(id, Response::Proof(ProofAnswer { size: answer.size + 1, ..answer }));
                Tampered::bytes(answer, Some(Outcome::NotTaken))
            }
            Response::Records(batch) => {
                let answer = encode(id, Response::Records(Batch { start: batch.start + 1, ..batch }));
                Tampered::bytes(answer, Some(Outcome::NotTaken))
            }
            _ => None,
        };
    }
    let mut hashes = match response {
        Response::Records(batch) => batch.proof.hashes().to_vec(),
        Response::Proof(answer) => answer.proof.hashes().to_vec(),
        _ => return None,
    };
    match habit {
        Habit::ProofBit if !hashes.is_empty() => flip(hashes.as_flattened_mut(), drawn),
        Habit::ProofTooLong => hashes.push(*Hash::EMPTY_ROOT.as_bytes()),
        Habit::ProofTooShort if !hashes.is_empty() => {
            hashes.pop();
        }
        Habit::ProofSwapped if hashes.len() > 1 => hashes.swap(0, 1),
        _ => return None,
    }
    let proof = Proof::new(&hashes)?;
    let outcome = is_proof.then_some(Outcome::Fault(Fault::FalseProof));
    let response = match response {
        Response::Records(batch) => Response::Records(Batch { proof, ..batch }),
        Response::Proof(answer) if answer.size > 0 => Response::Proof(ProofAnswer { proof, ..answer }),
        _ => return None,
    };
    Tampered::bytes(encode(id, response), outcome)
}

fn tamper_with_records(habit: Habit, id: RequestId, response: Response<'_>, drawn: u64) -> Option<Tampered> {
    let Response::Records(batch) = response else { return None };
    let mut framed = batch.records.to_vec();
    let mut records: Vec<Vec<u8>> = Records::new(batch.records).iter().flatten().map(<[u8]>::to_vec).collect();
    let mut outcome = None;
    match habit {
        Habit::RecordBit => {
            let at = usize::try_from(scale(drawn, records.len() as u64)).unwrap_or(0);
            let record = records.get_mut(at)?;
            if record.is_empty() {
                record.push(0);
            } else {
                flip(record, draw(&[drawn]));
            }
        }
        Habit::RecordsSwapped => {
            let last = records.len().checked_sub(1)?;
            if records.first() == records.last() {
                return None;
            }
            records.swap(0, last);
        }
        Habit::RecordsCut => {
            records.pop()?;
        }
        _ => {
            framed.pop()?;
            outcome = Some(Outcome::FaultOfNext(Fault::FalseRecords));
        }
    }
    if habit != Habit::RecordsTruncated {
        framed.clear();
        for record in &records {
            framed.extend_from_slice(&u16::try_from(record.len()).ok()?.to_le_bytes());
            framed.extend_from_slice(record);
        }
        // Before the first record there is nothing that could differ; further on it may be the log that forked.
        let is_first = batch.start == 0 && !records.is_empty();
        let fault = Outcome::FaultOfNext(Fault::FalseRecords);
        outcome = Some(if is_first { fault } else { Outcome::NotTaken });
    }
    Tampered::bytes(encode(id, Response::Records(Batch { records: &framed, ..batch })), outcome)
}

fn status_body(body: &StatusBody<'_>, entries: &[Entry]) -> Option<Vec<u8>> {
    let mut buf = vec![0; 1 << 17];
    let mut writer = Writer::new(&mut buf);
    for entry in entries {
        writer.put(entry)?;
    }
    let entries = writer.finish().to_vec();
    let mut writer = Writer::new(&mut buf);
    writer.put(&StatusBody { entries: Entries::new(&entries), ..*body })?;
    Some(writer.finish().to_vec())
}
