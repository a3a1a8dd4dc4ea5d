//! Three nodes that attest real files and gossip until they agree: with threads and TCP from the standard
//! library, and no async runtime.
//!
//! ```text
//! cargo run --release --example threads -- [demo] [DIR] [--json]
//! ```
//!
//! Read it as the pattern for a driver of your own. A [`Node`] does no I/O; the parts around it are:
//!
//! - **One thread owns node and store** ([`Driver`]). It never waits for a peer: everything that happens
//!   comes in through one bounded channel, everything to be sent goes out through bounded queues.
//! - **Connections** carry requests one way and answers the other: in the `wire` module's frames as they
//!   are, a `u32` in little-endian in front. One to a peer has a thread that reads answers and one that
//!   writes requests ([`connect`]); one from anybody has a thread that takes turns ([`serve`]).
//! - **The application** hands the driver a closure and gets its result back ([`Member::call`]). What it
//!   does here (files, statements, checks) is in `threads/demo.rs`.

#[path = "threads/demo.rs"]
mod demo;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{self, Duration};

use verisoo::store::{MemoryStore, StoreError};
use verisoo::wire::{Frame, Message, RequestId};
use verisoo::{Command, Config, Error, Event, Identity, Instant, Node, Notice, PeerId, Vkey};

/// Requests that wait for one connection: as many as the node has outstanding at most, so where there is no
/// room for another, or more are not answered, the peer does not read or does not answer, and is cut off.
const QUEUE: usize = 256;
/// Things that wait for a node's thread; then readers wait, and so, through TCP, does who sends to them.
const INBOX: usize = 64;
/// Accepted connections at one time: a thread and two frames each is what strangers can cost us.
const MAX_CONNECTIONS: usize = 64;
/// How long connecting and writing may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection on which no whole frame came for so long is closed; the next request opens another. Longer
/// than a quiet federation's rounds are apart, which is a minute by default.
const IDLE: Duration = Duration::from_secs(120);
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match demo::run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A running node, as the application sees it.
struct Member {
    inbox: SyncSender<Input>,
    thread: JoinHandle<(Node, MemoryStore)>,
}

/// What comes to a node's thread.
enum Input {
    /// A request, from anybody.
    Request { frame: Vec<u8>, answer: SyncSender<Vec<u8>> },
    /// An answer, on one of our connections to a peer.
    Answer { peer: PeerId, link: u64, frame: Vec<u8> },
    /// A connection to a peer has ended, or could not be opened.
    Closed { peer: PeerId, link: u64 },
    /// The application wants something done.
    Call(Work),
    /// That was all.
    Stop,
}

/// Done on the node's thread, between two polls.
type Work = Box<dyn FnOnce(&mut Node, &mut MemoryStore) + Send>;

impl Member {
    /// Starts a node that serves `listener` and talks to all `peers` but itself.
    fn start(identity: Identity, listener: TcpListener, peers: &[(Vkey, SocketAddr)]) -> Result<Self, Failure> {
        let mut config = Config::default();
        // Pushes spread what is new; rounds repair what pushes missed, and a demo has no minute to spare.
        config.interval = Duration::from_secs(1);
        let mut store = MemoryStore::new();
        // These keys were made a moment ago, so their logs are new. A key that may have signed before has to
        // begin with `Node::open`, or it might sign a second history: a fork.
        let mut node = Node::new(identity, config, random()?, Instant::ZERO);
        let mut addresses = BTreeMap::new();
        for (vkey, address) in peers {
            if vkey.id() != node.id() {
                // Plain TCP does not prove who answers, so there is no `set_authenticated` here: false
                // answers count as failures, and whatever is believed is signed.
                addresses.insert(node.add_peer(&mut store, *vkey)?, *address);
            }
        }
        let (inbox, inputs) = sync_channel(INBOX);
        let max_message = node.config().max_message;
        let accepted = inbox.clone();
        thread::spawn(move || accept(&listener, &accepted, max_message));
        let driver = Driver {
            node,
            store,
            addresses,
            links: BTreeMap::new(),
            next_link: 0,
            inbox: inbox.clone(),
            buf: vec![0; max_message as usize],
            start: time::Instant::now(),
        };
        let thread = thread::spawn(move || driver.run(&inputs));
        Ok(Self { inbox, thread })
    }

    /// Runs `work` on the node's thread and returns what it returns.
    fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Node, &mut MemoryStore) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        let (result, done) = sync_channel(1);
        let call = Box::new(move |node: &mut Node, store: &mut MemoryStore| {
            let _ = result.send(work(node, store));
        });
        self.inbox.send(Input::Call(call)).map_err(|_| "the node's thread has ended")?;
        Ok(done.recv()?)
    }

    /// Ends the node; it and what it holds. Connections end with it, the listener with the process.
    fn stop(self) -> Result<(Node, MemoryStore), Failure> {
        let _ = self.inbox.send(Input::Stop);
        self.thread.join().map_err(|_| "the node's thread failed".into())
    }
}

