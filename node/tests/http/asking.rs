//! A plain HTTP client: the node's own, which knows nothing of what is asked.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::request::Builder;
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;
use verisoo_node::client::{Answer, Client, NoAnswer};

/// More than any answer here has, and longer than any takes.
const LIMITS: (usize, Duration) = (16 << 20, Duration::from_secs(60));

/// What came of a request, with a connection of its own.
pub async fn send(request: Builder, body: impl Into<Bytes>) -> Result<Answer, NoAnswer> {
    let request = request.body(body.into().into()).unwrap();
    Client::new(false).unwrap().exchange(request, LIMITS.0, LIMITS.1).await
}

/// Status and text of an answer.
pub async fn ask(request: Builder, body: impl Into<Bytes>) -> (StatusCode, String) {
    let answer = send(request, body).await.unwrap();
    (answer.status, String::from_utf8(answer.body).unwrap())
}

/// The same, of a request without special headers.
pub async fn request(method: Method, url: &str, content_type: Option<&str>, body: Vec<u8>) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(url);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    ask(request, body).await
}

/// That an answer is an error of this status which says why, in JSON.
pub fn assert_error(status: StatusCode, answer: &(StatusCode, String), about: &str) -> String {
    assert_eq!(answer.0, status, "{about}: {}", answer.1);
    let json: Value = serde_json::from_str(&answer.1).unwrap_or_else(|_| panic!("{about}: not JSON: {}", answer.1));
    let error = json["error"].as_str().unwrap_or_default().to_owned();
    assert!(!error.is_empty(), "{about}: no reason in {json}");
    error
}
