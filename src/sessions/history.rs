//! The table `ended_sessions`. The only way into it is [`end_sql`], a part of each statement that moves rows
//! there from `sessions`, with the reason of the end: that of [`end`], of [`sweep`], of a sign-in in
//! [`crate::auth`] and others. A trigger tells the feed of such an end. Only the sign-in tells the feed
//! itself.

use std::slice;
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Interval, Text, Timestamptz, Uuid as SqlUuid};
use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::store::{ENDS_AT, EXPIRES_AT, WAITS_AFTER_THIS, limits};
use super::{EndReason, Ending, feed};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::db::clock::now;
use crate::db::prepared::Prepared;
use crate::db::schema::{ended_sessions, sessions};
use crate::db::stale::Stale;
use crate::db::transaction::begin_with;
use crate::token::TokenDigest;

/// The key of an advisory lock: an arbitrary number, the same in every instance. Sign-ins take it shared; an
/// end of all sessions takes it exclusively.
const SIGN_IN_LOCK: i64 = 0x6f6e_6573_6561_7403;

/// Tells the triggers of the feed that the caller waits after the commit, with
/// [`Feed::wait_out_leases`](super::feed::Feed::wait_out_leases). Without this setting, the triggers wait in
/// the transaction.
const WAITS_AFTER_COMMIT: &str = "set local oneseat.waits_after_commit = 'on'";

/// A past session for display: no digest.
#[derive(Queryable, QueryableByName, Selectable, Clone, Debug, PartialEq)]
#[diesel(table_name = ended_sessions, check_for_backend(diesel::pg::Pg))]
pub struct EndedSession {
    /// The id that the session had while it was live.
    pub id: Uuid,
    /// The session's user.
    pub user_id: Uuid,
    /// Where the sign-in came from.
    pub ip_address: IpNetwork,
    /// The user agent, as the browser sent it.
    pub user_agent: Option<String>,
    /// The last activity written.
    pub last_activity: DateTime<Utc>,
    /// When the user signed in.
    pub created_at: DateTime<Utc>,
    /// When it ended; for an expired session the moment of expiry.
    pub ended_at: DateTime<Utc>,
    /// Why it ended.
    pub reason: EndReason,
}

/// Which sessions to end.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// This session, expired or not.
    Id(Uuid),
    /// This user's session, expired or not.
    OfUser(Uuid),
    /// Every session except this one. Needs a transaction of [`keep_out_sign_ins`].
    AllBut(Uuid),
    /// Every session. Needs a transaction of [`keep_out_sign_ins`].
    All,
    /// All of these sessions. Needs a transaction of [`keep_out_sign_ins`].
    AllOf(&'a [Uuid]),
    /// The sessions among these that expired or that a backup brought back, so that their ends can be
    /// reported. Skips rows that other transactions have locked, and so never waits.
    OverAmong(&'a [Uuid]),
    /// These sessions, expired or not. Skips rows that other transactions have locked, too.
    Among(&'a [Uuid]),
}

/// A transaction of a use case finds single rows by index. Its statements are planned once for each
/// connection: a plan that was made for a small table would later read all of a large one.
const SINGLE_ROWS: &str = "set local enable_seqscan = off";

/// The first statements of a transaction that keeps out an end of all sessions.
static OPENING: LazyLock<String> = LazyLock::new(|| {
    format!("{WAITS_AFTER_COMMIT}; {SINGLE_ROWS}; select pg_advisory_xact_lock_shared({SIGN_IN_LOCK})")
});

/// The first statements of the transaction of a sign-in.
static SIGN_IN: LazyLock<String> = LazyLock::new(|| format!("{}; {}", feed::NAMES_ITS_USER, *OPENING));

/// Runs `work` in a transaction that first waits for a running end of all sessions, and makes later ones
/// wait. A transaction that opens a session needs this. The lock is taken first, because after the lock of a
/// row it could deadlock.
///
/// # Errors
/// Those of `work`, and PostgreSQL's.
pub fn keep_out_the_end_of_all<T, E: From<diesel::result::Error>>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin_with(conn, &OPENING, work)
}

/// Keeps out an end of all sessions, as [`keep_out_the_end_of_all`] does, in a transaction that began without it. It
/// has to come before the first lock of a row.
///
/// # Errors
/// PostgreSQL's.
pub fn wait_for_the_end_of_all(conn: &mut PgConnection) -> QueryResult<()> {
    conn.batch_execute(&format!("select pg_advisory_xact_lock_shared({SIGN_IN_LOCK})"))
}

/// Runs `work` in the transaction of a sign-in. It keeps out an end of all sessions, as
/// [`keep_out_the_end_of_all`] does. Its triggers do not tell the feed of the sessions that begin or end in
/// it; a statement with the part [`feed::name_user_sql`] has to.
///
/// # Errors
/// Those of `work`, and PostgreSQL's.
pub fn begin_sign_in<T, E: From<diesel::result::Error>>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin_with(conn, &SIGN_IN, work)
}

