//! The proof vectors of the folder that `VERISOO_VECTORS` names: `inclusion.jsonl` and
//! `consistency.jsonl`, one case a line, from the test data of transparency-dev/merkle. Without the
//! variable the test says that it has been left out.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use verisoo::Hash;
use verisoo::log::{verify_consistency, verify_inclusion};

/// Both its roots are 12 bytes of text, which no SHA-256 tree can have: its verifier compares the roots
/// of equal sizes without asking what they are. Here it cannot be put as a question.
const NOT_A_HASH: &str = "additional/sizes-are-equal-one-and-proof-is-empty";

#[test]
fn consistency() {
    let Some(cases) = cases("consistency.jsonl") else { return };
    let mut left_out = 0;
    for case in &cases {
        if case["case"] == NOT_A_HASH {
            assert!(hash(&case["root1"]).is_none() && hash(&case["root2"]).is_none());
            left_out += 1;
            continue;
        }
        check(case, verify_consistency_case(case));
    }
    assert_eq!((cases.len(), left_out), (98, 1));
}

#[test]
fn inclusion() {
    let Some(cases) = cases("inclusion.jsonl") else { return };
    for case in &cases {
        check(case, verify_inclusion_case(case));
    }
    assert_eq!(cases.len(), 98);
}

/// `None` where the case does not even decode, which is a refusal as well.
fn verify_consistency_case(case: &Value) -> Option<()> {
    let (old, new) = (number(&case["size1"]), number(&case["size2"]));
    let (old_root, new_root) = (hash(&case["root1"])?, hash(&case["root2"])?);
    verify_consistency(old, &old_root, new, &new_root, &proof(case)?).ok()
}

fn verify_inclusion_case(case: &Value) -> Option<()> {
    let (index, size) = (number(&case["leafIdx"]), number(&case["treeSize"]));
    let (leaf, root) = (hash(&case["leafHash"])?, hash(&case["root"])?);
    verify_inclusion(index, size, &leaf, &root, &proof(case)?).ok()
}

fn check(case: &Value, verified: Option<()>) {
    let must_fail = case["wantErr"].as_bool().expect("a case says what it expects");
    assert_eq!(verified.is_none(), must_fail, "{}: {}", case["case"], case["desc"]);
}

fn cases(file: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("VERISOO_VECTORS") else {
        println!("skipped: VERISOO_VECTORS names no folder with {file}");
        return None;
    };
    let path: PathBuf = Path::new(&folder).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect())
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a u64")
}

fn proof(case: &Value) -> Option<Vec<[u8; 32]>> {
    match &case["proof"] {
        Value::Null => Some(Vec::new()),
        list => list.as_array().expect("a list").iter().map(|item| hash(item).map(|hash| *hash.as_bytes())).collect(),
    }
}

/// `None` where the base64 is not that of 32 bytes.
fn hash(value: &Value) -> Option<Hash> {
    let mut bytes = [0; 96];
    let text = value.as_str().expect("base64 text");
    let len = STANDARD.decode_slice(text, &mut bytes).expect("base64 of at most 96 bytes");
    bytes[..len].try_into().ok().map(Hash::from_bytes)
}
