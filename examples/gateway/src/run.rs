//! A gateway for a real device: `gateway run`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use verisoo::store::MemoryStore;
use verisoo::{Answers, Config, Name, Notice, PeerId, Start, Vkey};
use verisoo_link::Report;
use verisoo_node::api::{listen, public};
use verisoo_node::driver::{Begin, Driver, Engine, Handle};
use verisoo_node::limits::Limits;
use verisoo_node::link::PeerAddress;
use verisoo_node::{keys, notices};

use crate::device;
use crate::line::{FromDevice, Line};
use crate::port::Port;

/// The pause after a line that could not be opened: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A line that held so long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(60);

#[derive(Args, Clone)]
pub struct RunArgs {
    /// The device's line: a tty, as /dev/ttyUSB0, or a TCP server that has one
    #[arg(long, value_name = "TTY|tcp:HOST:PORT")]
    line: Port,
    /// Bits a second, where the line is a tty
    #[arg(long, default_value_t = 115_200)]
    baud: u32,
    /// The device's key; any other device on the line is not started
    #[arg(long, value_name = "VKEY")]
    device: Vkey,
    /// The gateway's own key, as `verisoo keygen` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where peers and readers connect
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: String,
    /// A server of the federation: its URL and the key it must have
    #[arg(long = "peer", value_name = "URL=VKEY")]
    peers: Vec<PeerAddress>,
    /// Say that the gateway's key has never been used: its log begins now
    #[arg(long)]
    new_log: bool,
    /// Say that the device's key has never been used: its log begins now. Once in a device's life
    #[arg(long)]
    device_new_log: bool,
    /// Milliseconds between two readings of the device's sensor
    #[arg(long, default_value_t = 1_000)]
    reading_ms: u32,
    /// Milliseconds between two rounds of gossip
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    interval: u32,
}

pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    ensure!(
        args.new_log && args.device_new_log || !args.peers.is_empty(),
        "a log that has existed is taken back from peers before it is written: give at least one --peer, or \
         --new-log and --device-new-log if neither key has ever been used"
    );
    let identity = keys::load(&args.key)?;
    let vkey = *identity.vkey();
    let mut config = Config::default();
    config.interval = Duration::from_millis(u64::from(args.interval));
    let begin = if args.new_log { Begin::New } else { Begin::Open(Start::Recover(Answers::All)) };
    let limits = Limits::default();
    let store = Box::new(MemoryStore::new());
    let (driver, handle) = Driver::new(identity, config, store, begin, args.peers.clone(), &limits)?;
    let listener =
        TcpListener::bind(&args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    println!("{vkey}");
    println!("listening on http://{}", listener.local_addr()?);

    let (stop, stopped) = watch::channel(false);
    let (tell_synced, synced) = watch::channel(HashSet::new());
    tokio::spawn(driver.on_notice(move |engine, notice| tell(engine, notice, &tell_synced)).run());
    tokio::spawn(listen(listener, public::router(handle.clone(), &limits), limits, stopped.clone()));
    let served = tokio::select! {
        served = serve(args, vkey, handle, synced, stopped) => served,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("signals"),
    };
    stop.send_replace(true);
    served
}

