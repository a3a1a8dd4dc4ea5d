//! A node as a process.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal;
use tokio::sync::watch;
use verisoo::store::MemoryStore;
use verisoo::{Answers, Config, Notice, Start};

use super::{ServeArgs, keys};
use crate::driver::listen::listen;
use crate::driver::{Begin, Driver, Engine, Limits, admin, server};

pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let identity = keys::load(&args.key)?;
    let begin = match (args.new_log, args.recover) {
        (true, _) => Begin::New,
        (false, None) => Begin::Open(Start::Recover(Answers::All)),
        (false, Some(count)) => Begin::Open(Start::Recover(Answers::AtLeast(count))),
    };
    let mut config = Config::default();
    config.interval = args.interval;
    let limits = Limits::default();
    let vkey = *identity.vkey();
    let store = Box::new(MemoryStore::new());
    let (driver, handle) = Driver::new(identity, config, store, begin, args.peers, &limits)?;

    let peers = bind(&args.listen).await?;
    let operator = bind(&args.admin).await?;
    // From here on a signal does not simply end us; so whoever reads the lines below may send one.
    let interrupted = interrupted()?;
    println!("{vkey}");
    println!("listening on http://{}", peers.local_addr()?);
    println!("admin on http://{}", operator.local_addr()?);

    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(listen(peers, server::router(handle.clone(), &limits), limits.clone(), stopped.clone()));
    let administered = tokio::spawn(listen(operator, admin::router(handle, &limits), limits, stopped));
    let driven = tokio::spawn(driver.on_notice(tell).run());

    interrupted.await;
    eprintln!("stopping");
    // No more requests; those under way are answered; then nobody has a handle any more, and the node ends.
    stop.send_replace(true);
    served.await?;
    administered.await?;
    driven.await?;
    Ok(())
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Waits for Ctrl-C, or for what a service manager sends.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = signal::ctrl_c().await;
    })
}

/// What an operator wants to read in the log. Heads and pushes come by too often for that.
fn tell(engine: &Engine, notice: Notice) {
    let name = |peer| engine.peers.get(&peer).map_or("a former peer", |peer| peer.name.as_str());
    match notice {
        Notice::Published { .. } | Notice::Pushed { .. } | Notice::Synced(_) | Notice::SyncEnded { .. } => {}
        Notice::Recovered { size } => eprintln!("recovered: {size} records taken back, writing"),
        Notice::PeerUnhealthy { peer } => {
            let error = engine.peers.get(&peer).and_then(|peer| peer.last_error.as_deref());
            eprintln!("{} does not answer: {}", name(peer), error.unwrap_or("no answer in time"));
        }
        Notice::PeerRecovered { peer } => eprintln!("{} answers again", name(peer)),
        Notice::PeerAtFault { peer, fault } => eprintln!("{} is at fault: it {fault}", name(peer)),
        Notice::ForkDetected { log } => eprintln!("FORK: the writer of log {log} has signed two histories"),
        Notice::LogIntroduced { log, by } => eprintln!("following log {log}, introduced by {}", name(by)),
        Notice::QuotaFull { peer } => eprintln!("{} introduces more logs than it may", name(peer)),
        Notice::LogStalled { log, have } => eprintln!("log {log} stalled at {have} records"),
        Notice::RecordTooLong { log, index } => eprintln!("log {log}: record {index} is longer than a message"),
        Notice::WritingStopped => eprintln!("STOPPED: this key has signed elsewhere; this node writes no more"),
        Notice::LogDamaged { log } => eprintln!("DAMAGED: what the store holds of log {log} is not what was signed"),
        Notice::StoreFailed { error } => eprintln!("the store failed: {error}"),
        other => eprintln!("{other:?}"),
    }
}
