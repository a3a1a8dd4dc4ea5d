//! What a request is answered with when it is not answered: a status and a JSON object that says why.

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::driver::{NotDone, Why};

/// A status and a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// For a program.
    pub status: StatusCode,
    /// For people.
    pub message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The request makes no sense.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

/// The status that says the same as a reason.
pub(super) fn status_of(why: Why) -> StatusCode {
    match why {
        Why::Nonsense => StatusCode::BAD_REQUEST,
        Why::NotHeld => StatusCode::NOT_FOUND,
        Why::Dropped => StatusCode::GONE,
        Why::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        Why::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Why::Stopped => StatusCode::CONFLICT,
        Why::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Why::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

impl From<NotDone> for ApiError {
    fn from(error: NotDone) -> Self {
        Self::new(status_of(error.why), error.message)
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad(rejection.body_text())
    }
}

impl From<BytesRejection> for ApiError {
    /// Too long, or cut off.
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad(rejection.body_text())
    }
}
