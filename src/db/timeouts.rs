//! How long to wait for PostgreSQL, and for those who hold what is needed there.
//!
//! A client is told within seconds that it cannot be served now. An operator ends sessions and disables users when something
//! is wrong, perhaps with an instance that hangs in the middle of a transaction: then the command must not give up before
//! PostgreSQL gives up that instance, and says whom it waits for.

use std::sync::Arc;
use std::time::Duration;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::{Unavailable, connect};
use crate::redaction::cleaned;

/// Between two looks at whom an operator waits for.
const LOOK: Duration = Duration::from_secs(1);

/// Who waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timeouts {
    /// Somebody who can come again.
    Client,
    /// Somebody whose command has to be carried out.
    Operator,
}

impl Timeouts {
    /// What bounds a connection. The longest that an instance can hold a lock is an end of every session (a minute) and then
    /// ten seconds of a transaction that is forgotten: an operator waits longer than both.
    pub(super) fn settings(self) -> &'static str {
        match self {
            Self::Client => {
                "set statement_timeout = '5s'; set lock_timeout = '4s'; \
                 set idle_in_transaction_session_timeout = '10s'"
            }
            Self::Operator => {
                "set statement_timeout = '100s'; set lock_timeout = '90s'; \
                 set idle_in_transaction_session_timeout = '10s'"
            }
        }
    }

    /// How long a caller waits for its answer: for an operator, the wait for a lock and an end of every session.
    pub(super) fn answer(self) -> Duration {
        match self {
            Self::Client => Duration::from_secs(8),
            Self::Operator => Duration::from_secs(170),
        }
    }
}

/// Two ends: the work tells which connection it has got, and whoever waits for the work watches that connection.
pub(super) fn watched(timeouts: Timeouts, url: &Arc<str>) -> (Tells, Waits) {
    match timeouts {
        Timeouts::Client => (Tells(None), Waits(None)),
        Timeouts::Operator => {
            let (tell, told) = oneshot::channel();
            (Tells(Some(tell)), Waits(Some((told, url.clone()))))
        }
    }
}

/// See [`watched`].
pub(super) struct Tells(Option<oneshot::Sender<i32>>);

/// See [`watched`].
pub(super) struct Waits(Option<(oneshot::Receiver<i32>, Arc<str>)>);

impl Tells {
    /// What cannot be told is no reason to fail: the work goes on unwatched.
    pub(super) fn of(self, connection: &mut PgConnection) {
        if let Some(tell) = self.0
            && let Ok(Process { pid }) =
                diesel::sql_query("select pg_backend_pid() as pid").get_result(connection)
        {
            let _ = tell.send(pid);
        }
    }
}

impl Waits {
    /// Waits for the answer, and says meanwhile who keeps it waiting.
    pub(super) async fn beside<T>(self, answer: impl Future<Output = T>) -> T {
        let Some((told, url)) = self.0 else {
            return answer.await;
        };
        let watching = async {
            if let Ok(pid) = told.await {
                watch(&url, pid).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = answer => answer,
            () = watching => unreachable!("it watches without end"),
        }
    }
}

/// Says for whom this connection waits, once for each of them.
async fn watch(url: &Arc<str>, pid: i32) {
    let mut told = Vec::new();
    loop {
        sleep(LOOK).await;
        let url = url.clone();
        let look = tokio::task::spawn_blocking(move || blockers(&url, pid));
        // Not to know is nothing new for somebody who waits.
        let Ok(Ok(blockers)) = look.await else {
            continue;
        };
        for Blocker { pid, words } in blockers {
            if !told.contains(&pid) {
                told.push(pid);
                let words = cleaned(&words);
                log::warn!(
                    "waiting for connection {pid} of PostgreSQL ({words}); to end it: select pg_terminate_backend({pid})"
                );
            }
        }
    }
}

#[derive(QueryableByName)]
struct Process {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

#[derive(QueryableByName)]
struct Blocker {
    #[diesel(sql_type = Integer)]
    pid: i32,
    /// Whose it is, from where, and what it does.
    #[diesel(sql_type = Text)]
    words: String,
}

/// Whom this connection waits for. Of another role's connections PostgreSQL tells little.
fn blockers(url: &str, pid: i32) -> Result<Vec<Blocker>, Unavailable> {
    let blockers = diesel::sql_query(
        "select pid, concat_ws(', ', nullif(application_name, ''),
             case when client_port >= 0 then 'from ' || host(client_addr) when client_port = -1 then 'on its own machine' end,
             state || ' for ' || extract(epoch from clock_timestamp() - state_change)::bigint || ' s') as words
         from pg_stat_activity where pid = any(pg_blocking_pids($1)) order by pid",
    );
    Ok(blockers.bind::<Integer, _>(pid).load(&mut connect(url)?)?)
}
