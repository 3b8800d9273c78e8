//! Prevents all sweeps except those that the test asks for.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::app::App;
use super::eventually;

/// Prevents every sweep except those that the test asks for, including the first of each instance, whenever
/// that comes.
pub struct NoSweep(PgConnection);

impl NoSweep {
    pub fn over(app: &App) -> Self {
        let mut no_sweep = Self(app.database().connect());
        no_sweep.run("select pg_advisory_lock(x'6f6e657365617402'::bigint)");
        no_sweep
    }

    /// Runs one sweep.
    pub async fn but_of(&mut self, app: &App) {
        self.run("select pg_advisory_unlock(x'6f6e657365617402'::bigint)");
        eventually("it has swept", async || {
            app.auth.sweep(|_| ()).await.unwrap().is_some()
        })
        .await;
        eventually("nobody sweeps any more", async || {
            let mine = "select pg_try_advisory_lock(x'6f6e657365617402'::bigint) as mine";
            diesel::sql_query(mine)
                .get_result::<Mine>(&mut self.0)
                .unwrap()
                .mine
        })
        .await;
    }

    fn run(&mut self, statement: &str) {
        self.0.batch_execute(statement).unwrap();
    }
}

#[derive(QueryableByName)]
struct Mine {
    #[diesel(sql_type = Bool)]
    mine: bool,
}
