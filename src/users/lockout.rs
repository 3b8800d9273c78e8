//! The table `login_failures` counts wrong passwords for each address, with or without an account (law 7).
//! Enough of them lock the address for a while.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, exists, select};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Interval};

use super::email::email_digest;
use super::{Email, User};
use crate::config::LockoutPolicy;
use crate::db::PgConnection;
use crate::db::clock::{interval, now};
use crate::db::prepared::Prepared;
use crate::db::schema::{login_failures, users};
use crate::db::stale::Stale;
use crate::sessions::feed::tell_lists_sql;

/// The age at which the sweeper deletes failures that no longer lock the address.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

const FAILURES: Stale = Stale {
    table: "login_failures",
    key: &["email_digest"],
    since: "updated_at",
    also: "(locked_until is null or locked_until <= now())",
};

/// The most locks that are listed. The others are only counted.
pub const MOST_LISTED: i64 = 500;

/// The effect of one more failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was counted.
    Counted,
    /// It was counted, and locked the address.
    Locked,
    /// It was not counted: other failures had locked the address meanwhile.
    WasLocked,
}

/// Whether the address is locked now.
pub fn is_locked(conn: &mut PgConnection, email: &Email) -> QueryResult<bool> {
    let lock = login_failures::table
        .find(email.digest().to_vec())
        .filter(login_failures::locked_until.gt(now().nullable()));
    select(exists(lock)).get_result(conn)
}

/// How long the address stays locked, in seconds, rounded up. `None` if it is not locked.
pub fn seconds_left(conn: &mut PgConnection, email: &Email) -> QueryResult<Option<i64>> {
    #[derive(QueryableByName)]
    struct Left {
        #[diesel(sql_type = BigInt)]
        seconds: i64,
    }
    let statement = diesel::sql_query(
        "select ceil(extract(epoch from locked_until - now()))::bigint as seconds
         from login_failures where email_digest = $1 and locked_until > now()",
    );
    let left: Option<Left> = statement
        .bind::<Binary, _>(email.digest().to_vec())
        .get_result(conn)
        .optional()?;
    Ok(left.map(|left| left.seconds))
}

/// An expression of a statement: whether the address with this digest is locked now.
pub fn is_locked_sql(email_digest: &str) -> String {
    format!(
        "exists (select from login_failures where email_digest = {email_digest} and locked_until > now())"
    )
}

/// Deletes the failures of the address with this digest, as the part `forgotten` of a statement. A lock
/// stays.
pub fn forget_sql(email_digest: &str) -> String {
    format!(
        "forgotten as (
             delete from login_failures
             where email_digest = {email_digest} and (locked_until is null or locked_until <= now())
         )"
    )
}

/// Counts one failure. The same statement tells the pages of admins of a new lock, so that they hear of every
/// lock. Concurrent failures are each counted once, or find the address locked. After a lock has expired, the
/// count starts anew.
pub fn record_failure(
    conn: &mut PgConnection,
    email: &Email,
    policy: &LockoutPolicy,
) -> QueryResult<Failure> {
    #[derive(QueryableByName)]
    struct Counted {
        #[diesel(sql_type = Bool)]
        is_locked: bool,
    }
    let tell = tell_lists_sql("counted where is_locked");
    let statement = diesel::sql_query(format!(
        "with counted as (
             insert into login_failures as f (email_digest, failed_attempts, locked_until)
             values ($1, 1, case when 1 >= $2 then now() + $3 end)
             on conflict (email_digest) do update set
                 failed_attempts = case when f.locked_until is null then least(f.failed_attempts, $2) + 1 else 1 end,
                 locked_until = case
                     when case when f.locked_until is null then least(f.failed_attempts, $2) + 1 else 1 end >= $2
                     then now() + $3
                 end,
                 updated_at = now()
             where f.locked_until is null or f.locked_until <= now()
             returning locked_until is not null as is_locked
         ), told as ({tell})
         select is_locked from counted"
    ))
    .bind::<Binary, _>(email.digest().to_vec())
    .bind::<Integer, _>(policy.max_failed_attempts)
    .bind::<Interval, _>(interval(policy.duration));
    let counted = Prepared::new(statement).get_result::<Counted>(conn).optional()?;
    Ok(match counted {
        Some(counted) if counted.is_locked => Failure::Locked,
        Some(_) => Failure::Counted,
        None => Failure::WasLocked,
    })
}

/// Deletes the failures of an address, and its lock. Returns whether there were any.
pub fn clear(conn: &mut PgConnection, email: &Email) -> QueryResult<bool> {
    let forgotten = delete(login_failures::table.find(email.digest().to_vec())).execute(conn)?;
    Ok(forgotten > 0)
}

/// Deletes up to `batch` stale rows last written at `from` or later, the oldest first. Returns when they were
/// written.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    FAILURES.forget(conn, STALE, from, batch)
}

/// The number of rows that are old enough to be stale.
pub fn count_stale(conn: &mut PgConnection) -> QueryResult<i64> {
    FAILURES.count(conn, STALE)
}

/// Addresses that are locked now.
#[derive(Clone, Debug)]
pub struct Locked {
    /// The locked users, and when each lock ends; at most [`MOST_LISTED`].
    pub users: Vec<(User, DateTime<Utc>)>,
    /// The number of other addresses: without an account, or beyond the list.
    pub others: i64,
}

/// Finds the addresses that are locked now.
pub fn locked(conn: &mut PgConnection) -> QueryResult<Locked> {
    let is_locked = || login_failures::locked_until.gt(now().nullable());
    let users: Vec<(User, DateTime<Utc>)> = login_failures::table
        .inner_join(users::table.on(email_digest(users::email).eq(login_failures::email_digest)))
        .filter(is_locked())
        .order(users::email)
        .limit(MOST_LISTED)
        .select((User::as_select(), login_failures::locked_until.assume_not_null()))
        .load(conn)?;
    let all: i64 = login_failures::table
        .filter(is_locked())
        .count()
        .get_result(conn)?;
    let others = all - i64::try_from(users.len()).unwrap_or(all);
    Ok(Locked { users, others })
}
