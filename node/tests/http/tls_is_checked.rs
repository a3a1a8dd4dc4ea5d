//! With the feature `tls`: nodes behind `https://` are reached, and only those that prove who they are.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::task::spawn_blocking;

use crate::process::{Process, keygen, run_with, until};
use crate::running::start;

/// A certificate for 127.0.0.1, its key, and the authority that has signed it, made for this test.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/tls").join(name)
}

/// Stands before a node and speaks TLS for it; the URL.
fn behind_tls(node: &str) -> String {
    let certificate = CertificateDer::from_pem_file(file("node.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("node.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let node = node.strip_prefix("http://").unwrap().to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, node) = (Arc::clone(&config), node.clone());
            // Whoever does not trust us ends the connection.
            thread::spawn(move || drop(forward(stream.unwrap(), config, &node)));
        }
    });
    url
}

/// One request and its answer, and then the end.
fn forward(stream: TcpStream, config: Arc<ServerConfig>, node: &str) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut outside = StreamOwned::new(connection, stream);
    let mut request = vec![0; 1 << 20];
    let mut len = 0;
    while !is_whole(&request[..len]) {
        match outside.read(&mut request[len..])? {
            0 => return Ok(()),
            more => len += more,
        }
    }
    let mut inside = TcpStream::connect(node)?;
    // After the request line.
    let line = request[..len].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    inside.write_all(&[&request[..line], b"connection: close\r\n", &request[line..len]].concat())?;
    io::copy(&mut inside, &mut outside)?;
    outside.conn.send_close_notify();
    outside.flush()
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let len = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
    request.len() >= head.len() + 4 + len.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_asked_whose_certificate_is_trusted_and_no_other() {
    let node = start().await;
    node.append(5).await;
    let url = behind_tls(&node.url);
    let ask = async |url: &str| {
        let (url, authority) = (url.to_owned(), file("authority.pem"));
        let run = move || run_with(&["checkpoint", &url], &[("SSL_CERT_FILE", authority.to_str().unwrap())]);
        spawn_blocking(run).await.unwrap()
    };
    let output = ask(&url).await;
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\n5\n"), "{output:?}");
    // A name that is not the certificate's: another loopback address, but for the port.
    let other = url.replace("127.0.0.1", "localhost.localdomain");
    assert!(!ask(&other).await.status.success());
    // And a machine that does not know the authority. (It may know none: that is an error as well.)
    let run = move || run_with(&["checkpoint", &url], &[("SSL_CERT_FILE", file("node.key").to_str().unwrap())]);
    let output = spawn_blocking(run).await.unwrap();
    assert!(!output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_behind_tls_is_replicated() {
    let node = start().await;
    node.append(5).await;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    keygen(&key, "reader.example");
    let peer = format!("{}={}", behind_tls(&node.url), node.identity.vkey());
    let arguments = ["--key", key.to_str().unwrap(), "--listen", "127.0.0.1:0", "--new-log", "--peer", &peer];
    let reader = Process::serve_with(&arguments, &[("SSL_CERT_FILE", file("authority.pem").to_str().unwrap())]);
    let log = node.id().to_string();
    until("the reader has the peer's records", async || {
        let status = reader.status().await;
        status["logs"].as_array().unwrap().iter().any(|entry| entry["log"] == log.as_str() && entry["size"] == 5)
    })
    .await;
}
