//! A driver for a [`Node`] on tokio and TCP: the pattern for one of your own.
//!
//! - **One task owns node and store** ([`Driver`]). It never waits for a peer: what happens comes in through
//!   bounded channels, what is to be sent goes out through bounded queues.
//! - **A task talks to each peer** ([`talk`]), on a connection that is opened again when it has ended and has
//!   several requests under way; one for each connection answers anybody ([`serve`]). On the wire are the `wire`
//!   module's frames, the length of each in front as a `u32` in little-endian.
//! - **The application** hands the driver a closure and gets its result back ([`Member::call`]).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{self, sleep, sleep_until, timeout, timeout_at};
use tokio_util::bytes::Bytes;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message, RequestId};
use verisoo::{Command, Config, Event, Identity, Instant, Node, Notice, PeerId, Vkey};

/// Bytes of the longest frame.
const MAX_MESSAGE: u32 = 128 << 10;
/// Requests that wait for one peer. Where there is no room for another, the peer does not answer.
const QUEUE: usize = 64;
/// Things that wait for a node's task; then readers wait, and so, through TCP, does who sends to them.
const INBOX: usize = 64;
/// Accepted connections at one time; the others wait in the kernel.
const MAX_CONNECTIONS: usize = 256;
/// How long an accepted connection may be idle: longer than rounds are apart, a minute by default.
const IDLE: Duration = Duration::from_secs(100);
/// How long writing an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What comes to a node's task from the network.
enum Input {
    /// A request, from anybody.
    Request { frame: Bytes, answer: oneshot::Sender<Bytes> },
    /// What came of a request of ours: a frame, or none.
    Answer { peer: PeerId, request: RequestId, frame: Bytes },
}

type Work = Box<dyn FnOnce(&mut Node, &mut MemoryStore) + Send>;

/// A running node, as the application sees it. It ends when the last of these is dropped.
#[derive(Clone)]
pub struct Member(mpsc::Sender<Work>);

impl Member {
    /// Starts a node that serves `listener` and talks to all `peers` but itself.
    pub fn start(identity: Identity, listener: TcpListener, peers: &[(Vkey, SocketAddr)]) -> Result<Self, Failure> {
        let mut config = Config::default();
        // Pushes spread what is new; rounds repair what pushes missed, and a demo has no minute to spare.
        config.interval = Duration::from_secs(1);
        config.max_message = MAX_MESSAGE;
        let ((inbox, inputs), (member, calls)) = (mpsc::channel(INBOX), mpsc::channel(INBOX));
        let (mut store, mut queues, mut tasks) = (MemoryStore::new(), BTreeMap::new(), JoinSet::new());
        // This key was made a moment ago, so its log is new. A key that may have signed before has to begin with
        // `Node::open`, or it might sign a second history: a fork.
        let mut node = Node::new(identity, config, random()?, Instant::ZERO);
        let own = node.id();
        for (vkey, address) in peers.iter().filter(|(vkey, _)| vkey.id() != own) {
            // Plain TCP does not prove who answers, so there is no `set_authenticated` here: false answers
            // count as failures, and whatever is believed is signed.
            let peer = node.add_peer(&mut store, *vkey)?;
            let (queue, questions) = mpsc::channel(QUEUE);
            tasks.spawn(talk(peer, *address, questions, inbox.clone()));
            queues.insert(peer, queue);
        }
        tasks.spawn(accept(listener, inbox));
        let (buf, start) = (vec![0; MAX_MESSAGE as usize], time::Instant::now());
        tokio::spawn(Driver { node, store, queues, buf, start, _tasks: tasks }.run(inputs, calls));
        Ok(Self(member))
    }

    /// Runs `work` on the node's task, between two polls, and returns what it returns.
    pub async fn call<R, F>(&self, work: F) -> Result<R, Failure>
    where
        R: Send + 'static,
        F: FnOnce(&mut Node, &mut MemoryStore) -> R + Send + 'static,
    {
        let (result, done) = oneshot::channel();
        let call: Work = Box::new(move |node, store| drop(result.send(work(node, store))));
        self.0.send(call).await.map_err(|_| "the node's task has ended")?;
        Ok(done.await?)
    }
}

/// The task that owns a node: events in, commands out.
struct Driver {
    node: Node,
    store: MemoryStore,
    /// The way to each peer. Where that is the node does not know.
    queues: BTreeMap<PeerId, mpsc::Sender<Question>>,
    /// Frames are written here before they are queued.
    buf: Vec<u8>,
    start: time::Instant,
    /// Those that talk and serve end with this.
    _tasks: JoinSet<()>,
}

