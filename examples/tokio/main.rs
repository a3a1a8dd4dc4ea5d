//! A verisoo federation on tokio and HTTP: `cargo run --release --example tokio` shows one of three nodes,
//! `-- help` what else it does.
//!
//! `driver` is the part to copy; `cli` is the command line around it.

mod cli;
mod driver;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes in one line: what went wrong is seldom where in this program.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
