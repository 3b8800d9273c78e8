//! A connection that one thread keeps for itself.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::Pool;

use super::Unavailable;
use super::connector::{Connector, Pooled};
use super::fair_semaphore::FairSemaphore;
use crate::redaction::Secrets;

/// Plans are made once, for all values and table sizes: planning these short statements costs as much as
/// running them, and a plan for a small table would later read all of a large one.
const PLANNED_ONCE: &str = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
     set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

/// One connection of the pool, taken when first needed and kept. Its statements find single rows by index,
/// and are planned for that.
pub struct PinnedConnection {
    pool: Pool<Connector>,
    permits: FairSemaphore,
    credentials: Secrets,
    connection: Option<Pooled>,
}

impl PinnedConnection {
    /// Takes one permit away from the other callers, for as long as this lives.
    pub(super) fn new(pool: Pool<Connector>, permits: FairSemaphore, credentials: Secrets) -> Self {
        permits.forget();
        Self {
            pool,
            permits,
            credentials,
            connection: None,
        }
    }

    /// Runs `work`, and again on another connection when this one is dead, so that callers do not notice a
    /// restart of PostgreSQL. So `work` must be safe to run twice.
    ///
    /// # Errors
    /// Without a connection; PostgreSQL's own words.
    pub fn run<T>(&mut self, work: impl Fn(&mut PgConnection) -> QueryResult<T>) -> Result<T, Unavailable> {
        let was_kept = self.connection.is_some();
        match self.attempt(&work) {
            // The connection is dead or its server is stopping: it was dropped here, and another is tried
            // before it is used.
            Err(_) if was_kept && self.connection.is_none() => self.attempt(&work),
            answer => answer,
        }
    }

    fn attempt<T>(&mut self, work: impl Fn(&mut PgConnection) -> QueryResult<T>) -> Result<T, Unavailable> {
        // Taken out while in use: a panic must not leave a half-used connection there.
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

    fn take(&self) -> Result<Pooled, Unavailable> {
        // While a server stops, connections die that the pool has just found alive: each is tried once.
        let mut more = self.pool.max_size();
        loop {
            let connection = self.pool.get();
            let mut connection =
                connection.map_err(|error| Unavailable::without(&self.credentials, &error))?;
            match connection.batch_execute(PLANNED_ONCE) {
                Ok(()) => return Ok(connection),
                Err(_) if more > 0 => more -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for PinnedConnection {
    fn drop(&mut self) {
        self.permits.release();
    }
}
