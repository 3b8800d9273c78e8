//! The program itself, as an operator runs it.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::child::Child;
use crate::seed::Seeded;

const START: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(20);

/// A running `oneseat serve`.
pub struct Program {
    pub child: Child,
    pub address: SocketAddr,
}

/// `oneseat` with nothing in its environment that the benchmark did not put there.
pub fn command(bench: &Bench, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(bench.options.oneseat()?);
    command
        .args(words)
        .env_remove("DATABASE_URL")
        .env("RUST_LOG", "info");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ONESEAT_")) {
        command.env_remove(name);
    }
    Ok(command)
}

impl Program {
    pub fn serve(bench: &Bench, seeded: &Seeded, flags: &[&str]) -> Result<Self> {
        let mut command = command(bench, &["serve", "--bind", "127.0.0.1:0"])?;
        // All sign-ins here come from one address.
        command.args(["--login-rate", "off", "--database-url", &seeded.url]);
        let mut child = Child::start(bench, "oneseat", command.args(flags))?;
        let deadline = Instant::now() + START;
        while Instant::now() < deadline && !child.has_ended()? {
            let log = fs::read_to_string(child.stderr())?;
            if let Some((_, address)) = log.split_once("serving on http://")
                && let Some((address, _)) = address.split_once('\n')
            {
                return Ok(Self {
                    address: address.trim().parse()?,
                    child,
                });
            }
            std::thread::sleep(GLANCE);
        }
        // This error has the last output of the program.
        child.finish(Duration::ZERO)?;
        bail!("oneseat serve ended");
    }
}
