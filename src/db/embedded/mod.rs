//! A private PostgreSQL for operators without one: same server, same guarantees, no setup.
//!
//! ```text
//! DATA_DIR/            owned by the user that runs oneseat
//!   start.lock         held while a process starts or stops the server; mode 0600, as the next
//!   in-use.lock        held, shared, by every process that uses it: the last one out stops the server
//!   server/            mode 0700, owned by the user that runs PostgreSQL; only that user writes in it
//!     pgdata/          the cluster; made under another name and renamed when it is whole
//!     pgdata.NN/       what it was before an upgrade, made by version NN; its sessions are over
//!     pgdata.new.*     a cluster that is not whole, and what belongs to it; the next start removes it
//!     run/             the Unix socket: there is no TCP port
//!     postgresql.log
//! ```
//!
//! A killed process leaves the server running and its locks released; the next process uses that server. The
//! operator's environment may configure other servers, so the programs do not get it (`programs`). libpq
//! reads the environment of this process, so a program that uses this module starts without variables named
//! `PG...`.

mod data_dir;
mod error;
mod lock;
mod programs;
mod server;
mod upgrade;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::{Bool, Text};

use super::Unavailable;
use super::connection::establish;
use data_dir::DataDir;
pub use error::Error;
use programs::Runner;
use server::Server;
pub use upgrade::{Progress, UpgradeControl, Upgraded, upgrade};

const DATABASE: &str = "oneseat";

/// How long the exit of a program waits for the start lock. Without the lock the server keeps running, and
/// the next program finds it.
const FAREWELL: Duration = Duration::from_secs(15);

/// A running private PostgreSQL, in use by this process until dropped.
#[derive(Debug)]
pub struct Embedded {
    dir: DataDir,
    server: Server,
    in_use: File,
}

impl Embedded {
    /// Makes the cluster if there is none, starts the server unless it runs, and marks it as in use.
    /// `settings` are PostgreSQL's, for the start of the server; each value is one plain word.
    ///
    /// # Errors
    /// See [`Error`]; a failure leaves nothing behind that would block the next start.
    pub fn open(dir: &Path, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let runner = Runner::of_this_process()?;
        let (dir, _start_lock, server) = DataDir::claim(dir, &runner)?;
        let in_use = dir.in_use_lock()?;
        let server = Server::new(server, runner, settings);
        let ready = server.start().and_then(|()| create_database(&server));
        if let Err(error) = ready {
            // A server without our database is stopped, unless another process uses it.
            if is_alone(&in_use) {
                let _ = server.stop();
            }
            return Err(error);
        }
        Ok(Self { dir, server, in_use })
    }

    /// Like [`open`](Self::open), but only for an existing cluster, so that a mistyped directory does not become a new
    /// and empty one.
    ///
    /// # Errors
    /// [`Error::NoData`], and those of [`open`](Self::open).
    pub fn open_existing(dir: &Path) -> Result<Self, Error> {
        DataDir::check_is_ours(dir)?;
        Self::open(dir, &[])
    }

    /// The connection URI of the program's own database.
    pub fn url(&self) -> String {
        self.server.url_of(DATABASE)
    }

    /// The connection URI of another database of this cluster.
    pub fn url_of(&self, database: &str) -> String {
        self.server.url_of(database)
    }

    /// Stops the server, even while it is in use.
    ///
    /// # Errors
    /// When `pg_ctl` fails, with its words.
    pub fn stop(&self) -> Result<(), Error> {
        self.server.stop()
    }

    /// Starts the server again if it died. Returns whether it had died.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn revive(&self) -> Result<bool, Error> {
        if self.server.is_listening() {
            return Ok(false);
        }
        let _start_lock = self.dir.start_lock(lock::LONGEST_WAIT)?;
        self.server.start()?;
        Ok(true)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Under the start lock no process joins; with the other lock held alone none is left.
        let stopped = self.dir.start_lock(FAREWELL).and_then(|_start_lock| {
            if is_alone(&self.in_use) {
                self.server.stop()?;
            }
            Ok(())
        });
        if let Err(error) = stopped {
            log::warn!("the private PostgreSQL did not stop: {error}");
        }
    }
}

fn is_alone(in_use: &File) -> bool {
    in_use.unlock().is_ok() && in_use.try_lock().is_ok()
}

fn create_database(server: &Server) -> Result<(), Error> {
    let mut connection = establish(&server.url_of("postgres")).map_err(Error::program("postgres"))?;
    let failed = |error| Error::program("create database")(Unavailable::from(error));
    let is_there = sql::<Bool>("exists (select from pg_database where datname = ")
        .bind::<Text, _>(DATABASE)
        .sql(")");
    // The caller holds the start lock, so nobody else creates it meanwhile.
    if diesel::select(is_there)
        .get_result(&mut connection)
        .map_err(failed)?
    {
        return Ok(());
    }
    diesel::sql_query(format!("create database {DATABASE}"))
        .execute(&mut connection)
        .map(drop)
        .map_err(failed)
}
