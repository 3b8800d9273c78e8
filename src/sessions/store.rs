//! The table `sessions`: open, touch, end, sweep, list.
//!
//! Every comparison with time happens in PostgreSQL, against its own clock (law 3). A new row is stamped with
//! `statement_timestamp()` because `now()` is when the transaction began, and that may have waited for another sign-in.

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::dsl::{delete, insert_into, update};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::{Origin, TokenDigest};
use crate::config::SessionPolicy;
use crate::db::clock::{after, earlier, now, span, statement_timestamp};
use crate::db::schema::sessions;

/// A live seat as people see it: no token, no digest.
#[derive(Queryable, Selectable, Clone, Debug, PartialEq)]
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

/// Writes activity down and moves the expiry, never past the maximum lifetime.
///
/// An UPDATE of a live row, never an upsert: it can revive nothing. `None`: the session ended in the meantime.
pub fn touch(conn: &mut PgConnection, id: Uuid, policy: &SessionPolicy) -> QueryResult<Option<Session>> {
    update(sessions::table.find(id).filter(sessions::expires_at.gt(now())))
        .set((
            sessions::last_activity.eq(now()),
            sessions::expires_at.eq(earlier(
                after(now(), span(policy.idle_timeout)),
                after(sessions::created_at, span(policy.max_lifetime)),
            )),
        ))
        .returning(Session::as_returning())
        .get_result(conn)
        .optional()
}

/// Ends one live session. `None`: there was none.
pub fn end(conn: &mut PgConnection, id: Uuid) -> QueryResult<Option<Session>> {
    delete(sessions::table.find(id).filter(sessions::expires_at.gt(now())))
        .returning(Session::as_returning())
        .get_result(conn)
        .optional()
}

/// Empties a user's seat, expired or not: what makes room for the next session.
pub fn end_of_user(conn: &mut PgConnection, user_id: Uuid) -> QueryResult<Option<Session>> {
    delete(sessions::table.filter(sessions::user_id.eq(user_id)))
        .returning(Session::as_returning())
        .get_result(conn)
        .optional()
}

/// Ends every session. In a transaction of the caller's: sign-ins under way are waited for and later ones wait, so that
/// none slips through between what this sees and what it ends.
pub fn end_all(conn: &mut PgConnection) -> QueryResult<Vec<Session>> {
    conn.batch_execute("lock table sessions in share row exclusive mode")?;
    delete(sessions::table)
        .returning(Session::as_returning())
        .get_results(conn)
}

/// Removes up to `batch` expired sessions, passing over rows that somebody else holds. Returns how many.
pub fn sweep(conn: &mut PgConnection, batch: i64) -> QueryResult<usize> {
    let expired = sessions::table
        .filter(sessions::expires_at.le(now()))
        .order(sessions::expires_at)
        .limit(batch)
        .for_update()
        .skip_locked()
        .select(sessions::id);
    let expired: Vec<Uuid> = expired.load(conn)?;
    delete(sessions::table.filter(sessions::id.eq_any(expired))).execute(conn)
}
