//! An auditor: everything a node serves of one log, checked with nothing but the log's key.

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::task::JoinSet;
use verisoo::attestation::Attestation;
use verisoo::head::TlogProof;
use verisoo::log::{Frontier, leaf_hash, verify_consistency};
use verisoo::{Hash, Head, SignedHead, Vkey};
use verisoo_node::api::json::{Consistency, RecordsPage};
use verisoo_node::client::BaseUrl;

use super::remote::Remote;

/// Requests under way at one time.
const WINDOW: usize = 16;

/// What was found true.
#[derive(Default)]
struct Checked {
    records: u64,
    attestations: u64,
    consistency: u64,
    inclusion: u64,
}

pub async fn verify(url: &BaseUrl, vkey: &Vkey) -> anyhow::Result<()> {
    let remote = Remote::new(url)?;
    let log = vkey.id().to_string();
    let note = remote.text("checkpoint", &[("log", &log)]).await?;
    let head = SignedHead::from_note(note.as_bytes(), vkey).context("the checkpoint is false")?.head;
    println!("checkpoint: {} records, root {}, signed by {}", head.size, head.root, vkey.name());

    let mut checked = Checked::default();
    let mut frontier = Frontier::new();
    let mut leaves = Vec::new();
    while frontier.size() < head.size {
        page(&remote, vkey, &log, &head, &mut frontier, &mut leaves, &mut checked).await?;
    }
    ensure!(frontier.root() == head.root, "the records do not have the root that is signed");
    let newest = inclusions(url, vkey, &log, leaves, head, &mut checked).await?;
    if newest.size > head.size {
        consistency(&remote, &log, head, newest, &mut checked).await?;
    } else {
        ensure!(newest == head, "two roots are signed at size {}: the log has FORKED", head.size);
    }

    println!("records: {} fetched; their root is the signed one", checked.records);
    println!(
        "attestations: {} signatures true, {} other records",
        checked.attestations,
        checked.records - checked.attestations
    );
    println!("consistency proofs: {} true", checked.consistency);
    println!("inclusion proofs: {} true", checked.inclusion);
    Ok(())
}

/// Fetches the next records, and checks that they lead from what was fetched before to the head.
async fn page(
    remote: &Remote,
    vkey: &Vkey,
    log: &str,
    head: &Head,
    frontier: &mut Frontier,
    leaves: &mut Vec<Hash>,
    checked: &mut Checked,
) -> anyhow::Result<()> {
    let before = Head { size: frontier.size(), root: frontier.root() };
    let (start, size) = (before.size.to_string(), head.size.to_string());
    let page: RecordsPage = remote.get("records", &[("log", log), ("start", &start), ("size", &size)]).await?;
    ensure!(!page.records.is_empty(), "the node serves no records from {start} on");
    for record in &page.records {
        let index = frontier.size();
        let record = STANDARD.decode(record).with_context(|| format!("record {index}"))?;
        // A record need not be an attestation; one that is must be the log's own.
        if let Ok(attestation) = Attestation::decode(&record) {
            attestation.verify(vkey).with_context(|| format!("record {index}"))?;
            checked.attestations += 1;
        }
        let leaf = leaf_hash(&record);
        leaves.push(leaf);
        frontier.push(leaf, |_| {})?;
        checked.records += 1;
    }
    ensure!(frontier.size() <= head.size, "the node sends more records than there are");
    let after = Head { size: frontier.size(), root: frontier.root() };
    verify_consistency(after.size, &after.root, head.size, &head.root, &hashes(&page.proof)?)
        .with_context(|| format!("the proof that came with records {start} to {}", after.size))?;
    checked.consistency += 1;
    if before.size > 0 {
        consistency(remote, log, before, after, checked).await?;
    }
    Ok(())
}

/// Has the node prove that one tree is the beginning of another.
async fn consistency(remote: &Remote, log: &str, old: Head, new: Head, checked: &mut Checked) -> anyhow::Result<()> {
    let (old_size, size) = (old.size.to_string(), new.size.to_string());
    let query = [("log", log), ("old_size", old_size.as_str()), ("size", size.as_str())];
    let answer: Consistency = remote.get("consistency-proof", &query).await?;
    let about = || format!("the consistency proof from {old_size} to {size}");
    ensure!(answer.old_root == old.root.to_string() && answer.root == new.root.to_string(), "{}", about());
    verify_consistency(old.size, &old.root, new.size, &new.root, &hashes(&answer.proof)?).with_context(about)?;
    checked.consistency += 1;
    Ok(())
}

/// Checks every record's inclusion proof. The log may grow meanwhile: the largest head that was proven to.
async fn inclusions(
    url: &BaseUrl,
    vkey: &Vkey,
    log: &str,
    leaves: Vec<Hash>,
    head: Head,
    checked: &mut Checked,
) -> anyhow::Result<Head> {
    let remote = std::sync::Arc::new(Remote::new(url)?);
    let mut newest = head;
    let mut tasks: JoinSet<anyhow::Result<Head>> = JoinSet::new();
    let mut leaves = leaves.into_iter().enumerate();
    loop {
        while tasks.len() < WINDOW
            && let Some((index, leaf)) = leaves.next()
        {
            let (remote, log, vkey) = (remote.clone(), log.to_owned(), *vkey);
            tasks.spawn(async move {
                let text = remote.text(&format!("proof/{index}"), &[("log", &log)]).await?;
                let about = || format!("the inclusion proof of record {index}");
                let proof = TlogProof::parse(text.as_bytes()).with_context(about)?;
                ensure!(proof.index() == index as u64, "{}: for another index", about());
                Ok(proof.verify(&vkey, &leaf).with_context(about)?.head)
            });
        }
        let Some(proven) = tasks.join_next().await else { return Ok(newest) };
        let proven = proven??;
        if proven.size == newest.size && proven.root != newest.root {
            bail!("two roots are signed at size {}: the log has FORKED", newest.size);
        }
        if proven.size > newest.size {
            newest = proven;
        }
        checked.inclusion += 1;
    }
}

fn hashes(proof: &[String]) -> anyhow::Result<Vec<[u8; Hash::LEN]>> {
    let hash = |text: &String| Hash::from_hex(text).map(|hash| *hash.as_bytes()).context("a hash in the proof");
    proof.iter().map(hash).collect()
}
