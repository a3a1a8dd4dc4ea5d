//! HTTP as a client: for a node that asks its peers, and for an operator's commands.
//!
//! hyper's client, and around it what it leaves to its user: bounds on the connections kept, on a head and a
//! body in bytes, and on the time that an exchange takes. Whoever is asked is reached directly and answers
//! itself: neither a proxy of the environment nor a redirect takes us elsewhere.

mod base_url;
mod connector;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

pub use base_url::{BadUrl, BaseUrl};
use connector::{Connector, connector};

/// Connections to one server that are kept for its next request.
const KEPT: usize = 16;
/// How long they are kept: not as long as most servers do, ours among them keep them for ten seconds.
const KEPT_FOR: Duration = Duration::from_secs(8);
/// Bytes of an answer's head; of the last read there may be as many again.
const MAX_HEAD: usize = 64 << 10;
/// Lines of an answer's head.
const MAX_HEADERS: usize = 64;

/// Asks servers. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client(legacy::Client<Connector, Full<Bytes>>);

/// An answer that has been read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the server says of it.
    pub status: StatusCode,
    /// Its head.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The server was not reached, or its answer ended too early or was no HTTP: why.
    Failed(String),
    /// It has a longer body than was to be read.
    TooLong,
    /// It did not come in time.
    TooLate,
}

impl Client {
    /// A client; `with_tls` where it will be asked for `https://` URLs: then the system's certificates are
    /// read, which a machine that only speaks plain HTTP may not have.
    pub fn new(with_tls: bool) -> Result<Self, NoAnswer> {
        let connector = connector(with_tls).map_err(NoAnswer::Failed)?;
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_FOR)
            .pool_max_idle_per_host(KEPT)
            .http1_max_buf_size(MAX_HEAD)
            .http1_max_headers(MAX_HEADERS);
        Ok(Self(builder.build(connector)))
    }

    /// Sends a request; the answer's head, and its body as it comes in. The caller bounds the time.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, NoAnswer> {
        self.0.request(request).await.map_err(|error| NoAnswer::Failed(innermost(&error)))
    }

    /// Sends a request and reads its answer, at most `limit` bytes of body, within `time`.
    pub async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
        time: Duration,
    ) -> Result<Answer, NoAnswer> {
        let exchange = async {
            let (head, body) = self.send(request).await?.into_parts();
            Ok(Answer { status: head.status, headers: head.headers, body: read(body, limit).await? })
        };
        timeout(time, exchange).await.unwrap_or(Err(NoAnswer::TooLate))
    }
}

/// A body of at most `limit` bytes; what is longer is not read. The caller bounds the time.
pub async fn read(mut body: Incoming, limit: usize) -> Result<Vec<u8>, NoAnswer> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| NoAnswer::Failed(innermost(&error)))?;
        // Trailers are nobody's.
        let Ok(chunk) = frame.into_data() else { continue };
        if chunk.len() > limit.saturating_sub(bytes.len()) {
            return Err(NoAnswer::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The innermost cause: the outer ones say that there was an error.
fn innermost(mut error: &dyn Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::TooLong => f.write_str("the answer is too long"),
            Self::TooLate => f.write_str("no answer in time"),
        }
    }
}

impl Error for NoAnswer {}
