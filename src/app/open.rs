//! Opens the database that is configured, which every command needs first.

use super::Error;
use crate::auth::{Auth, Validator};
use crate::config::{DatabaseConfig, DatabaseLocation, Policy, SessionPolicy};
use crate::db::embedded::Embedded;
use crate::db::{Database, migrations};
use crate::sessions::watchers::Watchers;
use crate::users::Hasher;

/// A database that runs, with its schema up to date.
pub struct OpenDatabase {
    /// The connection string for libpq.
    pub url: String,
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
            embedded,
            applied,
        })
    }
}

/// The use cases of a short command: one connection that waits patiently, one thread to hash on, no
/// validation of tokens, and no event streams. Its sessions end as their rows say, because a command does not
/// know the servers' limits.
///
/// # Errors
/// Those of [`OpenDatabase::open`], and [`Error::Unavailable`].
pub fn open_for_a_command(config: &DatabaseConfig, policy: Policy) -> Result<(Auth, OpenDatabase), Error> {
    let database = OpenDatabase::open(config)?;
    let policy = Policy {
        sessions: SessionPolicy::AS_STORED,
        ..policy
    };
    let db = Database::connect_patiently(&database.url)?;
    let validator = Validator::start(&db, 0, policy.sessions)?;
    let auth = Auth::new(db, Hasher::start(1)?, validator, Watchers::new(0), policy);
    Ok((auth, database))
}