/// Serves the device for good, on one line after the other.
async fn serve(
    args: RunArgs,
    vkey: Vkey,
    gateway: Handle,
    synced: watch::Receiver<HashSet<PeerId>>,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    if !args.device_new_log {
        // The device takes its log back from us: first we must have what there is of it.
        catch_up(&gateway, &synced).await?;
    }
    let line = Line::new(None);
    device::add_device(&gateway, args.device, device::serve_line(&line, stopped).await?).await?;
    let mut attendant = Attendant { args, vkey, gateway, line, is_new: true, strangers: HashSet::new() };
    attendant.is_new = attendant.args.device_new_log;
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let why = match attendant.attend().await {
            Ok(()) => "the line has ended".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if begun.elapsed() >= GOOD {
            pause = FIRST_PAUSE;
        }
        eprintln!("{why}; trying again in {:.1} s", pause.as_secs_f64());
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}

/// Waits until the gateway has its own log back, and has compared everything with each of its peers.
async fn catch_up(gateway: &Handle, synced: &watch::Receiver<HashSet<PeerId>>) -> anyhow::Result<()> {
    let mut said = None;
    loop {
        let done = synced.borrow().clone();
        let missing = gateway.call(move |engine| {
            let mut missing = Vec::new();
            let peers: Vec<PeerId> = engine.node.peers().map(|peer| peer.id).collect();
            for peer in peers.into_iter().filter(|peer| !done.contains(peer)) {
                missing.push(engine.peers.get(&peer).map_or_else(String::new, |peer| peer.name.clone()));
                let _ = engine.node.sync_now(peer);
            }
            (engine.node.check_writing().is_err(), missing)
        });
        let missing = missing.await?;
        if let (false, []) = (missing.0, &missing.1[..]) {
            return Ok(());
        }
        if said.as_ref() != Some(&missing) {
            let own = if missing.0 { "the gateway's own log, " } else { "" };
            eprintln!("before the device is started: waiting for {own}a comparison with {}", missing.1.join(", "));
            said = Some(missing);
        }
        let mut synced = synced.clone();
        let _ = timeout(Duration::from_secs(2), synced.changed()).await;
    }
}

/// Attends to the device.
struct Attendant {
    args: RunArgs,
    vkey: Vkey,
    gateway: Handle,
    line: Arc<Line>,
    /// Nothing the device signed has been seen: its log may still be said to be new.
    is_new: bool,
    /// Other devices that were met.
    strangers: HashSet<Vkey>,
}

impl Attendant {
    /// Opens the line and serves it until it ends.
    async fn attend(&mut self) -> anyhow::Result<()> {
        let (port, baud) = (self.args.line.clone(), self.args.baud);
        let (read, write) = tokio::task::spawn_blocking(move || port.open(baud)).await??;
        eprintln!("the line is open");
        let (events, mut from_device) = mpsc::channel(256);
        self.line.connect(read, write, events);
        while let Some(event) = from_device.recv().await {
            match event {
                FromDevice::Request(frame) => {
                    self.is_new = false;
                    // A gateway that is busy now is asked again.
                    if let Ok(Some(answer)) = device::answer(&self.gateway, frame).await {
                        self.line.answer(&answer);
                    }
                }
                FromDevice::Report(bytes) => match Report::decode(&bytes) {
                    Some(Report::Hello { name, key }) => self.greet(name, key).await?,
                    Some(_) => self.is_new = false,
                    None => {}
                },
                FromDevice::Closed => break,
            }
        }
        Ok(())
    }

    /// Tells the device how to start. Its log is new only until anything has been heard of it but that it
    /// is there: a device that is reset later must take its log back, or it would sign a second history.
    async fn greet(&mut self, name: &str, key: [u8; 32]) -> anyhow::Result<()> {
        let Ok(met) = Name::new(name).and_then(|name| Vkey::new(name, key)) else { return Ok(()) };
        if met != self.args.device {
            if self.strangers.len() < 16 && self.strangers.insert(met) {
                eprintln!("another device is on the line, and is not started: {met}");
            }
            return Ok(());
        }
        let id = met.id();
        let log = self.gateway.call(move |engine| engine.node.log(&id)).await?;
        let is_new = self.is_new && log.is_none_or(|log| log.have == 0 && log.complete.size == 0);
        eprintln!("the device starts, {}", if is_new { "with a new log" } else { "and takes its log back" });
        device::boot(&self.line, &self.vkey, !is_new, self.args.reading_ms, self.args.interval)
    }
}

/// What an operator wants to read, and who has been compared with.
fn tell(engine: &Engine, notice: Notice, synced: &watch::Sender<HashSet<PeerId>>) {
    if let Notice::SyncEnded { peer, error: None, .. } = notice {
        synced.send_if_modified(|synced| synced.insert(peer));
    }
    notices::tell(engine, notice);
}
