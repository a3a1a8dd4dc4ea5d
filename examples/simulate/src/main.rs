//! The simulator's command line.
//!
//! ```text
//! cargo run -q --release -p verisoo-simulate -- run --seed 7 --profile swarm
//! cargo run -q --release -p verisoo-simulate -- swarm --seeds 0..2000 --profile swarm --json
//! ```
//!
//! It ends with 0 where every invariant held; with 127 where something panicked, 128 where nodes did not
//! converge or fall silent in time, 129 where a safety invariant was broken, and 130 where one plan gave two
//! traces. Wrong arguments are 2, files that cannot be read or written 1.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod plot;
mod swarm;

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant as Clock};

use clap::{Parser, Subcommand, ValueEnum};
use verisoo::Ed25519;
use verisoo::sim::{Invariant, Plan, Profile, Report, SimDisk, Simulation, shrink};

/// Runs federations in virtual time, under faults, and checks what must hold.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the plan that one seed expands into.
    Run {
        /// The seed.
        #[arg(long)]
        seed: u64,
        #[command(flatten)]
        options: Options,
        /// Write the convergence curve to this file.
        #[arg(long)]
        plot: Option<PathBuf>,
        /// Sign with Ed25519 instead of the stand-in.
        #[arg(long)]
        ed25519: bool,
    },
    /// Run many seeds.
    Swarm {
        /// Which, as A..B.
        #[arg(long, value_parser = seeds, default_value = "0..18446744073709551615")]
        seeds: std::ops::Range<u64>,
        /// Stop after so long, as 60s or 5m.
        #[arg(long = "for", value_parser = duration)]
        time: Option<Duration>,
        /// Stop at the first failure.
        #[arg(long)]
        first: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Run a plan from a file.
    Replay {
        /// The plan, as `shrink` writes it.
        file: PathBuf,
        /// Print everything that happens.
        #[arg(long)]
        events: bool,
        /// End with one JSON object.
        #[arg(long)]
        json: bool,
        /// Write the convergence curve to this file.
        #[arg(long)]
        plot: Option<PathBuf>,
    },
    /// Leave entries out of a failing plan as long as it fails in the same way.
    Shrink {
        /// The seed.
        #[arg(long)]
        seed: u64,
        #[command(flatten)]
        options: Options,
        /// Where to write the plan.
        #[arg(short, long)]
        output: PathBuf,
    },
}

#[derive(clap::Args, Clone)]
struct Options {
    /// Honest nodes; by default the seed decides.
    #[arg(long)]
    nodes: Option<u32>,
    /// What kind of trouble.
    #[arg(long, value_enum, default_value_t = Trouble::Swarm)]
    profile: Trouble,
    /// Print everything that happens.
    #[arg(long)]
    events: bool,
    /// End with one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Trouble {
    Lite,
    Swarm,
    Byzantine,
    Disk,
    Perf,
    /// Swarm, byzantine, disk and lite in turn, by the seed.
    All,
}

impl Trouble {
    fn profile(self, seed: u64) -> Profile {
        match self {
            Self::All => [Profile::Swarm, Profile::Byzantine, Profile::Disk, Profile::Lite][seed as usize % 4],
            Self::Lite => Profile::Lite,
            Self::Swarm => Profile::Swarm,
            Self::Byzantine => Profile::Byzantine,
            Self::Disk => Profile::Disk,
            Self::Perf => Profile::Perf,
        }
    }
}

