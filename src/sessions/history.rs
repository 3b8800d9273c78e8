//! The table `ended_sessions`, and the one way into it: [`end`] moves a row there from `sessions`, with its reason, and tells
//! every instance, all in one statement.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::dsl::delete;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::{EndReason, Ending};
use crate::db::clock::{before, now, span};
use crate::db::schema::{ended_sessions, sessions};
use crate::token::TokenDigest;

/// The channel on which an end is told, as `{"session":...,"reason":...,"at":...}`.
pub(super) const ENDED: &str = "oneseat_session_ended";
/// The channel that says only that somebody came or went.
pub(super) const CHANGED: &str = "oneseat_sessions_changed";

/// Any number, the same in every instance: sign-ins share it, and who ends every session has it alone.
const SIGN_IN_LOCK: i64 = 0x6f6e_6573_6561_7403;

/// A past session as people see it: no digest.
#[derive(Queryable, QueryableByName, Selectable, Clone, Debug, PartialEq)]
#[diesel(table_name = ended_sessions, check_for_backend(diesel::pg::Pg))]
pub struct EndedSession {
    /// The id that it had when it lived.
    pub id: Uuid,
    /// Whose it was.
    pub user_id: Uuid,
    /// Where the sign-in came from.
    pub ip_address: IpNetwork,
    /// With what, as the browser put it.
    pub user_agent: Option<String>,
    /// Last activity written down.
    pub last_activity: DateTime<Utc>,
    /// When the user signed in.
    pub created_at: DateTime<Utc>,
    /// When it ended; for an expired one the moment its time was up.
    pub ended_at: DateTime<Utc>,
    /// Why.
    pub reason: EndReason,
}

/// Which sessions to end.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// This one, expired or not.
    Id(Uuid),
    /// This user's, expired or not: it makes room for the next.
    OfUser(Uuid),
    /// Every one but this; in a transaction that keeps sign-ins out, see [`keep_out_sign_ins`].
    AllBut(Uuid),
    /// Every one; in such a transaction, too.
    All,
}

/// Waits for an end of every session that is under way, and has later ones wait. Comes first in a transaction that opens a
/// session: one that already holds a row could wait for who waits for it.
pub fn keep_out_the_end_of_all(conn: &mut PgConnection) -> QueryResult<()> {
    conn.batch_execute(&format!("select pg_advisory_xact_lock_shared({SIGN_IN_LOCK})"))
}

/// The other side of it: waits for the sign-ins that are under way, and has later ones wait. None slips through between what is seen
/// and what ends. Not a lock of the table: activity is written down meanwhile.
pub fn keep_out_sign_ins(conn: &mut PgConnection) -> QueryResult<()> {
    conn.batch_execute(&format!("select pg_advisory_xact_lock({SIGN_IN_LOCK})"))
}

/// Ends sessions. One whose time was up before is `expired`, whatever the reason given: it was over already.
pub fn end(conn: &mut PgConnection, which: Which, reason: EndReason) -> QueryResult<Vec<EndedSession>> {
    let (condition, id) = match which {
        Which::Id(id) => ("id = $1", id),
        Which::OfUser(id) => ("user_id = $1", id),
        Which::AllBut(id) => ("id <> $1", id),
        Which::All => ("id <> $1", Uuid::nil()),
    };
    if matches!(which, Which::All | Which::AllBut(_)) {
        // Of a million sessions the end takes half a minute, and half an end would be none.
        conn.batch_execute("set local statement_timeout = '60s'")?;
    }
    diesel::sql_query(moved(condition, UNLESS_EXPIRED))
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(reason)
        .load(conn)
}

/// Ends these sessions for good, whatever their rows say, because somebody is about to be told that they ended: a clock that steps back
/// afterwards revives nothing. In a transaction; who holds such a row is waited for only shortly.
pub fn settle(conn: &mut PgConnection, ids: &[Uuid], reason: EndReason) -> QueryResult<Vec<EndedSession>> {
    conn.batch_execute("set local lock_timeout = '250ms'")?;
    // In one order, so that two who settle the same ones do not wait for each other.
    let these = "id in (select id from sessions where id = any($1) order by id for update)";
    diesel::sql_query(moved(these, "$2"))
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Text, _>(reason)
        .load(conn)
}

