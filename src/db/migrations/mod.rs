//! The migrations of the schema, which are part of the binary.

mod place;

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Integer, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::PgConnection;
use super::connection::{Purpose, open};
use super::connection_settings::Settings;
use super::safeguards::{self, Missing};
use crate::redaction::cleaned;
use place::Place;

/// Every migration, oldest first.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The key of the advisory lock, an arbitrary number. The holder of the lock may migrate.
const MIGRATION_LOCK: i64 = 0x6f6e_6573_6561_7401;

/// Why the schema could not be updated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection to the database.
    #[error(transparent)]
    Unavailable(super::Unavailable),
    /// A later version of the program has migrated the database.
    #[error(
        "the database has migration {0}, which this program does not know; \
         use a oneseat at least as new as the one that made it"
    )]
    Newer(String),
    /// Another process held the lock for too long.
    #[error(
        "{0} has held the lock of the migrations for 90 seconds; wait and try again, and end it only if it hangs"
    )]
    Held(String),
    /// The encoding of the database cannot hold what people write.
    #[error(
        "the database has the encoding {0}, in which most names cannot be written; \
         make another one: create database oneseat encoding 'UTF8' template template0"
    )]
    Encoding(String),
    /// There is no schema for the tables.
    #[error(
        "no schema of the search_path exists or may be used, so there is no place for the tables; \
         make one (create schema oneseat authorization {0}) and set it (alter role {0} set search_path = oneseat)"
    )]
    NoSchema(String),
    /// The role may not make tables.
    #[error(
        "the role {role} may not make tables in the schema {schema}; \
         allow it (grant create on schema {schema} to {role}), or make it the owner of the database"
    )]
    NoPermission {
        /// The role, as SQL names it.
        role: String,
        /// The schema, as SQL names it.
        schema: String,
    },
    /// The database is read-only.
    #[error(
        "the database is read-only, so its tables cannot be made or changed; \
         connect to the primary, or set default_transaction_read_only = off for this role"
    )]
    ReadOnly,
    /// What keeps the tables consistent is switched off, and this role may not switch it on.
    #[error(
        "session_replication_role is not 'origin', so PostgreSQL obeys no foreign key and fires few triggers; \
         a superuser can put that right (alter role ... reset session_replication_role, or the same for the database)"
    )]
    Replica,
    /// A restore has left something out, or somebody has switched it off.
    #[error(transparent)]
    Incomplete(#[from] Missing),
    /// A migration failed; the database is as it was before that one.
    #[error("a migration failed: {0}")]
    Failed(String),
}

impl From<super::Unavailable> for Error {
    /// Every connection sets `session_replication_role` where it is wrong. Only superusers may do so and, since
    /// PostgreSQL 15, roles with a grant for it.
    fn from(error: super::Unavailable) -> Self {
        if error.0.contains("session_replication_role") {
            return Self::Replica;
        }
        Self::Unavailable(error)
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        super::Unavailable::from(error).into()
    }
}

/// Updates the schema, one instance at a time, and returns what was applied. If nothing is to be done, it
/// does not wait.
///
/// # Errors
/// See [`Error`].
pub fn run(url: &str) -> Result<Vec<String>, Error> {
    let purpose = Purpose {
        limits: LIMITS,
        marks_copied_sessions: false,
    };
    let mut connection = open(url, purpose)?;
    let place = Place::of(&mut connection)?;
    place.can_hold_text()?;
    let mut applied = Vec::new();
    if !is_up_to_date(&mut connection)? {
        let schema = place.for_tables()?;
        while let Some(version) = apply_next(&mut connection, &schema)? {
            applied.push(version);
        }
        // A new connection finds the tables, and has their schema in its search path.
        connection = open(url, purpose)?;
    }
    safeguards::check(&mut connection)??;
    Ok(applied)
}

/// Runs a step of the program's own, if it is needed, until the step says that nothing is left. Each run is a
/// transaction that has the lock of the migrations.
///
/// # Errors
/// See [`Error`].
pub fn take_turns(
    url: &str,
    is_needed: impl FnOnce(&mut PgConnection) -> QueryResult<bool>,
    mut step: impl FnMut(&mut PgConnection) -> QueryResult<Step>,
) -> Result<(), Error> {
    let purpose = Purpose {
        limits: LIMITS,
        marks_copied_sessions: false,
    };
    let mut connection = open(url, purpose)?;
    if !is_needed(&mut connection)? {
        return Ok(());
    }
    let mut turn = || {
        connection.transaction(|connection| {
            let lock = sql_query("select pg_advisory_xact_lock($1)");
            lock.bind::<BigInt, _>(MIGRATION_LOCK).execute(connection)?;
            step(connection)
        })
    };
    while turn()? == Step::More {}
    Ok(())
}

