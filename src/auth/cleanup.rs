//! Removing what nobody can use any more. Nothing depends on it: expired sessions are refused whether swept or not.

use std::fmt;
use std::time::Duration;

use diesel::connection::Connection;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::audit::{self, Actor};
use super::{Auth, Error};
use crate::sessions::history;
use crate::users::lockout;

/// Rows removed in one transaction: short locks, short waits.
const BATCH: i64 = 1_000;

/// Any number, the same in every instance: whoever holds it sweeps.
const SWEEP_LOCK: i64 = 0x6f6e_6573_6561_7402;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Expired sessions.
    pub sessions: usize,
    /// Endings past their retention.
    pub endings: usize,
    /// Failures nobody needs to remember.
    pub login_failures: usize,
}

impl Swept {
    /// Was there nothing to remove?
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sessions,
            endings,
            login_failures,
        } = self;
        write!(
            f,
            "{sessions} expired sessions, {endings} old endings and {login_failures} stale login failures"
        )
    }
}

/// What one batch did.
enum Batch {
    /// Another instance is sweeping.
    Elsewhere,
    /// Removed this much.
    Removed(Swept),
}

impl Auth {
    /// Sweeps until nothing is left. `None`: another instance is at it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; batches already removed stay removed.
    pub async fn sweep(&self) -> Result<Option<Swept>, Error> {
        let retention = self.policy.history.retention;
        let mut total = Swept::default();
        loop {
            match self.db.run(move |conn| sweep_batch(conn, retention)).await? {
                Batch::Elsewhere => return Ok(None),
                Batch::Removed(swept) if swept.is_nothing() => return Ok(Some(total)),
                Batch::Removed(swept) => {
                    total.sessions += swept.sessions;
                    total.endings += swept.endings;
                    total.login_failures += swept.login_failures;
                }
            }
        }
    }
}

fn sweep_batch(conn: &mut PgConnection, retention: Duration) -> Result<Batch, Error> {
    let swept = conn.transaction::<_, Error, _>(|conn| {
        let lock = sql::<Bool>("pg_try_advisory_xact_lock(")
            .bind::<BigInt, _>(SWEEP_LOCK)
            .sql(")");
        if !diesel::select(lock).get_result::<bool>(conn)? {
            return Ok(None);
        }
        let expired = history::sweep(conn, BATCH)?;
        let swept = Swept {
            sessions: expired.len(),
            endings: history::purge(conn, retention, BATCH)?,
            login_failures: lockout::sweep(conn, BATCH)?,
        };
        Ok(Some((swept, expired)))
    })?;
    Ok(swept.map_or(Batch::Elsewhere, |(swept, expired)| {
        audit::ended(&expired, Actor::Time);
        Batch::Removed(swept)
    }))
}
