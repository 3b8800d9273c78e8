//! Measures oneseat's speed and memory, and those of others, in one run on one machine.
//!
//! | to read about | open |
//! |---|---|
//! | what can be asked for | [`options`] |
//! | what is measured, one file each | [`experiment`], [`experiments`] |
//! | what has to be reached | [`targets`] |
//! | the PostgreSQL behind it, thrown away afterwards | [`cluster`], [`seed`] |
//! | the servers under test, in a process of their own | [`host`], [`peer`], [`program`] |
//! | the load | [`wrk`], [`pgbench`], [`argon`], [`streams`] |
//! | processor time and memory | [`proc`] |
//! | what comes out | [`outcome`], [`report`] |
//!
//! Servers that are compared are measured in turns, round by round, and each ratio is taken within a round. So load of other
//! users of the machine slows all of them equally.

mod argon;
mod bench;
mod child;
mod cluster;
mod experiment;
mod experiments;
mod host;
mod http;
mod machine;
mod measure;
mod options;
mod outcome;
mod peer;
mod pgbench;
mod proc;
mod program;
mod report;
mod seed;
mod streams;
mod targets;
mod wrk;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use options::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Host(host)) => host::run(&host).map(|()| true),
        None => measure_all(cli.options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("oneseat-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every experiment finished. A failed experiment does not affect the others.
fn measure_all(options: options::Options) -> Result<bool> {
    proc::raise_open_files()?;
    let bench = bench::Bench::start(options)?;
    let mut report = report::Report::new(machine::Machine::look(&bench)?, &bench.options);
    for name in bench.options.experiments() {
        bench::say(format_args!("== {}", name.name()));
        match experiments::run(name, &bench) {
            Ok(outcome) => report.add(name, outcome),
            Err(error) => {
                bench::say(format_args!("{} FAILED: {error:#}", name.name()));
                report.fail(name, format!("{error:#}"));
            }
        }
        // Written after each experiment: a later one may be stopped or fail.
        report.write(&bench.options.out())?;
    }
    print!("{}", report.table()?);
    bench::say(format_args!("written to {}", bench.options.out().display()));
    Ok(!report.has_failures())
}
