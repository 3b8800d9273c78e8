//! How the pool opens connections, and how it finds out that one is dead.

use diesel::r2d2::ManageConnection;

use super::connection::{Purpose, open};
use super::{PgConnection, Unavailable};

/// Opens connections to one database, tested without a round trip each time they are taken.
#[derive(Debug)]
pub(super) struct Connector {
    url: String,
    purpose: Purpose,
}

impl Connector {
    pub(super) fn new(url: &str, purpose: Purpose) -> Self {
        let url = url.to_owned();
        Self { url, purpose }
    }
}

impl ManageConnection for Connector {
    type Connection = PgConnection;
    type Error = Unavailable;

    fn connect(&self) -> Result<PgConnection, Unavailable> {
        open(&self.url, self.purpose)
    }

    /// Reads what has arrived, without waiting. The end of a connection arrives while it is idle: from a
    /// server that stops, or from the system here when its probes find nobody (`keepalives_idle`).
    fn is_valid(&self, connection: &mut PgConnection) -> Result<(), Unavailable> {
        // A server that stops says why before it hangs up, and libpq reads one thing at a time.
        for _ in 0..2 {
            connection.read_what_arrived()?;
        }
        Ok(())
    }

    fn has_broken(&self, connection: &mut PgConnection) -> bool {
        std::thread::panicking() || connection.is_broken()
    }
}
