//! The statements that an upgrade runs in the two databases.

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::super::error::Error;
use crate::db::connection::{Purpose, open};
use crate::db::connection_settings::Settings;
use crate::db::{PgConnection, Unavailable};

/// Statements have no time limit, because counting and analysing large tables takes long.
const LIMITS: Settings = &[("statement_timeout", "0"), ("lock_timeout", "'10s'")];

/// Counts the rows that must be the same before and after.
const ROWS: &str = "(select format('%s users, %s sessions (%s restored), %s ended sessions',
    (select count(*) from users), (select count(*) from sessions),
    (select count(*) from sessions where is_restored), (select count(*) from ended_sessions)))";

/// What is compared of a database.
#[derive(Debug)]
pub(super) struct Contents {
    /// Whether each block has a checksum.
    pub(super) has_checksums: bool,
    rows: String,
}

impl Contents {
    pub(super) fn read(url: &str) -> Result<Self, Error> {
        let mut connection = connected(url)?;
        let has_checksums = sql::<Bool>("current_setting('data_checksums') = 'on'");
        let (has_checksums, rows) = diesel::select((has_checksums, sql::<Text>(ROWS)))
            .get_result(&mut connection)
            .map_err(failed)?;
        Ok(Self { has_checksums, rows })
    }

    /// Fails unless these contents are a copy of the old ones.
    pub(super) fn is_that_of(&self, old: &Self) -> Result<(), Error> {
        match self.rows == old.rows {
            true => Ok(()),
            false => Err(Error::Differs {
                old: old.rows.clone(),
                new: self.rows.clone(),
            }),
        }
    }
}

/// Marks the old database as a copy. The next connection to it marks all its sessions as restored.
pub(super) fn mark_as_copy(url: &str) -> Result<(), Error> {
    let mut connection = connected(url)?;
    connection
        .batch_execute("update sessions_home set database = 0")
        .map_err(failed)
}

/// Updates the statistics of PostgreSQL's planner.
pub(super) fn analyse(url: &str) -> Result<(), Error> {
    connected(url)?.batch_execute("analyze").map_err(failed)
}

fn connected(url: &str) -> Result<PgConnection, Error> {
    let purpose = Purpose {
        limits: LIMITS,
        marks_copied_sessions: false,
    };
    open(url, purpose).map_err(Error::program("postgres"))
}

fn failed(error: diesel::result::Error) -> Error {
    Error::program("postgres")(Unavailable::from(error))
}