impl Trouble {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// How a simulation ended.
enum Ending {
    Report(Box<Report>),
    Panic,
}

const PANIC: u8 = 127;
const LIVENESS: u8 = 128;
const SAFETY: u8 = 129;
const TWO_TRACES: u8 = 130;

impl Ending {
    fn code(&self) -> u8 {
        match self {
            Self::Panic => PANIC,
            Self::Report(report) => match &report.violation {
                None => 0,
                Some(violation) => match violation.invariant {
                    Invariant::Liveness | Invariant::IdleTraffic => LIVENESS,
                    _ => SAFETY,
                },
            },
        }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Run { seed, options, plot, ed25519 } => {
            let plan = Plan::expand(seed, options.profile.profile(seed), options.nodes);
            let again = reproduce(seed, &options);
            one(&plan, options.events, options.json, ed25519, plot.as_deref(), &again)
        }
        Task::Swarm { seeds, time, first, options } => swarm::swarm(seeds, time, first, &options),
        Task::Replay { file, events, json, plot } => {
            let Some(plan) = fs::read_to_string(&file).ok().and_then(|text| Plan::from_json(&text)) else {
                eprintln!("{} holds no plan", file.display());
                return ExitCode::from(1);
            };
            let again = format!("replay {}", file.display());
            one(&plan, events, json, false, plot.as_deref(), &again)
        }
        Task::Shrink { seed, options, output } => {
            let plan = Plan::expand(seed, options.profile.profile(seed), options.nodes);
            let before = plan.entries.len();
            let plan = shrink(plan);
            if let Err(error) = fs::write(&output, plan.to_json()) {
                eprintln!("{}: {error}", output.display());
                return ExitCode::from(1);
            }
            println!("{} of {before} entries are left in {}", plan.entries.len(), output.display());
            let again = format!("replay {}", output.display());
            one(&plan, false, options.json, false, None, &again)
        }
    }
}

/// Runs one plan, and says how it went.
fn one(plan: &Plan, events: bool, json: bool, ed25519: bool, plot: Option<&Path>, again: &str) -> ExitCode {
    let clock = Clock::now();
    let ending = run(plan, events, ed25519);
    let seconds = clock.elapsed().as_secs_f64();
    let Ending::Report(report) = &ending else {
        println!("panicked; again with: simulate {again}");
        return ExitCode::from(PANIC);
    };
    if let Some(file) = plot
        && let Err(error) = plot::draw(report, plan.calm_at, file)
    {
        eprintln!("{}: {error}", file.display());
        return ExitCode::from(1);
    }
    let rate = report.events as f64 / seconds;
    print_report(report, rate, again);
    if json {
        println!("{}", report_json(report, rate));
    }
    ExitCode::from(ending.code())
}

fn run(plan: &Plan, events: bool, ed25519: bool) -> Ending {
    let plan = plan.clone();
    let run = move || {
        if ed25519 {
            watched(Simulation::<Ed25519, SimDisk>::with(plan, |_, plan| SimDisk::for_plan(plan)), events).run()
        } else {
            watched(Simulation::new(plan), events).run()
        }
    };
    catch_unwind(AssertUnwindSafe(run)).map_or(Ending::Panic, |report| Ending::Report(Box::new(report)))
}

fn watched<S: verisoo::Scheme>(mut simulation: Simulation<S, SimDisk>, events: bool) -> Simulation<S, SimDisk> {
    if events {
        simulation.observe(Box::new(|now, happening| println!("{:>12.6} {happening:?}", now as f64 / 1e6)));
    }
    simulation
}

/// The arguments that do the same again.
fn reproduce(seed: u64, options: &Options) -> String {
    let profile = options.profile.name();
    let mut line = format!("run --seed {seed} --profile {profile}");
    if let Some(nodes) = options.nodes {
        let _ = write!(line, " --nodes {nodes}");
    }
    line
}

fn print_report(report: &Report, rate: f64, again: &str) {
    let seconds = |micros: u64| micros as f64 / 1e6;
    println!(
        "{} events ({rate:.0}/s), {} crashes, {} forks ({} visible, {} proven)",
        report.events, report.crashes, report.forks_made, report.forks_visible, report.forks_proven,
    );
    println!(
        "{} messages ({:.1} times the least), {} bytes ({:.1} times the least: {} of records, {} of heads, {} of \
         proofs)",
        report.messages,
        ratio(report.messages, report.optimum_messages),
        report.bytes,
        ratio(report.bytes, report.optimum_bytes),
        report.record_bytes,
        report.head_bytes,
        report.proof_bytes,
    );
    println!(
        "append to all: p50 {:.3} s, p99 {:.3} s; fork to proof: {}; over after {:.1} s; digest {:016x}",
        seconds(report.latency_p50),
        seconds(report.latency_p99),
        report.time_to_proof.map_or("-".into(), |time| format!("{:.3} s", seconds(time))),
        seconds(report.ended_at),
        report.digest,
    );
    for pending in &report.pending {
        println!("pending: {pending}");
    }
    if let Some(violation) = &report.violation {
        println!(
            "VIOLATION {:?} at {:.6} s on node {}: {}",
            violation.invariant,
            seconds(violation.at),
            violation.node,
            violation.what
        );
        println!("again with: cargo run -q --release -p verisoo-simulate -- {again}");
    }
}

/// How many times the optimum it was, to a thousandth.
fn ratio(of: u64, optimum: u64) -> f64 {
    (of as f64 / optimum.max(1) as f64 * 1_000.0).round() / 1_000.0
}

fn report_json(report: &Report, rate: f64) -> String {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("digest".into(), format!("{:016x}", report.digest).into());
        object.insert("violations".into(), u8::from(report.violation.is_some()).into());
        object.insert("messages_per_optimum".into(), ratio(report.messages, report.optimum_messages).into());
        object.insert("bytes_per_optimum".into(), ratio(report.bytes, report.optimum_bytes).into());
        object.insert("events_per_second".into(), (rate.round() as u64).into());
        object.remove("samples");
    }
    value.to_string()
}

fn seeds(text: &str) -> Result<std::ops::Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.filter(|range| !range.is_empty()).ok_or_else(|| "seeds are given as A..B".into())
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = if text.ends_with('m') { 60 } else { 1 };
    let number = text.trim_end_matches(['s', 'm']).parse::<u64>();
    number.map(|number| Duration::from_secs(number * unit)).map_err(|_| "a time is given as 60s or 5m".into())
}
