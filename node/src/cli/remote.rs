//! One node's endpoints, for a command.

use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use verisoo_node::client::{BaseUrl, Client};

/// Bytes of an answer that is read: a status of a hundred thousand logs.
const MAX_ANSWER: usize = 64 << 20;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node that is asked.
pub struct Remote {
    client: Client,
    base: BaseUrl,
}

impl Remote {
    pub fn new(base: &BaseUrl) -> anyhow::Result<Self> {
        Ok(Self { client: Client::new(base.is_https())?, base: base.clone() })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        let body = self.send(Request::get(self.base.endpoint(path, query)?).body(Full::default())?).await?;
        serde_json::from_slice(&body).with_context(|| format!("the answer of {path}"))
    }

    pub async fn text(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
        let body = self.send(Request::get(self.base.endpoint(path, query)?).body(Full::default())?).await?;
        String::from_utf8(body).with_context(|| format!("the answer of {path}"))
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let request = Request::post(self.base.endpoint(path, &[])?).header(CONTENT_TYPE, "application/json");
        let body = self.send(request.body(Full::from(serde_json::to_vec(body)?))?).await?;
        serde_json::from_slice(&body).with_context(|| format!("the answer of {path}"))
    }

    /// The body of a good answer; the error that a bad one names.
    async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Vec<u8>> {
        let answer = self.client.exchange(request, MAX_ANSWER, PATIENCE).await;
        let answer = answer.with_context(|| format!("no answer from {}", self.base))?;
        if !answer.status.is_success() {
            let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            bail!("{}: {}", answer.status, json["error"].as_str().unwrap_or("no reason given"));
        }
        Ok(answer.body)
    }
}
