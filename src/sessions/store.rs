//! The table `sessions`: open, touch, look. How a session leaves it is told in [`super::history`].
//!
//! Every comparison with time happens in PostgreSQL, against its own clock (law 3). A new row is stamped with
//! `statement_timestamp()` because `now()` is when the transaction began, and that may have waited for another sign-in.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::dsl::{AsExprOf, insert_into};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Interval, Timestamptz, Uuid as SqlUuid};
use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::history::CHANGED;
use super::{EndReason, Ending, Origin};
use crate::config::SessionPolicy;
use crate::db::clock::{after, earlier, interval, now, span, statement_timestamp};
use crate::db::schema::{ended_sessions, sessions};
use crate::token::TokenDigest;

/// A live seat as people see it: no token, no digest.
#[derive(Queryable, QueryableByName, Selectable, Clone, Debug, PartialEq)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub struct Session {
    /// Names the session to admins and in logs; of no use as a token.
    pub id: Uuid,
    /// Whose seat it is.
    pub user_id: Uuid,
    /// Where the sign-in came from.
    pub ip_address: IpNetwork,
    /// With what, as the browser put it.
    pub user_agent: Option<String>,
    /// Last activity written down; see [`SessionPolicy::activity_threshold`].
    pub last_activity: DateTime<Utc>,
    /// Refused from this moment on.
    pub expires_at: DateTime<Utc>,
    /// When the user signed in.
    pub created_at: DateTime<Utc>,
    /// However active its user, it ends then; none for a session that an earlier version opened.
    pub ends_at: Option<DateTime<Utc>>,
}

impl Session {
    /// The same as [`ends_at`] judges it: what is told.
    pub fn judged(self, ends_at: DateTime<Utc>) -> Self {
        Self {
            expires_at: ends_at,
            ..self
        }
    }
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// As the migrations define it.
    fn session_ends_at(
        expires_at: Timestamptz,
        last_activity: Timestamptz,
        created_at: Timestamptz,
        idle_timeout: Interval,
        max_lifetime: Interval,
    ) -> Timestamptz;
}

type Span = AsExprOf<PgInterval, Interval>;

/// When a session ends if nothing happens.
pub type EndsAt =
    session_ends_at<sessions::expires_at, sessions::last_activity, sessions::created_at, Span, Span>;

/// As its row says, or earlier where today's limits are stricter: the one definition by which it is judged whether a session lives.
pub fn ends_at(policy: &SessionPolicy) -> EndsAt {
    session_ends_at(
        sessions::expires_at,
        sessions::last_activity,
        sessions::created_at,
        span(policy.idle_timeout),
        span(policy.max_lifetime),
    )
}

/// The same in a statement in words whose first two values are [`limits`].
pub(super) const ENDS_AT: &str = "session_ends_at(expires_at, last_activity, created_at, $1, $2)";

/// `$1` and `$2` of such a statement: idle timeout and maximum lifetime.
pub(super) fn limits(policy: &SessionPolicy) -> (PgInterval, PgInterval) {
    (interval(policy.idle_timeout), interval(policy.max_lifetime))
}

/// Seats a user. The caller has ended the older session in the same transaction, or the constraint refuses.
pub fn open(
    conn: &mut PgConnection,
    user_id: Uuid,
    token: &TokenDigest,
    origin: &Origin,
    policy: &SessionPolicy,
) -> QueryResult<Session> {
    diesel::sql_query(format!("notify {CHANGED}")).execute(conn)?;
    insert_into(sessions::table)
        .values((
            sessions::user_id.eq(user_id),
            sessions::token_digest.eq(token),
            sessions::ip_address.eq(origin.network()),
            sessions::user_agent.eq(origin.user_agent()),
            sessions::created_at.eq(statement_timestamp()),
            sessions::last_activity.eq(statement_timestamp()),
            sessions::expires_at.eq(earlier(
                after(statement_timestamp(), span(policy.idle_timeout)),
                after(statement_timestamp(), span(policy.max_lifetime)),
            )),
            sessions::idle_timeout.eq(span(policy.idle_timeout).nullable()),
            sessions::ends_at.eq(after(statement_timestamp(), span(policy.max_lifetime)).nullable()),
        ))
        .returning(Session::as_returning())
        .get_result(conn)
}

/// How many live.
pub fn count_live(conn: &mut PgConnection, policy: &SessionPolicy) -> QueryResult<i64> {
    sessions::table
        .filter(ends_at(policy).gt(now()))
        .count()
        .get_result(conn)
}

/// Locks these sessions, and a user's, until the transaction ends: in one order, so that two who lock the same ones do not wait for
/// each other. Returns those that are there, and whether they live.
pub fn lock_all(
    conn: &mut PgConnection,
    ids: &[Uuid],
    of_user: Option<Uuid>,
    policy: &SessionPolicy,
) -> QueryResult<Vec<(Uuid, bool)>> {
    sessions::table
        .filter(
            sessions::id
                .eq_any(ids)
                .or(sessions::user_id.nullable().eq(of_user)),
        )
        .order(sessions::id)
        .select((sessions::id, ends_at(policy).gt(statement_timestamp())))
        .for_update()
        .load(conn)
}

