//! Opens the database that is configured, which every command needs first.

use std::sync::Arc;

use super::Error;
use crate::auth::{Auth, Validator};
use crate::config::{DatabaseConfig, DatabaseLocation, Policy, SessionPolicy};
use crate::db::embedded::Embedded;
use crate::db::{Database, migrations};
use crate::sessions::feed::{Feed, Lease, RunningReader};
use crate::sessions::memory::Memory;
use crate::sessions::watchers::Watchers;
use crate::users::Hasher;

/// A database that runs, with its schema up to date.
pub struct OpenDatabase {
    /// The connection string for libpq.
    pub url: String,
    /// Reads what ended, for a command. Dropped before the database is.
    pub reader: Option<RunningReader>,
    /// Held for as long as the database is used.
    pub embedded: Option<Embedded>,
    /// The migrations that had to be applied.
    pub applied: Vec<String>,
}

impl OpenDatabase {
    /// Starts the private PostgreSQL if it is configured, and migrates. Blocks.
    ///
    /// # Errors
    /// [`Error::Embedded`], [`Error::Migrations`].
    pub fn open(config: &DatabaseConfig) -> Result<Self, Error> {
        let (url, embedded) = match &config.location {
            DatabaseLocation::Url(url) => (url.clone(), None),
            DatabaseLocation::Embedded(dir) => {
                let embedded = Embedded::open(dir, &[])?;
                (embedded.url(), Some(embedded))
            }
        };
        let applied = migrations::run(&url)?;
        Ok(Self {
            url,
            reader: None,
            embedded,
            applied,
        })
    }
}

/// The use cases of a short command: one connection that waits long, one thread to hash on, no
/// validation of tokens, and no event streams. Its sessions end as their rows say, because a command does not
/// know the servers' limits.
///
/// # Errors
/// Those of [`OpenDatabase::open`], and [`Error::Unavailable`].
pub fn open_for_a_command(config: &DatabaseConfig, policy: Policy) -> Result<(Auth, OpenDatabase), Error> {
    let mut database = OpenDatabase::open(config)?;
    let policy = Policy {
        sessions: SessionPolicy::AS_STORED,
        ..policy
    };
    let db = Database::connect_as_operator(&database.url)?;
    let (memory, watchers) = (Arc::new(Memory::new(0)), Watchers::new(0));
    let validator = Validator::start(&db, 0, memory.clone(), policy.sessions)?;
    let (feed, reader) = Feed::start(&database.url, Lease::AsSet, memory, watchers.clone())?;
    database.reader = Some(reader);
    let auth = Auth::new(db, Hasher::start(1)?, validator, watchers, feed, policy);
    Ok((auth, database))
}
