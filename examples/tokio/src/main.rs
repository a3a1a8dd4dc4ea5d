//! Three nodes that write logs and gossip until they agree: on tokio and TCP.
//! `cargo run --release -p verisoo-tokio` shows them. `driver.rs` is the part to copy.

mod driver;

use std::time::{Duration, Instant};

use driver::{Failure, Member, random};
use futures_util::future::try_join_all;
use tokio::net::TcpListener;
use tokio::time::sleep;
use verisoo::log::{Frontier, leaf_hash};
use verisoo::store::{MemoryStore, Store};
use verisoo::{Identity, Node, Vkey};

/// Records that each node writes.
const RECORDS: u64 = 20;
/// The demo gives up after so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has three nodes write, waits until all hold everything, and checks it.
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "demo").collect();
    let is_json = arguments == ["--json"];
    if !is_json && !arguments.is_empty() {
        return Err("usage: verisoo-tokio [demo] [--json]".into());
    }
    // Who takes part, and where: what an operator would write into configuration files.
    let (mut nodes, mut peers) = (Vec::new(), Vec::new());
    for name in ["alpha", "beta", "gamma"] {
        let (identity, listener) = (Identity::from_seed(name, &random()?)?, TcpListener::bind("127.0.0.1:0").await?);
        peers.push((*identity.vkey(), listener.local_addr()?));
        nodes.push((identity, listener));
    }
    let start = |(identity, listener)| Member::start(identity, listener, &peers);
    let members: Vec<_> = nodes.into_iter().map(start).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    for member in &members {
        // In one call, for one head. The node signs and pushes it at its next poll.
        let written = member.call(|node, store| {
            (0..RECORDS).try_for_each(|number| node.append(store, format!("record {number}").as_bytes()).map(drop))
        });
        written.await??;
    }
    let records = RECORDS * members.len() as u64;
    let state = |node: &mut Node, _: &mut _| (node.root(), node.logs().map(|log| log.complete.size).sum::<u64>());
    let (root, converged) = loop {
        let states = try_join_all(members.iter().map(|member| member.call(state))).await?;
        let converged = states.iter().all(|state| *state == (states[0].0, records));
        if converged || begun.elapsed() > PATIENCE {
            break (states[0].0, converged);
        }
        sleep(Duration::from_millis(5)).await;
    };
    let logs = members.iter().flat_map(|member| peers.iter().map(move |(vkey, _)| (member, *vkey)));
    let verified = logs.map(|(member, vkey)| member.call(move |_, store| verify(store, &vkey).unwrap_or(0)));
    let (nodes, verified) = (members.len(), try_join_all(verified).await?.iter().sum::<u64>());
    if is_json {
        let counts = format!(r#""nodes":{nodes},"records":{records},"verified":{verified}"#);
        println!(r#"{{{counts},"converged":{converged},"root":"{root}"}}"#);
    } else {
        println!("{records} records on {nodes} nodes after {:.2?}, converged: {converged}", begun.elapsed());
        println!("{verified} of {} copies verified, federation root {root}", records * nodes as u64);
    }
    if converged && verified == records * nodes as u64 { Ok(()) } else { Err("not all is well".into()) }
}

/// How many records of a log are held, all of them under the head that the log's key has signed.
fn verify(store: &mut MemoryStore, vkey: &Vkey) -> Option<u64> {
    let signed = store.log(&vkey.id()).ok()??.state.complete?;
    signed.verify(vkey).ok()?;
    let mut frontier = Frontier::new();
    for index in 0..signed.head.size {
        frontier.push(leaf_hash(store.record(&vkey.id(), index)?), |_| {}).ok()?;
    }
    (frontier.root() == signed.head.root).then_some(signed.head.size)
}
