//! What a node has, for people.

use verisoo_node::api::json::Status;
use verisoo_node::client::BaseUrl;

use super::remote::Remote;
use super::table::{Table, short};

pub async fn status(url: &BaseUrl) -> anyhow::Result<()> {
    let status: Status = Remote::new(url)?.get("status", &[]).await?;
    println!("{} ({})", status.vkey, status.state);
    println!("log {}: {} records, root {}", status.log, status.size, status.root);
    println!("federation root {}", status.federation_root);
    let mut logs = Table::new(["log", "id", "size", "held", "root"]);
    for log in &status.logs {
        let root = if log.frozen { "FORKED" } else { short(&log.root) };
        logs.row([log.name.as_str(), short(&log.log), &log.size.to_string(), &log.have.to_string(), root]);
    }
    print!("{logs}");
    if !status.peers.is_empty() {
        let mut peers = Table::new(["peer", "health", "holds of our log", "last error"]);
        for peer in &status.peers {
            let acknowledged = peer.acknowledged.map_or_else(|| "unknown".to_owned(), |size| size.to_string());
            peers.row([&peer.name, &peer.health, &acknowledged, peer.last_error.as_deref().unwrap_or("")]);
        }
        print!("{peers}");
    }
    Ok(())
}

pub async fn checkpoint(url: &BaseUrl) -> anyhow::Result<()> {
    print!("{}", Remote::new(url)?.text("checkpoint", &[]).await?);
    Ok(())
}
