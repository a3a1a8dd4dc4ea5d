//! The operator's listener: new records come into the node's own log here and nowhere else. It asks for
//! no password, so it listens on loopback unless the operator says otherwise. Browsers are refused: a web
//! page must not be able to write here through the one on the operator's machine.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use verisoo::attestation::{Attestation, AttestationError};
use verisoo::{Identity, MAX_RECORD};

use super::error::ApiError;
use super::gate::limited;
use super::json::{self, BodyResult, parse};
use super::query::NoQuery;
use crate::driver::{Engine, Handle, NotDone, Why};
use crate::limits::Limits;

/// Bytes of a body: some sixty of the longest records.
const MAX_BODY: usize = 4 << 20;

/// The operator's port.
pub fn router(handle: Handle, limits: &Limits) -> Router {
    let routes = Router::new()
        .route("/status", get(status))
        .route("/records", post(append))
        .route("/attestations", post(attest))
        .with_state(handle);
    limited(routes, MAX_BODY, limits)
}

/// Records for the node's own log, in base64, taken as they are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecords {
    /// The records.
    pub records: Vec<String>,
}

/// Statements that the node is to sign and log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAttestations {
    /// The statements.
    pub attestations: Vec<Statement>,
}

/// What is to be signed: how to read it, and the bytes in base64.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Statement {
    /// What kind of payload it is, as DSSE names it.
    pub payload_type: String,
    /// What is stated.
    pub payload: String,
}

/// Where the records are in the node's own log.
#[derive(Debug, Serialize, Deserialize)]
pub struct Appended {
    /// The log.
    pub log: String,
    /// The index of the first.
    pub start: u64,
    /// How many they are.
    pub count: u64,
}

async fn status(State(handle): State<Handle>, _: NoQuery) -> Result<Json<json::Status>, ApiError> {
    Ok(Json(handle.call(json::status).await?))
}

async fn append(
    State(handle): State<Handle>,
    _: NoQuery,
    headers: HeaderMap,
    body: BodyResult,
) -> Result<Json<Appended>, ApiError> {
    let NewRecords { records } = read(&headers, &body?)?;
    let records = records.iter().map(|record| decode(record)).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(handle.call(move |engine| append_all(engine, &records)).await??))
}

async fn attest(
    State(handle): State<Handle>,
    _: NoQuery,
    headers: HeaderMap,
    body: BodyResult,
) -> Result<Json<Appended>, ApiError> {
    let NewAttestations { attestations } = read(&headers, &body?)?;
    let identity = handle.call(|engine| engine.identity.clone()).await?;
    let sign = |statement: &Statement| sign(&identity, &statement.payload_type, &decode(&statement.payload)?);
    let records = attestations.iter().map(sign).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(handle.call(move |engine| append_all(engine, &records)).await??))
}

/// A statement as a signed record.
pub fn sign(identity: &Identity, payload_type: &str, payload: &[u8]) -> Result<Vec<u8>, NotDone> {
    let signed = || {
        let attestation = Attestation::sign(identity, payload_type, payload)?;
        let mut record = vec![0; attestation.encoded_len()?];
        attestation.encode(&mut record)?;
        Ok(record)
    };
    signed().map_err(|error: AttestationError| NotDone::new(Why::TooLong, error.to_string()))
}

fn read<'a, T: Deserialize<'a>>(headers: &HeaderMap, body: &'a [u8]) -> Result<T, ApiError> {
    // A browser says with each such request whose page it comes from.
    if headers.contains_key(ORIGIN) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not for browsers"));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/json")) {
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type: application/json"));
    }
    parse(body)
}

fn decode(text: &str) -> Result<Vec<u8>, NotDone> {
    let record = STANDARD.decode(text).map_err(|_| NotDone::nonsense("not base64"))?;
    if record.len() > MAX_RECORD {
        return Err(NotDone::new(Why::TooLong, "a record has at most 65,535 bytes"));
    }
    Ok(record)
}

fn append_all(engine: &mut Engine, records: &[Vec<u8>]) -> Result<Appended, NotDone> {
    let count = records.len() as u64;
    match engine.append(records) {
        Ok(start) => Ok(Appended { log: engine.node.id().to_string(), start, count }),
        Err((error, 0)) => Err(error),
        Err((error, count)) => Err(NotDone::new(error.why, format!("{error}; the first {count} were appended"))),
    }
}