/// The counterpart of [`keep_out_the_end_of_all`]: runs `work` in a transaction that first waits for running
/// sign-ins, and makes later ones wait. So no session can begin between finding the sessions and ending them.
/// It does not lock the table: activity can still be written.
///
/// # Errors
/// Those of `work`, and PostgreSQL's.
pub fn keep_out_sign_ins<T, E: From<diesel::result::Error>>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    // Ending a million sessions takes half a minute, and a timeout would roll back all of it.
    let lock = format!(
        "{WAITS_AFTER_COMMIT}; select pg_advisory_xact_lock({SIGN_IN_LOCK}); set local statement_timeout = '60s'"
    );
    begin_with(conn, &lock, work)
}

/// Ends sessions. One that had expired before ends as `expired`, whatever `reason` says, and one that a
/// backup has brought back as `restored`.
///
/// Callers that report an end call this first: a written end cannot be revived by a clock that steps back.
pub fn end(
    conn: &mut PgConnection,
    which: Which<'_>,
    reason: EndReason,
    policy: &SessionPolicy,
) -> QueryResult<Vec<EndedSession>> {
    let (condition, ids) = match &which {
        Which::Id(id) => ("id = any($4)".to_owned(), slice::from_ref(id)),
        Which::OfUser(id) => ("user_id = any($4)".to_owned(), slice::from_ref(id)),
        Which::AllBut(id) => ("id <> all($4)".to_owned(), slice::from_ref(id)),
        Which::All => ("id <> all($4)".to_owned(), &[][..]),
        Which::AllOf(ids) => ("id = any($4)".to_owned(), *ids),
        Which::OverAmong(ids) => (
            unheld_sql(&format!("id = any($4) and {ENDS_AT} <= statement_timestamp()")),
            *ids,
        ),
        Which::Among(ids) => (unheld_sql("id = any($4)"), *ids),
    };
    let (idle_timeout, max_lifetime) = limits(policy);
    let statement = diesel::sql_query(move_sql(&condition))
        .bind::<Interval, _>(idle_timeout)
        .bind::<Interval, _>(max_lifetime)
        .bind::<Text, _>(reason)
        .bind::<Array<SqlUuid>, _>(ids);
    Prepared::new(statement).load(conn)
}

/// Ends up to `batch` sessions that expired at `from` or later, the oldest first, skipping locked rows.
/// Returns them. It goes by the stored expiry, which has an index: see [`super::store::apply_limits`].
pub fn sweep(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    batch: i64,
    policy: &SessionPolicy,
) -> QueryResult<Vec<EndedSession>> {
    let (idle_timeout, max_lifetime) = limits(policy);
    let expired = "expires_at between $4 and now() order by expires_at limit $5";
    diesel::sql_query(move_sql(&unheld_sql(expired)))
        .bind::<Interval, _>(idle_timeout)
        .bind::<Interval, _>(max_lifetime)
        .bind::<Text, _>(EndReason::Expired)
        .bind::<Timestamptz, _>(from)
        .bind::<BigInt, _>(batch)
        .load(conn)
}

