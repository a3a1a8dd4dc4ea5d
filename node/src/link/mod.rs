//! The calling half: the node's requests as HTTP requests to its peers.
//!
//! A request is a GET with the frame in its query, or a POST with the frame as its body; the answer's body
//! is the answering frame, whatever the status. An answer that does not come in time is not reported:
//! the node keeps the deadlines, and learns from one that passes that the peer is slow.

mod peer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, Request};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use verisoo::wire::RequestId;
use verisoo::{Ask, LogId, PeerId};

use crate::client::{self, BaseUrl, Client};

pub use peer::{Peer, PeerAddress};

/// The content type of the wire format.
pub const BINARY: &str = "application/vnd.verisoo";

/// About as many requests as a node has outstanding at one time.
const MAX_REQUESTS: usize = 256;

/// A peer's answer: the bytes of a frame, or why there are none.
#[derive(Debug)]
pub struct Answer {
    /// Who was asked.
    pub peer: PeerId,
    /// What was asked.
    pub request: RequestId,
    /// What came of it.
    pub result: Result<Vec<u8>, String>,
}

/// Requests under way.
#[derive(Debug)]
pub struct Links {
    client: Client,
    answers: mpsc::Sender<Answer>,
    max_message: usize,
    /// Bounds the requests on the network at one time; the others wait in order.
    permits: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// Of each log fetched from a peer: what resolves when the answer before has been handed over.
    last_fetch: HashMap<(PeerId, LogId), oneshot::Receiver<()>>,
}

impl Links {
    /// At most `outgoing` requests are on the network at one time, and of an answer no more than `max_message`
    /// bytes are read.
    pub fn new(client: Client, answers: mpsc::Sender<Answer>, max_message: usize, outgoing: usize) -> Self {
        Self {
            client,
            answers,
            max_message,
            permits: Arc::new(Semaphore::new(outgoing)),
            tasks: JoinSet::new(),
            last_fetch: HashMap::new(),
        }
    }

    /// Sends a request; its answer comes through the channel.
    ///
    /// Several fetches of one log are under way at one time, and only the next range can be appended: their
    /// answers are handed over in the order in which they were asked for. Nothing else waits for anything.
    pub fn send(
        &mut self,
        base: &BaseUrl,
        peer: PeerId,
        request: RequestId,
        ask: Ask,
        frame: &[u8],
        deadline: Duration,
    ) {
        while self.tasks.try_join_next().is_some() {}
        if self.last_fetch.len() > 2 * MAX_REQUESTS {
            // What has been handed over holds nobody up.
            self.last_fetch.retain(|_, done| matches!(done.try_recv(), Err(TryRecvError::Empty)));
        }
        let (client, http) = (self.client.clone(), http_request(base, ask, frame));
        let (before, done) = match ask {
            Ask::Records { log, .. } => {
                let (done, receiver) = oneshot::channel();
                (self.last_fetch.insert((peer, log), receiver), Some(done))
            }
            _ => (None, None),
        };
        let (answers, permits, limit) = (self.answers.clone(), Arc::clone(&self.permits), self.max_message);
        self.tasks.spawn(async move {
            let exchange = async {
                let _permit = permits.acquire().await;
                exchange(&client, http?, limit).await
            };
            let result = timeout(deadline, exchange).await;
            if let Some(before) = before {
                let _ = before.await;
            }
            if let Ok(result) = result {
                let _ = answers.send(Answer { peer, request, result }).await;
            }
            drop(done);
        });
    }
}

/// A frame as an HTTP request.
fn http_request(base: &BaseUrl, ask: Ask, frame: &[u8]) -> Result<Request<Full<Bytes>>, String> {
    let (path, is_post) = match ask {
        Ask::Status => ("status", false),
        Ask::Records { .. } => ("records", false),
        Ask::Proof { .. } => ("consistency-proof", false),
        Ask::Key { .. } => ("key", false),
        Ask::Fork { .. } => ("fork-proof", false),
        Ask::PushFork { .. } => ("fork-proof", true),
        // A push of records.
        _ => ("records", true),
    };
    let request = Request::builder().header(ACCEPT, BINARY);
    let request = if is_post {
        let uri = base.endpoint(path, &[]).map_err(|error| error.to_string())?;
        let body = Bytes::copy_from_slice(frame);
        request.method(Method::POST).uri(uri).header(CONTENT_TYPE, BINARY).body(Full::new(body))
    } else {
        let frame = URL_SAFE_NO_PAD.encode(frame);
        let uri = base.endpoint(path, &[("frame", &frame)]).map_err(|error| error.to_string())?;
        request.uri(uri).body(Full::default())
    };
    request.map_err(|error| error.to_string())
}

async fn exchange(client: &Client, request: Request<Full<Bytes>>, limit: usize) -> Result<Vec<u8>, String> {
    let response = client.send(request).await.map_err(|error| error.to_string())?;
    let is_frame = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == BINARY);
    if !is_frame {
        return Err(format!("{} without a frame", response.status()));
    }
    client::read(response.into_body(), limit).await.map_err(|error| error.to_string())
}