/// Writes the activity of many down and moves their expiry, never past the maximum lifetime, nor past what was promised when the
/// session was opened. Returns those that it moved.
///
/// An UPDATE of live rows, never an upsert: it can revive nothing. Rows that somebody else holds are passed over: they are being
/// ended, which wins, or touched, which is the same. So it never waits, not even for the end of everybody.
pub fn touch(conn: &mut PgConnection, ids: &[Uuid], policy: &SessionPolicy) -> QueryResult<Vec<Session>> {
    let (idle_timeout, max_lifetime) = limits(policy);
    diesel::sql_query(format!(
        "update sessions set
             last_activity = now(),
             expires_at = least(now() + least($1, idle_timeout), created_at + $2, ends_at)
         where id in (
             select id from sessions where id = any($3) and {ENDS_AT} > now() for update skip locked
         )
         returning *"
    ))
    .bind::<Interval, _>(idle_timeout)
    .bind::<Interval, _>(max_lifetime)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
}

/// Whether a session lives, as far as its holder may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// It lives, and its time is up after this if nothing happens.
    Live(Duration),
    /// Its time is up, and that has not been written yet: nobody may be told before.
    Over,
    /// It ended.
    Ended(Ending),
    /// It ended so long ago that nobody remembers why.
    Forgotten,
}

/// Looks at many sessions at once, without touching any.
pub fn look(
    conn: &mut PgConnection,
    ids: &[Uuid],
    policy: &SessionPolicy,
) -> QueryResult<HashMap<Uuid, SessionStatus>> {
    // The live first: a session that ends between the two questions is found by the second.
    let rows: Vec<(Uuid, DateTime<Utc>, DateTime<Utc>)> = sessions::table
        .filter(sessions::id.eq_any(ids))
        .select((sessions::id, ends_at(policy), now()))
        .load(conn)?;
    let mut found: HashMap<Uuid, SessionStatus> = HashMap::new();
    for (session, ends_at, now) in rows {
        let look = match (ends_at - now).to_std() {
            Ok(left) if !left.is_zero() => SessionStatus::Live(left),
            _ => SessionStatus::Over,
        };
        found.insert(session, look);
    }
    let missing: Vec<Uuid> = ids.iter().copied().filter(|id| !found.contains_key(id)).collect();
    if !missing.is_empty() {
        let ended: Vec<(Uuid, EndReason, DateTime<Utc>)> = ended_sessions::table
            .filter(ended_sessions::id.eq_any(&missing))
            .select((
                ended_sessions::id,
                ended_sessions::reason,
                ended_sessions::ended_at,
            ))
            .load(conn)?;
        found.extend(missing.into_iter().map(|id| (id, SessionStatus::Forgotten)));
        found.extend(
            ended
                .into_iter()
                .map(|(session, reason, at)| (session, SessionStatus::Ended(Ending { session, reason, at }))),
        );
    }
    Ok(found)
}

/// The same for one.
pub fn look_at(conn: &mut PgConnection, id: Uuid, policy: &SessionPolicy) -> QueryResult<SessionStatus> {
    Ok(look(conn, &[id], policy)?
        .remove(&id)
        .unwrap_or(SessionStatus::Forgotten))
}

/// Brings the next `batch` sessions after `from`, by id, within today's limits, for lists and sweeps that go by what is stored; and
/// into the present, if they are of a time that the clock has stepped back from: what they may still last counts from now on.
/// Passes over rows that somebody else holds. Returns how far it came; `None`: there were no more.
pub fn apply_limits(
    conn: &mut PgConnection,
    policy: &SessionPolicy,
    from: Uuid,
    batch: i64,
) -> QueryResult<Option<Uuid>> {
    #[derive(QueryableByName)]
    struct Reached {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let (idle_timeout, max_lifetime) = limits(policy);
    let reached: Option<Reached> = diesel::sql_query(format!(
        "with part as materialized (
             select id, expires_at > {ENDS_AT} or last_activity > now()
                 or created_at > now() and coalesce(ends_at > now() + $2, true) as is_due
             from sessions where id > $3 order by id limit $4
         ), due as materialized (
             select id from sessions where id in (select id from part where is_due) for update skip locked
         ), done as (
             update sessions set
                 last_activity = least(last_activity, now()),
                 expires_at = least({ENDS_AT}, now() + $1),
                 ends_at = case when created_at > now() then least(ends_at, now() + $2) else ends_at end
             where id in (select id from due)
         )
         select id from part order by id desc limit 1"
    ))
    .bind::<Interval, _>(idle_timeout)
    .bind::<Interval, _>(max_lifetime)
    .bind::<SqlUuid, _>(from)
    .bind::<BigInt, _>(batch)
    .get_result(conn)
    .optional()?;
    Ok(reached.map(|reached| reached.id))
}
