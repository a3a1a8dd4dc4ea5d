//! A driver for a [`Node`] on threads and TCP: the pattern for one of your own.
//!
//! - **One thread owns node and store** ([`Driver`]). It never waits for a peer: what happens comes in through
//!   one bounded channel, what is to be sent goes out through bounded queues.
//! - **A thread asks each peer** ([`ask`]), one for each connection answers anybody ([`serve`]), in turns. On the
//!   wire are the `wire` module's frames, the length of each in front as a `u32` in little-endian.
//! - **The application** hands the driver a closure and gets its result back ([`Member::call`]).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{self, Duration};

use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message, RequestId};
use verisoo::{Command, Config, Event, Identity, Instant, Node, Notice, PeerId, Vkey};

/// Bytes of the longest frame.
const MAX_MESSAGE: u32 = 128 << 10;
/// Requests that wait for one peer. Where there is no room for another, the peer does not answer.
const QUEUE: usize = 64;
/// Things that wait for a node's thread; then readers wait, and so, through TCP, does who sends to them.
const INBOX: usize = 64;
/// Accepted connections at one time: a thread and two frames each is what strangers can cost us.
const MAX_CONNECTIONS: usize = 64;
/// How long an accepted connection may be idle: longer than rounds are apart, a minute by default.
const IDLE: Duration = Duration::from_secs(100);
/// How long writing an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What comes to a node's thread.
enum Input {
    /// A request, from anybody.
    Request { frame: Vec<u8>, answer: SyncSender<Vec<u8>> },
    /// What came of a request of ours: a frame, or none.
    Answer { peer: PeerId, request: RequestId, frame: io::Result<Vec<u8>> },
    /// The application wants something done, between two polls.
    Call(Work),
    /// That was all.
    Stop,
}

type Work = Box<dyn FnOnce(&mut Node, &mut MemoryStore) + Send>;

/// A running node, as the application sees it. It ends when this is dropped.
pub struct Member(SyncSender<Input>);

impl Member {
    /// Starts a node that serves `listener` and talks to all `peers` but itself.
    pub fn start(identity: Identity, listener: TcpListener, peers: &[(Vkey, SocketAddr)]) -> Result<Self, Failure> {
        let mut config = Config::default();
        // Pushes spread what is new; rounds repair what pushes missed, and a demo has no minute to spare.
        config.interval = Duration::from_secs(1);
        config.max_message = MAX_MESSAGE;
        let (inbox, inputs) = sync_channel(INBOX);
        let (mut store, mut queues, buf) = (MemoryStore::new(), BTreeMap::new(), vec![0; MAX_MESSAGE as usize]);
        // This key was made a moment ago, so its log is new. A key that may have signed before has to begin with
        // `Node::open`, or it might sign a second history: a fork.
        let mut node = Node::new(identity, config, random()?, Instant::ZERO);
        let own = node.id();
        for (vkey, address) in peers.iter().filter(|(vkey, _)| vkey.id() != own) {
            // Plain TCP does not prove who answers, so there is no `set_authenticated` here: false answers
            // count as failures, and whatever is believed is signed.
            let peer = node.add_peer(&mut store, *vkey)?;
            let (queue, questions) = sync_channel(QUEUE);
            let (address, inbox) = (*address, inbox.clone());
            thread::spawn(move || ask(peer, address, &questions, &inbox));
            queues.insert(peer, queue);
        }
        let accepted = inbox.clone();
        thread::spawn(move || accept(&listener, &accepted));
        let driver = Driver { node, store, queues, buf, start: time::Instant::now() };
        thread::spawn(move || driver.run(&inputs));
        Ok(Self(inbox))
    }

    /// Runs `work` on the node's thread and returns what it returns.
    pub fn call<R, F>(&self, work: F) -> Result<R, Failure>
    where
        R: Send + 'static,
        F: FnOnce(&mut Node, &mut MemoryStore) -> R + Send + 'static,
    {
        let (result, done) = sync_channel(1);
        let call = Input::Call(Box::new(move |node, store| drop(result.send(work(node, store)))));
        self.0.send(call).map_err(|_| "the node's thread has ended")?;
        Ok(done.recv()?)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Those who ask end with their queues; those who accept and serve, with the process.
        let _ = self.0.send(Input::Stop);
    }
}

/// The thread that owns a node: events in, commands out.
struct Driver {
    node: Node,
    store: MemoryStore,
    /// The way to each peer. Where that is the node does not know.
    queues: BTreeMap<PeerId, SyncSender<Question>>,
    /// Frames are written here before they are queued.
    buf: Vec<u8>,
    start: time::Instant,
}

