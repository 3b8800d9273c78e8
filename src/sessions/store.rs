//! The table `sessions`: open, touch, status. [`super::history`] ends sessions.
//!
//! PostgreSQL compares all times, by its own clock (law 3). A new row gets `statement_timestamp()`, because
//! `now()` is the start of the transaction, which may have waited for another sign-in.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::dsl::AsExprOf;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Interval, Timestamptz, Uuid as SqlUuid};
use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::Ending;
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::db::clock::{interval, now, span, statement_timestamp};
use crate::db::schema::{ended_sessions, sessions};

/// A live session for display: no token, no digest.
#[derive(Queryable, QueryableByName, Selectable, Clone, Debug, PartialEq)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub struct Session {
    /// Names the session to admins and in logs; useless as a token.
    pub id: Uuid,
    /// The session's user.
    pub user_id: Uuid,
    /// Where the sign-in came from.
    pub ip_address: IpNetwork,
    /// The user agent, as the browser sent it.
    pub user_agent: Option<String>,
    /// The last activity written; see [`SessionPolicy::activity_threshold`].
    pub last_activity: DateTime<Utc>,
    /// When the session expires.
    pub expires_at: DateTime<Utc>,
    /// When the user signed in.
    pub created_at: DateTime<Utc>,
    /// The latest end, however active the user is; `None` for a session that an earlier version opened.
    pub ends_at: Option<DateTime<Utc>>,
    /// Whether the session ends with the page that signed in.
    pub ends_with_page: bool,
}

impl Session {
    /// The session with this end, from [`ends_at`].
    pub fn judged(self, ends_at: DateTime<Utc>) -> Self {
        Self {
            expires_at: ends_at,
            ..self
        }
    }
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// Defined in the migrations.
    fn session_ends_at(
        expires_at: Timestamptz,
        last_activity: Timestamptz,
        created_at: Timestamptz,
        idle_timeout: Interval,
        max_lifetime: Interval,
        is_restored: Bool,
    ) -> Timestamptz;
}

type Span = AsExprOf<PgInterval, Interval>;

/// The type of [`ends_at`].
pub type EndsAt = session_ends_at<
    sessions::expires_at,
    sessions::last_activity,
    sessions::created_at,
    Span,
    Span,
    sessions::is_restored,
>;

/// When a session ends: as stored, or earlier where the current limits are stricter, and long ago if a backup
/// has brought it back. This alone defines whether a session lives.
pub fn ends_at(policy: &SessionPolicy) -> EndsAt {
    session_ends_at(
        sessions::expires_at,
        sessions::last_activity,
        sessions::created_at,
        span(policy.idle_timeout),
        span(policy.max_lifetime),
        sessions::is_restored,
    )
}

/// A part of a statement: tells the triggers of the feed that the caller waits after the commit, or need not
/// wait.
pub(super) const WAITS_AFTER_THIS: &str = "set_config('oneseat.waits_after_commit', 'on', true)";

/// [`ends_at`] in SQL text, for statements whose first two parameters are [`limits`].
pub(super) const ENDS_AT: &str =
    "session_ends_at(expires_at, last_activity, created_at, $1, $2, is_restored)";

/// [`ENDS_AT`] by time alone: a session that a backup has brought back is judged like any other.
pub(super) const EXPIRES_AT: &str = "session_ends_at(expires_at, last_activity, created_at, $1, $2)";

/// The idle timeout and the maximum lifetime: `$1` and `$2` of a statement with `ENDS_AT`, and of
/// [`open_sql`].
pub fn limits(policy: &SessionPolicy) -> (PgInterval, PgInterval) {
    (interval(policy.idle_timeout), interval(policy.max_lifetime))
}

/// Opens a session, as the part `opened` of a statement. Another part has to end the older session first, or
/// the constraint refuses the new one; `ended` is its name. The first parameters are [`limits`]. The others
/// are user, token digest, address, user agent, whether the session ends with its page, and the text of the
/// origin that lists are searched by. A page counts as lost until it opens its first stream.
///
/// The clock is read when the older row is gone: the statement may have begun before its end was written.
pub fn open_sql(ended: &str, [user_id, token, ip_address, user_agent, of_page, folded]: [&str; 6]) -> String {
    format!(
        "opened as (
             insert into sessions (user_id, token_digest, ip_address, user_agent, written_at, created_at, last_activity,
                 expires_at, idle_timeout, ends_at, ends_with_page, page_lost_at, page_heard_at, folded_origin,
                 folded_user)
             select {user_id}, {token}, {ip_address}, {user_agent}, now(), at, at, at + least($1, $2), $1, at + $2,
                 {of_page}, case when {of_page} then at end, case when {of_page} then at end, {folded},
                 (select searched_text(users) from users where id = {user_id})
             from (select clock_timestamp() as at from {ended} having count(*) >= 0) as empty_seat
             returning *
         )"
    )
}

/// Gives the sessions of these users anew what they are searched by of their users, which has changed in their rows. The caller has
/// locked the users.
pub fn copy_searched_text(conn: &mut PgConnection, users: &[Uuid]) -> QueryResult<()> {
    diesel::sql_query(
        "update sessions set folded_user = searched_text(users) from users
             where users.id = sessions.user_id and users.id = any($1) and sessions.folded_user is not null",
    )
    .bind::<Array<SqlUuid>, _>(users)
    .execute(conn)?;
    Ok(())
}

/// The number of live sessions.
pub fn count_live(conn: &mut PgConnection, policy: &SessionPolicy) -> QueryResult<i64> {
    sessions::table
        .filter(ends_at(policy).gt(now()))
        .count()
        .get_result(conn)
}

