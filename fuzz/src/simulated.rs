//! What is said in simulated federations, honest and not, as inputs for the targets that read it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use verisoo::head::ForkProof;
use verisoo::sim::{Happening, Plan, Profile, SimScheme, Simulation};
use verisoo::wire::{Frame, Message, Request, Response, StatusBody};
use verisoo::{Attestation, Head, LogId, Name, Records, SignedHead, Vkey};

use super::fork_proofs::AS_IT_IS;
use super::net::signing::identity;

/// Seeds simulated of each profile.
const SEEDS: std::ops::Range<u64> = 0..12;

/// The longest input worth a place in a corpus.
const LONGEST: usize = 1_500;

/// Inputs, each with the target it is for: one of each shape.
pub fn inputs() -> Vec<(&'static str, Vec<u8>)> {
    let frames = frames();
    let mut inputs = Inputs::default();
    for bytes in &frames {
        inputs.learn_keys(bytes);
    }
    for bytes in &frames {
        inputs.add_frame(bytes);
    }
    inputs.all
}

/// All frames that arrived somewhere in some simulations.
fn frames() -> BTreeSet<Vec<u8>> {
    let profiles = [Profile::Lite, Profile::Swarm, Profile::Byzantine, Profile::Disk];
    std::thread::scope(|scope| {
        let threads =
            profiles.map(|profile| scope.spawn(move || SEEDS.flat_map(|seed| frames_of(profile, seed)).collect()));
        threads.into_iter().flat_map(|thread| -> BTreeSet<_> { thread.join().expect("no violation") }).collect()
    })
}

fn frames_of(profile: Profile, seed: u64) -> BTreeSet<Vec<u8>> {
    let frames = Rc::new(RefCell::new(BTreeSet::new()));
    let kept = Rc::clone(&frames);
    let mut simulation = Simulation::new(Plan::expand(seed, profile, None));
    simulation.observe(Box::new(move |_, happening| {
        let Happening::Message { frame: Some(frame), .. } = happening else { return };
        let mut buf = vec![0; 1 << 17];
        let bytes = frame.encode(&mut buf).expect("it was sent");
        if bytes.len() <= LONGEST {
            kept.borrow_mut().insert(bytes.to_vec());
        }
    }));
    let report = simulation.run();
    assert_eq!(report.violation, None, "seed {seed} of {profile:?}");
    frames.take()
}

