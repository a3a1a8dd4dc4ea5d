//! The wire format in HTTP: a frame in, its answering frame out.

use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use verisoo::LogId;
use verisoo::wire::{Frame, Message, Request as WireRequest, Response as WireResponse};

use super::error::status_of;
use super::query::LogQuery;
use crate::driver::{Engine, NotDone};
use crate::link::BINARY;

pub(super) fn names_binary(headers: &HeaderMap, header: HeaderName) -> bool {
    let value = headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split([',', ';']).any(|part| part.trim() == BINARY)
}

/// Answers a frame with a frame.
pub(super) fn exchange(engine: &mut Engine, frame: &[u8], kind: Kind) -> Result<Vec<u8>, NotDone> {
    let frame = Frame::decode(frame).map_err(|error| NotDone::nonsense(format!("frame: {error}")))?;
    let Message::Request(request) = frame.message else { return Err(NotDone::nonsense("frame: not a request")) };
    if !kind.is_of(&request) {
        return Err(NotDone::nonsense("frame: another kind of request than this endpoint's"));
    }
    engine.respond(frame.id, &request).map(<[u8]>::to_vec)
}

/// The status says the same as the frame, for whoever does not read it.
pub(super) fn frame_answer(frame: Vec<u8>) -> Response {
    let status = match Frame::decode(&frame).map(|frame| frame.message) {
        Ok(Message::Response(WireResponse::Refused(refusal))) => status_of(refusal.into()),
        _ => StatusCode::OK,
    };
    (status, [(CONTENT_TYPE, BINARY)], frame).into_response()
}

/// Which request belongs to an endpoint and method.
#[derive(Clone, Copy)]
pub(super) enum Kind {
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

    /// The parameters of a GET that is answered in JSON.
    pub(super) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Records => &["log", "start", "count", "size"],
            Self::Proof => &["log", "old_size", "size"],
            Self::Key | Self::Fork => &["log"],
            Self::Status | Self::Push | Self::PushFork => &[],
        }
    }

    /// Those of which [`Kind::request`] makes a request: one in the wire format is about the newest head, and
    /// names no size to prove to.
    pub(super) fn wire_parameters(self) -> &'static [&'static str] {
        match self {
            Self::Records => &["log", "start", "count"],
            Self::Proof => &["log", "old_size"],
            kind => kind.parameters(),
        }
    }

    /// The request that readable parameters make.
    pub(super) fn request(self, query: &LogQuery, log: LogId) -> Result<WireRequest<'static>, NotDone> {
        let limit = u32::MAX;
        Ok(match self {
            Self::Records => {
                let (start, count) = (query.start.unwrap_or(0), query.count.unwrap_or(u64::MAX));
                WireRequest::Records { log, start, count, limit }
            }
            Self::Proof => {
                let size = query.old_size.ok_or_else(|| NotDone::nonsense("old_size: the size to prove from"))?;
                WireRequest::Proof { log, size, limit }
            }
            Self::Key => WireRequest::Key { log },
            Self::Fork => WireRequest::Fork { log },
            // A status answers somebody's nonce.
            _ => return Err(NotDone::nonsense("frame: a request in the wire format, base64url")),
        })
    }
}
