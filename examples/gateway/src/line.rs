//! The serial line to a device, seen from its gateway: frames out, answers and reports in. To the rest of
//! the gateway the device is then a peer with a URL, like any other: see [`router`].

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use verisoo::wire::{Frame, Message, RequestId};
use verisoo_link::{Boot, Channel, MAX_PAYLOAD, OVERHEAD, Receiver};
use verisoo_node::BINARY;

use crate::noise::Noise;

/// How long a device is given to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came from the device by itself; the bytes of it.
pub enum FromDevice {
    /// A frame with a request.
    Request(Vec<u8>),
    /// A report, see [`Report`](verisoo_link::Report).
    Report(Vec<u8>),
    /// The line has ended.
    Closed,
}

/// Frames that may wait for the cable. What is beyond is lost, as it could be on a noisy line.
const QUEUE: usize = 16;

/// The line, whether there is a cable at the moment or not, and who waits for which answer.
pub struct Line {
    /// What is sent goes to a thread, since a cable may take as long as it likes. `None` without a cable.
    out: Mutex<Option<SyncSender<Vec<u8>>>>,
    waiting: Mutex<Waiting>,
    /// With a seed for it, there is noise both ways.
    noise: Option<u64>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    answers: HashMap<u64, oneshot::Sender<Vec<u8>>>,
}

impl Line {
    pub fn new(noise: Option<u64>) -> Arc<Self> {
        Arc::new(Self { out: Mutex::new(None), waiting: Mutex::default(), noise })
    }

    /// Reads and writes in threads until the cable ends, which is the last event; then there may be another.
    pub fn connect(
        self: &Arc<Self>,
        mut read: impl Read + Send + 'static,
        mut write: impl Write + Send + 'static,
        events: mpsc::Sender<FromDevice>,
    ) {
        let (out, frames) = sync_channel(QUEUE);
        *locked(&self.out) = Some(out);
        let mut noise = self.noise.map(Noise::new);
        std::thread::spawn(move || {
            for frame in frames {
                let frame = noise.as_mut().map_or(frame.clone(), |noise| noise.disturb(&frame));
                if write.write_all(&frame).and_then(|()| write.flush()).is_err() {
                    // The reader sees the end as well.
                    return;
                }
            }
        });
        let (line, mut noise) = (Arc::clone(self), self.noise.map(|seed| Noise::new(!seed)));
        std::thread::spawn(move || {
            let mut receiver = Receiver::<{ MAX_PAYLOAD + OVERHEAD }>::new();
            let mut buf = [0; 512];
            while let Ok(len @ 1..) = read.read(&mut buf) {
                let mut bytes = buf[..len].to_vec();
                if let Some(noise) = &mut noise {
                    bytes = noise.disturb(&bytes);
                }
                for byte in bytes {
                    if receiver.push(byte)
                        && let Some((channel, payload, _)) = receiver.frame()
                    {
                        line.received(channel, payload, &events);
                    }
                }
            }
            // Nobody needs to wait for what cannot come.
            *locked(&line.out) = None;
            locked(&line.waiting).answers.clear();
            let _ = events.blocking_send(FromDevice::Closed);
        });
    }

    fn received(&self, channel: Channel, payload: &[u8], events: &mpsc::Sender<FromDevice>) {
        let event = match (channel, Frame::decode(payload)) {
            (Channel::Report, _) => FromDevice::Report(payload.to_vec()),
            (Channel::Protocol, Ok(Frame { message: Message::Request(_), .. })) => {
                FromDevice::Request(payload.to_vec())
            }
            (Channel::Protocol, Ok(Frame { id, message: Message::Response(_) })) => {
                let answer = locked(&self.waiting).answers.remove(&id.get());
                // Nobody may be waiting any more.
                let _ = answer.map(|answer| answer.send(payload.to_vec()));
                return;
            }
            _ => return,
        };
        // A gateway that is behind loses what a noisy line could have lost as well.
        let _ = events.try_send(event);
    }

    /// Tells a device how to start.
    pub fn boot(&self, boot: &Boot<'_>) {
        let mut buf = [0; 256];
        if let Some(bytes) = boot.encode(&mut buf) {
            self.send(Channel::Boot, bytes);
        }
    }

    /// Sends an answer to the device.
    pub fn answer(&self, frame: &[u8]) {
        self.send(Channel::Protocol, frame);
    }

    /// Sends a request to the device, and waits for the answer. `None` where it does not come, or where the
    /// frame is no request.
    ///
    /// The ids of requests are their askers', and several may ask: on the line they get ids of ours.
    pub async fn ask(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let Ok(Frame { id: theirs, message: message @ Message::Request(_) }) = Frame::decode(frame) else {
            return None;
        };
        let (answer, answered) = oneshot::channel();
        let ours = {
            let mut waiting = locked(&self.waiting);
            waiting.answers.retain(|_, answer| !answer.is_closed());
            waiting.next += 1;
            let id = waiting.next;
            waiting.answers.insert(id, answer);
            id
        };
        if !self.send(Channel::Protocol, &encode(RequestId::new(ours), message)?) {
            return None;
        }
        let bytes = timeout(PATIENCE, answered).await.ok()?.ok()?;
        encode(theirs, Frame::decode(&bytes).ok()?.message)
    }

    /// Whether there is a cable to send it on.
    fn send(&self, channel: Channel, payload: &[u8]) -> bool {
        let mut frame = Vec::with_capacity(payload.len() + 64);
        verisoo_link::send(channel, payload, |bytes| frame.extend_from_slice(bytes));
        locked(&self.out).as_ref().is_some_and(|out| !matches!(out.try_send(frame), Err(TrySendError::Disconnected(_))))
    }
}

/// Whoever panicked while holding it, the table is whole.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(id: RequestId, message: Message<'_>) -> Option<Vec<u8>> {
    let mut buf = [0; MAX_PAYLOAD];
    Frame { id, message }.encode(&mut buf).map(<[u8]>::to_vec)
}

#[derive(Deserialize)]
struct FrameQuery {
    frame: Option<String>,
}

/// The device as an HTTP peer: a frame in, its answering frame out, whatever the path.
pub fn router(line: Arc<Line>) -> Router {
    Router::new().fallback(forward).with_state(line)
}

async fn forward(State(line): State<Arc<Line>>, Query(query): Query<FrameQuery>, body: Bytes) -> Response {
    let frame = match query.frame {
        Some(frame) => URL_SAFE_NO_PAD.decode(frame).unwrap_or_default(),
        None => body.to_vec(),
    };
    match line.ask(&frame).await {
        Some(answer) => ([(CONTENT_TYPE, BINARY)], answer).into_response(),
        None => StatusCode::BAD_GATEWAY.into_response(),
    }
}
