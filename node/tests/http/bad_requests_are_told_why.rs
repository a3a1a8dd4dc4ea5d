use axum::http::{Method, Request as HttpRequest, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use verisoo::LogId;
use verisoo::wire::{Frame, Message, Request, RequestId, Response};
use verisoo_node::BINARY;

use crate::asking::{ask, assert_error, request};
use crate::running::start;

fn encode(message: Message<'_>) -> Vec<u8> {
    let mut buf = [0; 256];
    Frame { id: RequestId::new(1), message }.encode(&mut buf).unwrap().to_vec()
}

#[tokio::test]
async fn what_makes_no_sense_is_400_and_what_is_not_there_404() {
    let node = start().await;
    node.append(4).await;
    let unknown = LogId::from_bytes([0xab; 32]);
    let (bad, missing) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND);
    let cases = [
        (bad, "/records?log=abc".to_owned()),
        (bad, format!("/records?log={}", unknown.to_string().to_uppercase())),
        (bad, "/records?start=-1".to_owned()),
        (bad, "/records?start=x".to_owned()),
        (bad, "/records?count=99999999999999999999".to_owned()),
        (bad, "/records?strat=1".to_owned()),
        (bad, "/records?start=1&start=2".to_owned()),
        (bad, "/records?start=3&size=2".to_owned()),
        (missing, "/records?start=5".to_owned()),
        (missing, "/records?size=5".to_owned()),
        (missing, format!("/records?size={}", u64::MAX)),
        (missing, format!("/records?log={unknown}")),
        (bad, "/consistency-proof".to_owned()),
        (bad, "/consistency-proof?old_size=3&size=2".to_owned()),
        (missing, "/consistency-proof?old_size=5".to_owned()),
        (missing, "/consistency-proof?old_size=1&size=5".to_owned()),
        (missing, format!("/consistency-proof?old_size=1&log={unknown}")),
        (missing, format!("/checkpoint?log={unknown}")),
        (bad, "/proof/x".to_owned()),
        (bad, "/proof/-1".to_owned()),
        (missing, "/proof/4".to_owned()),
        (missing, format!("/proof/{}", u64::MAX)),
        (missing, format!("/proof/0?log={unknown}")),
        (missing, format!("/key?log={unknown}")),
        (missing, "/fork-proof".to_owned()),
        (missing, format!("/fork-proof?log={unknown}")),
        (missing, "/nothing".to_owned()),
        (missing, "/attestations".to_owned()),
    ];
    for (status, path) in cases {
        let answer = request(Method::GET, &format!("{}{path}", node.url), None, Vec::new()).await;
        assert_error(status, &answer, &path);
    }
}

