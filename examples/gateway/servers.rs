//! Servers of the federation: the tokio driver, in memory, on this machine.

use std::time::Duration;

use anyhow::Context;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::sync::watch;
use verisoo::store::MemoryStore;
use verisoo::{Attestation, Config, Identity, LogId, LogInfo, Vkey};

use crate::driver::{Begin, Driver, Handle, Limits, PeerAddress, listen, server};

/// A server that has an address, and does not run yet.
pub struct Planned {
    identity: Identity,
    listener: TcpListener,
    pub url: Url,
}

impl Planned {
    pub async fn new(name: &str) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the system gives no random numbers")?;
        let identity = Identity::from_seed(name, &seed)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        Ok(Self { identity, listener, url })
    }

    pub fn vkey(&self) -> Vkey {
        *self.identity.vkey()
    }

    pub fn address(&self) -> PeerAddress {
        PeerAddress { url: self.url.clone(), vkey: self.vkey() }
    }

    /// Starts it; it ends with the runtime.
    pub fn start(self, peers: Vec<PeerAddress>, stop: watch::Receiver<bool>) -> anyhow::Result<Server> {
        let mut config = Config::default();
        config.interval = Duration::from_secs(1);
        // Made a moment ago: this log has never existed.
        let begin = Begin::New;
        let (store, limits) = (Box::new(MemoryStore::new()), Limits::default());
        let (driver, handle) = Driver::new(self.identity.clone(), config, store, begin, peers, &limits)?;
        tokio::spawn(driver.run());
        tokio::spawn(listen::listen(self.listener, server::router(handle.clone(), &limits), limits, stop));
        Ok(Server { identity: self.identity, handle })
    }
}

/// A running server.
#[derive(Clone)]
pub struct Server {
    pub identity: Identity,
    pub handle: Handle,
}

impl Server {
    pub fn id(&self) -> LogId {
        self.identity.vkey().id()
    }

    /// What it holds of a log.
    pub async fn log(&self, log: LogId) -> anyhow::Result<Option<LogInfo>> {
        self.handle.call(move |engine| engine.node.log(&log)).await.map_err(describe)
    }

    /// Appends a statement to its own log.
    pub async fn attest(&self, text: String) -> anyhow::Result<()> {
        let appended = self.handle.call(move |engine| {
            let signed = Attestation::sign(&engine.identity, "text/plain", text.as_bytes())
                .map_err(|error| error.to_string())?;
            let mut record = vec![0; 1_024];
            let len = signed.encode(&mut record).map_err(|error| error.to_string())?;
            engine.append(&[&record[..len]]).map(drop).map_err(|(error, _)| format!("{error:?}"))
        });
        appended.await.map_err(describe)?.map_err(anyhow::Error::msg)
    }

    /// How many records of a log it holds whose statements are signed by the log's own key.
    pub async fn verified(&self, log: LogId, vkey: Vkey) -> anyhow::Result<u64> {
        let (mut start, mut verified) = (0, 0);
        let have = self.log(log).await?.map_or(0, |info| info.complete.size);
        while start < have {
            let records = self.handle.call(move |engine| engine.records(&log, start, have)).await.map_err(describe)?;
            let records = records.map_err(describe)?;
            anyhow::ensure!(!records.is_empty(), "record {start} is not to be had");
            start += records.len() as u64;
            let is_true =
                |record: &&Vec<u8>| Attestation::decode(record).is_ok_and(|signed| signed.verify(&vkey).is_ok());
            verified += records.iter().filter(is_true).count() as u64;
        }
        Ok(verified)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub fn describe(error: crate::driver::error::ApiError) -> anyhow::Error {
    anyhow::Error::msg(format!("{error:?}"))
}
