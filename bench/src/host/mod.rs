//! The servers under test, in a process of their own: `oneseat-bench host`.
//!
//! It prints their addresses in one line of JSON, and ends when its standard input closes.

mod bare;
mod one_query;
mod oneseat;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use actix_web::rt;
use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::child::Child;
use crate::options;
use crate::seed::{self, Seeded};

/// The address of each server.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    pub oneseat: SocketAddr,
    /// The servers to compare oneseat with.
    pub others: Option<Others>,
}

/// The addresses of the servers to compare oneseat with.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Others {
    pub bare: SocketAddr,
    pub one_query: SocketAddr,
}

/// The settings in which the processes differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// Whether the servers to compare oneseat with run, too.
    pub with_others: bool,
    /// Whether oneseat remembers nothing.
    pub strict: bool,
    /// How many sessions oneseat may remember, if not its default.
    pub capacity: Option<usize>,
}

/// The process, as the benchmark sees it.
pub struct Host {
    pub child: Child,
    pub addresses: Addresses,
}

const START: Duration = Duration::from_secs(60);

impl Host {
    pub fn start(bench: &Bench, seeded: &Seeded, setup: Setup) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["host", "--database-url", &seeded.url]);
        if setup.with_others {
            command.arg("--with-others");
        }
        if setup.strict {
            command.arg("--strict");
        }
        if let Some(capacity) = setup.capacity {
            command.args(["--capacity", &capacity.to_string()]);
        }
        let mut child = Child::serve(bench, &format!("host-{}", seeded.database), &mut command)?;
        let addresses = child.first_line(START, |line| serde_json::from_str(line).ok())?;
        Ok(Self { child, addresses })
    }
}

/// Runs the servers in this process.
pub fn run(options: &options::Host) -> Result<()> {
    rt::System::new().block_on(serve(options))
}

async fn serve(options: &options::Host) -> Result<()> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let oneseat = oneseat::serve(options, workers).await?;
    let others = if options.with_others {
        let pool = one_query::pool(&options.database_url)?;
        let body = one_query::body(&pool, &seed::token(1))?;
        Some(Others {
            bare: bare::serve(body, workers)?,
            one_query: one_query::serve(pool, workers)?,
        })
    } else {
        None
    };
    let addresses = Addresses { oneseat, others };
    println!("{}", serde_json::to_string(&addresses)?);
    std::io::stdout().flush()?;
    // The parent process may have died.
    rt::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    std::process::exit(0);
}

fn listener() -> Result<TcpListener> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?)
}
