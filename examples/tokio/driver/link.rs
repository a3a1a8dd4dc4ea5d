//! The calling half: the node's requests as HTTP requests to its peers.
//!
//! A request is a GET with the frame in its query, or a POST with the frame as its body; the answer's body
//! is the answering frame, whatever the status. An answer that does not come in time is not reported:
//! the node keeps the deadlines, and learns from one that passes that the peer is slow.

use std::collections::HashMap;
use std::sync::{Arc, Once};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use verisoo::wire::RequestId;
use verisoo::{Ask, LogId, PeerId};

use super::BINARY;

/// About as many requests as a node has outstanding at one time.
const MAX_REQUESTS: usize = 256;

/// What the driver knows of a peer.
#[derive(Clone, Debug)]
pub struct Peer {
    pub name: String,
    pub url: Url,
    /// Why the last request brought no answer; `None` where it did.
    pub last_error: Option<String>,
}

/// A peer's answer: the bytes of a frame, or why there are none.
pub struct Answer {
    pub peer: PeerId,
    pub request: RequestId,
    pub result: Result<Vec<u8>, String>,
}

/// Requests under way.
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
    pub fn send(&mut self, base: &Url, peer: PeerId, request: RequestId, ask: Ask, frame: &[u8], deadline: Duration) {
        while self.tasks.try_join_next().is_some() {}
        if self.last_fetch.len() > 2 * MAX_REQUESTS {
            // What has been handed over holds nobody up.
            self.last_fetch.retain(|_, done| matches!(done.try_recv(), Err(TryRecvError::Empty)));
        }
        let http = http_request(&self.client, base, ask, frame);
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
                let permit = permits.acquire().await;
                let result = exchange(http, limit).await;
                drop(permit);
                result
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

/// The HTTP client for peers, which are reached directly and answer themselves: neither a proxy of the
/// environment nor a redirect takes us elsewhere.
pub fn client(with_tls: bool) -> anyhow::Result<Client> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where the application has chosen another, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let mut builder = Client::builder().no_proxy().redirect(redirect::Policy::none());
    if !with_tls {
        // Without the system's certificates, which a machine that only speaks plain HTTP may not have.
        builder = builder.tls_certs_only([]);
    }
    Ok(builder.connect_timeout(Duration::from_secs(5)).pool_max_idle_per_host(16).build()?)
}

fn http_request(client: &Client, base: &Url, ask: Ask, frame: &[u8]) -> RequestBuilder {
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
    let url = endpoint(base, path);
    let http = if is_post {
        client.post(url).header(CONTENT_TYPE, BINARY).body(frame.to_vec())
    } else {
        client.get(url).query(&[("frame", URL_SAFE_NO_PAD.encode(frame))])
    };
    http.header(ACCEPT, BINARY)
}

/// An endpoint below a base URL, whether that ends in a slash or not.
pub fn endpoint(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}

async fn exchange(http: RequestBuilder, limit: usize) -> Result<Vec<u8>, String> {
    let response = http.send().await.map_err(|error| describe(&error))?;
    let is_frame = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == BINARY);
    if !is_frame {
        return Err(format!("{} without a frame", response.status()));
    }
    read(response, limit).await
}

/// A body of at most `limit` bytes; what is longer is not read.
pub async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if chunk.len() > limit.saturating_sub(body.len()) {
            return Err("the answer is too long".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The innermost cause: the outer ones repeat the URL.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
