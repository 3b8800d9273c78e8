//! Load by wrk. A single failed request makes the result useless, so it is an error.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::child::Child;

const SCRIPT: &str = include_str!("wrk.lua");

/// Longer than the slowest answer of any server.
const TIMEOUT: &str = "20s";
/// How much longer than told wrk may run.
const GRACE: Duration = Duration::from_secs(40);

/// The requests.
#[derive(Clone)]
pub enum Requests {
    /// GET of a path, with one header line of the file each time.
    Get { path: String, headers: PathBuf },
    /// Sign-in with one body of the file each time.
    Login { bodies: PathBuf },
}

/// The load: target, connections and duration.
#[derive(Clone)]
pub struct Load {
    pub address: SocketAddr,
    pub requests: Requests,
    pub connections: u32,
    pub seconds: u32,
    /// Whether a 503 is counted as an answer, not as an error.
    pub may_be_busy: bool,
}

/// What wrk counted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Counted {
    pub requests: u64,
    pub microseconds: u64,
    /// The median time of an answer, in microseconds.
    pub p50: u64,
    /// The 99th percentile of the times, in microseconds.
    pub p99: u64,
    /// Answers with 503, where allowed.
    pub busy: u64,
    errors: Errors,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Errors {
    connect: u64,
    read: u64,
    write: u64,
    status: u64,
    timeout: u64,
}

/// A running wrk.
pub struct Running {
    child: Child,
    seconds: u32,
}

impl Load {
    /// Runs to the end.
    pub fn run(&self, bench: &Bench, name: &str) -> Result<Counted> {
        self.start(bench, name)?.finish()
    }

    pub fn start(&self, bench: &Bench, name: &str) -> Result<Running> {
        let script = bench.cluster.file("wrk.lua");
        fs::write(&script, SCRIPT)?;
        let child = Child::start(bench, &format!("wrk-{name}"), &mut self.command(&script))?;
        Ok(Running {
            child,
            seconds: self.seconds,
        })
    }

    fn command(&self, script: &Path) -> Command {
        let (method, path, file) = match &self.requests {
            Requests::Get { path, headers } => ("GET", path.as_str(), headers),
            Requests::Login { bodies } => ("POST", "/auth/login", bodies),
        };
        let threads = self.connections.min(2).to_string();
        let mut wrk = Command::new("wrk");
        wrk.args([
            "--threads",
            &threads,
            "--connections",
            &self.connections.to_string(),
        ])
        .args(["--duration", &format!("{}s", self.seconds), "--timeout", TIMEOUT])
        .arg("--script")
        .arg(script)
        .arg(format!("http://{}", self.address))
        .args(["--", method, path])
        .arg(file)
        .arg(&threads);
        if self.may_be_busy {
            wrk.arg("busy");
        }
        wrk
    }
}

impl Running {
    pub fn finish(self) -> Result<Counted> {
        let within = Duration::from_secs(u64::from(self.seconds)) + GRACE;
        Counted::parse(&self.child.finish(within)?)
    }
}

impl Counted {
    fn parse(output: &str) -> Result<Self> {
        let line = output.lines().rfind(|line| line.starts_with('{'));
        let counted: Self = serde_json::from_str(line.context("wrk said nothing that can be read")?)?;
        if counted.errors != Errors::default() {
            bail!("there were errors under load: {:?}", counted.errors);
        }
        if counted.requests == 0 || counted.microseconds == 0 {
            bail!("not one request was answered");
        }
        Ok(counted)
    }

    /// Answers per second, without 503.
    pub fn rate(&self) -> f64 {
        (self.requests - self.busy) as f64 / (self.microseconds as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(requests: u64, status: u64) -> String {
        format!(
            "Running 1s test @ http://127.0.0.1:1\n  2 threads and 128 connections\n\
             {{\"requests\":{requests},\"microseconds\":2000000,\"p50\":100,\"p99\":900,\"busy\":100,\
             \"errors\":{{\"connect\":0,\"read\":0,\"write\":0,\"status\":{status},\"timeout\":0}}}}\n"
        )
    }

    #[test]
    fn the_rate_counts_what_was_answered() {
        let counted = Counted::parse(&line(2_100, 0)).unwrap();
        assert_eq!((counted.p50, counted.p99), (100, 900));
        assert!((counted.rate() - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_over_errors_are_refused() {
        let error = Counted::parse(&line(2_100, 1)).unwrap_err().to_string();
        assert!(error.contains("status: 1"), "{error}");
        assert!(Counted::parse(&line(0, 0)).is_err());
        assert!(Counted::parse("unable to connect to 127.0.0.1:1").is_err());
    }
}