impl Driver {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut calls: mpsc::Receiver<Work>) {
        loop {
            while let Some(command) = self.node.poll(self.now(), &mut self.store) {
                self.perform(command);
            }
            // Sleep until something comes, or the node has something to do by itself (a round, a deadline).
            let pause = self.node.next_wake().map_or(IDLE, |wake| wake - self.now());
            select! {
                Some(input) = inputs.recv() => self.take(input),
                call = calls.recv() => match call {
                    Some(work) => work(&mut self.node, &mut self.store),
                    None => return,
                },
                () = sleep(pause) => {}
            }
        }
    }

    /// Any clock will do that does not go backwards; if it does, the node's time stands still.
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    fn perform(&mut self, command: Command) {
        let (peer, request) = match command {
            Command::Ask { peer, request, .. } => (peer, request),
            // Notices are for the application: this one wants to hear of trouble only.
            Command::Notify(Notice::Published { .. } | Notice::Pushed { .. }) => return,
            notice => return eprintln!("{}: {notice:?}", self.node),
        };
        let frame = match self.node.encode(&mut self.store, &command, &mut self.buf) {
            Ok(Some(frame)) => Bytes::copy_from_slice(frame),
            // Overtaken: what was to be asked has been answered otherwise.
            Ok(None) => return,
            // The node does not hear of it now; the request's deadline passes, and it is tried again.
            Err(error) => return eprintln!("{}: {error}", self.node),
        };
        // There is no back-off here, and no second try: the node decides when a peer is asked again.
        let deadline = time::Instant::now() + self.node.peer(peer).map_or(PATIENCE, |peer| peer.timeout);
        let question = Question { request, frame, deadline };
        if self.queues.get(&peer).is_none_or(|queue| queue.try_send(question).is_err()) {
            self.handle(Event::RequestFailed { peer, request });
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Request { frame, answer } => {
                // What is no request gets no answer: `answer` is dropped, and that ends the connection.
                let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(&frame) else { return };
                let response = self.node.respond(self.now(), &mut self.store, id, &request, &mut self.buf);
                response.map(|response| answer.send(Bytes::copy_from_slice(response)));
            }
            Input::Answer { peer, request, frame } => match Frame::decode(&frame) {
                Ok(Frame { message: Message::Response(response), .. }) => {
                    self.handle(Event::Answer { peer, request, response });
                }
                _ => self.handle(Event::RequestFailed { peer, request }),
            },
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        let now = self.now();
        // Nothing has changed: the answer counts as lost. (A slow store's `NotReady`: the same call, later.)
        if let Err(error) = self.node.handle(now, &mut self.store, event) {
            eprintln!("{}: {error}", self.node);
        }
    }
}

/// A request on its way to a peer, and when it is of no use any more.
struct Question {
    request: RequestId,
    frame: Bytes,
    deadline: time::Instant,
}

/// Talks to a peer for as long as there is the node's task, and says of each request what came of it.
async fn talk(peer: PeerId, address: SocketAddr, mut questions: mpsc::Receiver<Question>, inbox: mpsc::Sender<Input>) {
    let mut waiting = Vec::new();
    while let Some(first) = questions.recv().await {
        let _ = converse(peer, address, first, &mut questions, &inbox, &mut waiting).await;
        for (request, _) in waiting.drain(..) {
            let _ = inbox.send(Input::Answer { peer, request, frame: Bytes::new() }).await;
        }
    }
}

/// One connection, from its first request to its end: an answer that does not come in time, an answer to nothing
/// that was asked, or an error of the network.
async fn converse(
    peer: PeerId,
    address: SocketAddr,
    first: Question,
    questions: &mut mpsc::Receiver<Question>,
    inbox: &mpsc::Sender<Input>,
    waiting: &mut Vec<(RequestId, time::Instant)>,
) -> Result<(), Failure> {
    let mut next = Some(first);
    let mut link = None;
    loop {
        if let Some(Question { request, frame, deadline }) = next.take() {
            waiting.push((request, deadline));
            let link = match &mut link {
                Some(link) => link,
                none => none.insert(framed(timeout_at(deadline, TcpStream::connect(address)).await??)?),
            };
            timeout_at(deadline, link.send(frame)).await??;
        }
        let Some(link) = &mut link else { return Ok(()) };
        let oldest = waiting.iter().map(|(_, deadline)| *deadline).min();
        select! {
            question = questions.recv() => next = Some(question.ok_or("the node's task has ended")?),
            frame = link.next() => {
                let frame = frame.ok_or("the peer has closed the connection")??.freeze();
                let id = Frame::decode(&frame)?.id;
                let at = waiting.iter().position(|(request, _)| *request == id).ok_or("not asked")?;
                inbox.send(Input::Answer { peer, request: waiting.remove(at).0, frame }).await?;
            }
            () = sleep_until(oldest.unwrap_or_else(time::Instant::now)), if oldest.is_some() => {
                return Err("no answer in time".into());
            }
        }
    }
}

/// Accepts connections from anybody.
async fn accept(listener: TcpListener, inbox: mpsc::Sender<Input>) {
    let (permits, mut tasks) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), JoinSet::new());
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        while tasks.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let serve = serve(stream, inbox.clone());
                tasks.spawn(async move { (serve.await.is_ok(), permit) });
            }
            // Out of file descriptors, perhaps: no use in asking again at once.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Takes a request, sends the answer, and takes the next: who does not read answers is not read from either.
async fn serve(stream: TcpStream, inbox: mpsc::Sender<Input>) -> Result<(), Failure> {
    let mut link = framed(stream)?;
    // For all of a frame, not for each byte: otherwise one byte now and then would hold a connection for ever.
    while let Some(frame) = timeout(IDLE, link.next()).await? {
        let (answer, answered) = oneshot::channel();
        inbox.send(Input::Request { frame: frame?.freeze(), answer }).await?;
        timeout(PATIENCE, link.send(answered.await?)).await??;
    }
    Ok(())
}

/// Frames on a connection. A length beyond the longest is an error before anything is reserved for it.
fn framed(stream: TcpStream) -> io::Result<Framed<TcpStream, LengthDelimitedCodec>> {
    stream.set_nodelay(true)?;
    let codec = LengthDelimitedCodec::builder().little_endian().max_frame_length(MAX_MESSAGE as usize).new_codec();
    Ok(Framed::new(stream, codec))
}

/// 32 bytes that nobody can guess: a key, or a start's seed.
pub fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
