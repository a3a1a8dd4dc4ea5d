//! Keeps requests within the limits: in number, in bytes and in time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::ApiError;
use crate::limits::Limits;

/// Answers what no route does, and keeps requests within the limits.
pub fn limited(router: Router, max_body: usize, limits: &Limits) -> Router {
    let gate = Arc::new((Semaphore::new(limits.requests), limits.request_time));
    router
        .fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "no such endpoint") })
        .method_not_allowed_fallback(|| async { ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "no such method here") })
        .layer(DefaultBodyLimit::max(max_body))
        .layer(from_fn_with_state(gate, within_limits))
}

async fn within_limits(State(gate): State<Arc<(Semaphore, Duration)>>, request: Request, next: Next) -> Response {
    let (permits, time) = &*gate;
    let Ok(_permit) = permits.try_acquire() else {
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests").into_response();
    };
    timeout(*time, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response())
}
