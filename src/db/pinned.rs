//! A connection that one thread keeps for itself.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::Pool;

use super::connector::{Connector, Pooled};
use super::{Database, Shared, Unavailable};
use crate::moment::Moment;

/// Plans are made once, for all values and table sizes: planning these short statements costs as much as
/// running them, and a plan for a small table would later read all of a large one.
const PLANNED_ONCE: &str = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
     set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off; \
     set enable_indexscan = on; set enable_indexonlyscan = on; set enable_nestloop = on";

/// One connection of the pool, taken when first needed and kept. Its statements find single rows by index,
/// and are planned for that.
pub struct PinnedConnection {
    db: Database,
    connection: Option<Pooled>,
    /// The number of the pool in which it takes one permit away from the other callers.
    pool: usize,
}

/// Longer than PostgreSQL may take for a statement. What answers later was frozen, and may have been replaced
/// by another server in the meantime: its answer is worth nothing.
const DEADLINE: Duration = Duration::from_secs(6);

impl PinnedConnection {
    pub(super) fn new(db: Database) -> Self {
        let Shared { permits, number, .. } = db.shared();
        permits.forget();
        Self {
            db,
            connection: None,
            pool: number,
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
        let asked = Moment::now();
        let Shared {
            pool,
            permits,
            number,
            ..
        } = self.db.shared();
        if std::mem::replace(&mut self.pool, number) != number {
            // The others in its pool were given up.
            self.connection = None;
            permits.forget();
        }
        // Taken out while in use: a panic must not leave a half-used connection there.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.take(&pool)?,
        };
        let answer = work(&mut connection);
        if !Moment::now().is_within(DEADLINE, asked) {
            self.db.replace(number);
            return Err(Unavailable::new(&"the answer came too late"));
        }
        if answer.is_ok() || diesel::sql_query("select 1").execute(&mut connection).is_ok() {
            self.connection = Some(connection);
        }
        Ok(answer?)
    }

    fn take(&self, pool: &Pool<Connector>) -> Result<Pooled, Unavailable> {
        // While a server stops, connections die that the pool has just found alive: each is tried once.
        let mut more = pool.max_size();
        loop {
            let connection = pool.get();
            let mut connection =
                connection.map_err(|error| Unavailable::without(&self.db.credentials, &error))?;
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
        let Shared { permits, number, .. } = self.db.shared();
        if self.pool == number {
            permits.release();
        }
    }
}
