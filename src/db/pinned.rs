//! A connection that one thread keeps for itself.

use std::time::Duration;

use diesel::prelude::*;

use super::{BoundedConnection, Database, PgConnection, Unavailable};
use crate::moment::Moment;

/// The longest wait for an answer, longer than PostgreSQL may take for a statement. A server that answers later was
/// frozen, and may have been replaced by another one in the meantime: its answer is worth nothing.
const DEADLINE: Duration = Duration::from_secs(6);

/// The longest wait for a connection: of several servers each may take a while.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);

/// One connection beside the pool, opened at once and kept. Its statements find single rows by index,
/// and are planned for that.
pub struct PinnedConnection {
    db: Database,
    connection: BoundedConnection,
    /// The generation of the pool. When the pool is replaced, this connection is, too.
    pool: usize,
}

impl PinnedConnection {
    pub(super) fn new(db: Database) -> Self {
        let mut this = Self {
            connection: BoundedConnection::new(&db.url, "pinned connection"),
            pool: db.shared().generation,
            db,
        };
        // It connects at once: later the server may be read-only, and libpq then makes no new connection to it
        // (`target_session_attrs`). A failure is told when the connection is needed.
        let _ = this.attempt(|_| Ok(()));
        this
    }

    /// Runs `work`, and again on another connection when this one is dead, so that callers do not notice a
    /// restart of PostgreSQL. So `work` must be safe to run twice.
    ///
    /// # Errors
    /// When there is no connection, or no answer in time. Otherwise PostgreSQL's own words.
    pub fn run<T: Send + 'static>(
        &mut self,
        work: impl Fn(&mut PgConnection) -> QueryResult<T> + Clone + Send + 'static,
    ) -> Result<T, Unavailable> {
        let was_open = self.connection.is_open();
        match self.attempt(work.clone()) {
            Err(_) if was_open && !self.connection.is_open() => self.attempt(work),
            answer => answer,
        }
    }

    fn attempt<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let pool = self.db.shared().generation;
        if std::mem::replace(&mut self.pool, pool) != pool {
            self.connection.close();
        }
        if !self.connection.is_open() {
            self.connection.run(CONNECT_DEADLINE, PgConnection::plan_once)?;
        }
        let asked = Moment::now();
        // After a statement that failed, the connection is kept unless it is dead.
        let answer = self.connection.run(DEADLINE, move |conn| match work(conn) {
            Err(error) if conn.is_broken() || diesel::sql_query("select 1").execute(conn).is_err() => {
                Err(error)
            }
            answer => Ok(answer),
        });
        if !Moment::now().is_within(DEADLINE, asked) {
            self.connection.close();
            self.db.replace(pool);
            return Err(Unavailable::new(&"the answer came too late"));
        }
        Ok(answer??)
    }
}
