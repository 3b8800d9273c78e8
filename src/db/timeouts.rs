//! How long to wait for PostgreSQL and for the holders of its locks.
//!
//! A client gets an error within seconds. An operator ends sessions and disables users when something is
//! wrong, perhaps with an instance that hangs in a transaction: the command must not give up before
//! PostgreSQL gives up that instance, and it names the connections it waits for.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use tokio::time::sleep;

use super::connection_settings::Settings;
use super::{PgConnection, Unavailable, connect};
use crate::redaction::cleaned;

/// The time between two checks for blocking connections.
const LOOK: Duration = Duration::from_secs(1);

/// The waiting party.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timeouts {
    /// A client, which can try again.
    Client,
    /// An operator, whose command has to be carried out.
    Operator,
}

impl Timeouts {
    /// The limits of a connection. An instance can hold a lock for at most a minute (while it ends all sessions)
    /// and then for ten seconds in an idle transaction: an operator waits longer than both together.
    pub(super) fn settings(self) -> Settings {
        match self {
            Self::Client => &[
                ("statement_timeout", "'5s'"),
                ("lock_timeout", "'4s'"),
                ("idle_in_transaction_session_timeout", "'10s'"),
            ],
            Self::Operator => &[
                ("statement_timeout", "'100s'"),
                ("lock_timeout", "'90s'"),
                ("idle_in_transaction_session_timeout", "'10s'"),
            ],
        }
    }

    /// The longest wait for an answer. An operator's includes the wait for a lock and the end of all sessions.
    pub(super) fn answer(self) -> Duration {
        match self {
            Self::Client => Duration::from_secs(8),
            Self::Operator => Duration::from_secs(170),
        }
    }
}

/// Makes the two ends of a channel: the work reports which connection it has, and the waiting side watches it.
pub(super) fn watched(timeouts: Timeouts, url: &Arc<str>) -> (BackendSender, LockReporter) {
    match timeouts {
        Timeouts::Client => (BackendSender(None), LockReporter(None)),
        Timeouts::Operator => {
            let pid = Arc::new(AtomicI32::new(0));
            (
                BackendSender(Some(pid.clone())),
                LockReporter(Some((pid, url.clone()))),
            )
        }
    }
}

/// The end of the work, which reports its connection.
pub(super) struct BackendSender(Option<Arc<AtomicI32>>);

/// The end of the waiting side, which watches the connection.
pub(super) struct LockReporter(Option<(Arc<AtomicI32>, Arc<str>)>);

impl BackendSender {
    /// Reports the connection. A failure is ignored: the work goes on unwatched.
    pub(super) fn send(self, connection: &mut PgConnection) {
        let _ = connection.report_backend(self.0);
    }
}

impl LockReporter {
    /// Waits for the answer, and meanwhile logs the blocking connections.
    pub(super) async fn during<T>(self, answer: impl Future<Output = T>) -> T {
        let Some((pid, url)) = self.0 else {
            return answer.await;
        };
        tokio::select! {
            answer = answer => answer,
            never = watch(&url, &pid) => match never {},
        }
    }
}

/// Logs each connection that blocks this one, once.
async fn watch(url: &Arc<str>, pid: &AtomicI32) -> Infallible {
    let mut reported = Vec::new();
    loop {
        sleep(LOOK).await;
        let (url, pid) = (url.clone(), pid.load(Ordering::Relaxed));
        let look = tokio::task::spawn_blocking(move || blockers(&url, pid));
        // A failed look is retried.
        let Ok(Ok(blockers)) = look.await else {
            continue;
        };
        for Blocker { pid, words } in blockers {
            if !reported.contains(&pid) {
                reported.push(pid);
                let words = cleaned(&words);
                log::warn!(
                    "waiting for connection {pid} of PostgreSQL ({words}); to end it: select pg_terminate_backend({pid})"
                );
            }
        }
    }
}

#[derive(QueryableByName)]
struct Blocker {
    #[diesel(sql_type = Integer)]
    pid: i32,
    /// The connection's program, its origin, and its state.
    #[diesel(sql_type = Text)]
    words: String,
}

/// The connections that block this one. PostgreSQL says little about connections of another role.
fn blockers(url: &str, pid: i32) -> Result<Vec<Blocker>, Unavailable> {
    let blockers = diesel::sql_query(
        "select pid, concat_ws(', ', nullif(application_name, ''),
             case when client_port >= 0 then 'from ' || host(client_addr) when client_port = -1 then 'on its own machine' end,
             state || ' for ' || extract(epoch from clock_timestamp() - state_change)::bigint || ' s') as words
         from pg_stat_activity where pid = any(pg_blocking_pids($1)) order by pid",
    );
    Ok(blockers.bind::<Integer, _>(pid).load(&mut connect(url)?)?)
}
