//! What people read and write: hashes and ids in lower-case hex, records in standard base64.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use verisoo::head::ForkProof;
use verisoo::wire::{Batch, Nonce, Proof, Push, PushWord, Request, Response};
use verisoo::{Error, Hash, Head, Health, LogId, Records, SignedHead, Vkey};

use super::error::ApiError;
use super::query::{LogQuery, parse_log};
use crate::driver::{Engine, NotDone, Why};

/// A body within the limit.
pub(super) type BodyResult = Result<Bytes, BytesRejection>;

/// A body that is JSON.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad(error.to_string()))
}

/// How a node is, and what it has.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its key, as a vkey string.
    pub vkey: String,
    /// The node's own log.
    pub log: String,
    /// Records in it.
    pub size: u64,
    /// Their root.
    pub root: String,
    /// One hash over the heads of all logs: equal where nodes are converged.
    pub federation_root: String,
    /// All logs that it follows, its own among them.
    pub logs: Vec<LogStatus>,
    /// `writing`, `recovering` or `stopped`.
    pub state: String,
    /// Its peers.
    pub peers: Vec<PeerStatus>,
    /// The largest frame the node takes, in bytes.
    pub max_message: u32,
}

/// What a node has of a log.
#[derive(Debug, Serialize, Deserialize)]
pub struct LogStatus {
    /// Its id.
    pub log: String,
    /// Its writer's name, where that is known.
    pub name: String,
    /// Records under its complete head.
    pub size: u64,
    /// Their root.
    pub root: String,
    /// Records held, those beyond the complete head among them.
    pub have: u64,
    /// Proven to have forked.
    pub frozen: bool,
}

/// How a peer is.
#[derive(Debug, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// Its id.
    pub node: String,
    /// `healthy`, `unhealthy`, or `at fault` and why.
    pub health: String,
    /// Records of this node's log it holds, by its own word.
    pub acknowledged: Option<u64>,
    /// Why the last request brought no answer.
    pub last_error: Option<String>,
}

pub(super) fn status(engine: &mut Engine) -> Status {
    let own = engine.node.id();
    let head = engine.node.log(&own).map_or(Head::EMPTY, |log| log.complete);
    let state = match engine.node.check_writing() {
        Ok(()) => "writing",
        Err(Error::Recovering) => "recovering",
        Err(_) => "stopped",
    };
    Status {
        name: engine.node.vkey().name().to_string(),
        vkey: engine.node.vkey().to_string(),
        log: own.to_string(),
        size: head.size,
        root: head.root.to_string(),
        federation_root: engine.node.root().to_string(),
        logs: logs(engine),
        state: state.to_owned(),
        peers: peers(engine),
        max_message: engine.node.config().max_message,
    }
}

fn logs(engine: &mut Engine) -> Vec<LogStatus> {
    let own = engine.node.id();
    let own_name = engine.node.vkey().name().to_string();
    let store = &mut engine.store;
    let logs = engine.node.logs().map(|info| LogStatus {
        log: info.log.to_string(),
        // The own log is in the store from its first record on.
        name: match store.log(&info.log) {
            Ok(Some(stored)) => stored.name.to_string(),
            _ if info.log == own => own_name.clone(),
            _ => String::new(),
        },
        size: info.complete.size,
        root: info.complete.root.to_string(),
        have: info.have,
        frozen: info.is_forked,
    });
    logs.collect()
}

fn peers(engine: &Engine) -> Vec<PeerStatus> {
    let peers = engine.node.peers().map(|info| {
        let known = engine.peers.get(&info.id);
        PeerStatus {
            name: known.map_or_else(String::new, |peer| peer.name.clone()),
            node: info.node.to_string(),
            health: match info.health {
                Health::Healthy => "healthy".to_owned(),
                Health::Unhealthy => "unhealthy".to_owned(),
                Health::AtFault(fault) => format!("at fault: {fault}"),
            },
            acknowledged: info.acknowledged,
            last_error: known.and_then(|peer| peer.last_error.clone()),
        }
    });
    peers.collect()
}

