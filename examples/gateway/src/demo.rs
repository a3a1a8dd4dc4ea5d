//! The demo's story: five members in a row, the device at one end.
//!
//! ```text
//! device == serial line == gateway -- HTTP -- archive -- HTTP -- notary
//! ```

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use verisoo::log::{Frontier, leaf_hash};
use verisoo::wire::{Batch, Frame, Message, Nonce, Proof, Push, Request, RequestId};
use verisoo::{Head, LogId, Name, SignedHead, Vkey};
use verisoo_link::{Report, Vital};
use verisoo_node::client::BaseUrl;

use crate::DemoArgs;
use crate::device;
use crate::emulator::{self, Emulator};
use crate::line::{FromDevice, Line};
use crate::servers::{Planned, Server};

/// Records of the device that the archive must have verified.
const WANTED: u64 = 20;
/// How often the demo looks.
const LOOK: Duration = Duration::from_millis(100);
/// How often the servers append something of their own.
const BUSY: Duration = Duration::from_secs(3);

/// What `--json` prints.
#[derive(Serialize)]
struct Summary {
    records: u64,
    verified: u64,
    fork_proven_on_device: bool,
    flash_bytes: u64,
    ram_static_bytes: u64,
    stack_peak_bytes: u32,
}

/// What the device said last.
#[derive(Clone, Debug, Default)]
struct Device {
    vkey: Option<Vkey>,
    vital: Vital,
    /// Each followed log's size, and whether it is proven to have forked.
    logs: HashMap<LogId, (u64, bool)>,
}

pub async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    eprintln!("building the firmware");
    let firmware = tokio::task::spawn_blocking(emulator::build).await??;
    let footprint = emulator::measure(&firmware)?;
    let (_stop, stopped) = watch::channel(false);
    let started = Instant::now();
    let mut scene = Scene::set(&args, &firmware, stopped).await?;
    let vkey = scene.everything_arrives(Duration::from_secs(args.seconds)).await?;
    let proven_after = scene.the_device_proves_a_fork().await?;
    let (records, verified) = scene.what_is_acknowledged_is_there(vkey).await?;
    let vital = scene.device.borrow().vital;
    let summary = Summary {
        records,
        verified,
        fork_proven_on_device: true,
        flash_bytes: footprint.flash,
        ram_static_bytes: footprint.ram_static,
        stack_peak_bytes: vital.stack_peak,
    };
    print_table(&summary, &vital, started.elapsed(), proven_after);
    if args.json {
        println!("{}", serde_json::to_string(&summary)?);
    }
    Ok(())
}

/// Who takes part.
struct Scene {
    gateway: Server,
    archive: Server,
    notary: Server,
    line: Arc<Line>,
    device: watch::Receiver<Device>,
    /// How long the next step may take.
    patience: Duration,
    _emulator: Emulator,
}

impl Scene {
    /// Starts everybody; each server writes a record.
    async fn set(args: &DemoArgs, firmware: &Path, stopped: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let reading_ms = args.reading_ms.unwrap_or(if args.seconds == 0 { 1_000 } else { 200 });
        let [gateway, archive, notary] = servers(&stopped).await?;
        eprintln!("starting the device in QEMU");
        let (emulator, stream) = Emulator::start(firmware)?;
        let (events, from_device) = mpsc::channel(256);
        let line = Line::new(args.noise.then_some(0x5eed));
        line.connect(stream.try_clone()?, stream, events);
        let url = device::serve_line(&line, stopped).await?;
        let (tell, device) = watch::channel(Device::default());
        let attached = attach(Arc::clone(&line), gateway.clone(), url, reading_ms, from_device, tell);
        tokio::spawn(async move {
            if let Err(error) = attached.await {
                eprintln!("the device's line: {error:#}");
            }
        });
        let patience = Duration::from_secs(args.patience);
        let scene = Self { gateway, archive, notary, line, device, patience, _emulator: emulator };
        scene.write("it begins").await?;
        Ok(scene)
    }

    fn servers(&self) -> [&Server; 3] {
        [&self.gateway, &self.archive, &self.notary]
    }

