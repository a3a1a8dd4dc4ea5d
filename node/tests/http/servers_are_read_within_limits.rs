//! The client, against servers that send too much, too slowly, or somewhere else.

use std::time::Duration;

use axum::http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use verisoo_node::client::{Answer, Client, NoAnswer};

use crate::process::{run, run_with};
use crate::running::start;

const LIMIT: usize = 1_000;
const TIME: Duration = Duration::from_millis(500);

/// A server that reads a request and then sends these pieces, with a pause after each; its URL.
async fn serve(pieces: Vec<Vec<u8>>, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await;
        for piece in pieces {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
            sleep(pause).await;
        }
    });
    url
}

async fn ask(url: &str) -> Result<Answer, NoAnswer> {
    let request = Request::get(url).body("".into()).unwrap();
    Client::new(false).unwrap().exchange(request, LIMIT, TIME).await
}

async fn answer_of(text: String) -> Result<Answer, NoAnswer> {
    ask(&serve(vec![text.into_bytes()], Duration::ZERO).await).await
}

#[tokio::test]
async fn a_body_is_read_as_far_as_was_said() {
    let answer = answer_of(format!("HTTP/1.1 200 OK\r\ncontent-length: {LIMIT}\r\n\r\n{}", "x".repeat(LIMIT))).await;
    assert_eq!(answer.unwrap().body.len(), LIMIT);
    let long = "x".repeat(LIMIT + 1);
    let answer = answer_of(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{long}", long.len())).await;
    assert_eq!(answer.unwrap_err(), NoAnswer::TooLong);
    let answer =
        answer_of(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{long}\r\n0\r\n\r\n")).await;
    assert_eq!(answer.unwrap_err(), NoAnswer::TooLong);
    let answer = answer_of("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort".to_owned()).await;
    assert!(matches!(answer, Err(NoAnswer::Failed(_))), "{answer:?}");
}

#[tokio::test]
async fn so_is_a_head() {
    for head in [format!("x: {}\r\n", "y".repeat(200_000)), "x: y\r\n".repeat(100), "x".repeat(200_000)] {
        let answer = answer_of(format!("HTTP/1.1 200 OK\r\n{head}content-length: 0\r\n\r\n")).await;
        assert!(matches!(answer, Err(NoAnswer::Failed(_))), "{answer:?}");
    }
    let answer = answer_of("no HTTP at all\r\n\r\n".to_owned()).await;
    assert!(matches!(answer, Err(NoAnswer::Failed(_))), "{answer:?}");
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up() {
    let drip = |start: &str| [start].into_iter().chain(["x"; 1_000]).map(|piece| piece.as_bytes().to_vec()).collect();
    for start in ["HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\nx: ", "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n"] {
        let url = serve(drip(start), Duration::from_millis(20)).await;
        let begun = std::time::Instant::now();
        assert_eq!(ask(&url).await.unwrap_err(), NoAnswer::TooLate, "{start}");
        assert!(begun.elapsed() < 10 * TIME);
    }
}

#[tokio::test]
async fn nobody_sends_us_elsewhere() {
    let node = start().await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {}/status\r\ncontent-length: 0\r\n\r\n", node.url);
    assert_eq!(answer_of(redirect).await.unwrap().status, StatusCode::FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_the_environment() {
    let node = start().await;
    let nowhere = "http://127.0.0.1:9";
    let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, nowhere));
    let output = spawn_blocking(move || run_with(&["status", &node.url], &proxies)).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_an_https_url_is_refused_and_the_feature_named() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let vkey = crate::process::keygen(&key, "node.example");
    let peer = format!("https://node.example={vkey}");
    let serve = ["serve", "--key", key.to_str().unwrap(), "--listen", "127.0.0.1:0", "--peer", &peer];
    for arguments in [&["status", "https://node.example"][..], &serve] {
        let output = run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert!(error.contains("the feature `tls`"), "{error}");
    }
}

#[test]
fn what_is_no_url_of_a_node_is_refused() {
    for url in ["node.example", "ftp://node.example", "http://node.example/?log=1"] {
        let output = run(&["status", url]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{url}: {output:?}");
    }
}
