//! The command line.

mod attest;
mod demo;
mod folder;
mod remote;
mod seconds;
mod serve;
mod show;
mod spread;
mod table;
mod verify;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use verisoo::Vkey;
use verisoo_node::client::BaseUrl;
use verisoo_node::keys;

/// Tamper-evident logs of signed records, replicated between nodes that check each other.
#[derive(Parser)]
#[command(name = "verisoo", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: demo::DemoArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Three nodes in one process attest the files of a folder and converge (the default command)
    Demo(demo::DemoArgs),
    /// Make a signing key
    Keygen {
        /// Where to write it; must not exist
        file: PathBuf,
        /// What others know the node by
        #[arg(long, default_value = "verisoo.example/node")]
        name: String,
    },
    /// Run a node whose logs are in memory
    Serve(serve::ServeArgs),
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