    /// Has each server write something of its own.
    async fn write(&self, text: &str) -> anyhow::Result<()> {
        for server in self.servers() {
            server.attest(text.to_owned()).await?;
        }
        Ok(())
    }

    /// Waits until the archive has enough of the device's records, and the device the servers' heads, while the
    /// servers go on writing; for so long at least. The device's key.
    async fn everything_arrives(&mut self, at_least: Duration) -> anyhow::Result<Vkey> {
        let begun = Instant::now();
        let vkey = within(self.patience, "the device says hello", &mut self.device, |device| device.vkey).await?;
        eprintln!("the device is {vkey}");
        let (mut wrote, mut moved) = (Instant::now(), (0, Instant::now()));
        loop {
            let have = self.archive.size_of(vkey.id()).await?;
            if have >= WANTED && begun.elapsed() >= at_least {
                break;
            }
            if have > moved.0 {
                moved = (have, Instant::now());
            }
            ensure!(
                moved.1.elapsed() < self.patience,
                "the archive has {have} of the device's records, and no more come: {:?}",
                *self.device.borrow()
            );
            if wrote.elapsed() > BUSY {
                wrote = Instant::now();
                self.write(&format!("after {:?}", begun.elapsed())).await?;
            }
            sleep(LOOK).await;
        }
        for server in [self.gateway.clone(), self.archive.clone(), self.notary.clone()] {
            let (log, size) = (server.id(), server.size_of(server.id()).await?);
            let what = format!("the device accepts the head of {}", server.identity.vkey().name());
            let accepts = |device: &Device| device.logs.get(&log).filter(|log| log.0 >= size).map(drop);
            within(self.patience, &what, &mut self.device, accepts).await?;
        }
        eprintln!("the archive holds the device's records, and the device the servers' heads");
        Ok(vkey)
    }

    /// The notary signs another history, and shows it to the device alone; after how long that has proven it.
    async fn the_device_proves_a_fork(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let forked = fork(&self.notary, self.notary.size_of(self.notary.id()).await?)?;
        let mut shown = None;
        while self.device.borrow().logs.get(&self.notary.id()).is_none_or(|log| !log.1) {
            // On a noisy line the one frame may be lost.
            if shown.is_none_or(|at: Instant| at.elapsed() >= Duration::from_secs(2)) {
                shown = Some(Instant::now());
                let _ = self.line.ask(&forked).await;
            }
            ensure!(begun.elapsed() < self.patience, "the device does not prove the fork: {:?}", *self.device.borrow());
            sleep(LOOK).await;
        }
        let proven_after = begun.elapsed();
        for server in [&self.gateway, &self.archive] {
            let begun = Instant::now();
            while !server.log(self.notary.id()).await?.is_some_and(|log| log.is_forked) {
                ensure!(begun.elapsed() < self.patience, "the proof does not reach {}", server.identity.vkey().name());
                sleep(LOOK).await;
            }
        }
        eprintln!("the device has proven that the notary signed two histories, and its proof has reached the others");
        Ok(proven_after)
    }

    /// What the device has been told is safe must be; how many records the archive has of it, and how many of
    /// them are true.
    async fn what_is_acknowledged_is_there(&self, vkey: Vkey) -> anyhow::Result<(u64, u64)> {
        let acknowledged = self.device.borrow().vital.acknowledged;
        let begun = Instant::now();
        while self.archive.size_of(vkey.id()).await? < acknowledged {
            ensure!(begun.elapsed() < self.patience, "acknowledged records of the device are lost");
            sleep(LOOK).await;
        }
        let verified = self.archive.verified(vkey.id(), vkey).await?;
        ensure!(verified >= acknowledged, "{verified} verified, {acknowledged} acknowledged");
        let records = self.archive.size_of(vkey.id()).await?.min(verified.max(acknowledged));
        Ok((records, verified))
    }
}

/// Three servers in a row.
async fn servers(stopped: &watch::Receiver<bool>) -> anyhow::Result<[Server; 3]> {
    let [gateway, archive, notary] =
        [Planned::new("gateway").await?, Planned::new("archive").await?, Planned::new("notary").await?];
    let [to_gateway, to_archive, to_notary] = [gateway.address(), archive.address(), notary.address()];
    Ok([
        gateway.start(vec![to_archive.clone()], stopped.clone())?,
        archive.start(vec![to_gateway, to_notary], stopped.clone())?,
        notary.start(vec![to_archive], stopped.clone())?,
    ])
}

