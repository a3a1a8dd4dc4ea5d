//! A client for what nodes serve, and the commands that show it.

use std::fmt;

use anyhow::{Context, bail};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::driver::json::Status;
use crate::driver::link::{client, endpoint, read};

/// Bytes of an answer that is read: a status of a hundred thousand logs.
const MAX_ANSWER: usize = 64 << 20;

/// One node's endpoints.
pub struct Remote {
    client: Client,
    base: Url,
}

impl Remote {
    pub fn new(base: &Url) -> anyhow::Result<Self> {
        Ok(Self { client: client(base.scheme() == "https")?, base: base.clone() })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        let body = self.send(self.client.get(endpoint(&self.base, path)).query(query)).await?;
        serde_json::from_slice(&body).with_context(|| format!("the answer of {path}"))
    }

    pub async fn text(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
        let body = self.send(self.client.get(endpoint(&self.base, path)).query(query)).await?;
        String::from_utf8(body).with_context(|| format!("the answer of {path}"))
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let post = self.client.post(endpoint(&self.base, path)).header(CONTENT_TYPE, "application/json");
        let body = self.send(post.body(serde_json::to_vec(body)?)).await?;
        serde_json::from_slice(&body).with_context(|| format!("the answer of {path}"))
    }

    /// The body of a good answer; the error that a bad one names.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let response = request.send().await.with_context(|| format!("no answer from {}", self.base))?;
        let status = response.status();
        let body = read(response, MAX_ANSWER).await.map_err(anyhow::Error::msg)?;
        if !status.is_success() {
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            bail!("{}: {}", status, json["error"].as_str().unwrap_or("no reason given"));
        }
        Ok(body)
    }
}

pub async fn status(url: &Url) -> anyhow::Result<()> {
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

pub async fn checkpoint(url: &Url) -> anyhow::Result<()> {
    print!("{}", Remote::new(url)?.text("checkpoint", &[]).await?);
    Ok(())
}

/// Rows of text, their columns aligned.
pub struct Table<const N: usize>(Vec<[String; N]>);

impl<const N: usize> Table<N> {
    pub fn new(header: [&str; N]) -> Self {
        Self(vec![header.map(str::to_owned)])
    }

    pub fn row(&mut self, row: [&str; N]) {
        self.0.push(row.map(str::to_owned));
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.0 {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The first digits of a hash, for people.
pub fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}