/// The reason given, or that the time was up before.
const UNLESS_EXPIRED: &str = "case when expires_at <= statement_timestamp() then 'expired' else $2 end";

/// Ends up to `batch` sessions whose time was up at `from` or later, the oldest first, passing over rows that somebody else
/// holds. Returns them.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<EndedSession>> {
    // Chosen and locked once, however the deletion is planned: chosen again, it would be others.
    let chosen = "with expired as materialized (
                      select id from sessions where expires_at between $3 and now()
                      order by expires_at limit $1 for update skip locked
                  )
                  select id from expired";
    let ended: Vec<EndedSession> = diesel::sql_query(moved(&format!("id in ({chosen})"), UNLESS_EXPIRED))
        .bind::<BigInt, _>(batch)
        .bind::<Text, _>(EndReason::Expired)
        .bind::<Timestamptz, _>(from)
        .load(conn)?;
    if !ended.is_empty() {
        conn.batch_execute(&format!("notify {CHANGED}"))?;
    }
    Ok(ended)
}

/// How many sessions there are whose time is up.
pub fn count_expired(conn: &mut PgConnection) -> QueryResult<i64> {
    sessions::table
        .filter(sessions::expires_at.le(now()))
        .count()
        .get_result(conn)
}

/// Delete, insert and notify in one statement. Nobody is told of an expiry: whoever watches a session knows its time.
fn moved(condition: &str, reason: &str) -> String {
    format!(
        "with gone as (
             delete from sessions where {condition} returning *
         ), ended as (
             insert into ended_sessions
                 (id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at,
                  ended_at, reason)
             select id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at,
                 least(expires_at, statement_timestamp()), {reason}
             from gone
             returning *
         )
         select *, case when reason <> 'expired' then
             pg_notify('{ENDED}', json_build_object('session', id, 'reason', reason, 'at', ended_at)::text)
         end as told
         from ended"
    )
}

/// What became of the sessions that had these tokens.
pub fn find(conn: &mut PgConnection, digests: &[TokenDigest]) -> QueryResult<Vec<(TokenDigest, Ending)>> {
    let rows: Vec<(TokenDigest, Uuid, EndReason, DateTime<Utc>)> = ended_sessions::table
        .filter(ended_sessions::token_digest.eq_any(digests))
        .select((
            ended_sessions::token_digest,
            ended_sessions::id,
            ended_sessions::reason,
            ended_sessions::ended_at,
        ))
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(digest, session, reason, at)| (digest, Ending { session, reason, at }))
        .collect())
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

/// Forgets up to `batch` sessions that ended at `from` or later and longer ago than `retention`, the oldest first. Returns when
/// they had ended.
pub fn purge(
    conn: &mut PgConnection,
    retention: Duration,
    from: DateTime<Utc>,
    batch: i64,
) -> QueryResult<Vec<DateTime<Utc>>> {
    let old: Vec<Uuid> = ended_sessions::table
        .filter(ended_sessions::ended_at.ge(from))
        .filter(ended_sessions::ended_at.lt(before(now(), span(retention))))
        .order(ended_sessions::ended_at)
        .limit(batch)
        .for_update()
        .skip_locked()
        .select(ended_sessions::id)
        .load(conn)?;
    delete(ended_sessions::table.filter(ended_sessions::id.eq_any(old)))
        .returning(ended_sessions::ended_at)
        .get_results(conn)
}

/// How many ended longer ago than `retention`.
pub fn count_forgettable(conn: &mut PgConnection, retention: Duration) -> QueryResult<i64> {
    ended_sessions::table
        .filter(ended_sessions::ended_at.lt(before(now(), span(retention))))
        .count()
        .get_result(conn)
}
