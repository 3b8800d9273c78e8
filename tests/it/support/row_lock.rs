//! Rows that a test holds, so that transactions get them one after the other, in the order in which they came.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use tokio::task::spawn_blocking;

use super::{App, eventually};

/// An open transaction that holds rows.
pub struct RowLock(PgConnection);

impl RowLock {
    /// Locks these rows: a table, and perhaps a condition.
    pub fn on(app: &App, rows: &str) -> Self {
        Self::taken(app.database().connect(), rows)
    }

    /// Lets the one transaction that waits for these rows have them, and holds them again before the next one of the same
    /// request, which then waits.
    pub async fn let_one_pass(self, app: &App, rows: &'static str) -> Self {
        let connection = app.database().connect();
        let next = spawn_blocking(move || Self::taken(connection, rows));
        waiting(app, 2).await;
        self.let_go();
        let held = next.await.unwrap();
        waiting(app, 1).await;
        held
    }

    fn taken(mut connection: PgConnection, rows: &str) -> Self {
        connection
            .batch_execute(&format!("begin; select from {rows} for update"))
            .unwrap();
        Self(connection)
    }

    /// Runs statements in the transaction.
    pub fn execute(&mut self, statements: &str) {
        self.0.batch_execute(statements).unwrap();
    }

    /// Commits. The first in the queue goes on.
    pub fn let_go(mut self) {
        self.execute("commit");
    }
}

/// Waits until so many transactions of this database wait for a lock.
pub async fn waiting(app: &App, count: i64) {
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    eventually("transactions wait", async || {
        app.database().number(waiting) == count
    })
    .await;
}