#[derive(Default)]
struct Inputs {
    all: Vec<(&'static str, Vec<u8>)>,
    /// What there is one of: more of the same shape would teach a fuzzer nothing.
    shapes: BTreeSet<(&'static str, String, [u64; 4])>,
    keys: BTreeMap<LogId, Vkey<SimScheme>>,
}

impl Inputs {
    fn add(&mut self, target: &'static str, kind: &str, shape: [u64; 4], parts: &[&[u8]]) {
        let input = parts.concat();
        if input.len() <= LONGEST && self.shapes.insert((target, kind.to_owned(), shape)) {
            self.all.push((target, input));
        }
    }

    fn learn_keys(&mut self, bytes: &[u8]) {
        let Ok(Frame { message: Message::Response(Response::Key { name, key, .. }), .. }) = Frame::decode(bytes) else {
            return;
        };
        let vkey = Name::new(name).ok().and_then(|name| Vkey::new(name, key).ok());
        self.keys.extend(vkey.map(|vkey| (vkey.id(), vkey)));
    }

    fn add_frame(&mut self, bytes: &[u8]) {
        let frame = Frame::decode(bytes).expect("it was one");
        // The names of the message and of its kind.
        let debug = format!("{:?}", frame.message);
        let kind: String = debug.split(['(', ' ']).take(2).collect::<Vec<_>>().join(" ");
        let mut proof_len = 0;
        match frame.message {
            Message::Request(Request::Push(push)) => {
                proof_len = push.batch.proof.hashes().len();
                self.add_batch(&push.batch);
            }
            Message::Response(Response::Records(batch)) => {
                proof_len = batch.proof.hashes().len();
                self.add_batch(&batch);
            }
            Message::Response(Response::Proof(answer)) => {
                proof_len = answer.proof.hashes().len();
                self.add_head(&answer.log, &answer.head);
                self.add_proof(answer.size, &answer.head.head, answer.root.as_bytes(), answer.proof.hashes());
            }
            Message::Request(Request::PushFork { log, proof }) | Message::Response(Response::Fork { log, proof }) => {
                self.add_fork(&log, proof);
            }
            Message::Response(Response::Status(signed)) => self.add_status(signed.body),
            _ => {}
        }
        self.add("frame", &kind, [proof_len as u64, magnitude(bytes.len() as u64), 0, 0], &[bytes]);
    }

    fn add_batch(&mut self, batch: &verisoo::wire::Batch<'_>) {
        self.add_head(&batch.log, &batch.head);
        let records = Records::new(batch.records);
        let end = batch.start + records.iter().count() as u64;
        self.add_proof(end, &batch.head.head, batch.head.head.root.as_bytes(), batch.proof.hashes());
        for record in records.iter().flatten() {
            let shape = [magnitude(record.len() as u64), 0, 0, 0];
            let signer = identity::<SimScheme>("signer.example");
            let Ok(signed) = Attestation::sign(&signer, "application/octet-stream", record) else { continue };
            let mut encoded = vec![0; usize::from(u16::MAX)];
            let Ok(len) = signed.encode(&mut encoded) else { continue };
            self.add("attestation", "record", shape, &[&[0], &encoded[..len]]);
            self.add("attestation", "envelope", shape, &[&[1], signed.to_json("").as_bytes()]);
        }
    }

    fn add_status(&mut self, body: &[u8]) {
        let Ok(body) = StatusBody::decode(body) else { return };
        for entry in body.entries.iter().flatten() {
            if let Some(unproven) = entry.unproven {
                self.add_head(&entry.log, &unproven);
            }
        }
    }

    /// A head as a checkpoint, its log's key and id.
    fn add_head(&mut self, log: &LogId, signed: &SignedHead) {
        let Some(vkey) = self.keys.get(log).copied() else { return };
        let shape = [u64::from(signed.head.size.max(1).ilog10()), vkey.key_id()[0].into(), 0, 0];
        self.add("notes", "checkpoint", [shape[0], 0, 0, 0], &[&[0], signed.to_note(&vkey).to_string().as_bytes()]);
        self.add("notes", "vkey", [shape[1] >> 5, 0, 0, 0], &[&[1], vkey.to_string().as_bytes()]);
        self.add("notes", "id", [shape[1] >> 5, 0, 0, 0], &[&[1], log.to_string().as_bytes()]);
    }

    /// Sizes, an old root and hashes, as `proofs` reads them where the sizes are any.
    fn add_proof(&mut self, old: u64, new: &Head, root: &[u8; 32], hashes: &[[u8; 32]]) {
        let [from, to] = [old, new.size].map(u64::to_le_bytes);
        let shape = [hashes.len() as u64, magnitude(old), magnitude(new.size), u64::from(old.trailing_zeros())];
        let parts: [&[u8]; 8] = [&[2, 64], &from, &[64], &to, root, &[0], hashes.as_flattened(), &[3]];
        self.add("proofs", "consistency", shape, &parts);
    }

    fn add_fork(&mut self, log: &LogId, bytes: &[u8]) {
        let (Some(vkey), Ok(proof)) = (self.keys.get(log).copied(), ForkProof::decode(bytes)) else { return };
        let kind = if proof.verify(&vkey).is_ok() { "true" } else { "false" };
        let [left, right] = proof.proofs.map(|proof| proof.len() as u64);
        let is_one_size = proof.heads[0].head.size == proof.heads[1].head.size;
        let name = vkey.name().as_str().as_bytes();
        let len = u8::try_from(name.len()).expect("a name is short");
        let parts: [&[u8]; 5] = [&[AS_IT_IS], vkey.key(), &[len], name, bytes];
        self.add("fork_proofs", kind, [left, right, is_one_size.into(), 0], &parts);
    }
}

fn magnitude(number: u64) -> u64 {
    (u64::BITS - number.leading_zeros()).into()
}
