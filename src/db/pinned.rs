//! A connection that one thread keeps for itself.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};

use super::Unavailable;
use super::fair_semaphore::FairSemaphore;
use crate::redaction::Secrets;

type Manager = ConnectionManager<PgConnection>;

/// Plans are made once, for whatever values and however many rows there will be: planning these short statements anew would cost as
/// much as running them, and a plan for a table that is small today would read all of it when it is large.
const PLANNED_ONCE: &str = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
     set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

/// One connection of the pool, taken when first needed and kept: the pool's test of a connection, one statement for each
/// time it is taken out, is paid once. What it is asked
/// finds single rows by index, and is planned for that.
pub struct PinnedConnection {
    pool: Pool<Manager>,
    turns: FairSemaphore,
    credentials: Secrets,
    connection: Option<PooledConnection<Manager>>,
}

impl PinnedConnection {
    /// Takes one connection's turn away from the others, for as long as this lives.
    pub(super) fn new(pool: Pool<Manager>, turns: FairSemaphore, credentials: Secrets) -> Self {
        turns.forget();
        Self {
            pool,
            turns,
            credentials,
            connection: None,
        }
    }

    /// Runs `work`, and once more on another connection when this one turns out to be dead: a restart of PostgreSQL is
    /// not the caller's affair. So it must be right to run it twice.
    ///
    /// # Errors
    /// No connection, or PostgreSQL's own words.
    pub fn run<T>(&mut self, work: impl Fn(&mut PgConnection) -> QueryResult<T>) -> Result<T, Unavailable> {
        let was_kept = self.connection.is_some();
        match self.attempt(&work) {
            // Dead or of a server that is going down: gone from here, and the pool tests it before it gives it out again.
            Err(_) if was_kept && self.connection.is_none() => self.attempt(&work),
            answer => answer,
        }
    }

    fn attempt<T>(&mut self, work: impl Fn(&mut PgConnection) -> QueryResult<T>) -> Result<T, Unavailable> {
        // Out of its place while it is used: a panic must not leave a half-used connection there.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.take()?,
        };
        let answer = work(&mut connection);
        if answer.is_ok() || diesel::sql_query("select 1").execute(&mut connection).is_ok() {
            self.connection = Some(connection);
        }
        Ok(answer?)
    }

    fn take(&self) -> Result<PooledConnection<Manager>, Unavailable> {
        let connection = self.pool.get();
        let mut connection = connection.map_err(|error| Unavailable::without(&self.credentials, &error))?;
        connection.batch_execute(PLANNED_ONCE)?;
        Ok(connection)
    }
}

impl Drop for PinnedConnection {
    fn drop(&mut self) {
        self.turns.give();
    }
}
