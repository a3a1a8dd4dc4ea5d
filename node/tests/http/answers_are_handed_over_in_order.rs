//! The calling half of the driver, against peers that are slow or talk nonsense.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::net::TcpListener;
use tokio::sync::watch;
use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message, Request as WireRequest};
use verisoo_node::BINARY;
use verisoo_node::api::listen;
use verisoo_node::limits::Limits;

use crate::asking::send;
use crate::process::until;
use crate::running::{Running, identity, peer, start, start_as};

/// Something else in a node's place.
async fn serve(router: Router) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(listen(listener, router, Limits::default(), stopped));
    (url, stop)
}

async fn reader(url: &str, writer: &str) -> Running {
    let (peers, interval) = (vec![peer(url, &identity(writer))], Duration::from_millis(100));
    start_as("reader.example", peers, interval, Limits::default(), MemoryStore::new()).await
}

/// Stands before a node, and answers the first of several fetches last.
#[derive(Clone)]
struct Slow {
    node: String,
    starts: Arc<Mutex<Vec<u64>>>,
}

async fn slow(State(slow): State<Slow>, request: Request) -> Response {
    let uri = request.uri().clone();
    if request.method() != Method::GET {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Some(frame) = uri.query().filter(|_| uri.path() == "/records") {
        let frame = URL_SAFE_NO_PAD.decode(frame.strip_prefix("frame=").unwrap()).unwrap();
        let Message::Request(WireRequest::Records { start, .. }) = Frame::decode(&frame).unwrap().message else {
            panic!("not a fetch")
        };
        let at = {
            let mut starts = slow.starts.lock().unwrap();
            starts.push(start);
            starts.len()
        };
        if at == 1 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let get = axum::http::Request::get(format!("{}{uri}", slow.node)).header("accept", BINARY);
    let answer = send(get, "").await.unwrap();
    (answer.status, [("content-type", BINARY)], answer.body).into_response()
}

#[tokio::test]
async fn so_that_a_slow_first_range_costs_no_second_fetch() {
    let node = start().await;
    let records: Vec<_> = (0..2_000).map(|index: u32| format!("{index:0>250}")).collect();
    node.handle.call(move |engine| engine.append(&records)).await.unwrap().unwrap();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let router = Router::new().fallback(slow).with_state(Slow { node: node.url.clone(), starts: starts.clone() });
    let (url, _running) = serve(router).await;
    let reader = reader(&url, "node.example").await;
    let log = node.id();
    until("the reader catches up", async || {
        let info = reader.handle.call(move |engine| engine.node.log(&log)).await.unwrap();
        info.unwrap().complete.size == 2_000
    })
    .await;
    let mut starts = starts.lock().unwrap().clone();
    assert!(starts.len() > 2, "too few ranges for an order: {starts:?}");
    let asked = starts.len();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), asked, "a range was asked for twice: {starts:?}");
}

async fn nonsense(headers: HeaderMap, request: Request) -> Response {
    let wants_frame = headers.get("accept").is_some_and(|value| value == BINARY);
    assert!(wants_frame && request.uri().path() == "/status", "{request:?}");
    (StatusCode::OK, [("content-type", BINARY)], Bytes::from_static(b"no frame at all")).into_response()
}

async fn endless() -> Response {
    (StatusCode::OK, [("content-type", BINARY)], vec![1; 1 << 20]).into_response()
}

async fn web_page() -> &'static str {
    "<!doctype html>"
}

#[tokio::test]
async fn and_nonsense_is_a_failure_that_says_what_it_was() {
    let cases = [
        (Router::new().fallback(nonsense), "not a frame"),
        (Router::new().fallback(endless), "too long"),
        (Router::new().fallback(web_page), "200 OK without a frame"),
    ];
    for (router, reason) in cases {
        let (url, _running) = serve(router).await;
        let reader = reader(&url, "writer.example").await;
        until(reason, async || {
            let status = reader.get("/status").await;
            let peer = &status["peers"][0];
            peer["health"] == "unhealthy" && peer["last_error"].as_str().unwrap_or_default().contains(reason)
        })
        .await;
    }
}
