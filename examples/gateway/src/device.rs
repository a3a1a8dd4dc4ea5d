//! What a gateway does for the device on its line: gives it a URL, answers what it asks, and tells it how to
//! start.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use verisoo::Vkey;
use verisoo::wire::{Frame, Message};
use verisoo_link::Boot;
use verisoo_node::api::listen;
use verisoo_node::client::BaseUrl;
use verisoo_node::driver::Handle;
use verisoo_node::limits::Limits;
use verisoo_node::link::PeerAddress;

use crate::line::{self, Line};

/// Gives the device a URL, for this machine alone.
pub async fn serve_line(line: &Arc<Line>, stop: watch::Receiver<bool>) -> anyhow::Result<BaseUrl> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(listen(listener, line::router(Arc::clone(line)), Limits::default(), stop));
    Ok(url)
}

/// Makes the device a peer of the gateway.
pub async fn add_device(gateway: &Handle, vkey: Vkey, url: BaseUrl) -> anyhow::Result<()> {
    Ok(gateway.call(move |engine| engine.add_peer(PeerAddress { url, vkey })).await??)
}

/// The gateway's answer to a frame of the device; `None` where that is no request.
pub async fn answer(gateway: &Handle, frame: Vec<u8>) -> anyhow::Result<Option<Vec<u8>>> {
    let answer = gateway.call(move |engine| match Frame::decode(&frame) {
        Ok(Frame { id, message: Message::Request(request) }) => engine.respond(id, &request).map(<[u8]>::to_vec).ok(),
        _ => None,
    });
    Ok(answer.await?)
}

/// Tells the device how to start, and who its peer is.
pub fn boot(line: &Line, gateway: &Vkey, recover: bool, reading_ms: u32, interval_ms: u32) -> anyhow::Result<()> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).context("the system gives no random numbers")?;
    let (peer_name, peer_key) = (gateway.name().as_str(), *gateway.key());
    line.boot(&Boot { entropy, recover, reading_ms, interval_ms, peer_name, peer_key });
    Ok(())
}
