//! The example does what it says: the built program is run, and its output and exit code are checked.

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn every_record_is_verified_on_three_nodes() {
    for (arguments, is_json) in [(&["demo", "--json"][..], true), (&["--json"], true), (&[], false)] {
        let output = Command::new(env!("CARGO_BIN_EXE_verisoo-tokio")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        if is_json {
            let mut result: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
            let root = result["root"].take();
            assert!(root.as_str().is_some_and(|root| root.len() == 64 && root.chars().all(|c| c.is_ascii_hexdigit())));
            assert_eq!(result, json!({ "nodes": 3, "records": 60, "verified": 180, "converged": true, "root": null }));
        }
        assert!(is_json || text.contains("180 of 180 copies verified"), "{text}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_verisoo-tokio")).arg("--jsno").output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}
