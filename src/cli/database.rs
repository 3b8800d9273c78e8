//! `oneseat database ...`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Subcommand};
use indicatif::HumanBytes;

use super::serve::stop_signal;
use super::{Failure, output, progress};
use crate::app::{self, Progress, UpgradeControl, Upgraded};
use crate::config::{self, DatabaseSettings};

/// `oneseat database ...`
#[derive(Subcommand, Debug)]
pub(super) enum Database {
    /// Move the private PostgreSQL to the newest version on this machine
    ///
    /// Each major version of PostgreSQL keeps its files in a way of its own. When the operating system brings
    /// a new one, this copies the data for it. It needs the server programs of both versions, space for a
    /// second copy, and that no oneseat runs on the data. Sessions live on (to a
    /// version below 15 they all end).
    ///
    /// The old data stay in use until the copy is whole. Then the copy takes their place in one step, and
    /// they are kept beside it, in `server/pgdata.NN`. An interruption at any moment leaves data that start.
    /// Run it again afterwards.
    Upgrade(Upgrade),
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  After the operating system was upgraded, with oneseat stopped:
    oneseat database upgrade
  With the old programs in a place of your own:
    oneseat database upgrade --old-bin-dir /opt/postgresql-15/bin
  When all is well, remove the old data:
    rm -r ~/.local/share/oneseat/server/pgdata.15")]
pub(super) struct Upgrade {
    /// Directory of the server programs that made the data, if oneseat does not find them
    #[arg(long, value_name = "DIR")]
    old_bin_dir: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Database {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Upgrade(upgrade) => upgrade.run().await,
        }
    }
}

impl Upgrade {
    async fn run(self) -> Result<(), Failure> {
        let dir = config::private_database(&self.database)?;
        let old_programs = match &self.old_bin_dir {
            Some(bin) => Some(std::path::absolute(bin).map_err(Failure::failed)?),
            None => None,
        };
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stop = stop_signal(1)?;
        let mut upgrading = tokio::task::spawn_blocking({
            let is_stopped = is_stopped.clone();
            move || upgrade(&dir, old_programs.as_deref(), &is_stopped)
        });
        let done = tokio::select! {
            done = &mut upgrading => done,
            () = stop => {
                is_stopped.store(true, Ordering::Relaxed);
                upgrading.await
            }
        };
        match done.map_err(Failure::failed)?? {
            Upgraded::Nothing { version } => output::line(format_args!("up to date: PostgreSQL {version}")),
            Upgraded::Done { from, to, kept } => output::line(format_args!(
                "moved from PostgreSQL {from} to {to}; the old data are in {}: remove that when all is well",
                kept.display()
            )),
        }
    }
}

fn upgrade(dir: &Path, old_programs: Option<&Path>, is_stopped: &AtomicBool) -> Result<Upgraded, Failure> {
    let bar = progress::steps();
    let tell = |progress| match progress {
        Progress::Step(words) => bar.set_message(words),
        Progress::Copied { bytes, of } => {
            let (bytes, of) = (HumanBytes(bytes), HumanBytes(of));
            bar.set_message(format!("copying the data: {bytes} of about {of}"));
        }
    };
    let watch = UpgradeControl {
        tell: &tell,
        is_stopped,
    };
    let done = app::upgrade_private_database(dir, old_programs, &watch);
    bar.finish_and_clear();
    Ok(done?)
}