/// Records in a row, proven.
#[derive(Debug, Serialize, Deserialize)]
pub struct RecordsPage {
    /// The log.
    pub log: String,
    /// The index of the first.
    pub start: u64,
    /// The size of the tree that the proof leads to.
    pub size: u64,
    /// The records.
    pub records: Vec<String>,
    /// From the end of the records to `size`; empty where they end there.
    pub proof: Vec<String>,
}

/// As many records as fit, from `start`, at most `count`, with the consistency proof from their end to
/// `size`, or to the head.
pub(super) fn records(engine: &mut Engine, query: &LogQuery) -> Result<RecordsPage, NotDone> {
    let log = query.log(engine)?;
    let start = query.start.unwrap_or(0);
    let size = size_of(engine, &log, query.size)?;
    if query.size.is_some_and(|size| start > size) {
        return Err(NotDone::nonsense("start is beyond size"));
    }
    let mut page = RecordsPage { log: log.to_string(), start, size, records: Vec::new(), proof: Vec::new() };
    let count = query.count.unwrap_or(u64::MAX);
    if start == size || count == 0 {
        if start > 0 && start < size {
            page.proof = hex(&engine.consistency(&log, start, size)?.2);
        }
        return Ok(page);
    }
    if query.size.is_some() {
        let end = size.min(start.saturating_add(count));
        let records = engine.records(&log, start, end)?;
        page.proof = hex(&engine.consistency(&log, start + records.len() as u64, size)?.2);
        page.records = records.iter().map(|record| STANDARD.encode(record)).collect();
        return Ok(page);
    }
    let request = Request::Records { log, start, count, limit: u32::MAX };
    let Response::Records(batch) = engine.ask(&request)? else { return Err(unexpected()) };
    page.size = batch.head.head.size;
    page.proof = hex(batch.proof.hashes());
    for record in Records::new(batch.records) {
        page.records.push(STANDARD.encode(record.map_err(|_| unexpected())?));
    }
    Ok(page)
}

/// The size asked about, which must be signed and held; the complete head's where none is asked about.
fn size_of(engine: &mut Engine, log: &LogId, asked: Option<u64>) -> Result<u64, NotDone> {
    let complete = engine.log(log)?.and_then(|stored| stored.state.complete);
    let held = complete.map_or(0, |complete| complete.head.size);
    match asked {
        Some(size) if size > held => Err(NotDone::not_held(format!("the head is of size {held}"))),
        asked => Ok(asked.unwrap_or(held)),
    }
}

/// That one tree is the beginning of another.
#[derive(Debug, Serialize, Deserialize)]
pub struct Consistency {
    /// The log.
    pub log: String,
    /// The size of the smaller tree.
    pub old_size: u64,
    /// Its root.
    pub old_root: String,
    /// The size of the larger tree.
    pub size: u64,
    /// Its root.
    pub root: String,
    /// The consistency proof.
    pub proof: Vec<String>,
}

pub(super) fn consistency(engine: &mut Engine, query: &LogQuery) -> Result<Consistency, NotDone> {
    let log = query.log(engine)?;
    let old_size = query.old_size.ok_or_else(|| NotDone::nonsense("old_size: the size to prove from"))?;
    if query.size.is_some_and(|size| old_size > size) {
        return Err(NotDone::nonsense("old_size is beyond size"));
    }
    let size = size_of(engine, &log, query.size)?;
    if old_size > size {
        return Err(NotDone::not_held(format!("the head is of size {size}")));
    }
    let (old, new, proof) = engine.consistency(&log, old_size, size)?;
    Ok(Consistency {
        log: log.to_string(),
        old_size,
        old_root: old.root.to_string(),
        size,
        root: new.root.to_string(),
        proof: hex(&proof),
    })
}

/// The key that a log id stands for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Key {
    /// The log.
    pub log: String,
    /// Its writer's name.
    pub name: String,
    /// The key, as a vkey string.
    pub vkey: String,
}

/// Which key a log id stands for.
pub(super) fn key(engine: &mut Engine, query: &LogQuery) -> Result<Key, NotDone> {
    let log = query.log(engine)?;
    let Response::Key { name, key, .. } = engine.ask(&Request::Key { log })? else { return Err(unexpected()) };
    let vkey: Vkey = verisoo::Name::new(name).and_then(|name| Vkey::new(name, key)).map_err(|_| unexpected())?;
    Ok(Key { log: log.to_string(), name: vkey.name().to_string(), vkey: vkey.to_string() })
}

