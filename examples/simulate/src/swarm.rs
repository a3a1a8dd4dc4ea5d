//! Many seeds, one after the other, and what they add up to.

use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant as Clock};

use serde_json::json;
use verisoo::sim::{Plan, Report};

use super::{Ending, Options, TWO_TRACES, ratio, reproduce, run};

/// Every so many seeds one is run twice, for the traces to be compared.
const TWICE: u64 = 100;

#[derive(Default)]
struct Totals {
    seeds: u64,
    events: u64,
    messages: u64,
    bytes: u64,
    optimum_messages: u64,
    optimum_bytes: u64,
    record_bytes: u64,
    head_bytes: u64,
    proof_bytes: u64,
    crashes: u64,
    forks_made: u64,
    forks_visible: u64,
    forks_proven: u64,
    accusations: u64,
    false_accusations: u64,
    violations: u64,
    panics: u64,
    failed: Vec<u64>,
    slowest_p99: u64,
    slowest_proof: u64,
    code: u8,
}

pub fn swarm(seeds: Range<u64>, time: Option<Duration>, first: bool, options: &Options) -> ExitCode {
    let clock = Clock::now();
    let mut totals = Totals::default();
    for seed in seeds {
        if time.is_some_and(|time| clock.elapsed() >= time) {
            break;
        }
        let plan = Plan::expand(seed, options.profile.profile(seed), options.nodes);
        let ending = run(&plan, options.events, false);
        totals.seeds += 1;
        let code = ending.code();
        if code != 0 {
            totals.failed.push(seed);
            totals.violations += 1;
            totals.code = totals.code.max(code);
            let how = match &ending {
                Ending::Panic => "a panic".into(),
                Ending::Report(report) => report.violation.as_ref().map_or(String::new(), |violation| {
                    format!("{:?} on node {}: {}", violation.invariant, violation.node, violation.what)
                }),
            };
            println!("seed {seed}: {how}\n  again with: simulate {}", reproduce(seed, options));
        }
        match &ending {
            Ending::Panic => totals.panics += 1,
            Ending::Report(report) => {
                totals.add(report);
                if seed % TWICE == 0
                    && let Ending::Report(again) = run(&plan, false, false)
                    && again.digest != report.digest
                {
                    println!("seed {seed}: two traces of one plan");
                    totals.code = TWO_TRACES;
                    totals.violations += 1;
                }
            }
        }
        if first && code != 0 {
            break;
        }
        if totals.failed.len() >= 20 {
            println!("too many; enough is seen");
            break;
        }
    }
    let seconds = clock.elapsed().as_secs_f64();
    println!("{}", totals.json(seconds, options));
    ExitCode::from(totals.code)
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.events += report.events;
        self.messages += report.messages;
        self.bytes += report.bytes;
        self.optimum_messages += report.optimum_messages;
        self.optimum_bytes += report.optimum_bytes;
        self.record_bytes += report.record_bytes;
        self.head_bytes += report.head_bytes;
        self.proof_bytes += report.proof_bytes;
        self.crashes += report.crashes;
        self.forks_made += report.forks_made;
        self.forks_visible += report.forks_visible;
        self.forks_proven += report.forks_proven;
        self.accusations += report.accusations;
        self.false_accusations += report.false_accusations;
        self.slowest_p99 = self.slowest_p99.max(report.latency_p99);
        self.slowest_proof = self.slowest_proof.max(report.time_to_proof.unwrap_or(0));
    }

    fn json(&self, seconds: f64, options: &Options) -> String {
        json!({
            "profile": options.profile.name(),
            "seeds": self.seeds,
            "events": self.events,
            "events_per_second": (self.events as f64 / seconds).round() as u64,
            "seconds": seconds.round() as u64,
            "violations": self.violations,
            "panics": self.panics,
            "failed_seeds": self.failed,
            "forks_made": self.forks_made,
            "forks_visible": self.forks_visible,
            "forks_proven": self.forks_proven,
            "accusations": self.accusations,
            "false_accusations": self.false_accusations,
            "messages": self.messages,
            "bytes": self.bytes,
            "messages_per_optimum": ratio(self.messages, self.optimum_messages),
            "bytes_per_optimum": ratio(self.bytes, self.optimum_bytes),
            "optimum_messages": self.optimum_messages,
            "optimum_bytes": self.optimum_bytes,
            "optimum_record_bytes": self.record_bytes,
            "optimum_head_bytes": self.head_bytes,
            "optimum_proof_bytes": self.proof_bytes,
            "crashes": self.crashes,
            "slowest_latency_p99_us": self.slowest_p99,
            "slowest_time_to_proof_us": self.slowest_proof,
        })
        .to_string()
    }
}
