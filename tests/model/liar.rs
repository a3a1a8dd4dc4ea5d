//! What a relay can make of a true answer.

use verisoo::head::ForkProof;
use verisoo::log::leaf_hash;
use verisoo::sim::SimScheme;
use verisoo::wire::{
    Batch, Entries, Entry, Frame, Message, Proof, ProofAnswer, Refusal, Request, Response, Signed, StatusBody,
};
use verisoo::{Head, LogId, SignedHead};

use super::signing::{identity, signed_text};

/// The lies that the relay knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lie {
    /// A record, a root or a head is another.
    Alter,
    /// A proof lacks a hash, or has one too many.
    Cut,
    /// It has more than there is.
    Boast,
    /// It has nothing.
    Withhold,
    /// The log has forked; here is what looks like the proof.
    Accuse,
}

pub const LIES: [Lie; 5] = [Lie::Alter, Lie::Cut, Lie::Boast, Lie::Withhold, Lie::Accuse];

/// The answer that the relay gives instead of the true one; `None` where the lie has nothing to say.
pub fn lie(lie: Lie, relay: &str, request: &Request<'_>, answer: &Frame<'_>) -> Option<Vec<u8>> {
    let Message::Response(response) = answer.message else { return None };
    let hashes;
    let mut records;
    let body;
    let told = match (lie, response) {
        (Lie::Withhold, Response::Records(_) | Response::Proof(_) | Response::Key { .. }) => {
            Response::Refused(Refusal::NotHeld)
        }
        (Lie::Alter, Response::Records(batch)) => {
            records = batch.records.to_vec();
            *records.last_mut()? ^= 1;
            Response::Records(Batch { records: &records, ..batch })
        }
        (Lie::Alter, Response::Proof(answer)) => Response::Proof(ProofAnswer { root: leaf_hash(b"a lie"), ..answer }),
        (Lie::Cut, Response::Records(batch)) => {
            hashes = cut(batch.proof.hashes());
            Response::Records(Batch { proof: Proof::new(&hashes)?, ..batch })
        }
        (Lie::Cut, Response::Proof(answer)) => {
            hashes = cut(answer.proof.hashes());
            Response::Proof(ProofAnswer { proof: Proof::new(&hashes)?, ..answer })
        }
        (Lie::Accuse, Response::Refused(_)) => {
            let Request::Fork { log } = request else { return None };
            records = fabricated(log);
            Response::Fork { log: *log, proof: &records }
        }
        (Lie::Alter | Lie::Boast | Lie::Withhold | Lie::Accuse, Response::Status(status)) => {
            body = lying_status(lie, relay, &status)?;
            let Request::Status(asked) = request else { return None };
            let identity = identity::<SimScheme>(relay);
            let text = signed_text(*b"verisoo/status", &identity.vkey().id(), &asked.asker, &asked.nonce, &body);
            Response::Status(Signed { signature: identity.sign(&text), body: &body })
        }
        _ => return None,
    };
    let mut buf = vec![0; 8_192];
    let frame = Frame { id: answer.id, message: Message::Response(told) };
    frame.encode(&mut buf).map(<[u8]>::to_vec)
}

fn cut(hashes: &[[u8; 32]]) -> Vec<[u8; 32]> {
    match hashes.split_last() {
        Some((_, rest)) => rest.to_vec(),
        None => vec![[0; 32]],
    }
}

/// A status that lies about all logs but the relay's own.
fn lying_status(lie: Lie, relay: &str, status: &Signed<'_>) -> Option<Vec<u8>> {
    let body = StatusBody::decode(status.body).ok()?;
    let own = identity::<SimScheme>(relay).vkey().id();
    let mut entries = vec![0; 4_096];
    let mut len = 0;
    for entry in body.entries.iter() {
        let mut entry: Entry = entry.ok()?;
        if entry.log != own {
            match lie {
                Lie::Alter => entry.complete.root = leaf_hash(b"a lie"),
                Lie::Boast => {
                    entry.complete = Head { size: entry.complete.size + 1, root: leaf_hash(b"a lie") };
                    entry.have = entry.complete.size;
                }
                Lie::Withhold => (entry.complete, entry.have) = (Head::EMPTY, 0),
                Lie::Accuse => entry.forked = true,
                Lie::Cut => {}
            }
            if entry.complete.size == 0 {
                entry.complete = Head::EMPTY;
            }
        }
        len += postcard::to_slice(&entry, &mut entries[len..]).ok()?.len();
    }
    let digest = leaf_hash(&entries[..len]);
    let told = StatusBody { digest, entries: Entries::new(&entries[..len]), ..body };
    postcard::to_slice(&told, &mut vec![0; 8_192]).ok().map(|bytes| bytes.to_vec())
}

/// What looks like the proof of a fork: heads that nobody signed.
fn fabricated(log: &LogId) -> Vec<u8> {
    let forger = identity::<SimScheme>("forger");
    let roots = [leaf_hash(log.as_bytes()), leaf_hash(b"another")];
    let heads = roots.map(|root| SignedHead::sign(&forger, Head { size: 1, root }));
    let mut buf = vec![0; ForkProof::MAX_LEN];
    let len = ForkProof { heads, size: 1, roots, proofs: [&[], &[]] }.encode(&mut buf).expect("there is room");
    buf.truncate(len);
    buf
}
