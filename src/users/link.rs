//! The table `one_time_links`: the user and the purpose of each mailed link. By constraint, a user has at
//! most one live link for each purpose. A link works once, until it expires, for the address to which it was
//! sent.
//!
//! A link that changes an address exists from the request on, and holds the new address. Until its mail is
//! sent, it has a token that nobody knows; then it gets the token in the mail.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, exists, insert_into, select, update};
use diesel::prelude::*;
use diesel::upsert::excluded;
use uuid::Uuid;

use super::{Email, User};
use crate::db::PgConnection;
use crate::db::clock::{after, now, span};
use crate::db::schema::{one_time_links, users};
use crate::db::stale::Stale;
use crate::token::{Token, TokenDigest};
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
        /// Gives the account the address to which it was sent.
        EmailChange = "email_change",
    }
}

impl Purpose {
    /// How long a link for this purpose works.
    pub const fn lifetime(self) -> Duration {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        Duration::from_secs(match self {
            Self::Invitation => 7 * DAY,
            Self::Verification => DAY,
            Self::PasswordReset => 30 * MINUTE,
            // As the OWASP Authentication Cheat Sheet suggests.
            Self::EmailChange => 8 * HOUR,
        })
    }
}

/// How long a change of address may wait for its mail: longer than the outbox tries to send it.
const WAITING: Duration = Duration::from_secs(4 * 24 * 60 * 60);

/// A live link.
#[derive(Clone, Debug)]
pub struct Link {
    /// The user of the link.
    pub user: User,
    /// The purpose of the link.
    pub purpose: Purpose,
    /// The address to which it was sent: the user's own, or the new one.
    pub email: String,
}

/// A pending change of address: its link has not been used yet.
#[derive(Queryable, Clone, Debug)]
pub struct PendingChange {
    /// The new address.
    pub email: String,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
}

/// Creates a link in place of the user's earlier one for the same purpose.
pub fn open(
    conn: &mut PgConnection,
    user: &User,
    purpose: Purpose,
    token: &TokenDigest,
) -> QueryResult<usize> {
    put(conn, user.id, purpose, token, &user.email, purpose.lifetime())
}

/// Records that the user asks for this address, in place of an earlier request. The caller throws the token
/// away, so that nobody knows it.
pub fn begin_change(
    conn: &mut PgConnection,
    user_id: Uuid,
    email: &Email,
    token: &Token,
) -> QueryResult<usize> {
    let digest = token.digest();
    put(
        conn,
        user_id,
        Purpose::EmailChange,
        &digest,
        email.as_str(),
        WAITING,
    )
}

/// Gives a pending change of address its token. Returns `false` if it was withdrawn, or if another one took
/// its place.
pub fn open_change(
    conn: &mut PgConnection,
    user_id: Uuid,
    email: &str,
    token: &TokenDigest,
) -> QueryResult<bool> {
    let waiting = one_time_links::table
        .find((user_id, Purpose::EmailChange))
        .filter(one_time_links::email.eq(email))
        .filter(one_time_links::expires_at.gt(now()));
    let changed = update(waiting)
        .set((
            one_time_links::token_digest.eq(token),
            one_time_links::expires_at.eq(after(now(), span(Purpose::EmailChange.lifetime()))),
        ))
        .execute(conn)?;
    Ok(changed > 0)
}

/// The user's pending change of address, if there is one.
pub fn pending_change(conn: &mut PgConnection, user_id: Uuid) -> QueryResult<Option<PendingChange>> {
    one_time_links::table
        .find((user_id, Purpose::EmailChange))
        .filter(one_time_links::expires_at.gt(now()))
        .select((one_time_links::email, one_time_links::created_at))
        .first(conn)
        .optional()
}

fn put(
    conn: &mut PgConnection,
    user_id: Uuid,
    purpose: Purpose,
    token: &TokenDigest,
    email: &str,
    lifetime: Duration,
) -> QueryResult<usize> {
    use one_time_links::columns;
    insert_into(one_time_links::table)
        .values((
            columns::user_id.eq(user_id),
            columns::purpose.eq(purpose),
            columns::token_digest.eq(token),
            columns::email.eq(email),
            columns::expires_at.eq(after(now(), span(lifetime))),
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

/// Finds a live link. The account must be enabled and still have the link's address, unless the link changes
/// it.
pub fn find(conn: &mut PgConnection, token: &TokenDigest) -> QueryResult<Option<Link>> {
    let is_where_it_was_sent = one_time_links::email
        .eq(users::email)
        .or(one_time_links::purpose.eq(Purpose::EmailChange));
    let found: Option<(User, Purpose, String)> = one_time_links::table
        .inner_join(users::table)
        .filter(one_time_links::token_digest.eq(token))
        .filter(one_time_links::expires_at.gt(now()))
        .filter(is_where_it_was_sent)
        .filter(users::disabled_at.is_null())
        .select((User::as_select(), one_time_links::purpose, one_time_links::email))
        .first(conn)
        .optional()?;
    Ok(found.map(|(user, purpose, email)| Link { user, purpose, email }))
}

/// Whether there is an expired link with this token and one of these purposes.
pub fn is_expired(conn: &mut PgConnection, token: &TokenDigest, purposes: &[Purpose]) -> QueryResult<bool> {
    let expired = one_time_links::table
        .filter(one_time_links::token_digest.eq(token))
        .filter(one_time_links::purpose.eq_any(purposes))
        .filter(one_time_links::expires_at.le(now()));
    select(exists(expired)).get_result(conn)
}

/// Deletes a link that was refused for these purposes, so that a clock that steps back cannot revive it after
/// the client was told. Do not call this in a transaction that the refusal rolls back.
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
