//! What is served to anybody: peers, who speak the wire format, and people, who read JSON.

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use verisoo::wire::RequestId;

use super::error::ApiError;
use super::frames::{Kind, exchange, frame_answer, names_binary};
use super::gate::limited;
use super::json::{self, BodyResult, parse};
use super::query::{LogQuery, NoQuery};
use crate::driver::{Engine, Handle, NotDone};
use crate::limits::Limits;

/// The peers' port. Reading and gossip; local records come in elsewhere (see [`admin`](super::admin)).
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

type LogQueryResult = Result<Query<LogQuery>, QueryRejection>;
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

async fn push(State(handle): State<Handle>, _: NoQuery, headers: HeaderMap, body: BodyResult) -> Answer {
    post_answer(handle, &headers, body?, Kind::Push, json::push).await
}

async fn push_fork(State(handle): State<Handle>, _: NoQuery, headers: HeaderMap, body: BodyResult) -> Answer {
    post_answer(handle, &headers, body?, Kind::PushFork, json::push_fork).await
}

/// The signed note of a log's head.
async fn checkpoint(State(handle): State<Handle>, query: LogQueryResult) -> Answer {
    let Query(query) = query?;
    query.only(&["log"])?;
    let note = handle.call(move |engine| {
        let (head, vkey) = engine.head(&query.log(engine)?)?;
        Ok::<_, NotDone>(head.to_note(&vkey).to_string())
    });
    Ok(note.await??.into_response())
}

/// A record's inclusion proof as a text to take away (C2SP tlog-proof).
async fn proof(State(handle): State<Handle>, index: Result<Path<u64>, PathRejection>, query: LogQueryResult) -> Answer {
    let (Path(index), Query(query)) = (index?, query?);
    query.only(&["log"])?;
    let proof = handle.call(move |engine| {
        let log = query.log(engine)?;
        let (head, vkey) = engine.head(&log)?;
        let proof = engine.inclusion(&log, index, head.head.size)?;
        Ok::<_, NotDone>(verisoo::head::tlog_proof(index, &proof, head.to_note(&vkey), b"").to_string())
    });
    Ok(proof.await??.into_response())
}

/// Answers a GET: with a frame where one is wanted, otherwise with what `json` says.
async fn get_answer<T: Serialize + Send + 'static>(
    handle: Handle,
    headers: &HeaderMap,
    query: LogQueryResult,
    kind: Kind,
    json: fn(&mut Engine, &LogQuery) -> Result<T, NotDone>,
) -> Answer {
    let Query(query) = query?;
    if !names_binary(headers, ACCEPT) && !names_binary(headers, CONTENT_TYPE) {
        query.only(kind.parameters())?;
        return Ok(Json(handle.call(move |engine| json(engine, &query)).await??).into_response());
    }
    query.only(if query.frame.is_some() { &["frame"] } else { kind.wire_parameters() })?;
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
    json: fn(&mut Engine, &P) -> Result<T, NotDone>,
) -> Answer {
    if names_binary(headers, CONTENT_TYPE) {
        let answer = handle.call(move |engine| exchange(engine, &body, kind));
        return Ok(frame_answer(answer.await??));
    }
    let parsed: P = parse(&body)?;
    Ok(Json(handle.call(move |engine| json(engine, &parsed)).await??).into_response())
}
