//! Mails that are given up. The table `undelivered_mails` holds the last one to an address, until one is
//! delivered or sent again. A mail to a new address belongs to an account that does not have that address yet: its
//! row never replaces one of another kind, and lists of users do not show it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Interval, Text};
use uuid::Uuid;

use super::Kind;
use super::outbox::QueuedMail;
use crate::db::PgConnection;
use crate::db::clock::interval;
use crate::db::schema::{mails, undelivered_mails};
use crate::db::stale::Stale;

/// After this time in the outbox a mail is given up.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// After so many refusals of its recipient a mail is given up. With the outbox's pauses that takes four hours at
/// least, and longer where few mails are sent.
const MOST_REFUSALS: i32 = 24;

/// How long a row is kept. An admin who has not looked by then has no use for it.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The most characters of a reason. The constraint `undelivered_mails_reason_length` allows no more.
const LONGEST_REASON: usize = 200;

impl QueuedMail {
    /// Counts one more refusal, but only if the server has taken a mail to another address since the try before:
    /// otherwise it may refuse every mail. `took_another` says how long ago it took one. Returns whether the mail must be
    /// given up.
    pub fn is_refused_too_often(&mut self, took_another: Option<Duration>) -> bool {
        let is_meant = took_another.is_some_and(|ago| ago < self.pause_before());
        self.refusals = self.refusals.saturating_add(is_meant.into());
        is_meant && self.refusals >= MOST_REFUSALS
    }
}

/// A mail that waited in the outbox for too long.
#[derive(QueryableByName, Clone, Debug)]
#[diesel(table_name = mails, check_for_backend(diesel::pg::Pg))]
pub struct GivenUp {
    /// The row's id.
    pub id: Uuid,
    /// The kind of mail.
    pub kind: Kind,
    /// SHA-256 of the address.
    pub email_digest: Vec<u8>,
    /// When it was last requested.
    pub created_at: DateTime<Utc>,
}

/// Takes up to `batch` mails that waited longer than three days out of the outbox, and notes those that a
/// server did not take. Returns them all.
///
/// Call this in a transaction of its own: the holder of a row of the outbox must wait for nothing.
pub fn give_up(conn: &mut PgConnection, batch: i64) -> QueryResult<Vec<GivenUp>> {
    diesel::sql_query(
        "with old as materialized (
             select id from mails where created_at < now() - $1 and kind = any($2)
             limit $3 for update skip locked
         ), given_up as (
             delete from mails using old where mails.id = old.id returning mails.*
         ), noted as (
             insert into undelivered_mails as u (email_digest, kind, reason)
             select distinct on (email_digest) email_digest, kind, left(last_reason, 200) from given_up
             where last_reason is not null and (about is null or kind = 'email_change') 
                 order by email_digest, kind = 'email_change', created_at desc
             on conflict (email_digest) do update set
                 kind = excluded.kind, reason = excluded.reason, given_up_at = now()
             where excluded.kind <> 'email_change' or u.kind = 'email_change'
         )
         select id, kind, email_digest, created_at from given_up",
    )
    .bind::<Interval, _>(interval(GIVE_UP))
    .bind::<Array<Text>, _>(&Kind::ALL[..])
    .bind::<BigInt, _>(batch)
    .load(conn)
}

/// Notes that a mail to this address was given up, and why. The reason is cleaned ([`crate::redaction`]).
pub fn note(conn: &mut PgConnection, email_digest: &[u8], kind: Kind, reason: &str) -> QueryResult<usize> {
    let reason: String = reason.chars().take(LONGEST_REASON).collect();
    diesel::sql_query(
        "insert into undelivered_mails as u (email_digest, kind, reason) values ($1, $2, $3)
         on conflict (email_digest) do update set
             kind = excluded.kind, reason = excluded.reason, given_up_at = now()
         where excluded.kind <> 'email_change' or u.kind = 'email_change'",
    )
    .bind::<Binary, _>(email_digest)
    .bind::<Text, _>(kind)
    .bind::<Text, _>(reason)
    .execute(conn)
}

/// The reason why a mail of this kind to this address was given up, if that was at `since` or later.
pub fn reason(
    conn: &mut PgConnection,
    email_digest: &[u8],
    kind: Kind,
    since: DateTime<Utc>,
) -> QueryResult<Option<String>> {
    undelivered_mails::table
        .find(email_digest)
        .filter(undelivered_mails::kind.eq(kind))
        .filter(undelivered_mails::given_up_at.ge(since))
        .select(undelivered_mails::reason)
        .first(conn)
        .optional()
}

/// Forgets what was not delivered to this address: a mail was delivered, or is sent again.
pub fn forget(conn: &mut PgConnection, email_digest: &[u8]) -> QueryResult<usize> {
    diesel::delete(undelivered_mails::table.find(email_digest)).execute(conn)
}

/// Forgets what was not delivered to earlier accounts with these addresses. A note of a link to a new address is of the user
/// who asked for it, and stays. It locks the rows in the order of [`give_up`], so that neither waits
/// for the other in a circle.
pub fn forget_all(conn: &mut PgConnection, email_digests: &[Vec<u8>]) -> QueryResult<usize> {
    diesel::sql_query(
        "with noted as materialized (
             select email_digest from undelivered_mails
                 where email_digest = any($1) and kind <> $2 order by email_digest for update
         )
         delete from undelivered_mails as u using noted where u.email_digest = noted.email_digest",
    )
    .bind::<Array<Binary>, _>(email_digests)
    .bind::<Text, _>(Kind::EmailChange)
    .execute(conn)
}

/// Deletes up to `batch` old rows of `from` or later, the oldest first. Returns their times.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    let notes = Stale {
        table: "undelivered_mails",
        key: &["email_digest"],
        since: "given_up_at",
        also: "true",
    };
    notes.forget(conn, KEPT, from, batch)
}
