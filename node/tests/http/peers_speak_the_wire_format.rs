use axum::http::{Method, Request as HttpRequest, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use verisoo::head::ForkProof;
use verisoo::log::{Frontier, leaf_hash};
use verisoo::wire::{
    Batch, Frame, Message, Nonce, Proof, Push, PushWord, Refusal, Request, RequestId, Response, StatusBody,
    StatusRequest,
};
use verisoo::{Hash, Head, LogId, Records, SignedHead};
use verisoo_node::BINARY;
use verisoo_node::client::Answer;

use crate::asking::{assert_error, request, send};
use crate::running::{Running, record, start, writer};

const ID: RequestId = RequestId::new(77);

fn encode(request: Request<'_>) -> Vec<u8> {
    let mut buf = vec![0; 1 << 20];
    Frame { id: ID, message: Message::Request(request) }.encode(&mut buf).unwrap().to_vec()
}

async fn get(node: &Running, path: &str, asked: Request<'_>) -> (StatusCode, Vec<u8>) {
    let frame = URL_SAFE_NO_PAD.encode(encode(asked));
    let url = format!("{}/{path}?frame={frame}", node.url);
    framed(path, send(HttpRequest::get(url).header("accept", BINARY), "").await.unwrap())
}

async fn post(node: &Running, path: &str, asked: Request<'_>) -> (StatusCode, Vec<u8>) {
    let post = HttpRequest::post(format!("{}/{path}", node.url)).header("content-type", BINARY);
    framed(path, send(post, encode(asked)).await.unwrap())
}

fn framed(path: &str, answer: Answer) -> (StatusCode, Vec<u8>) {
    assert_eq!(answer.headers["content-type"], BINARY, "{path}");
    (answer.status, answer.body)
}

fn decode(bytes: &[u8]) -> Response<'_> {
    match Frame::decode(bytes).unwrap() {
        Frame { id: ID, message: Message::Response(response) } => response,
        other => panic!("{other:?}"),
    }
}

/// The first `size` records of the writer's log, framed, and the head signed over them.
fn log(size: u64) -> (Vec<u8>, SignedHead) {
    let (mut framed, mut frontier) = (Vec::new(), Frontier::new());
    for index in 0..size {
        let mut buf = [0; 64];
        let len = Records::frame(&record(index), &mut buf).unwrap();
        framed.extend_from_slice(&buf[..len]);
        frontier.push(leaf_hash(&record(index)), |_| {}).unwrap();
    }
    (framed, SignedHead::sign(&writer(), Head { size, root: frontier.root() }))
}

fn push_of(records: &[u8], head: SignedHead) -> Request<'_> {
    let batch = Batch { log: writer().vkey().id(), start: 0, head, proof: Proof::default(), records };
    Request::Push(Push { from: writer().vkey().id(), nonce: Nonce([1; 16]), batch })
}

#[tokio::test]
async fn each_endpoint_answers_the_frame_of_its_kind() {
    let node = start().await;
    node.append(9).await;
    let log = node.id();
    let (nonce, digest) = (Nonce([3; 16]), Hash::from_bytes([0; 32]));
    let asker = LogId::from_bytes([1; 32]);
    let status = StatusRequest { asker, nonce, digest, compared: None, after: None, limit: 4_608 };

    let (code, answer) = get(&node, "status", Request::Status(status)).await;
    let Response::Status(signed) = decode(&answer) else { panic!() };
    let entries: Vec<_> = StatusBody::decode(signed.body).unwrap().entries.iter().flatten().collect();
    assert_eq!((code, entries.len()), (StatusCode::OK, 2));

    let (_, answer) = get(&node, "records", Request::Records { log, start: 4, count: 3, limit: 4_608 }).await;
    let Response::Records(batch) = decode(&answer) else { panic!() };
    let records: Vec<_> = Records::new(batch.records).iter().map(Result::unwrap).collect();
    assert_eq!(records, [record(4), record(5), record(6)]);

    let (_, answer) = get(&node, "consistency-proof", Request::Proof { log, size: 4, limit: 4_608 }).await;
    let Response::Proof(proof) = decode(&answer) else { panic!() };
    assert_eq!((proof.size, proof.head.head.size), (4, 9));

    let (_, answer) = get(&node, "key", Request::Key { log }).await;
    assert!(matches!(decode(&answer), Response::Key { name: "node.example", .. }));

    let (code, answer) = get(&node, "fork-proof", Request::Fork { log }).await;
    assert_eq!((code, decode(&answer)), (StatusCode::NOT_FOUND, Response::Refused(Refusal::NotHeld)));
}

#[tokio::test]
async fn readable_parameters_are_answered_in_frames_too() {
    let node = start().await;
    node.append(9).await;
    let get = HttpRequest::get(format!("{}/records?start=7", node.url));
    let answer = send(get.header("accept", format!("{BINARY}, */*;q=0.1")), "").await.unwrap().body;
    let Message::Response(Response::Records(batch)) = Frame::decode(&answer).unwrap().message else { panic!() };
    assert_eq!((batch.start, Records::new(batch.records).iter().count()), (7, 2));
}

