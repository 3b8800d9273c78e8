//! Removes rows that are no longer of use. Nothing depends on it: expired sessions are refused whether swept
//! or not.

use std::fmt;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use diesel::connection::{Connection, SimpleConnection};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use metrics::counter;
use tokio::time::sleep;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::metrics::{SWEEPS, SWEPT_ROWS};
use super::{Auth, Error, unwritten_ends};
use crate::config::SessionPolicy;
use crate::db::{OwnedConnection, PgConnection};
use crate::mail::{requests, undelivered};
use crate::sessions::{feed, history, known_origins, store};
use crate::users::{link, lockout, short_digest};

/// Rows per transaction: locks and waits stay short.
const BATCH: i64 = 1_000;

/// The key of an advisory lock: an arbitrary number, the same in every instance. The holder of the lock
/// sweeps, from the first batch to the last.
const SWEEP_LOCK: i64 = 0x6f6e_6573_6561_7402;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Expired sessions, and those that a backup brought back.
    pub sessions: usize,
    /// Endings past their retention.
    pub endings: usize,
    /// Failed sign-ins that no longer count.
    pub login_failures: usize,
    /// Expired links, old requests for mail, mails given up, and origins not seen for long.
    pub others: usize,
}

impl Swept {
    /// Did the sweep remove nothing?
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The number of removed rows.
    pub fn rows(&self) -> u64 {
        (self.sessions + self.endings + self.login_failures + self.others) as u64
    }
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sessions,
            endings,
            login_failures,
            others,
        } = self;
        write!(
            f,
            "{sessions} expired sessions, {endings} old endings, {login_failures} stale login failures and {others} other rows"
        )
    }
}

/// How far a sweep has come in each table. Earlier than this, only rows are left that other transactions have
/// locked. So no batch reads the dead rows of earlier batches again: the time for a million rows is linear,
/// not quadratic.
#[derive(Clone, Copy, Default)]
struct Frontier {
    sessions: DateTime<Utc>,
    endings: DateTime<Utc>,
    login_failures: DateTime<Utc>,
    links: DateTime<Utc>,
    mail_requests: DateTime<Utc>,
    known_origins: DateTime<Utc>,
    undelivered: DateTime<Utc>,
}

impl Auth {
    /// Sweeps until nothing is left, and passes running totals to `progress`. Returns `None` if another
    /// instance is sweeping.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; batches already removed stay removed.
    pub async fn sweep(&self, progress: impl Fn(Swept)) -> Result<Option<Swept>, Error> {
        let retention = self.policy.history.retention;
        // All batches use the connection that holds the lock: if it is lost, so is the lock, and the next
        // batch fails. Behind a pooler each batch takes the lock for itself.
        let mut connection = self.db.own().await?;
        if !connection.run(try_lock).await? {
            return Ok(None);
        }
        let policy = self.policy.sessions;
        let mut restored = 0;
        loop {
            let began = Instant::now();
            let write = |conn: &mut PgConnection| unwritten_ends::write_restored(conn).map_err(Error::from);
            match connection.run(write).await? {
                0 => break,
                some => restored += some,
            }
            sleep(began.elapsed()).await;
        }
        self.apply_limits(&mut connection).await?;
        let (mut total, mut frontier) = (Swept::default(), Frontier::default());
        loop {
            let began = Instant::now();
            let step = connection
                .run(move |conn| sweep_batch(conn, retention, &policy, frontier))
                .await?;
            let Some((swept, reached)) = step else {
                connection.run(unlock).await?;
                total.sessions += restored;
                counter!(SWEEPS).increment(1);
                counter!(SWEPT_ROWS).increment(total.rows());
                return Ok(Some(total));
            };
            frontier = reached;
            total.sessions += swept.sessions;
            total.endings += swept.endings;
            total.login_failures += swept.login_failures;
            total.others += swept.others;
            progress(total);
            // Leave half of the time to others: no request should wait for a sweep, and a million rows are a
            // lot of writing.
            sleep(began.elapsed()).await;
        }
    }

    /// Brings every session within this instance's limits, batch by batch: another instance may have looser
    /// ones, or this one had them before it was restarted.
    async fn apply_limits(&self, connection: &mut OwnedConnection) -> Result<(), Error> {
        let policy = self.policy.sessions;
        if policy == SessionPolicy::AS_STORED {
            // Commands have no limits.
            return Ok(());
        }
        let mut from = Uuid::nil();
        loop {
            let began = Instant::now();
            let reached = connection
                .run(move |conn| store::apply_limits(conn, &policy, from, BATCH).map_err(Error::from))
                .await?;
            match reached {
                Some(reached) => from = reached,
                None => return Ok(()),
            }
            sleep(began.elapsed()).await;
        }
    }

