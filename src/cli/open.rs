//! From configuration to use cases: what every command does first.

use super::{Failure, log};
use crate::auth::{Auth, Validator};
use crate::config::{DatabaseConfig, DatabaseLocation, Policy, SessionPolicy};
use crate::db::embedded::Embedded;
use crate::db::{Database, migrations};
use crate::sessions::watchers::Watchers;
use crate::users::Hasher;

/// A database that is up and up to date.
pub(super) struct Opened {
    pub(super) url: String,
    /// Held for as long as the database is used.
    pub(super) embedded: Option<Embedded>,
    /// What had to be applied.
    pub(super) applied: Vec<String>,
}

/// How many threads do what.
pub(super) struct Threads {
    pub(super) hashers: usize,
    /// Fewer than the database has connections: each takes one.
    pub(super) validators: usize,
}

impl Opened {
    /// Starts the private PostgreSQL if it is meant, and migrates.
    pub(super) fn open(config: &DatabaseConfig) -> Result<Self, Failure> {
        let (url, embedded) = match &config.location {
            DatabaseLocation::Url(url) => (url.clone(), None),
            DatabaseLocation::Embedded(dir) => {
                if !dir.join("pgdata").exists() {
                    log::meanwhile(format_args!(
                        "Making a private PostgreSQL in {} ...",
                        dir.display()
                    ));
                }
                let embedded = Embedded::open(dir, &[]).map_err(Failure::failed)?;
                (embedded.url(), Some(embedded))
            }
        };
        let applied = migrations::run(&url).map_err(Failure::failed)?;
        Ok(Self {
            url,
            embedded,
            applied,
        })
    }

    /// The use cases over it.
    pub(super) fn auth(
        &self,
        pool_size: u32,
        threads: Threads,
        watchers: Watchers,
        policy: Policy,
    ) -> Result<Auth, Failure> {
        let db = Database::connect(&self.url, pool_size).map_err(Failure::failed)?;
        auth_over(db, threads, watchers, policy)
    }
}

/// What the short commands need: they sign nobody in.
pub(super) fn open(config: &DatabaseConfig) -> Result<(Auth, Opened), Failure> {
    open_with(config, Policy::default())
}

/// The same with a policy: one connection that waits as an operator does, one thread to hash on, nobody who validates, and
/// nobody who watches.
pub(super) fn open_with(config: &DatabaseConfig, policy: Policy) -> Result<(Auth, Opened), Failure> {
    let opened = Opened::open(config)?;
    let threads = Threads {
        hashers: 1,
        validators: 0,
    };
    let policy = Policy {
        sessions: SessionPolicy::AS_STORED,
        ..policy
    };
    let db = Database::connect_patiently(&opened.url).map_err(Failure::failed)?;
    let auth = auth_over(db, threads, Watchers::new(0), policy)?;
    Ok((auth, opened))
}

fn auth_over(db: Database, threads: Threads, watchers: Watchers, policy: Policy) -> Result<Auth, Failure> {
    let hasher = Hasher::start(threads.hashers).map_err(Failure::failed)?;
    let validator = Validator::start(&db, threads.validators, policy.sessions).map_err(Failure::failed)?;
    Ok(Auth::new(db, hasher, validator, watchers, policy))
}
