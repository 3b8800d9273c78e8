//! The table `sessions`: open, touch, look. How a session leaves it is told in [`super::history`].
//!
//! Every comparison with time happens in PostgreSQL, against its own clock (law 3). A new row is stamped with
//! `statement_timestamp()` because `now()` is when the transaction began, and that may have waited for another sign-in.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::insert_into;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, Interval, Uuid as SqlUuid};
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
        ))
        .returning(Session::as_returning())
        .get_result(conn)
}

/// Locks these sessions, and a user's, until the transaction ends: in one order, so that two who lock the same ones do not wait for
/// each other. Returns those that live.
pub fn lock_living(conn: &mut PgConnection, ids: &[Uuid], of_user: Option<Uuid>) -> QueryResult<Vec<Uuid>> {
    let locked: Vec<(Uuid, bool)> = sessions::table
        .filter(
            sessions::id
                .eq_any(ids)
                .or(sessions::user_id.nullable().eq(of_user)),
        )
        .order(sessions::id)
        .select((sessions::id, sessions::expires_at.gt(statement_timestamp())))
        .for_update()
        .load(conn)?;
    Ok(locked
        .into_iter()
        .filter_map(|(id, lives)| lives.then_some(id))
        .collect())
}

/// Writes the activity of many down and moves their expiry, never past the maximum lifetime. Returns those that it moved.
///
/// An UPDATE of live rows, never an upsert: it can revive nothing. Rows that somebody else holds are passed over: they are being
/// ended, which wins, or touched, which is the same. So it never waits, not even for the end of everybody.
pub fn touch(conn: &mut PgConnection, ids: &[Uuid], policy: &SessionPolicy) -> QueryResult<Vec<Session>> {
    diesel::sql_query(
        "update sessions set
             last_activity = now(),
             expires_at = least(now() + $2, created_at + $3)
         where id in (select id from sessions where id = any($1) and expires_at > now() for update skip locked)
         returning *",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Interval, _>(interval(policy.idle_timeout))
    .bind::<Interval, _>(interval(policy.max_lifetime))
    .load(conn)
}

/// Whether a session lives, as far as its holder may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It lives, and its time is up after this if nothing happens.
    Live(Duration),
    /// It ended.
    Ended(Ending),
    /// It ended so long ago that nobody remembers why.
    Forgotten,
}

/// Looks at many sessions at once, without touching any.
pub fn look(conn: &mut PgConnection, ids: &[Uuid]) -> QueryResult<HashMap<Uuid, Look>> {
    // The live first: a session that ends between the two questions is found by the second.
    let rows: Vec<(Uuid, DateTime<Utc>, DateTime<Utc>)> = sessions::table
        .filter(sessions::id.eq_any(ids))
        .select((sessions::id, sessions::expires_at, now()))
        .load(conn)?;
    let mut found: HashMap<Uuid, Look> = HashMap::new();
    for (session, expires_at, now) in rows {
        let look = match (expires_at - now).to_std() {
            Ok(left) if !left.is_zero() => Look::Live(left),
            _ => Look::Ended(Ending {
                session,
                reason: EndReason::Expired,
                at: expires_at,
            }),
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
        found.extend(missing.into_iter().map(|id| (id, Look::Forgotten)));
        found.extend(
            ended
                .into_iter()
                .map(|(session, reason, at)| (session, Look::Ended(Ending { session, reason, at }))),
        );
    }
    Ok(found)
}

/// The same for one.
pub fn look_at(conn: &mut PgConnection, id: Uuid) -> QueryResult<Look> {
    Ok(look(conn, &[id])?.remove(&id).unwrap_or(Look::Forgotten))
}
