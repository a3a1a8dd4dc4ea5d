//! The command line.

mod attest;
mod demo;
mod folder;
mod remote;
mod serve;
mod show;
mod spread;
mod table;
mod verify;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, Parser, Subcommand};
use verisoo::Vkey;
use verisoo_node::client::BaseUrl;
use verisoo_node::keys;
use verisoo_node::link::PeerAddress;

/// Tamper-evident logs of signed records, replicated between nodes that check each other.
#[derive(Parser)]
#[command(name = "verisoo", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: DemoArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Three nodes in one process attest the files of a folder and converge (the default command)
    Demo(DemoArgs),
    /// Make a signing key
    Keygen {
        /// Where to write it; must not exist
        file: PathBuf,
        /// What others know the node by
        #[arg(long, default_value = "verisoo.example/node")]
        name: String,
    },
    /// Run a node whose logs are in memory
    Serve(ServeArgs),
    /// Have a node sign and log a statement about each file: its path and SHA-256
    Attest {
        /// The node's admin listener
        #[arg(long, value_name = "URL")]
        admin: BaseUrl,
        /// The files, each named in its statement by its path as given here
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Show what a node has
    Status {
        /// The node, as http://HOST:PORT
        url: BaseUrl,
    },
    /// Print the signed head of a node's log (a C2SP checkpoint)
    Checkpoint {
        /// The node, as http://HOST:PORT
        url: BaseUrl,
    },
    /// Fetch the whole log of a key from a node, and check every record and proof
    Verify {
        /// The node, as http://HOST:PORT; any that holds the log
        url: BaseUrl,
        /// The key whose log it is
        #[arg(long)]
        vkey: Vkey,
    },
}

#[derive(Args)]
struct DemoArgs {
    /// The folder whose files are attested [default: the checkout where cargo runs this, otherwise the current folder]
    dir: Option<PathBuf>,
    /// Print one JSON object on the last line instead of a table
    #[arg(long)]
    json: bool,
    /// Give up when nothing has moved for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    patience: Duration,
}

#[derive(Args)]
struct ServeArgs {
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

pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command.unwrap_or(Command::Demo(cli.demo)) {
        Command::Demo(args) => demo::demo(args).await,
        Command::Keygen { file, name } => keygen(&file, &name),
        Command::Serve(args) => serve::serve(args).await,
        Command::Attest { admin, files } => attest::attest(&admin, &files).await,
        Command::Status { url } => show::status(&url).await,
        Command::Checkpoint { url } => show::checkpoint(&url).await,
        Command::Verify { url, vkey } => verify::verify(&url, &vkey).await,
    }
}

/// Makes a key, and prints its vkey.
fn keygen(file: &Path, name: &str) -> anyhow::Result<()> {
    println!("{}", keys::make(file, name)?.vkey());
    Ok(())
}

fn seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds = f64::from_str(text)?;
    let duration = Duration::try_from_secs_f64(seconds).context("seconds")?;
    if duration.is_zero() { Err(anyhow!("more than 0")) } else { Ok(duration) }
}
