//! A connection that one thread keeps for itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::connector::Pooled;
use super::{Database, Shared, Unavailable};
use crate::moment::Moment;

/// Plans are made once, for all values and table sizes: planning these short statements costs as much as
/// running them, and a plan for a small table would later read all of a large one.
const PLANNED_ONCE: &str = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
     set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

/// One connection of the pool, taken when first needed and kept. Its statements find single rows by index,
/// and are planned for that.
pub struct PinnedConnection {
    db: Database,
    /// With the number of its pool.
    connection: Option<(usize, Pooled)>,
}

/// Longer than PostgreSQL may take for a statement. What answers later was frozen, and may have been replaced
/// by another server in the meantime: its answer is worth nothing.
const DEADLINE: Duration = Duration::from_secs(6);

impl PinnedConnection {
    /// Takes one permit away from the other callers, for as long as this lives.
    pub(super) fn new(db: Database) -> Self {
        db.pinned.fetch_add(1, Ordering::Relaxed);
        db.shared().permits.forget();
        Self { db, connection: None }
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
        let (number, mut connection) = match self.connection.take() {
            Some(connection) => connection,
            None => self.take()?,
        };
        let asked = Moment::now();
        let answer = work(&mut connection);
        if !Moment::now().is_within(DEADLINE, asked) {
            self.db.replace(number);
            return Err(Unavailable::new(&"the answer came too late"));
        }
        if answer.is_ok() || diesel::sql_query("select 1").execute(&mut connection).is_ok() {
            self.connection = Some((number, connection));
        }
        Ok(answer?)
    }

    fn take(&self) -> Result<(usize, Pooled), Unavailable> {
        let Shared { pool, number, .. } = self.db.shared();
        // While a server stops, connections die that the pool has just found alive: each is tried once.
        let mut more = pool.max_size();
        loop {
            let connection = pool.get();
            let mut connection =
                connection.map_err(|error| Unavailable::without(&self.db.credentials, &error))?;
            match connection.batch_execute(PLANNED_ONCE) {
                Ok(()) => return Ok((number, connection)),
                Err(_) if more > 0 => more -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for PinnedConnection {
    fn drop(&mut self) {
        self.db.pinned.fetch_sub(1, Ordering::Relaxed);
        self.db.shared().permits.release();
    }
}