/// A fork proof, in its one encoding: what a verifier takes as it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForkRequest {
    /// The log.
    pub log: String,
    /// The proof.
    pub proof: String,
}

pub(super) fn fork(engine: &mut Engine, query: &LogQuery) -> Result<ForkRequest, NotDone> {
    let log = query.log(engine)?;
    let Response::Fork { proof, .. } = engine.ask(&Request::Fork { log })? else { return Err(unexpected()) };
    Ok(ForkRequest { log: log.to_string(), proof: STANDARD.encode(proof) })
}

pub(super) fn push_fork(engine: &mut Engine, fork: &ForkRequest) -> Result<serde_json::Value, NotDone> {
    let log = parse_log(&fork.log)?;
    let proof = STANDARD.decode(&fork.proof).map_err(|_| NotDone::nonsense("proof: not base64"))?;
    if proof.len() > ForkProof::MAX_LEN {
        return Err(NotDone::nonsense("proof: too long"));
    }
    engine.ask(&Request::PushFork { log, proof: &proof })?;
    Ok(serde_json::json!({ "log": fork.log, "frozen": true }))
}

/// A push as people write it: a signed note instead of a binary head.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// The log.
    pub log: String,
    /// Its head, a C2SP checkpoint.
    pub checkpoint: String,
    /// The index of the first record.
    pub start: u64,
    /// The records.
    #[serde(default)]
    pub records: Vec<String>,
    /// From the end of the records to the checkpoint.
    #[serde(default)]
    pub proof: Vec<String>,
}

/// What a node has of a log after a push.
#[derive(Debug, Serialize, Deserialize)]
pub struct PushAnswer {
    /// The log.
    pub log: String,
    /// Records under its complete head.
    pub size: u64,
    /// Records held.
    pub have: u64,
}

pub(super) fn push(engine: &mut Engine, push: &PushRequest) -> Result<PushAnswer, NotDone> {
    let log = parse_log(&push.log)?;
    let mut records = Vec::new();
    for record in &push.records {
        let record = STANDARD.decode(record).map_err(|_| NotDone::nonsense("records: not base64"))?;
        frame(&record, &mut records).ok_or_else(|| NotDone::nonsense("records: at most 65,535 bytes each"))?;
    }
    let hashes = push.proof.iter().map(|hash| Hash::from_hex(hash).map(|hash| *hash.as_bytes()));
    let hashes: Vec<_> = hashes.collect::<Option<_>>().ok_or_else(|| NotDone::nonsense("proof: hashes in hex"))?;
    let proof = Proof::new(&hashes).ok_or_else(|| NotDone::nonsense("proof: at most 63 hashes"))?;

    let Response::Key { name, key, .. } = engine.ask(&Request::Key { log })? else { return Err(unexpected()) };
    let vkey: Vkey = verisoo::Name::new(name).and_then(|name| Vkey::new(name, key)).map_err(|_| unexpected())?;
    let head = SignedHead::from_note(push.checkpoint.as_bytes(), &vkey)
        .map_err(|error| NotDone::new(Why::Invalid, error.to_string()))?;
    let batch = Batch { log, start: push.start, head, proof, records: &records };
    // Whoever pushes by hand is no peer, and nobody to be asked for more.
    let from = engine.node.id();
    let answer = engine.ask(&Request::Push(Push { from, nonce: Nonce([0; 16]), batch }))?;
    let Response::Pushed(word) = answer else { return Err(unexpected()) };
    let word = PushWord::decode(word.body).map_err(|_| unexpected())?;
    Ok(PushAnswer { log: push.log.clone(), size: word.complete.size, have: word.have })
}

fn frame(record: &[u8], records: &mut Vec<u8>) -> Option<()> {
    let at = records.len();
    records.resize(at + 2 + record.len(), 0);
    Records::frame(record, records.get_mut(at..)?).map(|_| ())
}

fn hex(hashes: &[[u8; Hash::LEN]]) -> Vec<String> {
    hashes.iter().map(|hash| Hash::from_bytes(*hash).to_string()).collect()
}

fn unexpected() -> NotDone {
    NotDone::internal("the node answered something else")
}