/// Locks these sessions, and that of `of_user`, until the transaction ends. All callers lock in the order of
/// the ids, which prevents deadlocks. Returns the sessions that exist, and whether they live.
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

/// What a caller who knows the user's password may learn about the user's live session.
#[derive(Queryable, Selectable, Clone, Debug, PartialEq, Eq)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub struct HeldSeat {
    /// When the user signed in.
    #[diesel(column_name = created_at)]
    pub since: DateTime<Utc>,
    /// The user agent, as the browser sent it.
    pub user_agent: Option<String>,
}

/// Locks a user's session until the transaction ends, and returns it if it lives.
///
/// A session that is over is locked, too. So this waits for a touch of it that is under way.
pub fn lock_held_seat(
    conn: &mut PgConnection,
    user_id: Uuid,
    policy: &SessionPolicy,
) -> QueryResult<Option<HeldSeat>> {
    let row: Option<(HeldSeat, bool)> = sessions::table
        .filter(sessions::user_id.eq(user_id))
        .select((HeldSeat::as_select(), ends_at(policy).gt(statement_timestamp())))
        .for_update()
        .first(conn)
        .optional()?;
    Ok(row.and_then(|(seat, lives)| lives.then_some(seat)))
}

/// Writes the activity of many sessions and moves their expiry, never past the maximum lifetime nor past the
/// end fixed when the session was opened. Returns the sessions it moved.
///
/// An UPDATE of live rows, never an upsert: it revives nothing. Locked rows are skipped: another transaction
/// ends them, which wins, or touches them, which has the same effect. So it never waits, not even for an end
/// of all sessions.
pub fn touch(conn: &mut PgConnection, ids: &[Uuid], policy: &SessionPolicy) -> QueryResult<Vec<Session>> {
    let (idle_timeout, max_lifetime) = limits(policy);
    diesel::sql_query(format!(
        "update sessions set
             last_activity = now(),
             expires_at = least(now() + least($1, idle_timeout), created_at + $2, ends_at)
         where id in (
             select id from sessions where id = any($3) and {ENDS_AT} > now() for update skip locked
         )
         returning *, {WAITS_AFTER_THIS}"
    ))
    .bind::<Interval, _>(idle_timeout)
    .bind::<Interval, _>(max_lifetime)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
}

/// Whether a session lives, as far as its client may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// It lives, and expires after this time without activity.
    Live(Duration),
    /// It expired, or a backup has brought it back, but the end is not written: it must not be reported yet.
    Over,
    /// It ended.
    Ended(Ending),
    /// It ended so long ago that its row is deleted.
    Forgotten,
}

/// The status of many sessions, without touching any.
pub fn statuses(
    conn: &mut PgConnection,
    ids: &[Uuid],
    policy: &SessionPolicy,
) -> QueryResult<HashMap<Uuid, SessionStatus>> {
    // Live rows first: the second query finds a session that ends between the two.
    let rows: Vec<(Uuid, DateTime<Utc>, DateTime<Utc>)> = sessions::table
        .filter(sessions::id.eq_any(ids))
        .select((sessions::id, ends_at(policy), now()))
        .load(conn)?;
    let mut found: HashMap<Uuid, SessionStatus> = HashMap::new();
    for (session, ends_at, now) in rows {
        let status = match (ends_at - now).to_std() {
            Ok(left) if !left.is_zero() => SessionStatus::Live(left),
            _ => SessionStatus::Over,
        };
        found.insert(session, status);
    }
    let missing: Vec<Uuid> = ids.iter().copied().filter(|id| !found.contains_key(id)).collect();
    if !missing.is_empty() {
        let ended: Vec<Ending> = ended_sessions::table
            .filter(ended_sessions::id.eq_any(&missing))
            .select(Ending::as_select())
            .load(conn)?;
        found.extend(missing.into_iter().map(|id| (id, SessionStatus::Forgotten)));
        found.extend(
            ended
                .into_iter()
                .map(|ending| (ending.session, SessionStatus::Ended(ending))),
        );
    }
    Ok(found)
}

/// The status of one session.
pub fn status(conn: &mut PgConnection, id: Uuid, policy: &SessionPolicy) -> QueryResult<SessionStatus> {
    Ok(statuses(conn, &[id], policy)?
        .remove(&id)
        .unwrap_or(SessionStatus::Forgotten))
}

/// Brings the next `batch` sessions after `from`, by id, within the current limits, for lists and sweeps that
/// use the stored expiry. If the clock has stepped back since a session was written, its remaining time
/// counts from now. Skips locked rows. Returns the last id, or `None` if there were no more.
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
             select id, expires_at > {EXPIRES_AT} or last_activity > now()
                 or created_at > now() and coalesce(ends_at > now() + $2, true) as is_due
             from sessions where id > $3 order by id limit $4
         ), due as materialized (
             select id from sessions where id in (select id from part where is_due) for update skip locked
         ), done as (
             update sessions set
                 last_activity = least(last_activity, now()),
                 expires_at = least({EXPIRES_AT}, now() + $1),
                 ends_at = case when created_at > now() then least(ends_at, now() + $2) else ends_at end
             where id in (select id from due)
         )
         select id, {WAITS_AFTER_THIS} from part order by id desc limit 1"
    ))
    .bind::<Interval, _>(idle_timeout)
    .bind::<Interval, _>(max_lifetime)
    .bind::<SqlUuid, _>(from)
    .bind::<BigInt, _>(batch)
    .get_result(conn)
    .optional()?;
    Ok(reached.map(|reached| reached.id))
}
