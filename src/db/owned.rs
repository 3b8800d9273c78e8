//! A connection for one long piece of work.

use diesel::connection::SimpleConnection;
use tokio::time::timeout;

use crate::request_id::RequestId;

use super::timeouts::Timeouts;
use super::{PgConnection, Unavailable, connect};

/// Limits the time between two transactions: a process that freezes there must not hold its locks for ever. The
/// setting exists since PostgreSQL 14.
const IDLE_BOUND: &str = "select set_config('idle_session_timeout', '5min', false) \
     where current_setting('server_version_num')::int >= 140000";

/// One connection outside the pool, for work of many transactions. A session-level lock (an advisory lock)
/// lasts for all of it, and is released however the work ends. A failed connection is not replaced, because
/// its locks are gone.
pub struct OwnedConnection {
    /// `None` while in use: a caller that stops waiting loses the connection.
    connection: Option<PgConnection>,
}

impl OwnedConnection {
    pub(super) async fn open(url: String) -> Result<Self, Unavailable> {
        let connection = in_time(move || {
            let mut connection = connect(&url)?;
            if !connection.is_pooled() {
                connection.batch_execute(IDLE_BOUND)?;
            }
            Ok::<_, Unavailable>(connection)
        })
        .await??;
        Ok(Self {
            connection: Some(connection),
        })
    }

    /// Runs `work` with the connection, off the async threads.
    ///
    /// # Errors
    /// Those of `work`, and [`Unavailable`] when this or an earlier answer did not come in time.
    pub async fn run<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        let Some(mut connection) = self.connection.take() else {
            return Err(Unavailable::new(&"the connection is gone").into());
        };
        let (connection, answer) = in_time(move || {
            let answer = work(&mut connection);
            (connection, answer)
        })
        .await?;
        self.connection = Some(connection);
        answer
    }
}

async fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unavailable> {
    timeout(
        Timeouts::Client.answer(),
        tokio::task::spawn_blocking(RequestId::carried(work)),
    )
    .await
    .map_err(|_| Unavailable::new(&"no answer in time"))?
    .map_err(|error| Unavailable::new(&error))
}