#[tokio::test]
async fn a_push_is_taken_and_served_on() {
    let node = start().await;
    let (records, head) = log(6);
    let (code, answer) = post(&node, "records", push_of(&records, head)).await;
    assert_eq!(code, StatusCode::OK);
    let Response::Pushed(word) = decode(&answer) else { panic!() };
    let word = PushWord::decode(word.body).unwrap();
    assert_eq!((word.have, word.complete), (6, head.head));

    let page = node.get(&format!("/records?log={}", writer().vkey().id())).await;
    assert_eq!(page["records"].as_array().unwrap().len(), 6);
    let note = node.text(&format!("/checkpoint?log={}", writer().vkey().id())).await;
    assert_eq!(SignedHead::from_note(note.as_bytes(), writer().vkey()), Ok(head));
}

#[tokio::test]
async fn people_may_push_in_json() {
    let node = start().await;
    let (_, head) = log(6);
    let id = writer().vkey().id().to_string();
    let records: Vec<_> = (0..6).map(|index| STANDARD.encode(record(index))).collect();
    let checkpoint = head.to_note(writer().vkey()).to_string();
    let push = json!({ "log": id, "checkpoint": checkpoint, "start": 0, "records": records });
    let url = format!("{}/records", node.url);
    let answer = request(Method::POST, &url, Some("application/json"), push.to_string().into()).await;
    assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    let word: serde_json::Value = serde_json::from_str(&answer.1).unwrap();
    assert_eq!(word, json!({ "log": id, "size": 6, "have": 6 }));
}

#[tokio::test]
async fn a_push_that_does_not_verify_is_422() {
    let node = start().await;
    let (mut records, head) = log(6);
    *records.last_mut().unwrap() ^= 1;
    let (code, answer) = post(&node, "records", push_of(&records, head)).await;
    assert_eq!((code, decode(&answer)), (StatusCode::UNPROCESSABLE_ENTITY, Response::Refused(Refusal::Invalid)));

    // The same in JSON, and a checkpoint of another key.
    let id = writer().vkey().id().to_string();
    let false_records = [STANDARD.encode("something else")];
    let (_, head) = log(1);
    let other = SignedHead::sign(&node.identity, head.head);
    for (signed, vkey) in [(head, *writer().vkey()), (other, *node.identity.vkey())] {
        let checkpoint = signed.to_note(&vkey).to_string();
        let push = json!({ "log": id, "checkpoint": checkpoint, "start": 0, "records": false_records });
        let url = format!("{}/records", node.url);
        let answer = request(Method::POST, &url, Some("application/json"), push.to_string().into()).await;
        assert_error(StatusCode::UNPROCESSABLE_ENTITY, &answer, "false push");
    }
    let page = node.get(&format!("/records?log={id}")).await;
    assert_eq!(page["size"], 0);
}

#[tokio::test]
async fn a_fork_proof_freezes_the_log_and_is_served_on() {
    let node = start().await;
    node.append(1).await;
    let heads =
        [[1; 32], [2; 32]].map(|root| SignedHead::sign(&writer(), Head { size: 3, root: Hash::from_bytes(root) }));
    let roots = heads.map(|signed| signed.head.root);
    let proof = ForkProof { heads, size: 3, roots, proofs: [&[], &[]] };
    let mut buf = [0; ForkProof::MAX_LEN];
    let len = proof.encode(&mut buf).unwrap();
    let (proof, log) = (&buf[..len], writer().vkey().id());

    let url = format!("{}/fork-proof", node.url);
    let in_json = json!({ "log": log.to_string(), "proof": STANDARD.encode(&proof[..len - 1]) }).to_string();
    let answer = request(Method::POST, &url, Some("application/json"), in_json.into()).await;
    assert_error(StatusCode::UNPROCESSABLE_ENTITY, &answer, "half a proof");
    let about_ours = Request::PushFork { log: node.id(), proof };
    assert_eq!(post(&node, "fork-proof", about_ours).await.0, StatusCode::UNPROCESSABLE_ENTITY);

    let (code, answer) = post(&node, "fork-proof", Request::PushFork { log, proof }).await;
    assert_eq!((code, decode(&answer)), (StatusCode::OK, Response::PushedFork { log }));
    let status = node.get("/status").await;
    let frozen = |log: &serde_json::Value| log["frozen"] == true;
    let forked: Vec<_> = status["logs"].as_array().unwrap().iter().filter(|log| frozen(log)).collect();
    assert_eq!((forked.len(), &forked[0]["log"]), (1, &json!(log.to_string())));

    let (_, answer) = get(&node, "fork-proof", Request::Fork { log }).await;
    assert_eq!(decode(&answer), Response::Fork { log, proof });
    let served = node.get(&format!("/fork-proof?log={log}")).await;
    assert_eq!(served["proof"], STANDARD.encode(proof));
}
