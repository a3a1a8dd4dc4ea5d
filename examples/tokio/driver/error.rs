//! What a request is answered with when it is not answered: a status and a JSON object that says why.

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use verisoo::Error;
use verisoo::store::StoreError;
use verisoo::wire::Refusal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The request makes no sense.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Later, perhaps.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    pub fn not_held(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn nothing_signed() -> Self {
        Self::not_held("nothing is signed in this log yet")
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// What the node refused.
    pub fn refused(refusal: Refusal) -> Self {
        Self::new(status_of(refusal), refusal.to_string())
    }

    /// A record that the node did not take.
    pub fn not_appended(error: Error, why_not: &str) -> Self {
        match error {
            Error::Recovering => Self::busy(format!("{error}{why_not}")),
            Error::Stopped => Self::new(StatusCode::CONFLICT, error.to_string()),
            Error::RecordTooLong => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            Error::Store(error) => error.into(),
            error => Self::busy(error.to_string()),
        }
    }
}

/// The status that says the same as a refusal.
pub fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Unknown | Refusal::NotHeld => StatusCode::NOT_FOUND,
        Refusal::Dropped { .. } => StatusCode::GONE,
        Refusal::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        // Busy, and what there may be one day.
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownLog | StoreError::Mismatch => Self::not_held("not held here"),
            StoreError::Dropped { .. } => Self::new(StatusCode::GONE, error.to_string()),
            error => Self::busy(error.to_string()),
        }
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

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.status.as_u16())
    }
}

impl std::error::Error for ApiError {}
