//! `verify`, `status`, `checkpoint` and `attest` against nodes that tell the truth and one that does not.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use verisoo::SignedHead;
use verisoo_node::api::listen;
use verisoo_node::limits::Limits;

use crate::asking::request;
use crate::process::{Process, keygen, run};
use crate::running::{Running, identity, start};

/// What an answer becomes, by what was asked.
type Lie = fn(&str, Vec<u8>) -> Vec<u8>;

/// Stands before a node and changes what it answers.
#[derive(Clone)]
struct Liar {
    truth: String,
    lie: Lie,
}

async fn lie(State(liar): State<Liar>, asked: Request) -> Response {
    let uri = asked.uri().to_string();
    let (status, body) = request(Method::GET, &format!("{}{uri}", liar.truth), None, Vec::new()).await;
    (status, (liar.lie)(&uri, body.into_bytes())).into_response()
}

async fn liar(node: &Running, how: Lie) -> (String, watch::Sender<bool>) {
    let router = Router::new().fallback(lie).with_state(Liar { truth: node.url.clone(), lie: how });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(listen(listener, router, Limits::default(), stopped));
    (url, stop)
}

async fn verify(url: &str, vkey: String) -> (bool, String) {
    let url = url.to_owned();
    let output = spawn_blocking(move || run(&["verify", &url, "--vkey", &vkey])).await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// Replaces the record at an index of a page.
fn replace(body: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut page: Value = serde_json::from_slice(body).unwrap();
    page["records"][at] = STANDARD.encode(with).into();
    page.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_what_is_not_true() {
    let node = start().await;
    node.append(20).await;
    let vkey = node.identity.vkey().to_string();
    let (is_true, text) = verify(&node.url, vkey.clone()).await;
    assert!(is_true, "{text}");
    for line in ["records: 20 fetched", "inclusion proofs: 20 true", "consistency proofs: 1 true"] {
        assert!(text.contains(line), "{line}: {text}");
    }

    let lies: [(&str, Lie); 4] = [
        ("another record", |uri, body| if uri.starts_with("/records") { replace(&body, 3, b"another") } else { body }),
        ("another checkpoint", |uri, body| {
            if !uri.starts_with("/checkpoint") {
                return body;
            }
            String::from_utf8(body).unwrap().replacen("\n20\n", "\n21\n", 1).into_bytes()
        }),
        ("another index", |uri, body| {
            if !uri.starts_with("/proof/7") {
                return body;
            }
            String::from_utf8(body).unwrap().replacen("index 7", "index 6", 1).into_bytes()
        }),
        ("an attestation by nobody", |uri, body| {
            let signed = verisoo_node::api::admin::sign(&identity("mallory.example"), "text/plain", b"x").unwrap();
            if uri.starts_with("/records") { replace(&body, 0, &signed) } else { body }
        }),
    ];
    for (what, how) in lies {
        let (url, _running) = liar(&node, how).await;
        let (is_true, text) = verify(&url, vkey.clone()).await;
        assert!(!is_true, "{what}: {text}");
    }
    let (is_true, text) = verify(&node.url, identity("mallory.example").vkey().to_string()).await;
    assert!(!is_true, "{text}");
}

#[test]
fn files_attested_are_verified_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let vkey = keygen(&key, "alice.example");
    let (key, listen) = (key.to_str().unwrap(), "127.0.0.1:0");
    let node = Process::serve(&["--key", key, "--listen", listen, "--new-log"]);
    let text = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // A file that is not there: an error, and nothing is logged.
    assert!(!run(&["attest", "--admin", &node.admin, key, "no such file"]).status.success());

    let printed = text(&["attest", "--admin", &node.admin, key, "Cargo.toml"]);
    assert_eq!(printed.lines().count(), 2, "{printed}");
    assert!(text(&["status", &node.url]).contains("2 records"));
    let note = text(&["checkpoint", &node.url]);
    let vkey_parsed = verisoo::Vkey::parse(&vkey).unwrap();
    assert_eq!(SignedHead::from_note(note.as_bytes(), &vkey_parsed).unwrap().head.size, 2);
    assert!(text(&["verify", &node.url, "--vkey", &vkey]).contains("attestations: 2 signatures true"));
}

#[test]
fn an_attestation_is_an_in_toto_statement() {
    let dir = tempfile::tempdir().unwrap();
    let (key, file) = (dir.path().join("key"), dir.path().join("hello"));
    keygen(&key, "alice.example");
    std::fs::write(&file, "hello\n").unwrap();
    let node = Process::serve(&["--key", key.to_str().unwrap(), "--listen", "127.0.0.1:0", "--new-log"]);
    assert!(run(&["attest", "--admin", &node.admin, file.to_str().unwrap()]).status.success());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("{}/records", node.url);
    let (_, body) = runtime.block_on(request(Method::GET, &url, None, Vec::new()));
    let page: Value = serde_json::from_str(&body).unwrap();
    let record = STANDARD.decode(page["records"][0].as_str().unwrap()).unwrap();
    let attestation = verisoo::attestation::Attestation::decode(&record).unwrap();
    assert_eq!(attestation.payload_type, "application/vnd.in-toto+json");
    let statement: Value = serde_json::from_slice(attestation.payload).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"][0]["name"], file.to_str().unwrap());
    let digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest);
    assert!(statement["predicateType"].is_string() && statement["predicate"].is_object());
}

#[test]
fn the_demo_converges_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..25 {
        std::fs::write(dir.path().join(format!("file {index}")), index.to_string()).unwrap();
    }
    std::fs::create_dir_all(dir.path().join(".git")).unwrap();
    std::fs::write(dir.path().join(".git/config"), "").unwrap();
    std::fs::write(dir.path().join(".hidden"), "").unwrap();
    let output = run(&["demo", dir.path().to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let json: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&json["nodes"], &json["records"], &json["verified"]), (&3.into(), &26.into(), &78.into()));
    assert_eq!((&json["converged"], json["root"].as_str().unwrap().len()), (&true.into(), 64));
    // The table, where no JSON is asked for.
    let output = run(&["demo", dir.path().to_str().unwrap()]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("carla  boris"));
}

#[test]
fn the_demo_says_what_it_cannot_read() {
    let dir = tempfile::tempdir().unwrap();
    let empty = run(&["demo", dir.path().to_str().unwrap(), "--json"]);
    assert!(empty.status.success(), "{empty:?}");
    assert!(String::from_utf8_lossy(&empty.stderr).contains("nothing to attest"), "{empty:?}");
    assert!(String::from_utf8_lossy(&empty.stdout).contains(r#""records":0,"verified":0,"converged":true"#));
    let missing = run(&["demo", dir.path().join("missing").to_str().unwrap()]);
    assert!(!missing.status.success());
}