/// The thread that owns a node: events in, commands out.
struct Driver {
    node: Node,
    store: MemoryStore,
    /// Where peers live. The node does not know.
    addresses: BTreeMap<PeerId, SocketAddr>,
    links: BTreeMap<PeerId, Link>,
    next_link: u64,
    /// For the readers of connections.
    inbox: SyncSender<Input>,
    /// Frames are written here before they are queued.
    buf: Vec<u8>,
    start: time::Instant,
}

/// A connection to a peer.
struct Link {
    /// Tells it from those to the same peer before and after it.
    number: u64,
    queue: SyncSender<Vec<u8>>,
    /// Requests sent and not answered yet.
    waiting: Vec<RequestId>,
}

impl Driver {
    fn run(mut self, inputs: &Receiver<Input>) -> (Node, MemoryStore) {
        loop {
            while let Some(command) = self.node.poll(self.now(), &mut self.store) {
                self.perform(command);
            }
            // Sleep until something comes, or the node has something to do by itself (a round, a deadline).
            let pause = self.node.next_wake().map_or(IDLE, |wake| wake - self.now());
            let first = inputs.recv_timeout(pause).ok();
            // All that has come is handled before the next poll: so one head is signed for many records.
            for input in first.into_iter().chain(inputs.try_iter()).take(INBOX) {
                if matches!(input, Input::Stop) {
                    return (self.node, self.store);
                }
                self.take(input);
            }
        }
    }

    /// Any clock will do that does not go backwards; if it does, the node's time stands still.
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    fn perform(&mut self, command: Command) {
        let Some((peer, request)) = command.request() else {
            return tell(&self.node, command);
        };
        let (node, store, buf) = (&mut self.node, &mut self.store, &mut self.buf);
        match when_ready(|| Ok(node.encode(store, &command, buf)?.map(<[u8]>::len))) {
            Ok(Some(len)) => self.send(peer, request, len),
            // Overtaken: what was to be asked has been answered otherwise.
            Ok(None) => {}
            // The node does not hear of it now; the request's deadline passes, and it is tried again.
            Err(error) => eprintln!("{}: {error}", self.node),
        }
    }

    /// Queues the frame in the first `len` bytes of the buffer for a peer. There is no back-off here, and no
    /// second try: the node decides when a peer is asked again, and then there is a new connection.
    fn send(&mut self, peer: PeerId, request: RequestId, len: usize) {
        let Some(address) = self.addresses.get(&peer) else { return };
        let link = self.links.entry(peer).or_insert_with(|| {
            self.next_link += 1;
            connect(peer, *address, self.next_link, self.inbox.clone(), self.node.config().max_message)
        });
        link.waiting.push(request);
        let is_queued = link.queue.try_send(packet(&self.buf[..len])).is_ok();
        if !is_queued || link.waiting.len() > QUEUE {
            self.close(peer);
        }
    }

    /// Ends a connection: none of what was asked on it will be answered, and the node should know at once
    /// rather than at the deadlines.
    fn close(&mut self, peer: PeerId) {
        // With the queue goes its writer, and with that the connection.
        let waiting = self.links.remove(&peer).map_or(Vec::new(), |link| link.waiting);
        for request in waiting {
            self.handle(Event::RequestFailed { peer, request });
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Request { frame, answer } => {
                // What is no request gets no answer: `answer` is dropped, and that ends the connection.
                let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(&frame) else { return };
                let response = self.node.respond(self.now(), &mut self.store, id, &request, &mut self.buf);
                response.map(|response| answer.try_send(packet(response)));
            }
            Input::Answer { peer, link, frame } if self.is_open(peer, link) => match Frame::decode(&frame) {
                Ok(Frame { id, message: Message::Response(response) }) => {
                    self.links.entry(peer).and_modify(|link| link.waiting.retain(|request| *request != id));
                    self.handle(Event::Answer { peer, request: id, response });
                }
                // Whoever sends garbage once is not to be read from again.
                _ => self.close(peer),
            },
            Input::Closed { peer, link } if self.is_open(peer, link) => self.close(peer),
            Input::Call(work) => work(&mut self.node, &mut self.store),
            // From a connection that was given up before, and perhaps replaced.
            Input::Answer { .. } | Input::Closed { .. } | Input::Stop => {}
        }
    }

    fn is_open(&self, peer: PeerId, link: u64) -> bool {
        self.links.get(&peer).is_some_and(|open| open.number == link)
    }

