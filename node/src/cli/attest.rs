//! Statements about files: in-toto Statement v1, one a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use verisoo::Hash;
use verisoo_node::api::admin::{Appended, NewAttestations, Statement};
use verisoo_node::client::BaseUrl;

use super::remote::Remote;

/// How DSSE names an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// What is stated beyond name and hash: that this file was seen, and how long it was.
const PREDICATE_TYPE: &str = "https://verisoo.example/seen/v1";

/// Statements sent in one request.
const CHUNK: usize = 64;

pub async fn attest(admin: &BaseUrl, files: &[PathBuf]) -> anyhow::Result<()> {
    let node = Remote::new(admin)?;
    for files in files.chunks(CHUNK) {
        let statement = |file: &PathBuf| {
            let payload = statement(file, &file.to_string_lossy()).with_context(|| file.display().to_string())?;
            Ok(Statement { payload_type: PAYLOAD_TYPE.to_owned(), payload: STANDARD.encode(payload) })
        };
        let attestations = files.iter().map(statement).collect::<anyhow::Result<_>>()?;
        let Appended { log, start, .. } = node.post("attestations", &NewAttestations { attestations }).await?;
        for (index, file) in (start..).zip(files) {
            println!("{log} {index} {}", file.display());
        }
    }
    Ok(())
}

/// The statement about one file, known as `name`.
pub fn statement(file: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let mut hasher = Sha256::new();
    let mut buf = [0; 16 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buf) {
            Ok(0) => break,
            Ok(len) => {
                hasher.update(&buf[..len]);
                size += len as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digest = Hash::from_bytes(hasher.finalize().into()).to_string();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name, "digest": { "sha256": digest } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": { "size": size },
    });
    Ok(statement.to_string().into_bytes())
}
