//! From configuration to an open database, which every command needs first.

use super::Error;
use crate::auth::{Auth, Validator};
use crate::config::{DatabaseConfig, DatabaseLocation, Policy, SessionPolicy};
use crate::db::embedded::Embedded;
use crate::db::{Database, migrations};
use crate::sessions::watchers::Watchers;
use crate::users::Hasher;

/// A database that is up and up to date.
pub struct OpenDatabase {
    /// For libpq.
    pub url: String,
    /// Held for as long as the database is used.
    pub embedded: Option<Embedded>,
    /// The migrations that had to be applied.
    pub applied: Vec<String>,
}

impl OpenDatabase {
    /// Starts the private PostgreSQL if it is meant, and migrates. Blocks.
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

/// The use cases of a short command: one connection that waits as an operator does, one thread to hash on, nothing that validates
/// tokens, and no event streams. Its sessions end as their rows say, because it does not know the limits of the servers.
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
