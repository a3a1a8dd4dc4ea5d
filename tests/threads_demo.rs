//! The example on threads does what its documentation says: the built program is run on folders, and its
//! last line and exit code are checked.

#![cfg(feature = "std")]

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

#[test]
fn every_file_but_those_git_ignores_is_attested_and_verified_on_three_nodes() {
    let folder = Folder::new("files");
    folder.write("a.txt", "hello");
    folder.write("same as a.txt", "hello");
    folder.write("empty", "");
    folder.write("deep/down/\u{fc}ml\u{e4}ut \"quoted\".txt", "text");
    folder.write(".hidden", "not by git");
    folder.write(".gitignore", "*.log\n/out/\n");
    folder.write("noise.log", "ignored");
    folder.write("out/result", "ignored");
    folder.write(".git/config", "git's own");

    let output = run(&["demo".as_ref(), folder.0.as_ref(), "--json".as_ref()]);
    assert!(output.status.success(), "{output:?}");
    let result = last_line(&output);
    assert_eq!((&result["nodes"], &result["records"], &result["verified"]), (&json!(3), &json!(6), &json!(18)));
    assert_eq!(result["converged"], true);
    let root = result["root"].as_str().unwrap();
    assert!(root.len() == 64 && root.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{root}");
    assert_eq!(result.as_object().unwrap().len(), 5);
}

#[test]
fn an_empty_folder_converges_on_nothing() {
    let folder = Folder::new("nothing");
    let output = run(&["--json".as_ref(), folder.0.as_ref()]);
    assert!(output.status.success(), "{output:?}");
    // The root over no logs at all.
    let root = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(last_line(&output), json!({ "nodes": 3, "records": 0, "verified": 0, "converged": true, "root": root }));
}

#[test]
fn without_json_there_is_a_table_of_nodes_and_logs() {
    let folder = Folder::new("table");
    for file in ["one", "two", "three", "four"] {
        folder.write(file, file);
    }
    let output = run(&[folder.0.as_ref()]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).take(3).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!([rows[0][0], rows[1][0], rows[2][0]], ["alpha", "beta", "gamma"]);
    assert_eq!([rows[0][1], rows[0][3], rows[0][5]], ["2", "1", "1"], "sizes of the three logs");
    assert!(rows.iter().all(|row| row[1..] == rows[0][1..]), "all nodes hold the same");
    assert!(text.contains("4 records, 12 of 12 copies verified"), "{text}");
}

#[test]
fn what_cannot_be_done_is_said_and_fails() {
    let folder = Folder::new("missing");
    for arguments in [vec![folder.0.join("not there")], vec!["--jsno".into()], vec!["a".into(), "b".into()]] {
        let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{output:?}");
    }
}

fn run(arguments: &[&Path]) -> Output {
    Command::new(example()).args(arguments).output().unwrap()
}

fn last_line(output: &Output) -> Value {
    let text = str::from_utf8(&output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// The example beside this test, in `target/<profile>/examples`. A plain `cargo test` has built it; where
/// only this test was asked for it is built now.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(format!("threads{EXE_SUFFIX}"));
    if !example.exists() {
        let name = profile.file_name().and_then(|name| name.to_str()).unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--example", "threads"]);
        cargo.args(["--profile", if name == "debug" { "dev" } else { name }]);
        assert!(cargo.status().unwrap().success());
    }
    example
}

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        // Outside the checkout, whose own ignore rules would apply as well.
        let folder = std::env::temp_dir().join(format!("verisoo-threads-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, content: &str) {
        let file = self.0.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
