#[cfg(unix)]
use std::io::{Read, Write};
#[cfg(unix)]
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::asking::{assert_error, request, send};
use crate::process::{Process, keygen, run, until, unused_address};

/// One of three nodes: what it takes to start it, again and again.
struct Member {
    key: PathBuf,
    vkey: String,
    address: String,
}

impl Member {
    fn start(&self, all: &[Member], new_log: bool) -> Process {
        let peers = all.iter().filter(|peer| peer.vkey != self.vkey);
        let peers: Vec<_> = peers.map(|peer| format!("http://{}={}", peer.address, peer.vkey)).collect();
        let mut arguments = vec!["--key", self.key.to_str().unwrap(), "--listen", &self.address, "--interval", "0.2"];
        for peer in &peers {
            arguments.extend(["--peer", peer]);
        }
        if new_log {
            arguments.push("--new-log");
        }
        Process::serve(&arguments)
    }
}

fn members(dir: &TempDir) -> Vec<Member> {
    let member = |name: &str| {
        let key = dir.path().join(name);
        Member { vkey: keygen(&key, name), key, address: unused_address() }
    };
    ["anna", "boris", "carla"].map(member).into()
}

/// Attests, batch after batch, through whatever process the slot holds, until told to stop. The next
/// batch waits for the peers' word on the one before: what a node signed, and died before it had sent,
/// nobody could give back to it.
async fn attest(slot: &Mutex<Option<Process>>, stop: &AtomicBool, accepted: &AtomicU64) {
    let statement = json!({ "payloadType": "text/plain", "payload": "c2VlbiBhbmQgc2lnbmVk" });
    let body = json!({ "attestations": vec![statement; 8] }).to_string();
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let urls = slot.lock().unwrap().as_ref().map(|node| (node.admin.clone(), node.url.clone()));
        let Some((admin, url)) = urls else { continue };
        let Ok(status) = send(Request::get(format!("{url}/status")), "").await else { continue };
        let Ok(status) = serde_json::from_slice(&status.body) else { continue };
        if !is_acknowledged(&status) {
            continue;
        }
        let post = Request::post(format!("{admin}/attestations")).header("content-type", "application/json");
        let Ok(answer) = send(post, body.clone()).await else { continue };
        if answer.status == StatusCode::OK {
            accepted.fetch_add(8, Ordering::Relaxed);
        }
    }
}

/// Whether all peers that answer say that they hold what the node has.
fn is_acknowledged(status: &Value) -> bool {
    let peers = status["peers"].as_array().unwrap();
    let mut answering = peers.iter().filter(|peer| peer["last_error"].is_null()).peekable();
    answering.peek().is_some() && answering.all(|peer| peer["acknowledged"] == status["size"])
}

