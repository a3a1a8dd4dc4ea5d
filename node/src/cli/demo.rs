//! The demo: three nodes attest the files of a folder, converge, and are held to every record.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::folder;
use super::seconds::seconds;
use super::spread::{self, Member, View};
use super::table::{Table, short};

const NAMES: [&str; 3] = ["anna", "boris", "carla"];

/// How often the demo looks at its nodes.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Args)]
pub struct DemoArgs {
    /// The folder whose files are attested [default: the checkout where cargo runs this, otherwise the current folder]
    dir: Option<PathBuf>,
    /// Print one JSON object on the last line instead of a table
    #[arg(long)]
    json: bool,
    /// Give up when nothing has moved for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    patience: Duration,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    nodes: usize,
    records: u64,
    /// Pairs of record and node.
    verified: u64,
    converged: bool,
    root: &'a str,
}

/// How long each part of the demo took.
struct Times {
    signed: Duration,
    converged: Duration,
    verified: Duration,
}

pub async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    let dir = the_folder(args.dir)?;
    let files = files(&dir).await?;
    let (members, _running) = spread::start(NAMES).await?;

    let mut begun = Instant::now();
    let bars = Bars::new(files.len());
    let unreadable = attest_everywhere(&members, &dir, &files, &bars).await?;
    for error in &unreadable {
        bars.all.println(format!("skipped: {error}"))?;
        if bars.all.is_hidden() {
            eprintln!("skipped: {error}");
        }
    }
    let signed = lap(&mut begun);
    let records = (files.len() - unreadable.len()) as u64;
    let views = converge(&members, records, args.patience, &bars).await?;
    let is_converged = are_converged(&views, records);
    let converged = lap(&mut begun);
    let mut verified = 0;
    if is_converged {
        for member in &members {
            verified += spread::verify(&members, member, |count| bars.verified.inc(count)).await?;
        }
    }
    let times = Times { signed, converged, verified: lap(&mut begun) };
    bars.clear();

    let root = views.first().map(|view| view.root.to_string()).unwrap_or_default();
    if args.json {
        let nodes = members.len();
        let summary = Summary { nodes, records, verified, converged: is_converged, root: &root };
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        report(&members, records, verified, &times).await?;
        println!("federation root {root}");
    }
    ensure!(is_converged, "not converged: nothing has moved for {} s", args.patience.as_secs_f64());
    let pairs = records * members.len() as u64;
    ensure!(verified == pairs, "only {verified} of {pairs} records were verified");
    Ok(())
}

/// The time since `begun`, which begins anew.
fn lap(begun: &mut Instant) -> Duration {
    let lap = begun.elapsed();
    *begun = Instant::now();
    lap
}

/// The folder asked for; without one the checkout, which cargo says where it runs this, or the current one.
fn the_folder(dir: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let package = || std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let checkout = || package().and_then(|dir| dir.parent().map(Path::to_owned)).unwrap_or_else(|| PathBuf::from("."));
    let dir = dir.unwrap_or_else(checkout);
    let kind = dir.metadata().with_context(|| format!("cannot read {}", dir.display()))?;
    if !kind.is_dir() {
        bail!("{} is not a folder", dir.display());
    }
    Ok(dir)
}

/// The files that are attested. Says what is not, and why.
async fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let walked = dir.to_owned();
    let found = spawn_blocking(move || folder::walk(&walked)).await?;
    for error in &found.unreadable {
        eprintln!("skipped: {error}");
    }
    if let Some(left_out) = found.left_out_of(dir) {
        eprintln!("{left_out}");
    }
    if found.files.is_empty() {
        ensure!(found.unreadable.is_empty(), "no file in {} can be read", dir.display());
        eprintln!("there are no files in {}: nothing to attest", dir.display());
    }
    Ok(found.files)
}

/// Each node attests every third file; which could not be read.
async fn attest_everywhere(
    members: &[Member],
    dir: &Path,
    files: &[PathBuf],
    bars: &Bars,
) -> anyhow::Result<Vec<String>> {
    let mut tasks = JoinSet::new();
    for (at, member) in members.iter().enumerate() {
        let share = files.iter().skip(at).step_by(members.len()).cloned().collect();
        let signed = bars.signed.clone();
        tasks.spawn(spread::attest_all(member.clone(), dir.to_owned(), share, move |count| signed.inc(count)));
    }
    let mut unreadable = Vec::new();
    while !tasks.is_empty() {
        tokio::select! {
            Some(ended) = tasks.join_next() => unreadable.extend(ended??),
            () = sleep(LOOK) => {
                look(members, bars).await?;
            }
        }
    }
    Ok(unreadable)
}

/// Waits until all nodes have everything, or nothing has moved for so long.
async fn converge(members: &[Member], records: u64, patience: Duration, bars: &Bars) -> anyhow::Result<Vec<View>> {
    let (mut best, mut moved) = (0, Instant::now());
    loop {
        let views = look(members, bars).await?;
        if are_converged(&views, records) || moved.elapsed() > patience {
            return Ok(views);
        }
        let sum = views.iter().map(|view| view.have + view.complete).sum();
        if sum > best {
            (best, moved) = (sum, Instant::now());
        }
        sleep(LOOK).await;
    }
}

fn are_converged(views: &[View], records: u64) -> bool {
    views.iter().all(|view| view.complete == records)
        && views.iter().zip(views.iter().skip(1)).all(|(view, next)| view.root == next.root)
}

async fn look(members: &[Member], bars: &Bars) -> anyhow::Result<Vec<View>> {
    let mut views = Vec::new();
    for (member, bar) in members.iter().zip(&bars.nodes) {
        let view = spread::view(member).await?;
        bar.set_position(view.have);
        views.push(view);
    }
    Ok(views)
}

async fn report(members: &[Member], records: u64, verified: u64, times: &Times) -> anyhow::Result<()> {
    let mut heads = Table::new(["node", "log", "size", "root"]);
    for node in members {
        for log in members {
            let head = spread::head(node, log).await?;
            heads.row([node.name, log.name, &head.size.to_string(), short(&head.root.to_string())]);
        }
    }
    print!("{heads}");
    println!(
        "{records} files attested in {:.2?}, on all {} nodes {:.2?} later; {verified} records verified in {:.2?}",
        times.signed,
        members.len(),
        times.converged,
        times.verified,
    );
    Ok(())
}

/// Progress on a terminal; nothing elsewhere.
struct Bars {
    all: MultiProgress,
    signed: ProgressBar,
    nodes: Vec<ProgressBar>,
    verified: ProgressBar,
}

impl Bars {
    fn new(files: usize) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix:>9} {wide_bar} {pos}/{len}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let files = files as u64;
        let bar =
            |prefix: &str, len| all.add(ProgressBar::new(len).with_style(style.clone()).with_prefix(prefix.to_owned()));
        let signed = bar("attested", files);
        let nodes = NAMES.iter().map(|name| bar(name, files)).collect();
        let verified = bar("verified", files * NAMES.len() as u64);
        Self { all, signed, nodes, verified }
    }

    fn clear(&self) {
        for bar in self.nodes.iter().chain([&self.signed, &self.verified]) {
            bar.finish_and_clear();
        }
    }
}
