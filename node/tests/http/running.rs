//! A node behind HTTP within the test.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use verisoo::store::{MemoryStore, Store};
use verisoo::{Config, Ed25519, Identity, LogId};
use verisoo_node::api::{admin, listen, public};
use verisoo_node::driver::{Begin, Driver, Handle};
use verisoo_node::limits::Limits;
use verisoo_node::link::PeerAddress;

use crate::asking::request;

pub type Anything = Result<(), Box<dyn std::error::Error>>;

/// A node with a listener for peers and one for its operator; ends when dropped.
pub struct Running {
    pub url: String,
    pub admin: String,
    pub handle: Handle,
    pub identity: Identity,
    pub stop: watch::Sender<bool>,
}

/// Names a node and derives its key from the name.
pub fn identity(name: &str) -> Identity {
    let mut seed = [7; 32];
    seed.iter_mut().zip(name.bytes()).for_each(|(seed, byte)| *seed ^= byte);
    Identity::<Ed25519>::from_seed(name, &seed).unwrap()
}

/// A node that knows `writer` as a peer which cannot be reached, so that its log is followed.
pub async fn start_with(limits: Limits, store: MemoryStore) -> Running {
    // Nothing happens by itself.
    let interval = Duration::from_secs(3_600);
    start_as("node.example", vec![peer("http://127.0.0.1:9", &writer())], interval, limits, store).await
}

pub fn peer(url: &str, identity: &Identity) -> PeerAddress {
    PeerAddress { url: url.parse().unwrap(), vkey: *identity.vkey() }
}

pub async fn start_as(
    name: &str,
    peers: Vec<PeerAddress>,
    interval: Duration,
    limits: Limits,
    store: MemoryStore,
) -> Running {
    let identity = identity(name);
    let mut config = Config::default();
    config.interval = interval;
    let store: Box<dyn Store + Send> = Box::new(store);
    let (driver, handle) = Driver::new(identity.clone(), config, store, Begin::New, peers, &limits).unwrap();
    tokio::spawn(driver.run());
    let (stop, stopped) = watch::channel(false);
    let mut urls = Vec::new();
    for router in [public::router(handle.clone(), &limits), admin::router(handle.clone(), &limits)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        urls.push(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(listen(listener, router, limits.clone(), stopped.clone()));
    }
    let [url, admin] = urls.try_into().unwrap();
    Running { url, admin, handle, identity, stop }
}

pub async fn start() -> Running {
    start_with(Limits::default(), MemoryStore::new()).await
}

/// The writer of another log, which the node follows.
pub fn writer() -> Identity {
    identity("writer.example")
}

/// The record at `index` of the test's logs.
pub fn record(index: u64) -> Vec<u8> {
    format!("record {index}").into_bytes()
}

impl Running {
    pub fn id(&self) -> LogId {
        self.identity.vkey().id()
    }

    /// Appends the first `count` records to the node's own log, and has a head signed.
    pub async fn append(&self, count: u64) {
        let records: Vec<_> = (0..count).map(record).collect();
        self.handle.call(move |engine| engine.append(&records)).await.unwrap().unwrap();
        self.handle.call(|engine| engine.node.publish(&mut *engine.store).map(|_| ())).await.unwrap().unwrap();
    }

    /// The JSON of a good answer.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = request(Method::GET, &format!("{}{path}", self.url), None, Vec::new()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub async fn text(&self, path: &str) -> String {
        let (status, body) = request(Method::GET, &format!("{}{path}", self.url), None, Vec::new()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }
}