fn print_table(summary: &Summary, vital: &Vital, ran: Duration, proven_after: Duration) {
    let seconds = vital.uptime_ms / 1_000;
    println!("records of the device, two hops away     {:>9}", summary.records);
    println!("  verified there                         {:>9}", summary.verified);
    println!("  acknowledged to the device             {:>9}", vital.acknowledged);
    println!("readings put off for want of room        {:>9}", vital.put_off);
    println!("frames the device dropped as damaged     {:>9}", vital.bad_frames);
    println!("the device has run for                   {seconds:>9} s");
    println!("  by the clock of this machine           {:>9} s", ran.as_secs());
    println!("fork proven on the device after          {:>9.1} s", proven_after.as_secs_f64());
    println!("flash                                    {:>9} bytes", summary.flash_bytes);
    println!("static RAM                               {:>9} bytes", summary.ram_static_bytes);
    println!("stack, at its peak                       {:>9} bytes of {}", vital.stack_peak, vital.stack_room);
}

/// The gateway's side of the line: tells the device how to start, answers what it asks, and keeps what it
/// reports.
async fn attach(
    line: Arc<Line>,
    gateway: Server,
    url: BaseUrl,
    reading_ms: u32,
    mut from_device: mpsc::Receiver<FromDevice>,
    tell: watch::Sender<Device>,
) -> anyhow::Result<()> {
    while let Some(event) = from_device.recv().await {
        match event {
            FromDevice::Request(frame) => {
                if let Some(answer) = device::answer(&gateway.handle, frame).await? {
                    line.answer(&answer);
                }
            }
            FromDevice::Report(bytes) => match Report::decode(&bytes) {
                Some(Report::Hello { name, key }) => {
                    let vkey = Vkey::new(Name::new(name)?, key)?;
                    // Whoever is on the cable is the device: a demo needs no more.
                    device::add_device(&gateway.handle, vkey, url.clone()).await?;
                    tell.send_modify(|device| device.vkey = Some(vkey));
                    device::boot(&line, gateway.identity.vkey(), false, reading_ms, 1_000)?;
                }
                Some(Report::Vital(vital)) => tell.send_modify(|device| device.vital = vital),
                Some(Report::Log { log, size, is_forked }) => tell.send_modify(|device| {
                    device.logs.insert(LogId::from_bytes(log), (size, is_forked));
                }),
                None => {}
            },
            FromDevice::Closed => bail!("it has ended"),
        }
    }
    Ok(())
}

/// Another history of the notary's log, one record shorter than the true one: a push of its head.
fn fork(notary: &Server, size: u64) -> anyhow::Result<Vec<u8>> {
    ensure!(size > 1, "the notary has written too little");
    let mut frontier = Frontier::new();
    for record in 1..size {
        frontier.push(leaf_hash(format!("nobody saw {record}").as_bytes()), |_| {})?;
    }
    let head = SignedHead::sign(&notary.identity, Head { size: frontier.size(), root: frontier.root() });
    let batch = Batch { log: notary.id(), start: head.head.size, head, proof: Proof::default(), records: &[] };
    let request = Request::Push(Push { from: notary.id(), nonce: Nonce([7; 16]), batch });
    let mut buf = [0; 512];
    let frame = Frame { id: RequestId::new(1), message: Message::Request(request) };
    Ok(frame.encode(&mut buf).context("the frame is small")?.to_vec())
}

/// Waits for something to be true of the device.
async fn within<T>(
    patience: Duration,
    what: &str,
    device: &mut watch::Receiver<Device>,
    mut look: impl FnMut(&Device) -> Option<T>,
) -> anyhow::Result<T> {
    let wait = async {
        loop {
            if let Some(found) = look(&device.borrow_and_update()) {
                return Ok(found);
            }
            device.changed().await?;
        }
    };
    timeout(patience, wait).await.with_context(|| format!("waited in vain: {what}"))?
}
