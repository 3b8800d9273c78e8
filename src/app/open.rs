//! Opens the database that is configured, which every command needs first.

use std::path::Path;

use super::Error;
use super::auth_builder::AuthBuilder;
use crate::auth::{Auth, Respelled, fill_in_plain_names, respell};
use crate::config::{DatabaseConfig, DatabaseLocation, Policy};
use crate::db::embedded::{self, Embedded, UpgradeControl, Upgraded};
use crate::db::migrations;
use crate::sessions::feed::RunningReader;

/// A database that runs, with its schema up to date.
pub struct OpenDatabase {
    /// The connection string for libpq.
    pub url: String,
    /// Held for as long as the database is used.
    pub embedded: Option<Embedded>,
    /// The migrations that had to be applied.
    pub applied: Vec<String>,
    /// The addresses that got today's spelling, and those that could not.
    pub respelled: Respelled,
}

/// What to do if there is no private PostgreSQL yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Make it. For the server, and for commands that people may run first.
    Made,
    /// Fail: its directory was mistyped.
    Refused,
}

/// What a command holds for as long as it uses the use cases. The fields are dropped in this order.
pub struct CommandResources {
    _reader: RunningReader,
    _embedded: Option<Embedded>,
}

impl OpenDatabase {
    /// Starts the private PostgreSQL if it is configured, and migrates. Blocks.
    ///
    /// # Errors
    /// [`Error::Embedded`], [`Error::Migrations`].
    pub fn open(config: &DatabaseConfig, absent: Absent) -> Result<Self, Error> {
        let (url, embedded) = match &config.location {
            DatabaseLocation::Url(url) => (url.clone(), None),
            DatabaseLocation::Embedded(dir) => {
                let embedded = match absent {
                    Absent::Made => Embedded::open(dir, &[])?,
                    Absent::Refused => Embedded::open_existing(dir)?,
                };
                (embedded.url(), Some(embedded))
            }
        };
        let applied = migrations::run(&url)?;
        let respelled = respell(&url).unwrap_or_else(|error| {
            // Go on all the same: without the new spelling some people cannot sign in, without the program nobody can.
            log::warn!("addresses with an older spelling keep it until the next start: {error}");
            Respelled::default()
        });
        if let Err(error) = fill_in_plain_names(&url) {
            log::warn!("searches do not find all names beyond ASCII until the next start: {error}");
        }
        Ok(Self {
            url,
            embedded,
            applied,
            respelled,
        })
    }
}

/// The use cases of a short command.
///
/// # Errors
/// Those of [`OpenDatabase::open`], and [`Error::Unavailable`].
pub fn open_for_a_command(
    config: &DatabaseConfig,
    policy: Policy,
    absent: Absent,
) -> Result<(Auth, CommandResources), Error> {
    let OpenDatabase { url, embedded, .. } = OpenDatabase::open(config, absent)?;
    let (auth, reader) = AuthBuilder::for_command(url, policy)?.start()?;
    let resources = CommandResources {
        _reader: reader,
        _embedded: embedded,
    };
    Ok((auth, resources))
}

/// Moves a private PostgreSQL to the newest version on this machine. Blocks.
///
/// # Errors
/// [`Error::Embedded`].
pub fn upgrade_private_database(
    dir: &Path,
    old_programs: Option<&Path>,
    watch: &UpgradeControl<'_>,
) -> Result<Upgraded, Error> {
    Ok(embedded::upgrade(dir, old_programs, watch)?)
}
