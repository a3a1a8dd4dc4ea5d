//! Servers of the federation: nodes, in memory, on this machine.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use verisoo::store::MemoryStore;
use verisoo::{Attestation, Config, Identity, LogId, LogInfo, Vkey};
use verisoo_node::api::{admin, listen, public};
use verisoo_node::client::BaseUrl;
use verisoo_node::driver::{Begin, Driver, Handle};
use verisoo_node::keys;
use verisoo_node::limits::Limits;
use verisoo_node::link::PeerAddress;

/// A server that has an address, and does not run yet.
pub struct Planned {
    identity: Identity,
    listener: TcpListener,
    pub url: BaseUrl,
}

impl Planned {
    pub async fn new(name: &str) -> anyhow::Result<Self> {
        let identity = keys::throwaway(name)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?).parse()?;
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
        tokio::spawn(listen(self.listener, public::router(handle.clone(), &limits), limits, stop));
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
        Ok(self.handle.call(move |engine| engine.node.log(&log)).await?)
    }

    /// The size of the signed part that it holds of a log.
    pub async fn size_of(&self, log: LogId) -> anyhow::Result<u64> {
        Ok(self.log(log).await?.map_or(0, |log| log.complete.size))
    }

    /// Appends a statement to its own log.
    pub async fn attest(&self, text: String) -> anyhow::Result<()> {
        let record = admin::sign(&self.identity, "text/plain", text.as_bytes())?;
        let appended = self.handle.call(move |engine| engine.append(&[record])).await?;
        Ok(appended.map(drop).map_err(|(error, _)| error)?)
    }

    /// How many records of a log it holds whose statements are signed by the log's own key.
    pub async fn verified(&self, log: LogId, vkey: Vkey) -> anyhow::Result<u64> {
        let (mut start, mut verified) = (0, 0);
        let have = self.size_of(log).await?;
        while start < have {
            let records = self.handle.call(move |engine| engine.records(&log, start, have)).await??;
            anyhow::ensure!(!records.is_empty(), "record {start} is not to be had");
            start += records.len() as u64;
            let is_true =
                |record: &&Vec<u8>| Attestation::decode(record).is_ok_and(|signed| signed.verify(&vkey).is_ok());
            verified += records.iter().filter(is_true).count() as u64;
        }
        Ok(verified)
    }
}
