//! A node as a process.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal;
use tokio::sync::watch;
use verisoo::store::MemoryStore;
use verisoo::{Answers, Config, Start};
use verisoo_node::api::{admin, listen, public};
use verisoo_node::driver::{Begin, Driver};
use verisoo_node::limits::Limits;
use verisoo_node::link::PeerAddress;
use verisoo_node::{keys, notices};

use super::seconds::seconds;

#[derive(Args)]
pub struct ServeArgs {
    /// The node's key, as keygen wrote it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where peers and readers connect
    #[arg(long, value_name = "ADDR")]
    listen: String,
    /// A peer: its URL and the key it must have
    #[arg(long = "peer", value_name = "URL=VKEY")]
    peers: Vec<PeerAddress>,
    /// Seconds between rounds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    interval: Duration,
    /// Where new records come in
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    admin: String,
    /// Say that this key has never been used: its log begins now
    #[arg(long, conflicts_with = "recover")]
    new_log: bool,
    /// Write again when so many peers have said what they know of this node's log [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    recover: Option<u16>,
}

pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let (begin, waiting_for) = begin(&args)?;
    let identity = keys::load(&args.key)?;
    let mut config = Config::default();
    config.interval = args.interval;
    let limits = Limits::default();
    let vkey = *identity.vkey();
    let store = Box::new(MemoryStore::new());
    let (driver, handle) = Driver::new(identity, config, store, begin, args.peers, &limits)?;

    let peers = bind(&args.listen).await?;
    let operator = bind(&args.admin).await?;
    // From here on a signal does not simply end us; so whoever reads the lines below may send one.
    let mut interrupted = interruptions()?;
    println!("{vkey}");
    println!("listening on http://{}", peers.local_addr()?);
    println!("admin on http://{}", operator.local_addr()?);
    if let Some(peers) = waiting_for {
        eprintln!("recovering: waiting for {peers} to say what they know of this node's log");
    }

    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(listen(peers, public::router(handle.clone(), &limits), limits.clone(), stopped.clone()));
    let administered = tokio::spawn(listen(operator, admin::router(handle, &limits), limits, stopped));
    let driven = tokio::spawn(driver.on_notice(notices::tell).run());

    interrupted().await;
    eprintln!("stopping");
    // No more requests; those under way are answered; then nobody has a handle any more, and the node ends.
    stop.send_replace(true);
    tokio::select! {
        ended = async { tokio::try_join!(served, administered, driven) } => ended.map(|_| ()).context("stopping"),
        () = interrupted() => {
            eprintln!("stopped before all requests were answered");
            // Not by returning: the runtime would wait for whatever still blocks a thread.
            std::process::exit(1);
        }
    }
}

/// How to start, and whom a recovering node waits for. Refuses what would be waited for in vain.
fn begin(args: &ServeArgs) -> anyhow::Result<(Begin, Option<String>)> {
    if args.new_log {
        return Ok((Begin::New, None));
    }
    let count = args.peers.iter().map(|peer| peer.vkey.id()).collect::<HashSet<_>>().len();
    ensure!(
        count > 0,
        "without --new-log a node takes its log back from its peers before it writes: give at least one --peer, \
         or --new-log if this key has never been used"
    );
    let names: Vec<_> = args.peers.iter().map(|peer| peer.vkey.name().to_string()).collect();
    let names = names.join(", ");
    let (answers, waiting_for) = match args.recover {
        None => (Answers::All, names),
        Some(needed) => {
            ensure!(usize::from(needed) <= count, "--recover {needed}: more answers than there are peers ({count})");
            (Answers::AtLeast(needed), format!("{needed} of {names}"))
        }
    };
    Ok((Begin::Open(Start::Recover(answers)), Some(waiting_for)))
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Waits for Ctrl-C, or for what a service manager sends; at each call for another.
fn interruptions() -> anyhow::Result<impl AsyncFnMut()> {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async || {
        let _ = signal::ctrl_c().await;
    })
}
