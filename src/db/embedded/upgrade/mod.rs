//! Moves the data to the newest version of PostgreSQL on this machine.
//!
//! The old data stay the data until the new ones are whole. Then both change places in one step, which a file
//! system does wholly or not at all. What an interruption leaves beside them is removed by the next start.
//!
//! `pg_upgrade` copies the files of the tables, so sessions live on, and what has ended stays ended. The old
//! data are a backup from then on. Its sessions are over before it becomes one, so going back to it
//! brings no session back (docs/decisions/0012).

mod contents;
mod copy;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::data_dir::DataDir;
use super::error::Error;
use super::programs::{Programs, Runner, command};
use super::server::{CLUSTER, Server};
use super::{DATABASE, create_database};
use crate::db::migrations;
use contents::Contents;

/// The programs that `pg_upgrade` runs of the old version, and of the new one.
const OF_THE_OLD: [&str; 2] = ["pg_controldata", "pg_resetwal"];
const OF_THE_NEW: [&str; 6] = [
    "pg_upgrade",
    "pg_controldata",
    "pg_dump",
    "pg_dumpall",
    "pg_resetwal",
    "psql",
];

/// `initdb` of this version and later turns checksums on unless it is told not to.
const CHECKSUMS_BY_DEFAULT: u32 = 18;

/// What a new cluster takes beside the copied data, in bytes: its own tables and two segments of its log.
const OVERHEAD: u64 = 100_000_000;

/// How long the server may take to write everything down. An upgrade needs an orderly stop.
const ORDERLY_STOP: Duration = Duration::from_secs(300);

/// How an upgrade ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgraded {
    /// The data already have the newest version on this machine.
    Nothing {
        /// That version.
        version: u32,
    },
    /// The data have another version now.
    Done {
        /// The version before.
        from: u32,
        /// The version now.
        to: u32,
        /// Where the old data are. Their sessions are over.
        kept: PathBuf,
    },
}

/// How far an upgrade has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The step that begins now.
    Step(&'static str),
    /// This many bytes of the new data are there.
    Copied {
        /// The bytes that are there.
        bytes: u64,
        /// The bytes of the old data: about as many are expected.
        of: u64,
    },
}

/// How the caller follows an upgrade, and stops it.
pub struct UpgradeControl<'a> {
    /// Called with the progress.
    pub tell: &'a (dyn Fn(Progress) + Sync),
    /// Set by the caller to stop the upgrade. It has no effect once the data change places.
    pub is_stopped: &'a AtomicBool,
}

impl UpgradeControl<'_> {
    fn step(&self, words: &'static str) -> Result<(), Error> {
        log::info!("{words}");
        (self.tell)(Progress::Step(words));
        self.goes_on()
    }

    fn goes_on(&self) -> Result<(), Error> {
        match self.is_stopped.load(Ordering::Relaxed) {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }
}

/// Moves the data to the newest version on this machine. `old_programs` is the directory of the programs that made
/// the data, if it is not a usual one. Blocks.
///
/// # Errors
/// See [`Error`]. Unless it says otherwise, the old data stay in use. Their schema may have been updated.
pub fn upgrade(
    dir: &Path,
    old_programs: Option<&Path>,
    watch: &UpgradeControl<'_>,
) -> Result<Upgraded, Error> {
    let runner = Runner::of_this_process()?;
    let no_data = || Error::NoData(dir.display().to_string());
    DataDir::check_is_ours(dir)?;
    let (data_dir, start_lock, server) = DataDir::claim(dir, &runner)?;
    let _alone = data_dir.alone_lock()?;
    let version = server.version()?.ok_or_else(no_data)?;
    let new = Programs::find(None, dir)?;
    if new.version == version {
        return Ok(Upgraded::Nothing { version });
    }
    let old = match old_programs {
        Some(bin) if new.version > version => of_version(version, bin)?,
        _ => Programs::find(Some(version), &server.path)?,
    };
    let upgrade = Upgrade {
        kept: format!("{CLUSTER}.{version}"),
        server: Server::new(server, runner.holding(start_lock), &[]),
        old: old.with(&OF_THE_OLD)?,
        new: new.with(&OF_THE_NEW)?,
    };
    let failed = match upgrade.run(watch) {
        // The data have changed places. The old data now have the name of unfinished ones, and must not be removed.
        done @ (Ok(_) | Err(Error::OldDataUnnamed { .. })) => return done,
        Err(error) => error,
    };
    let removed = upgrade.server.remove_unfinished(&upgrade.old);
    if !matches!(failed, Error::SignedOut(_)) {
        // If the upgrade was told to stop, that is why it failed.
        watch.goes_on()?;
        removed?;
    }
    Err(failed)
}

fn of_version(version: u32, bin: &Path) -> Result<Programs, Error> {
    let found = Programs::at(bin).filter(|programs| programs.version == version);
    found.ok_or_else(|| Error::OtherPrograms {
        bin: bin.display().to_string(),
        version,
    })
}

/// One upgrade.
struct Upgrade {
    server: Server,
    old: Programs,
    new: Programs,
    /// The name of the old data afterwards.
    kept: String,
}