    fn handle(&mut self, event: Event<'_>) {
        let now = self.now();
        // What fails changes nothing, so there is nothing to mend: the answer counts as lost.
        if let Err(error) = when_ready(|| self.node.handle(now, &mut self.store, event)) {
            eprintln!("{}: {error}", self.node);
        }
    }
}

/// Calls again while the store is loading what it needs. This store always is ready; a thread can as well
/// wait for one that is not.
fn when_ready<R>(mut call: impl FnMut() -> Result<R, Error>) -> Result<R, Error> {
    loop {
        match call() {
            Err(Error::Store(StoreError::NotReady)) => thread::sleep(Duration::from_millis(1)),
            result => return result,
        }
    }
}

/// Notices are for the application: this one wants to hear of trouble only.
fn tell(node: &Node, command: Command) {
    match command {
        Command::Notify(Notice::Published { .. } | Notice::Pushed { .. }) => {}
        notice => eprintln!("{node}: {notice:?}"),
    }
}

/// Opens a connection to a peer. This returns at once: its threads do the waiting.
fn connect(peer: PeerId, address: SocketAddr, link: u64, inbox: SyncSender<Input>, max_message: u32) -> Link {
    let (queue, requests) = sync_channel(QUEUE);
    thread::spawn(move || {
        let _ =
            converse(address, requests, max_message, |frame| inbox.send(Input::Answer { peer, link, frame }).is_ok());
        let _ = inbox.send(Input::Closed { peer, link });
    });
    Link { number: link, queue, waiting: Vec::new() }
}

/// Sends requests and delivers answers until either fails.
fn converse(
    address: SocketAddr,
    requests: Receiver<Vec<u8>>,
    max_message: u32,
    deliver: impl Fn(Vec<u8>) -> bool,
) -> io::Result<()> {
    let stream = Arc::new(TcpStream::connect_timeout(&address, PATIENCE)?);
    prepare(&stream)?;
    let writer = Arc::clone(&stream);
    thread::spawn(move || {
        let _ = requests.iter().try_for_each(|packet| (&*writer).write_all(&packet));
        // The reader below notices. So does this thread when the reader does the same.
        let _ = writer.shutdown(Shutdown::Both);
    });
    let mut reader = timed(&stream);
    while read_frame(&mut reader, max_message).is_ok_and(&deliver) {}
    stream.shutdown(Shutdown::Both)
}

/// Accepts connections from anybody.
fn accept(listener: &TcpListener, inbox: &SyncSender<Input>, max_message: u32) {
    let open = Arc::new(());
    for stream in listener.incoming() {
        match stream {
            Ok(stream) if Arc::strong_count(&open) <= MAX_CONNECTIONS => {
                let (inbox, open) = (inbox.clone(), Arc::clone(&open));
                thread::spawn(move || {
                    let _ = serve(&stream, &inbox, max_message);
                    drop(open);
                });
            }
            // Too many: dropping it closes it.
            Ok(_) => {}
            // Out of file descriptors, perhaps: no use in asking again at once.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Takes requests and sends the answers, one after the other: who does not read the answers is not read
/// from either, and has no more than one of them in our memory.
fn serve(mut stream: &TcpStream, inbox: &SyncSender<Input>, max_message: u32) -> Result<(), Failure> {
    prepare(stream)?;
    let mut reader = timed(stream);
    loop {
        let frame = read_frame(&mut reader, max_message)?;
        let (answer, answered) = sync_channel(1);
        inbox.send(Input::Request { frame, answer }).map_err(|_| "the node's thread has ended")?;
        stream.write_all(&answered.recv()?)?;
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// Reads until the time is up for all that is to be read, not for each byte: otherwise one byte now and then
/// would hold a connection for ever.
struct Timed<'a> {
    stream: &'a TcpStream,
    deadline: time::Instant,
}

impl Read for Timed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(time::Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buf)
    }
}

fn timed(stream: &TcpStream) -> BufReader<Timed<'_>> {
    BufReader::new(Timed { stream, deadline: time::Instant::now() })
}

fn read_frame(reader: &mut BufReader<Timed<'_>>, max_message: u32) -> io::Result<Vec<u8>> {
    reader.get_mut().deadline = time::Instant::now() + IDLE;
    let mut len = [0; 4];
    reader.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len);
    // Before anything is reserved: anybody can claim four gigabytes.
    if len > max_message {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; len as usize];
    reader.read_exact(&mut frame)?;
    Ok(frame)
}

/// A frame with its length in front.
fn packet(frame: &[u8]) -> Vec<u8> {
    // No frame is longer than `max_message`, which is a `u32`.
    let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    [&len.to_le_bytes()[..], frame].concat()
}

/// 32 bytes that nobody can guess: a key, or a start's seed.
fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
