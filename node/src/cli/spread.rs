//! Three nodes in one process, each with its own key, log and loopback port: what the demo is made of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use verisoo::attestation::Attestation;
use verisoo::log::{leaf_hash, verify_inclusion};
use verisoo::store::MemoryStore;
use verisoo::{Config, Hash, Head, Identity, LogId, Vkey};
use verisoo_node::api::{admin, listen, public};
use verisoo_node::driver::{Begin, Driver, Handle, Hashes, NotDone};
use verisoo_node::keys;
use verisoo_node::limits::Limits;
use verisoo_node::link::PeerAddress;

use super::attest;

/// Short, since somebody is watching.
const INTERVAL: Duration = Duration::from_millis(250);

/// Files hashed and signed before their records are appended: some 60 KB of records.
const CHUNK: usize = 128;

/// One node of the demo.
#[derive(Clone)]
pub struct Member {
    pub name: &'static str,
    pub vkey: Vkey,
    pub handle: Handle,
    identity: Identity,
}

/// What a node has, as the demo looks at it.
pub struct View {
    /// Records held, of all logs.
    pub have: u64,
    /// Records under complete heads.
    pub complete: u64,
    pub root: Hash,
}

/// Starts the nodes, each with the others as its peers. They stop when the sender is dropped.
pub async fn start(names: [&'static str; 3]) -> anyhow::Result<(Vec<Member>, watch::Sender<bool>)> {
    let (stop, stopped) = watch::channel(false);
    let limits = Limits::default();
    let mut nodes = Vec::new();
    for name in names {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port on loopback")?;
        nodes.push((name, keys::throwaway(&format!("verisoo.example/{name}"))?, listener));
    }
    let mut addresses = Vec::new();
    for (_, identity, listener) in &nodes {
        let url = format!("http://{}", listener.local_addr()?).parse()?;
        addresses.push(PeerAddress { url, vkey: *identity.vkey() });
    }
    let mut members = Vec::new();
    for (name, identity, listener) in nodes {
        let vkey = *identity.vkey();
        let others = addresses.iter().filter(|peer| peer.vkey != vkey).cloned().collect();
        let mut config = Config::default();
        config.interval = INTERVAL;
        let store = Box::new(MemoryStore::new());
        let (driver, handle) = Driver::new(identity.clone(), config, store, Begin::New, others, &limits)?;
        tokio::spawn(driver.run());
        tokio::spawn(listen(listener, public::router(handle.clone(), &limits), limits.clone(), stopped.clone()));
        members.push(Member { name, vkey, handle, identity });
    }
    Ok((members, stop))
}

/// Attests files with one node, `done` being told how many more are dealt with; which could not be read.
pub async fn attest_all(
    member: Member,
    dir: PathBuf,
    files: Vec<PathBuf>,
    done: impl Fn(u64),
) -> anyhow::Result<Vec<String>> {
    let mut unreadable = Vec::new();
    for chunk in files.chunks(CHUNK) {
        let (dir, chunk, identity) = (dir.clone(), chunk.to_vec(), member.identity.clone());
        let count = chunk.len() as u64;
        let (records, failed) = spawn_blocking(move || sign_all(&identity, &dir, &chunk)).await??;
        unreadable.extend(failed);
        member.handle.call(move |engine| engine.append(&records)).await?.map_err(|(error, _)| error)?;
        done(count);
    }
    Ok(unreadable)
}

fn sign_all(identity: &Identity, dir: &Path, files: &[PathBuf]) -> anyhow::Result<(Vec<Vec<u8>>, Vec<String>)> {
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.strip_prefix(dir).unwrap_or(file).to_string_lossy();
        match attest::statement(file, &name) {
            Ok(payload) => records.push(admin::sign(identity, attest::PAYLOAD_TYPE, &payload)?),
            Err(error) => unreadable.push(format!("{name}: {error}")),
        }
    }
    Ok((records, unreadable))
}

pub async fn view(member: &Member) -> Result<View, NotDone> {
    let view = member.handle.call(|engine| {
        let (have, complete) =
            engine.node.logs().fold((0, 0), |(have, complete), log| (have + log.have, complete + log.complete.size));
        View { have, complete, root: engine.node.root() }
    });
    view.await
}

/// The complete head of a log on a node, its signature checked.
pub async fn head(member: &Member, of: &Member) -> anyhow::Result<Head> {
    let log = of.vkey.id();
    let info = member.handle.call(move |engine| engine.node.log(&log)).await?;
    if info.is_none_or(|info| info.complete == Head::EMPTY) {
        return Ok(Head::EMPTY);
    }
    let (signed, _) = member.handle.call(move |engine| engine.head(&log)).await??;
    signed.verify(&of.vkey)?;
    Ok(signed.head)
}

/// Verifies every record of every log on a node: that it is in the tree its head signs, and that the log's
/// key signed what it says. `done` is told how many more are verified.
pub async fn verify(members: &[Member], on: &Member, done: impl Fn(u64)) -> anyhow::Result<u64> {
    let mut verified = 0;
    for of in members {
        let head = head(on, of).await?;
        let mut start = 0;
        let mut checks = JoinSet::new();
        while start < head.size {
            let (records, proofs) = fetch(on, of.vkey.id(), start, head.size).await?;
            let (vkey, count) = (of.vkey, records.len() as u64);
            ensure!(count > 0, "{}: no records from {start} of {}", on.name, of.name);
            let check = move || check(&vkey, &head, start, &records, &proofs).map(|()| count);
            checks.spawn_blocking(check);
            start += count;
        }
        while let Some(checked) = checks.join_next().await {
            let count = checked?.with_context(|| format!("{} has false records of {}", on.name, of.name))?;
            verified += count;
            done(count);
        }
    }
    Ok(verified)
}

async fn fetch(on: &Member, log: LogId, start: u64, size: u64) -> anyhow::Result<(Vec<Vec<u8>>, Vec<Hashes>)> {
    let page = on.handle.call(move |engine| {
        let records = engine.records(&log, start, size)?;
        let indexes = (start..size).take(records.len());
        let proofs = indexes.map(|index| engine.inclusion(&log, index, size)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, NotDone>((records, proofs))
    });
    Ok(page.await??)
}

fn check(vkey: &Vkey, head: &Head, start: u64, records: &[Vec<u8>], proofs: &[Hashes]) -> anyhow::Result<()> {
    let mut attestations = Vec::with_capacity(records.len());
    for (index, (record, proof)) in (start..).zip(records.iter().zip(proofs)) {
        verify_inclusion(index, head.size, &leaf_hash(record), &head.root, proof)?;
        attestations.push((vkey, Attestation::decode(record)?));
    }
    Attestation::verify_all(attestations).map_err(|index| anyhow!("record {index} is not signed by the key"))
}