impl Upgrade {
    fn run(&self, watch: &UpgradeControl<'_>) -> Result<Upgraded, Error> {
        if self.server.dir.has(&self.kept) {
            return Err(Error::InTheWay(self.path_of(&self.kept)));
        }
        self.server.remove_unfinished(&self.old)?;
        // The log of the old server is not copied.
        let size = self
            .size_of(CLUSTER)?
            .saturating_sub(self.size_of(&format!("{CLUSTER}/pg_wal"))?);
        self.has_space_for(size)?;

        watch.step("reading the old data")?;
        let contents = self.in_the_old(Contents::read)?;
        watch.step("making the new data")?;
        let unfinished = self.make_cluster(contents.has_checksums)?;
        self.copy(&unfinished, size, watch)?;
        watch.step("looking at the new data")?;
        self.look_at(&unfinished, &contents)?;
        // From here on the old data are a backup, or will be.
        watch.step("exchanging the data")?;
        let work = copy::work_of(&unfinished);
        self.server.step("rm", command("rm").args(["-rf", &work]))?;
        self.in_the_old(contents::mark_as_copy)
            .and_then(|()| self.exchange(&unfinished))
            .map_err(|error| Error::SignedOut(Box::new(error)))?;
        self.name_the_old(&unfinished)?;
        Ok(Upgraded::Done {
            from: self.old.version,
            to: self.new.version,
            kept: self.server.dir.path.join(&self.kept),
        })
    }

    /// Does something in the old data, with the schema up to date, and stops their server in order.
    fn in_the_old<T>(&self, act: impl FnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        self.server.start_with(&self.old)?;
        let url = self.server.url_of(DATABASE);
        let done = create_database(&self.server)
            .and_then(|()| Ok(migrations::run(&url)?))
            .and_then(|_| act(&url));
        let stopped = self.server.stop_cluster(&self.old, CLUSTER, "fast", ORDERLY_STOP);
        let done = done?;
        stopped.map(|()| done)
    }

    /// Makes the new cluster, with the settings of every private PostgreSQL. The copy is of blocks, so the cluster
    /// has checksums only if the old data have them.
    fn make_cluster(&self, has_checksums: bool) -> Result<String, Error> {
        let more: &[&str] = match has_checksums {
            true => &["--data-checksums"],
            false if self.new.version >= CHECKSUMS_BY_DEFAULT => &["--no-data-checksums"],
            false => &[],
        };
        let unfinished = self.server.make_cluster(&self.new, more)?;
        let work = copy::work_of(&unfinished);
        self.server
            .step("mkdir", command("mkdir").args(["-m", "700", &work]))?;
        // Tries whether the file system can exchange directories: better to know before an hour of copying.
        for _ in 0..2 {
            self.change_places(&unfinished, &work)?;
        }
        Ok(unfinished)
    }

    /// Starts the new server, compares its contents, and updates its planner's statistics, which are not copied.
    fn look_at(&self, unfinished: &str, old: &Contents) -> Result<(), Error> {
        self.server.start_cluster(&self.new, unfinished)?;
        let url = self.server.url_of(DATABASE);
        let looked = Contents::read(&url)
            .and_then(|new| new.is_that_of(old))
            .and_then(|()| contents::analyse(&url));
        let stopped = self
            .server
            .stop_cluster(&self.new, unfinished, "fast", ORDERLY_STOP);
        looked.and(stopped)
    }

    fn exchange(&self, unfinished: &str) -> Result<(), Error> {
        let dir = &self.server.dir;
        dir.sync().map_err(Error::at(&dir.path))?;
        self.change_places(unfinished, CLUSTER)
    }

    /// Gives the old data, which have the name of unfinished ones after the exchange, the name that is kept.
    fn name_the_old(&self, unfinished: &str) -> Result<(), Error> {
        let dir = &self.server.dir;
        // Power may fail here: then the old data are lost, and the new ones are whole.
        let renamed = dir.rename(unfinished, &self.kept);
        renamed.and_then(|()| dir.sync()).map_err(|error| {
            let is_unnamed = dir.has(unfinished);
            let old = self.path_of(if is_unnamed { unfinished } else { &self.kept });
            Error::OldDataUnnamed { old, error }
        })
    }

    fn change_places(&self, one: &str, other: &str) -> Result<(), Error> {
        let changed = self.server.dir.exchange(one, other);
        changed.map_err(|error| Error::NoExchange {
            dir: self.server.dir.path.display().to_string(),
            error,
        })
    }

    fn has_space_for(&self, size: u64) -> Result<(), Error> {
        const MEGABYTE: u64 = 1_000_000;
        let path = &self.server.dir.path;
        let free = self.server.dir.free_space().map_err(Error::at(path))?;
        let needed = size + OVERHEAD;
        match free >= needed {
            true => Ok(()),
            false => Err(Error::NoSpace {
                dir: path.display().to_string(),
                needed: needed.div_ceil(MEGABYTE),
                free: free / MEGABYTE,
            }),
        }
    }

    /// What an entry of the server's directory takes on the disk, in bytes.
    fn size_of(&self, name: &str) -> Result<u64, Error> {
        let mut du: Command = command("du");
        du.args(["-sk", name]).current_dir(&self.server.dir.path);
        let said = self.server.runner.read(&mut du).map_err(Error::program("du"))?;
        let kilobytes: u64 = said
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| Error::program("du")(&said))?;
        Ok(kilobytes * 1_024)
    }

    fn path_of(&self, name: &str) -> String {
        self.server.dir.path.join(name).display().to_string()
    }
}
