//! A gateway: a server of the federation that has a device on a serial line as a peer.
//!
//! ```text
//! cargo run --release -p verisoo-gateway -- demo [--json] [--seconds N] [--noise]
//! cargo run --release -p verisoo-gateway -- run --line /dev/ttyUSB0 --device VKEY --key FILE --peer URL=VKEY
//! ```
//!
//! `run` serves a device on a real line, see `docs/device.md`. The demo builds the firmware in
//! `examples/firmware`, starts it in QEMU, and shows that the device is a full member: its records reach a
//! server two hops away and are verified there, it follows the servers' logs, and when one of them signs two
//! histories it is the device that proves it.
//!
//! - `line`: the serial line; the device gets a URL, behind which it is a peer like any other
//! - `device`: what a gateway does for it; `run`: all its life, `port`: on a tty or over TCP
//! - `servers`: the gateway itself and the other servers, which are those of `verisoo-node`
//! - `emulator`: the firmware in QEMU
//! - `demo`: the story

mod demo;
mod device;
mod emulator;
mod line;
mod noise;
mod port;
mod run;
mod servers;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(about = "A server of the federation with a device on a serial line")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A device in QEMU, its gateway, and servers beyond: they converge, one of them forks, and the device
    /// proves it.
    Demo(DemoArgs),
    /// Be the gateway of a device on a real line, for good: a line that ends is opened again.
    Run(run::RunArgs),
}

#[derive(Args, Clone)]
struct DemoArgs {
    /// Print the result as JSON, on the last line.
    #[arg(long)]
    json: bool,
    /// Run for so long before the fork, even if everything has arrived before.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// Lose, repeat and change bytes on the serial line.
    #[arg(long)]
    noise: bool,
    /// Milliseconds between two readings of the device's sensor [default: 1000, or 200 with --seconds].
    #[arg(long)]
    reading_ms: Option<u32>,
    /// Give up after so many seconds without the next step.
    #[arg(long, default_value_t = 120)]
    patience: u64,
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    match Cli::parse().command {
        Command::Demo(args) => runtime.block_on(demo::demo(args)),
        Command::Run(args) => {
            let ended = runtime.block_on(run::run(args));
            // A thread may be waiting for the line, and nothing ends that.
            runtime.shutdown_background();
            ended
        }
    }
}