async fn status(slot: &Mutex<Option<Process>>) -> Value {
    let url = slot.lock().unwrap().as_ref().unwrap().url.clone();
    let (status, body) = request(Method::GET, &format!("{url}/status"), None, Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    serde_json::from_str(&body).unwrap()
}

/// The size that a node's status says a log has.
fn size_of(status: &Value, log: &Value) -> u64 {
    let logs = status["logs"].as_array().unwrap();
    logs.iter().find(|entry| entry["log"] == *log).map_or(0, |entry| entry["size"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_attests_on_while_nobody_finds_a_fork() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(&dir);
    let slots: Vec<_> = members.iter().map(|member| Mutex::new(Some(member.start(&members, true)))).collect();
    let slots: &'static [Mutex<Option<Process>>] = Box::leak(slots.into_boxed_slice());
    let stop: &'static AtomicBool = Box::leak(Box::default());
    let accepted: &'static [AtomicU64; 3] = Box::leak(Box::default());
    let attesters: Vec<_> =
        slots.iter().zip(accepted).map(|(slot, accepted)| tokio::spawn(attest(slot, stop, accepted))).collect();
    let attested = async |at_least: u64| accepted.iter().all(|count| count.load(Ordering::Relaxed) >= at_least);
    until("three nodes attest", || attested(80)).await;

    // Killed in the middle of it.
    drop(slots[0].lock().unwrap().take());
    let others = [status(&slots[1]).await, status(&slots[2]).await];
    let log = others[0]["logs"].as_array().unwrap().iter().find(|log| log["name"] == "anna").unwrap()["log"].clone();
    let known = others.iter().map(|status| size_of(status, &log)).max().unwrap();
    assert!(known >= 80, "they know {known}");
    *slots[0].lock().unwrap() = Some(members[0].start(&members, false));

    until("it has taken its log back", async || status(&slots[0]).await["state"] == "writing").await;
    let back = status(&slots[0]).await;
    assert_eq!(back["log"], log);
    assert!(back["size"].as_u64().unwrap() >= known, "only {} of {known} are back", back["size"]);
    let more: Vec<_> = accepted.iter().map(|count| count.load(Ordering::Relaxed) + 40).collect();
    let all_attest = async || accepted.iter().zip(&more).all(|(count, more)| count.load(Ordering::Relaxed) >= *more);
    until("all three attest on", all_attest).await;

    stop.store(true, Ordering::Relaxed);
    for attester in attesters {
        attester.await.unwrap();
    }
    let converged = async || {
        let roots = [status(&slots[0]).await, status(&slots[1]).await, status(&slots[2]).await];
        roots.iter().all(|status| status["federation_root"] == roots[0]["federation_root"])
    };
    until("they converge", converged).await;
    for slot in slots {
        let status = status(slot).await;
        assert_eq!(status["logs"].as_array().unwrap().len(), 3);
        assert_eq!(status["state"], "writing");
        assert!(size_of(&status, &log) > known);
        let url = slot.lock().unwrap().as_ref().unwrap().url.clone();
        for log in status["logs"].as_array().unwrap() {
            assert_eq!(log["frozen"], false, "{status}");
            let fork = format!("{url}/fork-proof?log={}", log["log"].as_str().unwrap());
            let answer = request(Method::GET, &fork, None, Vec::new()).await;
            assert_error(StatusCode::NOT_FOUND, &answer, "fork proof");
        }
    }
    // Nothing that is static is dropped by itself.
    for slot in slots {
        drop(slot.lock().unwrap().take());
    }
}

#[tokio::test]
async fn without_a_peer_it_refuses_to_attest_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(&dir);
    let node = members[0].start(&members, false);
    until("it has noticed that nobody answers", async || {
        let status = node.status().await;
        status["peers"].as_array().unwrap().iter().all(|peer| !peer["last_error"].is_null())
    })
    .await;
    assert_eq!(node.status().await["state"], "recovering");

    let url = format!("{}/records", node.admin);
    let answer = request(Method::POST, &url, Some("application/json"), br#"{"records":["YQ=="]}"#.to_vec()).await;
    let error = assert_error(StatusCode::SERVICE_UNAVAILABLE, &answer, "append");
    assert!(error.contains("taking its own log back"), "{error}");
    assert!(error.contains("boris") && error.contains("carla"), "{error}");

    let file = dir.path().join("anna");
    let output = run(&["attest", "--admin", &node.admin, file.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("taking its own log back"), "{output:?}");
    assert_eq!(node.status().await["size"], 0);
}

#[test]
fn what_could_never_write_is_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(&dir);
    let key = members[0].key.to_str().unwrap();
    let serve = ["serve", "--key", key, "--listen", "127.0.0.1:0"];
    let peers: Vec<_> = members[1..].iter().map(|peer| format!("http://{}={}", peer.address, peer.vkey)).collect();
    let cases = [
        (vec![], "--new-log"),
        (vec!["--recover", "1"], "--peer"),
        (vec!["--peer", &peers[0], "--recover", "2"], "peers (1)"),
        // Twice the same peer.
        (vec!["--peer", &peers[0], "--peer", &peers[0], "--recover", "2"], "peers (1)"),
        (vec!["--peer", &peers[0], "--peer", &peers[1], "--recover", "3"], "peers (2)"),
        (vec!["--peer", &peers[0], "--recover", "0"], "--recover"),
    ];
    for (arguments, reason) in cases {
        let output = run(&[&serve[..], &arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}: {output:?}");
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_node_asked_to_stop_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(&dir);
    let mut node = members[0].start(&members, true);
    node.terminate();
    assert!(node.has_ended_well());
}

#[cfg(unix)]
#[tokio::test]
async fn a_node_asked_twice_does_not_wait_for_requests_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(&dir);
    let mut node = members[0].start(&members, true);
    let address = node.url.strip_prefix("http://").unwrap().to_owned();
    // A request whose body does not come.
    let mut open = TcpStream::connect(&address).unwrap();
    open.write_all(b"POST /records HTTP/1.1\r\nhost: node\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n")
        .unwrap();
    // It is being handled: the node asks for the body.
    open.read_exact(&mut [0; 12]).unwrap();
    node.terminate();
    until("it takes no more connections", async || TcpStream::connect(&address).is_err()).await;
    node.terminate();
    assert!(!node.has_ended_well(), "it waited for the request");
}