#[tokio::test]
async fn a_parameter_that_would_be_ignored_is_400() {
    let node = start().await;
    node.append(4).await;
    let used = [
        ("/status", &[][..]),
        ("/records", &["log", "start", "count", "size"]),
        ("/consistency-proof", &["log", "old_size", "size"]),
        ("/key", &["log"]),
        ("/fork-proof", &["log"]),
        ("/checkpoint", &["log"]),
        ("/proof/0", &["log"]),
    ];
    for (path, used) in used {
        for unused in ["log", "start", "count", "old_size", "size", "frame"] {
            if !used.contains(&unused) {
                let value = if unused == "log" { node.id().to_string() } else { "1".to_owned() };
                let url = format!("{}{path}?{unused}={value}", node.url);
                let answer = request(Method::GET, &url, None, Vec::new()).await;
                let error = assert_error(StatusCode::BAD_REQUEST, &answer, &url);
                assert!(error.contains(unused), "{url}: {error}");
            }
        }
    }
    let key = URL_SAFE_NO_PAD.encode(encode(Message::Request(Request::Key { log: node.id() })));
    let in_frames = [
        ("/records?size=3".to_owned(), "size"),
        ("/consistency-proof?old_size=2&size=3".to_owned(), "size"),
        ("/key?start=0".to_owned(), "start"),
        (format!("/key?frame={key}&log={}", node.id()), "log"),
    ];
    for (path, unused) in in_frames {
        let answer = ask(HttpRequest::get(format!("{}{path}", node.url)).header("accept", BINARY), "").await;
        let error = assert_error(StatusCode::BAD_REQUEST, &answer, &path);
        assert!(error.contains(unused), "{path}: {error}");
    }
    let json = Some("application/json");
    for url in [&node.url, &node.admin] {
        let url = format!("{url}/records?start=1");
        let answer = request(Method::POST, &url, json, br#"{"records":[]}"#.to_vec()).await;
        let error = assert_error(StatusCode::BAD_REQUEST, &answer, &url);
        assert!(error.contains("parameters"), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_log_without_a_head_has_no_checkpoint() {
    let node = start().await;
    for path in ["/checkpoint", "/proof/0"] {
        let answer = request(Method::GET, &format!("{}{path}", node.url), None, Vec::new()).await;
        assert_error(StatusCode::NOT_FOUND, &answer, path);
    }
}

#[tokio::test]
async fn frames_that_are_none_or_do_not_belong_are_400() {
    let node = start().await;
    let log = node.id();
    let key = encode(Message::Request(Request::Key { log }));
    let answer = encode(Message::Response(Response::PushedFork { log }));
    let cases = [
        ("status", Some(URL_SAFE_NO_PAD.encode(&key)), "another kind"),
        ("records", Some(URL_SAFE_NO_PAD.encode(&key)), "another kind"),
        ("consistency-proof", Some(URL_SAFE_NO_PAD.encode(&key)), "another kind"),
        ("fork-proof", Some(URL_SAFE_NO_PAD.encode(&key)), "another kind"),
        ("key", Some(URL_SAFE_NO_PAD.encode(&answer)), "not a request"),
        ("key", Some(URL_SAFE_NO_PAD.encode(&key[..9])), "malformed"),
        ("key", Some(URL_SAFE_NO_PAD.encode([&key[..], &[0]].concat())), "canonical"),
        ("key", Some(URL_SAFE_NO_PAD.encode([&[9], &key[1..]].concat())), "version"),
        ("key", Some(String::new()), "version"),
        ("key", Some("***".to_owned()), "base64url"),
        ("status", None, "frame"),
        ("consistency-proof", None, "old_size"),
    ];
    for (path, frame, reason) in cases {
        let query = frame.map(|frame| format!("?frame={frame}")).unwrap_or_default();
        let answer = ask(HttpRequest::get(format!("{}/{path}{query}", node.url)).header("accept", BINARY), "").await;
        let error = assert_error(StatusCode::BAD_REQUEST, &answer, path);
        assert!(error.contains(reason), "{path}: {error}");
    }
    for path in ["records", "fork-proof"] {
        for body in [&b""[..], b"\x01garbage", &key] {
            let answer = request(Method::POST, &format!("{}/{path}", node.url), Some(BINARY), body.to_vec()).await;
            assert_error(StatusCode::BAD_REQUEST, &answer, path);
        }
        let url = format!("{}/{path}", node.url);
        let answer = request(Method::POST, &url, Some("application/json"), b"{]".to_vec()).await;
        assert_error(StatusCode::BAD_REQUEST, &answer, path);
    }
}

#[tokio::test]
async fn a_push_for_an_unknown_log_is_404() {
    let node = start().await;
    let log = LogId::from_bytes([9; 32]).to_string();
    let push = json!({ "log": log, "checkpoint": "", "start": 0 }).to_string();
    let answer = request(Method::POST, &format!("{}/records", node.url), None, push.into()).await;
    assert_error(StatusCode::NOT_FOUND, &answer, "push");
    let fork = json!({ "log": log, "proof": "" }).to_string();
    let answer = request(Method::POST, &format!("{}/fork-proof", node.url), None, fork.into()).await;
    assert_error(StatusCode::NOT_FOUND, &answer, "fork proof");
}

#[tokio::test]
async fn new_records_come_in_on_the_admin_listener_only() {
    let node = start().await;
    let records = json!({ "records": ["YQ==", "Yg=="] }).to_string();
    let json = Some("application/json");
    let peers = format!("{}/records", node.url);
    let answer = request(Method::POST, &peers, json, records.clone().into()).await;
    assert_error(StatusCode::BAD_REQUEST, &answer, "peers' port");
    assert_eq!(node.get("/status").await["size"], 0);

    let admin = format!("{}/records", node.admin);
    let (status, body) = request(Method::POST, &admin, json, records.clone().into()).await;
    let appended: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &appended["start"], &appended["count"]), (StatusCode::OK, &json!(0), &json!(2)));
    assert_eq!(node.get("/status").await["size"], 2);

    // Not from a web page: it can send a form anywhere, and its origin comes with anything else.
    let answer = request(Method::POST, &admin, Some("text/plain"), records.clone().into()).await;
    assert_error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &answer, "form");
    let post = HttpRequest::post(&admin).header("content-type", "application/json");
    let answer = ask(post.header("origin", "http://evil.example"), records).await;
    assert_error(StatusCode::FORBIDDEN, &answer, "web page");
    for body in [r#"{"records":["?"]}"#, r#"{"record":[]}"#, "[]"] {
        let answer = request(Method::POST, &admin, json, body.into()).await;
        assert_error(StatusCode::BAD_REQUEST, &answer, body);
    }
    assert_eq!(node.get("/status").await["size"], 2);
}
