use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use verisoo::store::MemoryStore;
use verisoo_node::BINARY;
use verisoo_node::limits::Limits;

use crate::asking::{assert_error, request};
use crate::running::{Running, start, start_with};

/// A connection on which a request has begun whose body does not come.
async fn stall(node: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(node.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(b"POST /records HTTP/1.1\r\nhost: node\r\ncontent-length: 100\r\n\r\nthe").await.unwrap();
    stream
}

#[tokio::test]
async fn a_body_longer_than_a_message_is_413() {
    let node = start().await;
    for (path, content_type) in [("records", BINARY), ("records", "application/json"), ("fork-proof", BINARY)] {
        let body = vec![b' '; node.handle.max_message + 1];
        let answer = request(Method::POST, &format!("{}/{path}", node.url), Some(content_type), body).await;
        assert_error(StatusCode::PAYLOAD_TOO_LARGE, &answer, path);
    }
    let body = vec![b' '; node.handle.max_message];
    let answer = request(Method::POST, &format!("{}/records", node.url), Some(BINARY), body).await;
    assert_error(StatusCode::BAD_REQUEST, &answer, "just short enough");
}

#[tokio::test]
async fn more_requests_at_one_time_are_503() {
    let node = start_with(Limits { requests: 1, ..Limits::default() }, MemoryStore::new()).await;
    let stalled = stall(&node).await;
    // Until the stalled one is seen, others are served.
    loop {
        let answer = request(Method::GET, &format!("{}/status", node.url), None, Vec::new()).await;
        if answer.0 != StatusCode::OK {
            assert_error(StatusCode::SERVICE_UNAVAILABLE, &answer, "second request");
            break;
        }
    }
    drop(stalled);
    // And again when it is gone.
    while request(Method::GET, &format!("{}/status", node.url), None, Vec::new()).await.0 != StatusCode::OK {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_is_503() {
    let node = start_with(Limits { mailbox: 1, ..Limits::default() }, MemoryStore::new()).await;
    let (started, is_started) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let handle = node.handle.clone();
    let busy = tokio::spawn(async move {
        let block = move |_: &mut verisoo_node::driver::Engine| {
            started.send(()).unwrap();
            tokio::task::block_in_place(|| released.recv()).unwrap();
        };
        handle.call(block).await
    });
    tokio::task::spawn_blocking(move || is_started.recv()).await.unwrap().unwrap();
    let handle = node.handle.clone();
    let waiting = tokio::spawn(async move { handle.call(|_| ()).await });
    loop {
        // One of these, or the call above, takes the one place there is.
        let url = format!("{}/status", node.url);
        let answer =
            tokio::time::timeout(Duration::from_millis(100), request(Method::GET, &url, None, Vec::new())).await;
        if let Ok(answer) = answer {
            assert_error(StatusCode::SERVICE_UNAVAILABLE, &answer, "full mailbox");
            break;
        }
    }
    release.send(()).unwrap();
    busy.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_store_is_503_and_changes_nothing() {
    let node = start_with(Limits::default(), MemoryStore::with_limit(3_000)).await;
    let records: Vec<_> = (0..40).map(|_| "YWJjZGVmZ2hpamtsbW5vcA==").collect();
    let body = json!({ "records": records }).to_string();
    let url = format!("{}/records", node.admin);
    let answer = request(Method::POST, &url, Some("application/json"), body.clone().into()).await;
    let error = assert_error(StatusCode::SERVICE_UNAVAILABLE, &answer, "full store");
    assert!(error.contains("full") && error.contains("were appended"), "{error}");
    let size = node.get("/status").await["size"].clone();
    let answer = request(Method::POST, &url, Some("application/json"), body.into()).await;
    assert_error(StatusCode::SERVICE_UNAVAILABLE, &answer, "still full");
    assert_eq!(node.get("/status").await["size"], size);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let node =
        start_with(Limits { request_time: Duration::from_millis(50), ..Limits::default() }, MemoryStore::new()).await;
    let mut stalled = stall(&node).await;
    let mut answer = String::new();
    stalled.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    // So is a header that does not end.
    let mut stream = TcpStream::connect(node.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(b"GET /status HTTP/1.1\r\nx").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let node = start_with(Limits { connections: 1, ..Limits::default() }, MemoryStore::new()).await;
    let stalled = stall(&node).await;
    let mut second = TcpStream::connect(node.url.strip_prefix("http://").unwrap()).await.unwrap();
    second.write_all(b"GET /status HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(Duration::from_millis(50), second.read_exact(&mut byte)).await.is_err());
    drop(stalled);
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(" 200 OK"), "{answer}");
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let node = start().await;
    let mut stalled = stall(&node).await;
    // Once this is answered, the stalled one has been accepted.
    node.get("/status").await;
    node.stop.send_replace(true);
    while TcpStream::connect(node.url.strip_prefix("http://").unwrap()).await.is_ok() {}
    stalled.write_all(&[b'x'; 97]).await.unwrap();
    let mut answer = String::new();
    stalled.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
