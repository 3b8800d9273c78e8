//! The shared parts of the tests: servers, databases, clients, browsers.

mod app;
mod browser;
mod client;
mod clocked;
mod database;
mod deadline;
mod driver;
mod events;
mod gate;
pub mod hostile;
mod idle;
mod mail;
mod no_sweep;
mod pooler;
mod program;
mod row_lock;
mod wire;

pub use app::{App, config, config_of, database_config, left};
pub use browser::Browser;
pub use client::{Answer, Client, PASSWORD};
pub use clocked::{Clocked, libfaketime};
pub use database::{Database, reap, sql};
pub use deadline::watch_command;
pub use driver::Engine;
pub use events::EventStream;
pub use gate::Gate;
pub use mail::{Mail, MailServer};
pub use no_sweep::NoSweep;
pub use pooler::Pooler;
pub use program::{Program, add_user, add_user_with, begun, oneseat, oneseat_with};
pub use row_lock::{RowLock, waiting};
pub use wire::{Lost, Wire};

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Exceeded only by a hang, not by a busy machine.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Repeats the question until the answer is yes; fails with `what` if it never is.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    let mut pauses = pauses(Duration::from_millis(50));
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {TIMEOUT:?}: {what}");
        tokio::time::sleep(pauses.next().unwrap_or_default()).await;
    }
}

/// Pauses between questions, each longer than the one before: what comes soon is seen soon, and who waits for long
/// leaves the processor to others.
fn pauses(longest: Duration) -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(Duration::from_millis(5)), move |pause| {
        Some((*pause * 3 / 2).min(longest))
    })
}

/// All files below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files
}
