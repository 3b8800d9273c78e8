//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::experiment::Experiment;

/// Compares oneseat with others on a temporary PostgreSQL
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Subcommand)]
pub enum Command {
    /// Runs the servers under test, until its standard input closes; started by the benchmark itself
    #[command(hide = true)]
    Host(Host),
}

/// The servers in their own process, so that their processor time is separate from that of the load.
#[derive(Args)]
pub struct Host {
    #[arg(long)]
    pub database_url: String,
    /// Also run the bare handler and the one with a query for each request
    #[arg(long)]
    pub with_others: bool,
    /// Remember nothing: ask PostgreSQL about each token
    #[arg(long)]
    pub strict: bool,
    /// How many sessions may be remembered [default: oneseat's]
    #[arg(long)]
    pub capacity: Option<usize>,
}

#[derive(Args, Clone)]
pub struct Options {
    /// How often everything is measured in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each measurement takes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Connections that ask at the same time
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=250))]
    pub connections: u32,
    /// Live sessions in the database
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..))]
    sessions: u64,
    /// Expired sessions that are swept
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    expired: u64,
    /// Open event streams
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    streams: u64,
    /// Only these experiments
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Experiment>,
    /// One round of a second over little data, to check that everything still runs
    #[arg(long)]
    quick: bool,
    /// `scale` also measures ten million sessions
    #[arg(long)]
    pub large: bool,
    /// Where results.json, table.md and the plots go [default: docs/performance for a full run, else target/bench]
    #[arg(long)]
    out: Option<PathBuf>,
    /// The program itself, built for release [default: beside this program]
    #[arg(long, value_name = "PATH")]
    oneseat: Option<PathBuf>,
    /// Where the peers are, each in a directory with a program `run`
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))]
    pub peers: PathBuf,
}

impl Options {
    pub fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    pub fn seconds(&self) -> u32 {
        if self.quick { 1 } else { self.seconds }
    }

    pub fn sessions(&self) -> u64 {
        if self.quick { 2_000 } else { self.sessions }
    }

    pub fn expired(&self) -> u64 {
        if self.quick { 20_000 } else { self.expired }
    }

    pub fn streams(&self) -> u64 {
        self.streams.min(self.sessions())
    }

    /// How many sessions `scale` compares, the fewest first.
    pub fn scales(&self) -> Vec<u64> {
        match (self.quick, self.large) {
            (true, _) => vec![1_000, 2_000],
            (false, false) => vec![1_000, 100_000, 1_000_000],
            (false, true) => vec![1_000, 100_000, 1_000_000, 10_000_000],
        }
    }

    pub fn experiments(&self) -> Vec<Experiment> {
        let all = Experiment::ALL.into_iter();
        all.filter(|name| self.only.is_empty() || self.only.contains(name))
            .collect()
    }

    /// By default only full runs write the published results.
    pub fn out(&self) -> PathBuf {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        match &self.out {
            Some(out) => out.clone(),
            None if self.quick || !self.only.is_empty() => root.join("target/bench"),
            None => root.join("docs/performance"),
        }
    }

    pub fn oneseat(&self) -> Result<PathBuf> {
        let program = match &self.oneseat {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("oneseat"),
        };
        program
            .canonicalize()
            .with_context(|| format!("{}: build oneseat for release first", program.display()))
    }

    /// The options, for the report.
    pub fn words(&self) -> String {
        let Self { connections, .. } = self;
        let (rounds, seconds, sessions) = (self.rounds(), self.seconds(), self.sessions());
        let sessions = in_thousands(&sessions.to_string());
        format!("{rounds} rounds of {seconds} s, {connections} connections, {sessions} sessions")
    }
}

/// Digits with a comma before each three of them.
pub fn in_thousands(digits: &str) -> String {
    let mut spaced = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    spaced
}
