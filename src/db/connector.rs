//! How the pool opens connections, and how it finds out that one is dead.

use diesel::pg::PgConnection;
use diesel::r2d2::{ConnectionManager, Error as PoolError, ManageConnection};

/// Diesel's connections, tested without a round trip each time they are taken.
#[derive(Debug)]
pub(super) struct Connector(ConnectionManager<PgConnection>);

impl Connector {
    pub(super) fn new(url: String) -> Self {
        Self(ConnectionManager::new(url))
    }
}

impl ManageConnection for Connector {
    type Connection = PgConnection;
    type Error = PoolError;

    fn connect(&self) -> Result<PgConnection, PoolError> {
        self.0.connect()
    }

    /// Reads what has arrived, without waiting. The end of a connection arrives while it is idle: from a
    /// server that stops, or from the system here when its probes find nobody (`keepalives_idle`).
    fn is_valid(&self, connection: &mut PgConnection) -> Result<(), PoolError> {
        // A server that stops says why before it hangs up, and libpq reads one thing at a time.
        for _ in 0..2 {
            for notice in connection.notifications_iter() {
                notice.map_err(PoolError::QueryError)?;
            }
        }
        Ok(())
    }

    fn has_broken(&self, connection: &mut PgConnection) -> bool {
        self.0.has_broken(connection)
    }
}
