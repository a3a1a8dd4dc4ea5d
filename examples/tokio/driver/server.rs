//! What is served to anybody: peers, who speak the wire format, and people, who read JSON.
//!
//! Every answer is bounded work. Requests beyond the limits are refused at once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use verisoo::LogId;
use verisoo::wire::{Frame, Message, Request as WireRequest, RequestId, Response as WireResponse};

use super::error::{ApiError, status_of};
use super::json;
use super::{BINARY, Engine, Handle, Limits};

/// The peers' port. Reading and gossip; local records come in elsewhere (see `admin`).
pub fn router(handle: Handle, limits: &Limits) -> Router {
    let max_message = handle.max_message;
    let routes = Router::new()
        .route("/status", get(status))
        .route("/records", get(records).post(push))
        .route("/consistency-proof", get(consistency))
        .route("/fork-proof", get(fork).post(push_fork))
        .route("/key", get(key))
        .route("/checkpoint", get(checkpoint))
        .route("/proof/{index}", get(proof))
        .with_state(handle);
    limited(routes, max_message, limits)
}

/// Answers what no route does, and keeps requests within the limits.
pub fn limited(router: Router, max_body: usize, limits: &Limits) -> Router {
    let gate = Arc::new((Semaphore::new(limits.requests), limits.request_time));
    router
        .fallback(|| async { ApiError::not_held("no such endpoint") })
        .method_not_allowed_fallback(|| async { ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "no such method here") })
        .layer(DefaultBodyLimit::max(max_body))
        .layer(from_fn_with_state(gate, within_limits))
}

async fn within_limits(
    State(gate): State<Arc<(Semaphore, std::time::Duration)>>,
    request: Request,
    next: Next,
) -> Response {
    let (permits, time) = &*gate;
    let Ok(_permit) = permits.try_acquire() else { return ApiError::busy("too many requests").into_response() };
    timeout(*time, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response())
}

/// A query about a log; which parameters are needed depends on the endpoint, and others are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// The log's id in hex; the node's own without it.
    pub log: Option<String>,
    pub start: Option<u64>,
    pub count: Option<u64>,
    pub old_size: Option<u64>,
    pub size: Option<u64>,
    /// The request in the wire format, base64url.
    pub frame: Option<String>,
}

impl LogQuery {
    pub fn log(&self, engine: &Engine) -> Result<LogId, ApiError> {
        let Some(log) = &self.log else { return Ok(engine.node.id()) };
        LogId::from_hex(log).ok_or_else(|| ApiError::bad("log: 64 lower-case hex digits"))
    }
}

type LogQueryResult = Result<Query<LogQuery>, QueryRejection>;
/// A body within the limit.
pub type BodyResult = Result<Bytes, BytesRejection>;
type Answer = Result<Response, ApiError>;

async fn status(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    get_answer(handle, &headers, query, Kind::Status, |engine, _| Ok(json::status(engine))).await
}

async fn records(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    get_answer(handle, &headers, query, Kind::Records, json::records).await
}

async fn consistency(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    get_answer(handle, &headers, query, Kind::Proof, json::consistency).await
}

async fn key(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    get_answer(handle, &headers, query, Kind::Key, json::key).await
}

async fn fork(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    get_answer(handle, &headers, query, Kind::Fork, json::fork).await
}

async fn push(State(handle): State<Handle>, headers: HeaderMap, body: BodyResult) -> Answer {
    post_answer(handle, &headers, body?, Kind::Push, json::push).await
}

async fn push_fork(State(handle): State<Handle>, headers: HeaderMap, body: BodyResult) -> Answer {
    post_answer(handle, &headers, body?, Kind::PushFork, json::push_fork).await
}

/// The signed note of a log's head.
async fn checkpoint(State(handle): State<Handle>, query: LogQueryResult) -> Answer {
    let Query(query) = query?;
    let note = handle.call(move |engine| {
        let (head, vkey) = engine.head(&query.log(engine)?)?;
        Ok::<_, ApiError>(head.to_note(&vkey).to_string())
    });
    Ok(note.await??.into_response())
}

/// A record's inclusion proof as a text to take away (C2SP tlog-proof).
async fn proof(State(handle): State<Handle>, index: Result<Path<u64>, PathRejection>, query: LogQueryResult) -> Answer {
    let (Path(index), Query(query)) = (index?, query?);
    let proof = handle.call(move |engine| {
        let log = query.log(engine)?;
        let (head, vkey) = engine.head(&log)?;
        let proof = engine.inclusion(&log, index, head.head.size)?;
        Ok::<_, ApiError>(verisoo::head::tlog_proof(index, &proof, head.to_note(&vkey), b"").to_string())
    });
    Ok(proof.await??.into_response())
}

