//! What the example does with its nodes: attest the files of a folder, wait until all nodes hold all of it,
//! and check every copy of every record.

use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use verisoo::attestation::Attestation;
use verisoo::log::{leaf_hash, prove_inclusion, verify_inclusion};
use verisoo::store::{MemoryStore, Store};
use verisoo::{Hash, Head, Identity, Node, Vkey};

use super::{Failure, Member, random, when_ready};

/// The demo gives up when so long no node got any further.
const STUCK: Duration = Duration::from_secs(30);

/// Attests the files of a folder on three nodes and checks what each holds in the end; whether all is well.
pub fn run() -> Result<bool, Failure> {
    let (folder, is_json) = arguments()?;
    let files = files(&folder)?;
    let (records, start) = (files.len() as u64, Instant::now());

    // Who takes part, and where: what an operator would write into configuration files.
    let (mut nodes, mut peers) = (Vec::new(), Vec::new());
    for name in ["alpha", "beta", "gamma"] {
        let identity = Identity::from_seed(name, &random()?)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        peers.push((*identity.vkey(), listener.local_addr()?));
        nodes.push((identity, listener));
    }

    // Every third file is attested by the same node; the nodes gossip meanwhile.
    let started = nodes.into_iter().enumerate().map(|(at, (identity, listener))| {
        let files: Vec<_> = files.iter().skip(at).step_by(3).collect();
        Ok((Member::start(identity.clone(), listener, &peers)?, identity, files))
    });
    let members = in_parallel(started.collect::<Result<Vec<_>, Failure>>()?, |(member, identity, files)| {
        attest(&member, &identity, &folder, &files)?;
        Ok(member)
    })?;
    wait(&members, records)?;
    let spread = start.elapsed();

    // From here on nobody is asked: what each node holds is checked with nothing but the vkeys.
    let audits = in_parallel(members, |member| {
        let (mut node, mut store) = member.stop()?;
        Ok(audit(&mut node, &mut store, peers.iter().map(|(vkey, _)| vkey)))
    })?;
    let root = audits[0].root;
    let converged = audits.iter().all(|audit| audit.root == root && audit.size() == records);
    let (verified, copies) = (audits.iter().map(|audit| audit.verified).sum::<u64>(), 3 * records);
    if is_json {
        println!(r#"{{"nodes":3,"records":{records},"verified":{verified},"converged":{converged},"root":"{root}"}}"#);
    } else {
        print_table(&peers, &audits);
        println!("{records} records, {verified} of {copies} copies verified, root {root}");
        let not = if converged { "" } else { "NOT " };
        println!("{not}converged after {spread:.2?}, checked after {:.2?}", start.elapsed());
    }
    Ok(converged && verified == copies)
}

/// `[demo] [DIR] [--json]`. Without DIR it is the checkout where cargo runs us, and where we are otherwise.
fn arguments() -> Result<(PathBuf, bool), Failure> {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let count = arguments.len();
    arguments.retain(|argument| argument != "--json");
    let is_json = arguments.len() < count;
    if arguments.first().is_some_and(|first| first == "demo") {
        arguments.remove(0);
    }
    match &arguments[..] {
        [] => Ok((std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(".".into()).into(), is_json)),
        [folder] if !folder.to_string_lossy().starts_with('-') => Ok((folder.into(), is_json)),
        _ => Err("usage: threads [demo] [DIR] [--json]".into()),
    }
}

/// Does the same work on each of a few things, a thread each.
fn in_parallel<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    })
}

