use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use verisoo::head::TlogProof;
use verisoo::log::{Frontier, leaf_hash, verify_consistency};
use verisoo::{Hash, Head, SignedHead};

use crate::running::{Anything, identity, record, start, writer};

fn keys(json: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn hashes(json: &Value) -> Vec<[u8; 32]> {
    let hash = |hash: &Value| *Hash::from_hex(hash.as_str().unwrap()).unwrap().as_bytes();
    json.as_array().unwrap().iter().map(hash).collect()
}

/// The head of the first `size` records of the test's logs.
fn head(size: u64) -> Head {
    let mut frontier = Frontier::new();
    (0..size).for_each(|index| frontier.push(leaf_hash(&record(index)), |_| {}).unwrap());
    Head { size, root: frontier.root() }
}

#[tokio::test]
async fn a_status_says_what_the_node_has() {
    let node = start().await;
    node.append(5).await;
    let status = node.get("/status").await;
    assert_eq!(status["name"], "node.example");
    assert_eq!(status["vkey"], node.identity.vkey().to_string());
    assert_eq!(status["log"], node.id().to_string());
    assert_eq!(status["size"], 5);
    assert_eq!(status["root"], head(5).root.to_string());
    assert_eq!(status["state"], "writing");
    let root = node.handle.call(|engine| engine.node.root().to_string()).await.unwrap();
    assert_eq!(status["federation_root"], root);
    let logs = status["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 2);
    let own = logs.iter().find(|log| log["log"] == status["log"]).unwrap();
    assert_eq!(keys(own), ["frozen", "have", "log", "name", "root", "size"]);
    assert_eq!((&own["size"], &own["have"], &own["frozen"]), (&json!(5), &json!(5), &json!(false)));
    let other = logs.iter().find(|log| log["log"] == writer().vkey().id().to_string()).unwrap();
    assert_eq!((&other["size"], &other["name"]), (&json!(0), &json!("writer.example")));
}

#[tokio::test]
async fn records_come_in_pages_with_a_proof_each() {
    let node = start().await;
    node.append(20).await;
    let mut frontier = Frontier::new();
    for (start, count, end) in [(0, 7, 7), (7, 7, 14), (14, 100, 20)] {
        let page = node.get(&format!("/records?start={start}&count={count}")).await;
        assert_eq!(keys(&page), ["log", "proof", "records", "size", "start"]);
        assert_eq!((&page["log"], &page["start"]), (&json!(node.id().to_string()), &json!(start)));
        assert_eq!(page["size"], 20);
        for (text, index) in page["records"].as_array().unwrap().iter().zip(start..end) {
            let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
            assert_eq!(bytes, record(index));
            frontier.push(leaf_hash(&bytes), |_| {}).unwrap();
        }
        assert_eq!(frontier.size(), end);
        let head = head(20);
        assert_eq!(verify_consistency(end, &frontier.root(), 20, &head.root, &hashes(&page["proof"])), Ok(()));
    }
}

#[tokio::test]
async fn records_are_proven_to_the_size_asked_for() {
    let node = start().await;
    node.append(20).await;
    let page = node.get("/records?start=2&count=3&size=11").await;
    assert_eq!((page["size"].clone(), page["records"].as_array().unwrap().len()), (json!(11), 3));
    let proof = hashes(&page["proof"]);
    assert_eq!(verify_consistency(5, &head(5).root, 11, &head(11).root, &proof), Ok(()));
    let page = node.get("/records?start=8&size=11").await;
    assert_eq!((page["records"].as_array().unwrap().len(), &page["proof"]), (3, &json!([])));
    let page = node.get("/records?start=20").await;
    assert_eq!((&page["records"], &page["proof"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn an_empty_log_has_no_records() {
    let node = start().await;
    for log in [node.id(), writer().vkey().id()] {
        let page = node.get(&format!("/records?log={log}")).await;
        assert_eq!((&page["size"], &page["records"]), (&json!(0), &json!([])));
    }
}

#[tokio::test]
async fn consistency_is_proven_between_any_two_sizes() {
    let node = start().await;
    node.append(20).await;
    for old in 1..=20 {
        for new in old..=20 {
            let query = format!("/consistency-proof?old_size={old}&size={new}");
            let answer = node.get(&query).await;
            assert_eq!(keys(&answer), ["log", "old_root", "old_size", "proof", "root", "size"]);
            assert_eq!((&answer["old_size"], &answer["size"]), (&json!(old), &json!(new)));
            assert_eq!(answer["old_root"], head(old).root.to_string());
            assert_eq!(answer["root"], head(new).root.to_string());
            let proof = hashes(&answer["proof"]);
            assert_eq!(verify_consistency(old, &head(old).root, new, &head(new).root, &proof), Ok(()));
        }
    }
    let answer = node.get(&format!("/consistency-proof?old_size=3&log={}", node.id())).await;
    assert_eq!(answer["size"], 20);
    let answer = node.get("/consistency-proof?old_size=0").await;
    assert_eq!((&answer["old_root"], &answer["proof"]), (&json!(Hash::EMPTY_ROOT.to_string()), &json!([])));
}

#[tokio::test]
async fn checkpoints_and_proofs_are_texts_that_other_tools_read() -> Anything {
    let node = start().await;
    node.append(20).await;
    let note = node.text("/checkpoint").await;
    assert_eq!(SignedHead::from_note(note.as_bytes(), node.identity.vkey())?.head, head(20));
    for index in 0..20 {
        let text = node.text(&format!("/proof/{index}")).await;
        let proof = TlogProof::parse(text.as_bytes())?;
        assert_eq!(proof.index(), index);
        proof.verify(node.identity.vkey(), &leaf_hash(&record(index)))?;
        assert!(proof.verify(node.identity.vkey(), &leaf_hash(b"another")).is_err());
    }
    Ok(())
}

#[tokio::test]
async fn a_log_id_tells_its_key() {
    let node = start().await;
    let log = writer().vkey().id();
    let key = node.get(&format!("/key?log={log}")).await;
    assert_eq!(key["vkey"], writer().vkey().to_string());
    assert_eq!(node.get("/key").await["vkey"], identity("node.example").vkey().to_string());
}