impl Driver {
    fn run(mut self, inputs: &Receiver<Input>) {
        loop {
            while let Some(command) = self.node.poll(self.now(), &mut self.store) {
                self.perform(command);
            }
            // Sleep until something comes, or the node has something to do by itself (a round, a deadline).
            let pause = self.node.next_wake().map_or(IDLE, |wake| wake - self.now());
            let first = inputs.recv_timeout(pause).ok();
            // All that has come is handled before the next poll: so one head is signed for many records.
            for input in first.into_iter().chain(inputs.try_iter()).take(INBOX) {
                match input {
                    Input::Request { frame, answer } => self.respond(&frame, &answer),
                    Input::Answer { peer, request, frame } => self.answered(peer, request, &frame.unwrap_or_default()),
                    Input::Call(work) => work(&mut self.node, &mut self.store),
                    Input::Stop => return,
                }
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
        let packet = match self.node.encode(&mut self.store, &command, &mut self.buf) {
            Ok(Some(frame)) => packet(frame),
            // Overtaken: what was to be asked has been answered otherwise.
            Ok(None) => return,
            // The node does not hear of it now; the request's deadline passes, and it is tried again.
            Err(error) => return eprintln!("{}: {error}", self.node),
        };
        // There is no back-off here, and no second try: the node decides when a peer is asked again.
        let deadline = time::Instant::now() + self.node.peer(peer).map_or(PATIENCE, |peer| peer.timeout);
        let question = Question { request, packet, deadline };
        if self.queues.get(&peer).is_none_or(|queue| queue.try_send(question).is_err()) {
            self.handle(Event::RequestFailed { peer, request });
        }
    }

    /// What is no request gets no answer: `answer` is dropped, and that ends the connection.
    fn respond(&mut self, frame: &[u8], answer: &SyncSender<Vec<u8>>) {
        let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(frame) else { return };
        let response = self.node.respond(self.now(), &mut self.store, id, &request, &mut self.buf);
        response.map(|response| answer.try_send(packet(response)));
    }

    fn answered(&mut self, peer: PeerId, request: RequestId, frame: &[u8]) {
        self.handle(match Frame::decode(frame) {
            Ok(Frame { id, message: Message::Response(response) }) if id == request => {
                Event::Answer { peer, request, response }
            }
            _ => Event::RequestFailed { peer, request },
        });
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
    packet: Vec<u8>,
    deadline: time::Instant,
}

/// Asks a peer for as long as there is the node's thread. A connection that failed is opened again.
fn ask(peer: PeerId, address: SocketAddr, questions: &Receiver<Question>, inbox: &SyncSender<Input>) {
    let mut link = None;
    let _ = questions.iter().try_for_each(|question| {
        let (request, frame) = (question.request, exchange(&mut link, address, &question));
        inbox.send(Input::Answer { peer, request, frame })
    });
}

/// Sends a request and reads its answer. What fails leaves no connection behind.
fn exchange(link: &mut Option<TcpStream>, address: SocketAddr, question: &Question) -> io::Result<Vec<u8>> {
    let left = left(question.deadline);
    let stream = link.take().map_or_else(|| TcpStream::connect_timeout(&address, left), Ok)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(left))?;
    (&stream).write_all(&question.packet)?;
    let frame = read_frame(&stream, question.deadline)?;
    *link = Some(stream);
    Ok(frame)
}

/// Accepts connections from anybody.
fn accept(listener: &TcpListener, inbox: &SyncSender<Input>) {
    let open = Arc::new(());
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of file descriptors, perhaps: no use in asking again at once.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        // Where there are too many, dropping it closes it.
        if Arc::strong_count(&open) <= MAX_CONNECTIONS {
            let (inbox, open) = (inbox.clone(), Arc::clone(&open));
            thread::spawn(move || (serve(&stream, &inbox), open));
        }
    }
}

/// Takes a request, sends the answer, and takes the next: who does not read answers is not read from either.
fn serve(mut stream: &TcpStream, inbox: &SyncSender<Input>) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    loop {
        let frame = read_frame(stream, time::Instant::now() + IDLE)?;
        let (answer, answered) = sync_channel(1);
        inbox.send(Input::Request { frame, answer }).map_err(|_| "the node's thread has ended")?;
        stream.write_all(&answered.recv()?)?;
    }
}

/// Reads a frame and the length before it.
fn read_frame(stream: &TcpStream, deadline: time::Instant) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    read_all(stream, &mut len, deadline)?;
    let len = u32::from_le_bytes(len);
    // Before anything is reserved: anybody can claim four gigabytes.
    if len > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; len as usize];
    read_all(stream, &mut frame, deadline)?;
    Ok(frame)
}

/// Fills `buf` before the deadline: one for each byte would let one byte now and then hold a connection for ever.
fn read_all(mut stream: &TcpStream, mut buf: &mut [u8], deadline: time::Instant) -> io::Result<()> {
    while !buf.is_empty() {
        stream.set_read_timeout(Some(left(deadline)))?;
        match stream.read(buf)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => buf = &mut buf[len..],
        }
    }
    Ok(())
}

/// What is left of the time. Nothing is an error to whoever is given it as a timeout.
fn left(deadline: time::Instant) -> Duration {
    deadline.saturating_duration_since(time::Instant::now())
}

/// A frame with its length in front. None is longer than `MAX_MESSAGE`, which is a `u32`.
fn packet(frame: &[u8]) -> Vec<u8> {
    let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    [&len.to_le_bytes()[..], frame].concat()
}

/// 32 bytes that nobody can guess: a key, or a start's seed.
pub fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