/// Waits until all nodes have the same root and `records` records, or do not get any further.
fn wait(members: &[Member], records: u64) -> Result<(), Failure> {
    let (mut most, mut progress_at) = (0, Instant::now());
    while progress_at.elapsed() < STUCK {
        let size = |node: &Node| node.logs().map(|log| log.complete.size).sum();
        let states = members.iter().map(|member| member.call(move |node, _| (node.root(), size(node))));
        let states: Vec<(Hash, u64)> = states.collect::<Result<_, _>>()?;
        if states.iter().all(|state| *state == (states[0].0, records)) {
            break;
        }
        let held = states.iter().map(|(_, size)| size).sum();
        if held > most {
            (most, progress_at) = (held, Instant::now());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The files in a folder, but `.git` and what git ignores.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut walk = ignore::WalkBuilder::new(folder);
    walk.hidden(false).ignore(false).filter_entry(|entry| entry.file_name() != ".git");
    let mut files = Vec::new();
    for entry in walk.build() {
        let entry = entry?;
        if entry.file_type().is_some_and(|kind| kind.is_file()) {
            files.push(entry.into_path());
        }
    }
    files.sort();
    Ok(files)
}

/// Appends a signed in-toto statement on each file to the node's own log.
fn attest(member: &Member, identity: &Identity, folder: &Path, files: &[&PathBuf]) -> Result<(), Failure> {
    for files in files.chunks(64) {
        let records = files.iter().map(|file| statement(identity, folder, file)).collect::<Result<Vec<_>, _>>()?;
        // In one call, for one head. The node signs and pushes it at its next poll.
        member.call(move |node, store| {
            records.iter().try_for_each(|record| when_ready(|| node.append(store, record)).map(drop))
        })??;
    }
    Ok(())
}

/// A record that says: this file has this digest.
fn statement(identity: &Identity, folder: &Path, file: &Path) -> Result<Vec<u8>, Failure> {
    let digest = digest(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let name = file.strip_prefix(folder).ok().filter(|name| *name != Path::new("")).unwrap_or(file);
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name.to_string_lossy(), "digest": { "sha256": digest.to_string() } }],
        "predicateType": "https://example.com/file-present/v1",
        "predicate": {},
    })
    .to_string();
    let signed = Attestation::sign(identity, "application/vnd.in-toto+json", statement.as_bytes())?;
    let mut record = vec![0; signed.encoded_len()?];
    signed.encode(&mut record)?;
    Ok(record)
}

fn digest(file: &Path) -> io::Result<Hash> {
    let (mut file, mut hasher, mut buf) = (File::open(file)?, Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut buf)? {
            0 => return Ok(Hash::from_bytes(hasher.finalize().into())),
            len => hasher.update(&buf[..len]),
        }
    }
}

/// What a node holds, checked.
struct Audit {
    root: Hash,
    /// The signed heads of the logs, and how many of the records below each are true.
    heads: Vec<Head>,
    verified: u64,
}

impl Audit {
    fn size(&self) -> u64 {
        self.heads.iter().map(|head| head.size).sum()
    }
}

/// Checks every record of the logs against their keys alone.
fn audit<'a>(node: &mut Node, store: &mut MemoryStore, vkeys: impl Iterator<Item = &'a Vkey>) -> Audit {
    let mut audit = Audit { root: node.root(), heads: Vec::new(), verified: 0 };
    for vkey in vkeys {
        let head = store.log(&vkey.id()).ok().flatten().and_then(|log| log.state.complete);
        let head = head.filter(|head| head.verify(vkey).is_ok()).map_or(Head::EMPTY, |signed| signed.head);
        let verified = (0..head.size).filter(|index| check(store, vkey, &head, *index).is_ok());
        audit.verified += verified.count() as u64;
        audit.heads.push(head);
    }
    audit
}

/// A record is verified if it is in the tree of the signed head, and an attestation by the log's own key.
fn check(store: &mut MemoryStore, vkey: &Vkey, head: &Head, index: u64) -> Result<(), Failure> {
    let (log, mut proof) = (vkey.id(), Vec::new());
    prove_inclusion(index, head.size, |position| store.hash(&log, position), |hash| proof.push(*hash.as_bytes()))?;
    let record = store.record(&log, index).ok_or("no such record")?;
    verify_inclusion(index, head.size, &leaf_hash(record), &head.root, &proof)?;
    Ok(Attestation::decode(record)?.verify(vkey)?)
}

/// Nodes downwards, logs across: size and the first digits of the root.
fn print_table(peers: &[(Vkey, SocketAddr)], audits: &[Audit]) {
    let names = || peers.iter().map(|(vkey, _)| vkey.name().as_str());
    let cells = names().map(|name| format!("log of {name:<19}"));
    println!("node    {}", cells.collect::<String>());
    for (name, audit) in names().zip(audits) {
        let cells = audit.heads.iter().map(|head| format!("{:<8}{:?}  ", head.size, head.root));
        println!("{name:<8}{}", cells.collect::<String>());
    }
}
