//! The command line of a verisoo node: `verisoo demo` shows a federation of three, `verisoo help` what else
//! there is. In the repository's root it is `cargo run --release`.

mod cli;

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
