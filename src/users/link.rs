//! The table `one_time_links`: the user and the purpose of each mailed link. By constraint, a user has at
//! most one live link for each purpose. A link works once, until it expires, for the address to which it was
//! sent.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, exists, insert_into, select};
use diesel::prelude::*;
use diesel::upsert::excluded;
use uuid::Uuid;

use super::User;
use crate::db::PgConnection;
use crate::db::clock::{after, now, span};
use crate::db::schema::{one_time_links, users};
use crate::db::stale::Stale;
use crate::token::TokenDigest;
use crate::words::words;

words! {
    /// The purposes of links. The constraint `one_time_links_purpose_known` allows no others.
    pub enum Purpose {
        /// Sets the first password, and verifies the address.
        Invitation = "invitation",
        /// Verifies the address.
        Verification = "verification",
        /// Sets a new password.
        PasswordReset = "password_reset",
    }
}

impl Purpose {
    /// How long a link for this purpose works.
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

/// Creates a link in place of the user's earlier one for the same purpose.
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

/// Finds the user and the purpose of a live link. The account must be enabled and still have the link's
/// address.
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

/// Is there such a link whose time is over?
pub fn is_expired(conn: &mut PgConnection, token: &TokenDigest, purposes: &[Purpose]) -> QueryResult<bool> {
    let expired = one_time_links::table
        .filter(one_time_links::token_digest.eq(token))
        .filter(one_time_links::purpose.eq_any(purposes))
        .filter(one_time_links::expires_at.le(now()));
    select(exists(expired)).get_result(conn)
}

/// Deletes a link that was refused for these purposes. The client is about to be told, so a clock that steps
/// back must not revive it. Call this outside a transaction that the same answer rolls back.
pub fn refuse(conn: &mut PgConnection, token: &TokenDigest, purposes: &[Purpose]) -> QueryResult<usize> {
    let refused = one_time_links::table
        .filter(one_time_links::token_digest.eq(token))
        .filter(one_time_links::purpose.eq_any(purposes));
    delete(refused).execute(conn)
}

/// Deletes all links of a user: a new password or a disabled account makes them useless.
pub fn discard_all(conn: &mut PgConnection, user_id: Uuid) -> QueryResult<usize> {
    delete(one_time_links::table.filter(one_time_links::user_id.eq(user_id))).execute(conn)
}

/// Deletes the user's link for one purpose.
pub fn discard(conn: &mut PgConnection, user_id: Uuid, purpose: Purpose) -> QueryResult<usize> {
    delete(one_time_links::table.find((user_id, purpose))).execute(conn)
}

/// Deletes up to `batch` links that expired at `from` or later, the oldest first. Returns when they expired.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    let links = Stale {
        table: "one_time_links",
        key: &["token_digest"],
        since: "expires_at",
        also: "true",
    };
    links.forget(conn, Duration::ZERO, from, batch)
}
