//! Parses the command line, starts the log, dispatches.

use std::process::ExitCode;

use clap::Parser;
use oneseat::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.start_log();
    cli.run()
}