    /// About how many rows a sweep would remove now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn sweepable(&self) -> Result<u64, Error> {
        let retention = self.policy.history.retention;
        self.run(move |conn| {
            conn.transaction(|conn| {
                // The number is only displayed, so do not wait long for a lock, even where the caller's own
                // timeout is longer.
                conn.batch_execute("set local lock_timeout = '4s'")?;
                let rows = history::count_expired(conn)?
                    + history::count_forgettable(conn, retention)?
                    + lockout::count_stale(conn)?
                    + known_origins::count_stale(conn)?;
                Ok(rows.unsigned_abs())
            })
        })
        .await
    }
}

/// Takes the lock. The connection holds it from batch to batch, unless a pooler is in between: then this only
/// tells whether another instance has it.
fn try_lock(conn: &mut PgConnection) -> Result<bool, Error> {
    if conn.is_pooled() {
        return try_lock_one_batch(conn);
    }
    call_with_lock(conn, "pg_try_advisory_lock(")
}

/// Takes the lock for this transaction.
fn try_lock_one_batch(conn: &mut PgConnection) -> Result<bool, Error> {
    call_with_lock(conn, "pg_try_advisory_xact_lock(")
}

/// Releases the lock at once, not when PostgreSQL notices that the connection was closed.
fn unlock(conn: &mut PgConnection) -> Result<bool, Error> {
    if conn.is_pooled() {
        return Ok(true);
    }
    call_with_lock(conn, "pg_advisory_unlock(")
}

fn call_with_lock(conn: &mut PgConnection, function: &str) -> Result<bool, Error> {
    let call = sql::<Bool>(function).bind::<BigInt, _>(SWEEP_LOCK).sql(")");
    Ok(diesel::select(call).get_result(conn)?)
}

/// Sweeps one batch of each table, up to the new frontier. Returns `None` if nothing is left, or if, behind a
/// pooler, another instance has the lock and does the rest.
fn sweep_batch(
    conn: &mut PgConnection,
    retention: Duration,
    policy: &SessionPolicy,
    from: Frontier,
) -> Result<Option<(Swept, Frontier)>, Error> {
    let batch = conn.transaction::<_, Error, _>(|conn| {
        if conn.is_pooled() && !try_lock_one_batch(conn)? {
            return Ok(None);
        }
        let expired = history::sweep(conn, from.sessions, BATCH, policy)?;
        let endings = history::purge(conn, retention, from.endings, BATCH)?;
        let login_failures = lockout::sweep(conn, from.login_failures, BATCH)?;
        let links = link::sweep(conn, from.links, BATCH)?;
        let mail_requests = requests::sweep(conn, from.mail_requests, BATCH)?;
        let origins = known_origins::sweep(conn, from.known_origins, BATCH)?;
        let undelivered = undelivered::sweep(conn, from.undelivered, BATCH)?;
        let swept = Swept {
            sessions: expired.len(),
            endings: endings.len(),
            login_failures: login_failures.len(),
            others: links.len() + mail_requests.len() + origins.len() + undelivered.len(),
        };
        let reached = Frontier {
            sessions: latest(expired.iter().map(|session| session.ended_at), from.sessions),
            endings: latest(endings, from.endings),
            login_failures: latest(login_failures, from.login_failures),
            links: latest(links, from.links),
            mail_requests: latest(mail_requests, from.mail_requests),
            known_origins: latest(origins, from.known_origins),
            undelivered: latest(undelivered, from.undelivered),
        };
        Ok(Some((swept, reached, expired)))
    })?;
    let Some((swept, reached, expired)) = batch else {
        return Ok(None);
    };
    audit::ended(&expired, Actor::Time);
    let others = swept.others + give_up_mails(conn)?;
    let swept = Swept { others, ..swept };
    Ok((!swept.is_nothing()).then_some((swept, reached)))
}

/// Gives up mails that waited in the outbox for too long. Returns how many.
fn give_up_mails(conn: &mut PgConnection) -> QueryResult<usize> {
    // In its own transaction: one that has locked a row of the outbox must not wait for another lock.
    let given_up = conn.transaction(|conn| {
        let given_up = undelivered::give_up(conn, BATCH)?;
        if !given_up.is_empty() {
            feed::tell_lists(conn)?;
        }
        QueryResult::Ok(given_up)
    })?;
    for mail in &given_up {
        let why = format!("it waited since {:?}", mail.created_at);
        audit::mail_given_up(mail.kind, mail.id, &short_digest(&mail.email_digest), &why);
    }
    Ok(given_up.len())
}

fn latest(moments: impl IntoIterator<Item = DateTime<Utc>>, otherwise: DateTime<Utc>) -> DateTime<Utc> {
    moments.into_iter().max().unwrap_or(otherwise)
}
