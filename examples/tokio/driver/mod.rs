//! A driver: what a `verisoo::Node` needs to live on tokio and HTTP. Copy this folder and change it.
//!
//! One task owns the node and its store ([`Driver`]); it polls the node and tells it what happens. Whoever
//! wants something of it, a handler of the server or the application, sends it a closure through a
//! bounded mailbox ([`Handle::call`]): a full mailbox is an error at once, never a queue that grows.
//!
//! - `engine`: what the closures work on, and the questions people ask of it
//! - `link`: the node's requests, sent to its peers over HTTP
//! - `server`, `admin`, `json`: what is served, to peers and people, and to the operator
//! - `listen`: accepting connections within limits, and stopping gracefully

pub mod admin;
pub mod engine;
pub mod error;
pub mod json;
pub mod link;
pub mod listen;
pub mod server;

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};
use verisoo::store::Store;
use verisoo::{Command, Config, Identity, Node, Notice, Start, Vkey};

pub use engine::Engine;
use error::ApiError;
use link::{Answer, Links};

/// The content type of the wire format.
pub const BINARY: &str = "application/vnd.verisoo";

/// What a stranger may cost us. The sizes of messages are the node's: `Config::max_message`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at one time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Requests served at one time; further ones are refused with 503.
    pub requests: usize,
    /// How long a request may take from its first byte to the answer, its body included.
    pub request_time: Duration,
    /// Calls waiting for the node; further ones are refused with 503.
    pub mailbox: usize,
    /// The node's own requests under way at one time.
    pub outgoing: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1_024, requests: 256, request_time: Duration::from_secs(10), mailbox: 256, outgoing: 64 }
    }
}

/// How the node is to be started; see `verisoo::Start` for what may go wrong with the wrong choice.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// The log has never existed.
    New,
    /// It may have.
    Open(Start),
}

/// A peer: where it is, and which key it must sign with.
#[derive(Clone, Debug)]
pub struct PeerAddress {
    pub url: reqwest::Url,
    pub vkey: Vkey,
}

impl FromStr for PeerAddress {
    type Err = anyhow::Error;

    /// `URL=VKEY`. The vkey ends in base64, which may end in '='; the URL may hold one in a query, but
    /// needs none.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (url, vkey) = text.split_once('=').context("URL=VKEY")?;
        let url = reqwest::Url::parse(url)?;
        ensure!(matches!(url.scheme(), "http" | "https"), "an http:// or https:// URL");
        Ok(Self { url, vkey: Vkey::parse(vkey)? })
    }
}

/// The task that owns the node. Made first, run later: [`Driver::run`].
pub struct Driver {
    engine: Engine,
    calls: mpsc::Receiver<Call>,
    links: Links,
    answers: mpsc::Receiver<Answer>,
    on_notice: OnNotice,
}

type OnNotice = Box<dyn FnMut(&Engine, Notice) + Send>;

type Call = Box<dyn FnOnce(&mut Engine) + Send>;

/// Talks to a [`Driver`]. The driver ends when the last handle is dropped.
#[derive(Clone)]
pub struct Handle {
    calls: mpsc::Sender<Call>,
    /// The largest frame the node takes, in bytes.
    pub max_message: usize,
    /// How long a call may wait for its turn.
    patience: Duration,
}

impl Handle {
    /// Runs `call` where the node is, and returns what it returned. Fails at once where the mailbox is
    /// full.
    pub async fn call<R, F>(&self, call: F) -> Result<R, ApiError>
    where
        R: Send + 'static,
        F: FnOnce(&mut Engine) -> R + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let call: Call = Box::new(move |engine| {
            // Whoever asked may have given up meanwhile.
            if !sender.is_closed() {
                let _ = sender.send(call(engine));
            }
        });
        self.calls.try_send(call).map_err(|_| ApiError::busy("the node has too much to do"))?;
        match timeout(self.patience, receiver).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => Err(ApiError::busy("the node did not answer in time")),
        }
    }
}

impl Driver {
    /// A driver for a node with these peers. Must be called within a tokio runtime.
    pub fn new(
        identity: Identity,
        config: Config,
        mut store: Box<dyn Store + Send>,
        begin: Begin,
        peers: Vec<PeerAddress>,
        limits: &Limits,
    ) -> anyhow::Result<(Self, Handle)> {
        let clock = engine::Clock::start();
        // It keeps nonces unpredictable and must differ at each start.
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the system gives no random numbers")?;
        let mut node = match begin {
            Begin::New => Node::new(identity.clone(), config, seed, clock.now()),
            Begin::Open(start) => Node::open(identity.clone(), config, seed, clock.now(), &mut *store, start)?,
        };
        let max_message = usize::try_from(node.config().max_message)?;
        let (send_answer, answers) = mpsc::channel(limits.outgoing);
        let client = link::client(peers.iter().any(|peer| peer.url.scheme() == "https"))?;
        let mut urls = HashMap::new();
        for peer in peers {
            let name = peer.vkey.name().to_string();
            let id = node.add_peer(&mut *store, peer.vkey).with_context(|| format!("peer {name}"))?;
            urls.insert(id, link::Peer { name, url: peer.url, last_error: None });
        }
        let links = Links::new(client, send_answer, max_message, limits.outgoing);
        let engine = Engine::new(node, store, identity, clock, urls, max_message);
        let (send_call, calls) = mpsc::channel(limits.mailbox);
        let handle = Handle { calls: send_call, max_message, patience: limits.request_time };
        Ok((Self { engine, calls, links, answers, on_notice: Box::new(|_, _| {}) }, handle))
    }

    /// Tells the application what the node has to tell.
    pub fn on_notice(mut self, on_notice: impl FnMut(&Engine, Notice) + Send + 'static) -> Self {
        self.on_notice = Box::new(on_notice);
        self
    }

    /// Drives the node until all handles are dropped.
    pub async fn run(mut self) {
        loop {
            self.work();
            let wake = self.engine.next_wake();
            tokio::select! {
                Some(answer) = self.answers.recv() => {
                    self.engine.answered(&answer);
                }
                call = self.calls.recv() => match call {
                    Some(call) => call(&mut self.engine),
                    None => return,
                },
                () = sleep_until(wake.unwrap_or_else(tokio::time::Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// Does everything that is due. Bounded by the node: by its requests outstanding at one time.
    fn work(&mut self) {
        while let Some(command) = self.engine.poll() {
            match command {
                Command::Notify(notice) => (self.on_notice)(&self.engine, notice),
                request => self.send(&request),
            }
        }
    }

    fn send(&mut self, command: &Command) {
        let Command::Ask { peer, request, ask } = *command else { return };
        let Some(deadline) = self.engine.node.peer(peer).map(|info| info.timeout) else { return };
        let Some(url) = self.engine.peers.get(&peer).map(|to| to.url.clone()) else { return };
        // Overtaken, or not to be encoded now: then its deadline passes, and the node sees what is missing.
        let Some(frame) = self.engine.encode(command) else { return };
        self.links.send(&url, peer, request, ask, frame, deadline);
    }
}