/// Answers a GET: with a frame where one is wanted, otherwise with what `json` says.
async fn get_answer<T: Serialize + Send + 'static>(
    handle: Handle,
    headers: &HeaderMap,
    query: LogQueryResult,
    kind: Kind,
    json: fn(&mut Engine, &LogQuery) -> Result<T, ApiError>,
) -> Answer {
    let Query(query) = query?;
    if !names_binary(headers, ACCEPT) && !names_binary(headers, CONTENT_TYPE) {
        return Ok(Json(handle.call(move |engine| json(engine, &query)).await??).into_response());
    }
    let frame = query.frame.as_ref().map(|frame| URL_SAFE_NO_PAD.decode(frame));
    let frame = frame.transpose().map_err(|_| ApiError::bad("frame: not base64url without padding"))?;
    let answer = handle.call(move |engine| {
        if let Some(frame) = frame {
            return exchange(engine, &frame, kind);
        }
        let request = kind.request(&query, query.log(engine)?)?;
        engine.respond(RequestId::new(0), &request).map(<[u8]>::to_vec)
    });
    Ok(frame_answer(answer.await??))
}

/// Answers a POST in the format in which it came.
async fn post_answer<P: DeserializeOwned + Send + 'static, T: Serialize + Send + 'static>(
    handle: Handle,
    headers: &HeaderMap,
    body: Bytes,
    kind: Kind,
    json: fn(&mut Engine, &P) -> Result<T, ApiError>,
) -> Answer {
    if names_binary(headers, CONTENT_TYPE) {
        let answer = handle.call(move |engine| exchange(engine, &body, kind));
        return Ok(frame_answer(answer.await??));
    }
    let parsed: P = parse(&body)?;
    Ok(Json(handle.call(move |engine| json(engine, &parsed)).await??).into_response())
}

fn names_binary(headers: &HeaderMap, header: HeaderName) -> bool {
    let value = headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split([',', ';']).any(|part| part.trim() == BINARY)
}

pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad(error.to_string()))
}

/// Answers a frame with a frame.
fn exchange(engine: &mut Engine, frame: &[u8], kind: Kind) -> Result<Vec<u8>, ApiError> {
    let frame = Frame::decode(frame).map_err(|error| ApiError::bad(format!("frame: {error}")))?;
    let Message::Request(request) = frame.message else { return Err(ApiError::bad("frame: not a request")) };
    if !kind.is_of(&request) {
        return Err(ApiError::bad("frame: another kind of request than this endpoint's"));
    }
    engine.respond(frame.id, &request).map(<[u8]>::to_vec)
}

/// The status says the same as the frame, for whoever does not read it.
fn frame_answer(frame: Vec<u8>) -> Response {
    let status = match Frame::decode(&frame).map(|frame| frame.message) {
        Ok(Message::Response(WireResponse::Refused(refusal))) => status_of(refusal),
        _ => StatusCode::OK,
    };
    (status, [(CONTENT_TYPE, BINARY)], frame).into_response()
}

/// Which request belongs to an endpoint and method.
#[derive(Clone, Copy)]
enum Kind {
    Status,
    Records,
    Proof,
    Key,
    Fork,
    Push,
    PushFork,
}

impl Kind {
    fn is_of(self, request: &WireRequest<'_>) -> bool {
        match self {
            Self::Status => matches!(request, WireRequest::Status(_)),
            Self::Records => matches!(request, WireRequest::Records { .. }),
            Self::Proof => matches!(request, WireRequest::Proof { .. }),
            Self::Key => matches!(request, WireRequest::Key { .. }),
            Self::Fork => matches!(request, WireRequest::Fork { .. }),
            Self::Push => matches!(request, WireRequest::Push(_)),
            Self::PushFork => matches!(request, WireRequest::PushFork { .. }),
        }
    }

    /// The request that readable parameters make.
    fn request(self, query: &LogQuery, log: LogId) -> Result<WireRequest<'static>, ApiError> {
        let limit = u32::MAX;
        Ok(match self {
            Self::Records => {
                let (start, count) = (query.start.unwrap_or(0), query.count.unwrap_or(u64::MAX));
                WireRequest::Records { log, start, count, limit }
            }
            Self::Proof => {
                let size = query.old_size.ok_or_else(|| ApiError::bad("old_size: the size to prove from"))?;
                WireRequest::Proof { log, size, limit }
            }
            Self::Key => WireRequest::Key { log },
            Self::Fork => WireRequest::Fork { log },
            // A status answers somebody's nonce.
            _ => return Err(ApiError::bad("frame: a request in the wire format, base64url")),
        })
    }
}