/// Ends up to `batch` sessions that a backup has brought back, skipping locked rows. Returns them.
pub fn end_restored(
    conn: &mut PgConnection,
    batch: i64,
    policy: &SessionPolicy,
) -> QueryResult<Vec<EndedSession>> {
    let (idle_timeout, max_lifetime) = limits(policy);
    diesel::sql_query(move_sql(&unheld_sql("is_restored limit $4")))
        .bind::<Interval, _>(idle_timeout)
        .bind::<Interval, _>(max_lifetime)
        .bind::<Text, _>(EndReason::Restored)
        .bind::<BigInt, _>(batch)
        .load(conn)
}

/// The condition for rows that no other transaction has locked. `materialized`, so that any plan chooses and
/// locks them only once: a second choice would differ.
pub(super) fn unheld_sql(condition: &str) -> String {
    format!(
        "id in (with chosen as materialized (select id from sessions where {condition} for update skip locked)
                select id from chosen)"
    )
}

/// The number of expired sessions not swept yet.
pub fn count_expired(conn: &mut PgConnection) -> QueryResult<i64> {
    sessions::table
        .filter(sessions::expires_at.le(now()))
        .count()
        .get_result(conn)
}

/// The statement that moves rows to `ended_sessions`. Its first parameters are those of [`end_sql`].
pub(super) fn move_sql(condition: &str) -> String {
    format!(
        "with {end}
         select id, user_id, ip_address, user_agent, last_activity, created_at, ended_at, reason,
             {WAITS_AFTER_THIS}
         from ended",
        end = end_sql(condition)
    )
}

/// Deletes rows and inserts them into `ended_sessions`, as the parts `gone` and `ended` of a statement. The
/// first parameters are [`limits`] and the reason.
pub fn end_sql(condition: &str) -> String {
    format!(
        "gone as (
             delete from sessions where {condition} returning *, {EXPIRES_AT} as over_at
         ), ended as (
             insert into ended_sessions
                 (id, user_id, token_digest, ip_address, user_agent, folded_origin, last_activity, expires_at,
                  created_at, ended_at, reason)
             select id, user_id, token_digest, ip_address, user_agent, folded_origin, last_activity, expires_at, created_at,
                 least(over_at, statement_timestamp()),
                 case when over_at <= statement_timestamp() then 'expired' when is_restored then 'restored' else $3 end
             from gone
             -- What was copied by hand, under another id. It goes without a trace.
             where not exists (
                 select from ended_sessions as e where e.token_digest = gone.token_digest and e.id <> gone.id
             )
             -- A backup may bring back a session that has ended since: the end that was told stays.
             on conflict (id) do update set reason = ended_sessions.reason
             returning *
         )"
    )
}

/// The ends of the sessions that had these tokens.
pub fn find(conn: &mut PgConnection, digests: &[TokenDigest]) -> QueryResult<Vec<(TokenDigest, Ending)>> {
    ended_sessions::table
        .filter(ended_sessions::token_digest.eq_any(digests))
        .select((ended_sessions::token_digest, Ending::as_select()))
        .load(conn)
}

/// A user's most recent past sessions.
pub fn of_user(conn: &mut PgConnection, user_id: Uuid, limit: i64) -> QueryResult<Vec<EndedSession>> {
    ended_sessions::table
        .filter(ended_sessions::user_id.eq(user_id))
        .order((ended_sessions::ended_at.desc(), ended_sessions::id.desc()))
        .limit(limit)
        .select(EndedSession::as_select())
        .load(conn)
}

const ENDED: Stale = Stale {
    table: "ended_sessions",
    key: &["id"],
    since: "ended_at",
    also: "true",
};

/// Deletes up to `batch` sessions that ended at `from` or later and longer ago than `retention`, the oldest
/// first. Returns the times of their ends.
pub fn purge(
    conn: &mut PgConnection,
    retention: Duration,
    from: DateTime<Utc>,
    batch: i64,
) -> QueryResult<Vec<DateTime<Utc>>> {
    ENDED.forget(conn, retention, from, batch)
}

/// The number of endings older than `retention`.
pub fn count_forgettable(conn: &mut PgConnection, retention: Duration) -> QueryResult<i64> {
    ENDED.count(conn, retention)
}
