//! Parses the command line, starts logging, dispatches.

use std::process::ExitCode;

use clap::Parser;
use oneseat::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    cli.run()
}
