//! Parses the command line, starts the log, and runs the command.

use std::process::ExitCode;

use oneseat::cli::Cli;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    cli.start_log();
    cli.run()
}
