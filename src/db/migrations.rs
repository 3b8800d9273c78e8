//! The schema's history, carried in the binary.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::pg::{Pg, PgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::establish;
use crate::redaction::cleaned;

/// Every migration, oldest first.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any number, the same in every instance: whoever holds it may migrate.
const MIGRATION_LOCK: i64 = 0x6f6e_6573_6561_7401;

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error(transparent)]
    Unavailable(#[from] super::Unavailable),
    /// A later version of the program has been here.
    #[error(
        "the database has migration {0}, which this program does not know; \
         use a oneseat at least as new as the one that made it"
    )]
    Newer(String),
    /// A migration did not apply; the database is as it was before that one.
    #[error("a migration failed: {0}")]
    Failed(String),
}

/// Brings the schema up to date, one instance at a time, and says what was applied.
///
/// # Errors
/// See [`Error`].
pub fn run(url: &str) -> Result<Vec<String>, Error> {
    let mut connection = establish(url)?;
    // Held by this connection, and so released however this function ends.
    connection
        .batch_execute(&format!("select pg_advisory_lock({MIGRATION_LOCK})"))
        .map_err(super::Unavailable::from)?;
    refuse_newer(&mut connection)?;
    let applied = connection.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(applied.iter().map(MigrationVersion::to_string).collect())
}

fn refuse_newer(connection: &mut PgConnection) -> Result<(), Error> {
    let known: Vec<String> = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .map_err(failed)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let applied = connection.applied_migrations().map_err(failed)?;
    match applied
        .iter()
        .map(MigrationVersion::to_string)
        .find(|version| !known.contains(version))
    {
        Some(unknown) => Err(Error::Newer(unknown)),
        None => Ok(()),
    }
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Failed(cleaned(&error.to_string()))
}
