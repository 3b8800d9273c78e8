//! The table `one_time_links`: what a mailed link does, and for whom. A user has at most one live link for each purpose, by
//! constraint; a link works once, until it expires, and for the address to which it was sent.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, insert_into};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::upsert::excluded;
use uuid::Uuid;

use super::User;
use crate::db::clock::{after, now, span};
use crate::db::schema::{one_time_links, users};
use crate::token::TokenDigest;
use crate::words::words;

words! {
    /// What a link is for; `one_time_links_purpose_known` holds the database to them.
    pub enum Purpose {
        /// Sets the first password, and shows that the address is theirs.
        Invitation = "invitation",
        /// Shows that the address is theirs.
        Verification = "verification",
        /// Sets a new password.
        PasswordReset = "password_reset",
    }
}

impl Purpose {
    /// How long a link for it works.
    pub const fn lifetime(self) -> Duration {
        const MINUTE: u64 = 60;
        const DAY: u64 = 24 * 60 * MINUTE;
        Duration::from_secs(match self {
            Self::Invitation => 7 * DAY,
            Self::Verification => DAY,
            Self::PasswordReset => 30 * MINUTE,
        })
    }
}

/// Makes a link in place of the user's earlier one for the same purpose.
pub fn open(
    conn: &mut PgConnection,
    user: &User,
    purpose: Purpose,
    token: &TokenDigest,
) -> QueryResult<usize> {
    use one_time_links::columns;
    insert_into(one_time_links::table)
        .values((
            columns::user_id.eq(user.id),
            columns::purpose.eq(purpose),
            columns::token_digest.eq(token),
            columns::email.eq(&user.email),
            columns::expires_at.eq(after(now(), span(purpose.lifetime()))),
        ))
        .on_conflict((columns::user_id, columns::purpose))
        .do_update()
        .set((
            columns::token_digest.eq(excluded(columns::token_digest)),
            columns::email.eq(excluded(columns::email)),
            columns::expires_at.eq(excluded(columns::expires_at)),
            columns::created_at.eq(now()),
        ))
        .execute(conn)
}

/// Whom a link is for, and what, while it works: the account may sign in and has the address to which it was sent.
pub fn find(conn: &mut PgConnection, token: &TokenDigest) -> QueryResult<Option<(User, Purpose)>> {
    one_time_links::table
        .inner_join(users::table)
        .filter(one_time_links::token_digest.eq(token))
        .filter(one_time_links::expires_at.gt(now()))
        .filter(one_time_links::email.eq(users::email))
        .filter(users::disabled_at.is_null())
        .select((User::as_select(), one_time_links::purpose))
        .first(conn)
        .optional()
}

/// A link that was refused for these purposes is gone for good, whatever its row says now, because its holder is about to be told: a
/// clock that steps back revives nothing. Not in a transaction that the same answer rolls back.
pub fn refuse(conn: &mut PgConnection, token: &TokenDigest, purposes: &[Purpose]) -> QueryResult<usize> {
    let refused = one_time_links::table
        .filter(one_time_links::token_digest.eq(token))
        .filter(one_time_links::purpose.eq_any(purposes));
    delete(refused).execute(conn)
}

/// Ends all links of a user: for what they were, something else has been done.
pub fn discard_all(conn: &mut PgConnection, user_id: Uuid) -> QueryResult<usize> {
    delete(one_time_links::table.filter(one_time_links::user_id.eq(user_id))).execute(conn)
}

/// Ends the user's link for one purpose.
pub fn discard(conn: &mut PgConnection, user_id: Uuid, purpose: Purpose) -> QueryResult<usize> {
    delete(one_time_links::table.find((user_id, purpose))).execute(conn)
}

/// Forgets up to `batch` links that expired at `from` or later, the oldest first. Returns when they did.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    let expired: Vec<TokenDigest> = one_time_links::table
        .filter(one_time_links::expires_at.ge(from))
        .filter(one_time_links::expires_at.le(now()))
        .order(one_time_links::expires_at)
        .limit(batch)
        .for_update()
        .skip_locked()
        .select(one_time_links::token_digest)
        .load(conn)?;
    delete(one_time_links::table.filter(one_time_links::token_digest.eq_any(expired)))
        .returning(one_time_links::expires_at)
        .get_results(conn)
}