/// Whether a step has left anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another step is needed.
    More,
    /// Nothing is left.
    Done,
}

/// Applies the first migration that is left, in a transaction that has the lock. Several instances may take turns.
fn apply_next(connection: &mut PgConnection, schema: &str) -> Result<Option<String>, Error> {
    let began = Instant::now();
    let mut is_reported = false;
    loop {
        let turn = connection.transaction::<_, Error, _>(|connection| {
            connection.batch_execute(&format!("set local search_path = {schema}, pg_temp"))?;
            if !try_lock(connection)? {
                return Ok(Turn::OfAnother);
            }
            if is_up_to_date(connection)? {
                return Ok(Turn::Nothing);
            }
            let diesel = connection.diesel_mut();
            let pending = diesel.pending_migrations(MIGRATIONS).map_err(failed)?;
            let Some(next) = pending.first() else {
                return Ok(Turn::Nothing);
            };
            let version = diesel.run_migration(next).map_err(failed)?;
            Ok(Turn::Applied(version.to_string()))
        })?;
        match turn {
            Turn::Applied(version) => return Ok(Some(version)),
            Turn::Nothing => return Ok(None),
            Turn::OfAnother if began.elapsed() >= LONGEST_WAIT => {
                return Err(Error::Held(holder(connection)));
            }
            Turn::OfAnother => {}
        }
        if began.elapsed() >= SOON && !is_reported {
            is_reported = true;
            log::warn!(
                "waiting for {}, which brings the schema up to date",
                holder(connection)
            );
        }
        std::thread::sleep(PAUSE);
    }
}

/// The result of one try.
enum Turn {
    Applied(String),
    /// The schema is up to date.
    Nothing,
    /// Another instance migrates.
    OfAnother,
}

/// Takes the lock for this transaction, if it is free.
fn try_lock(connection: &mut PgConnection) -> QueryResult<bool> {
    let lock = sql::<Bool>("pg_try_advisory_xact_lock(")
        .bind::<BigInt, _>(MIGRATION_LOCK)
        .sql(")");
    diesel::select(lock).get_result(connection)
}

/// The migration of a large table takes time, but the wait for a lock is limited.
const LIMITS: Settings = &[
    ("lock_timeout", "'90s'"),
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "'60s'"),
];

/// The longest wait for the lock. An operator's command waits as long for a lock.
const LONGEST_WAIT: Duration = Duration::from_secs(90);
/// After this time the log names the holder.
const SOON: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// Whether every migration of this program has been applied.
///
/// # Errors
/// [`Error::Newer`].
fn is_up_to_date(connection: &mut PgConnection) -> Result<bool, Error> {
    let known: Vec<String> = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .map_err(failed)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let applied = applied(connection)?;
    match applied.iter().find(|version| !known.contains(version)) {
        Some(unknown) => Err(Error::Newer(unknown.clone())),
        None => Ok(known.iter().all(|version| applied.contains(version))),
    }
}

/// The applied versions. This only reads: Diesel's own query creates the table first, which two processes
/// must not do at once.
fn applied(connection: &mut PgConnection) -> QueryResult<Vec<String>> {
    let is_there = sql::<Bool>("to_regclass('__diesel_schema_migrations') is not null");
    if !diesel::select(is_there).get_result(connection)? {
        return Ok(Vec::new());
    }
    let versions = sql_query("select version from __diesel_schema_migrations").load(connection)?;
    Ok(versions.into_iter().map(|Version { version }| version).collect())
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// Describes the connection that holds the lock.
fn holder(connection: &mut PgConnection) -> String {
    // PostgreSQL shows a 64-bit lock as two halves.
    let holder = sql_query(
        "select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1
             and database = (select oid from pg_database where datname = current_database())
             and (classid::bigint << 32 | objid::bigint) = $1",
    );
    match holder.bind::<BigInt, _>(MIGRATION_LOCK).get_result(connection) {
        Ok(Holder { pid }) => {
            format!("connection {pid} of PostgreSQL (to end it: select pg_terminate_backend({pid}))")
        }
        Err(_) => "a connection of PostgreSQL".to_owned(),
    }
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Failed(cleaned(&error.to_string()))
}
