//! Parses the command line, starts the log, dispatches.

use std::process::ExitCode;

use oneseat::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::read();
    cli.start_log();
    cli.run()
}
