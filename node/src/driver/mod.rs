//! The task that owns a node and its store. It polls the node and tells it what happens; whoever wants
//! something of it, a handler of the API or the application, sends it a closure through a bounded mailbox
//! ([`Handle::call`]): a full mailbox is an error at once, never a queue that grows.
//!
//! [`Engine`] is what the closures work on, and answers the questions that people have; [`NotDone`] says why
//! something was not done.

mod engine;
mod not_done;

use std::collections::HashMap;
use std::fmt;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};
use verisoo::store::Store;
use verisoo::{Command, Config, Identity, Node, Notice, Start};

use crate::client::Client;
use crate::limits::Limits;
use crate::link::{Answer, Links, PeerAddress};

pub use engine::{Engine, Hashes};
pub use not_done::{NotDone, Why};

/// How the node is to be started; see `verisoo::Start` for what may go wrong with the wrong choice.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// The log has never existed.
    New,
    /// It may have.
    Open(Start),
}

/// The task that owns the node. Made first, run later: [`Driver::run`].
pub struct Driver {
    engine: Engine,
    calls: mpsc::Receiver<Call>,
    links: Links,
    answers: mpsc::Receiver<Answer>,
    on_notice: OnNotice,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

type OnNotice = Box<dyn FnMut(&Engine, Notice) + Send>;

type Call = Box<dyn FnOnce(&mut Engine) + Send>;

/// Talks to a [`Driver`]. The driver ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Handle {
    calls: mpsc::Sender<Call>,
    /// The largest frame the node takes, in bytes.
    pub max_message: usize,
    /// How long a call may wait for its turn.
    patience: std::time::Duration,
}

impl Handle {
    /// Runs `call` where the node is, and returns what it returned. Fails at once where the mailbox is
    /// full.
    pub async fn call<R, F>(&self, call: F) -> Result<R, NotDone>
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
        self.calls.try_send(call).map_err(|_| NotDone::busy("the node has too much to do"))?;
        match timeout(self.patience, receiver).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => Err(NotDone::busy("the node did not answer in time")),
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
        let client = Client::new(peers.iter().any(|peer| peer.url.is_https()))?;
        let mut known = HashMap::new();
        for peer in peers {
            let id = node.add_peer(&mut *store, peer.vkey).with_context(|| format!("peer {}", peer.vkey.name()))?;
            known.insert(id, peer.into());
        }
        let links = Links::new(client, send_answer, max_message, limits.outgoing);
        let engine = Engine::new(node, store, identity, clock, known, max_message);
        let (send_call, calls) = mpsc::channel(limits.mailbox);
        let handle = Handle { calls: send_call, max_message, patience: limits.request_time };
        Ok((Self { engine, calls, links, answers, on_notice: Box::new(|_, _| {}) }, handle))
    }

    /// Tells the application what the node has to tell.
    #[must_use]
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
