//! A verisoo federation on tokio and HTTP: `cargo run --release --example tokio` shows one of three nodes,
//! `-- help` what else it does.
//!
//! `driver` is the part to copy; `cli` is the command line around it.

mod cli;
mod driver;

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    cli::run(cli::Cli::parse()).await
}
