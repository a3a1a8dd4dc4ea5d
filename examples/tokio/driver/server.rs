//! What is served to anybody: peers, who speak the wire format, and people, who read JSON.
//!
//! Every answer is bounded work. Requests beyond the limits are refused at once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use verisoo::LogId;
use verisoo::wire::{Frame, Message, Request as WireRequest, RequestId, Response as WireResponse};

use super::error::{ApiError, status_of};
use super::json::{self, ForkRequest, PushRequest};
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
    let Query(query) = query?;
    if wants_binary(&headers) {
        return exchange(&handle, from_query(&query)?, |request| matches!(request, WireRequest::Status(_))).await;
    }
    Ok(Json(handle.call(|engine| json::status(engine)).await?).into_response())
}

async fn records(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    let Query(query) = query?;
    if wants_binary(&headers) {
        return exchange(&handle, from_query(&query)?, |request| matches!(request, WireRequest::Records { .. })).await;
    }
    Ok(Json(handle.call(move |engine| json::records(engine, &query)).await??).into_response())
}

async fn consistency(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    let Query(query) = query?;
    if wants_binary(&headers) {
        return exchange(&handle, from_query(&query)?, |request| matches!(request, WireRequest::Proof { .. })).await;
    }
    Ok(Json(handle.call(move |engine| json::consistency(engine, &query)).await??).into_response())
}

async fn key(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    let Query(query) = query?;
    if wants_binary(&headers) {
        return exchange(&handle, from_query(&query)?, |request| matches!(request, WireRequest::Key { .. })).await;
    }
    Ok(Json(handle.call(move |engine| json::key(engine, &query)).await??).into_response())
}

async fn fork(State(handle): State<Handle>, headers: HeaderMap, query: LogQueryResult) -> Answer {
    let Query(query) = query?;
    if wants_binary(&headers) {
        return exchange(&handle, from_query(&query)?, |request| matches!(request, WireRequest::Fork { .. })).await;
    }
    Ok(Json(handle.call(move |engine| json::fork(engine, &query)).await??).into_response())
}

async fn push(State(handle): State<Handle>, headers: HeaderMap, body: BodyResult) -> Answer {
    let body = body?;
    if sends_binary(&headers) {
        return exchange(&handle, body.into(), |request| matches!(request, WireRequest::Push(_))).await;
    }
    let push: PushRequest = parse(&body)?;
    Ok(Json(handle.call(move |engine| json::push(engine, &push)).await??).into_response())
}

async fn push_fork(State(handle): State<Handle>, headers: HeaderMap, body: BodyResult) -> Answer {
    let body = body?;
    if sends_binary(&headers) {
        return exchange(&handle, body.into(), |request| matches!(request, WireRequest::PushFork { .. })).await;
    }
    let fork: ForkRequest = parse(&body)?;
    Ok(Json(handle.call(move |engine| json::push_fork(engine, &fork)).await??).into_response())
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

fn wants_binary(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).is_some_and(|value| value == BINARY)
}

fn sends_binary(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value == BINARY)
}

pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad(error.to_string()))
}

fn from_query(query: &LogQuery) -> Result<Vec<u8>, ApiError> {
    let frame = query.frame.as_ref().ok_or_else(|| ApiError::bad("frame: a request in the wire format, base64url"))?;
    URL_SAFE_NO_PAD.decode(frame).map_err(|_| ApiError::bad("frame: not base64url without padding"))
}

/// Answers a frame with a frame. The status says the same for whoever does not read it.
async fn exchange(handle: &Handle, frame: Vec<u8>, belongs_here: fn(&WireRequest<'_>) -> bool) -> Answer {
    let answer = handle.call(move |engine| {
        let (id, request) = request(&frame)?;
        if !belongs_here(&request) {
            return Err(ApiError::bad("frame: another kind of request than this endpoint's"));
        }
        engine.respond(id, &request).map(<[u8]>::to_vec)
    });
    let answer = answer.await??;
    let status = match Frame::decode(&answer).map(|frame| frame.message) {
        Ok(Message::Response(WireResponse::Refused(refusal))) => status_of(refusal),
        _ => StatusCode::OK,
    };
    Ok((status, [(CONTENT_TYPE, BINARY)], answer).into_response())
}

fn request(frame: &[u8]) -> Result<(RequestId, WireRequest<'_>), ApiError> {
    match Frame::decode(frame) {
        Ok(Frame { id, message: Message::Request(request) }) => Ok((id, request)),
        Ok(_) => Err(ApiError::bad("frame: not a request")),
        Err(error) => Err(ApiError::bad(format!("frame: {error}"))),
    }
}
