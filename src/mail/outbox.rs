//! The table `mails`: the mails that wait to be sent.
//!
//! Mails wait in a queue in which networks take turns: a network that causes many delays only its own. An
//! instance sends the first one in the queue, so the queue is fair across all instances.
//!
//! Rows contain only the digest of an address, and look the same whether or not it has an account: that is
//! looked up when the mail is made (law 7). A mail about a change of address also has the address itself, because
//! there may be no account with this address when the mail is sent. Delivery is at least once: if a process dies
//! between sending a mail and removing its row, the mail is sent again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, update};
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Inet, Interval, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::{Kind, requests};
use crate::db::PgConnection;
use crate::db::clock::{after, interval, now, span};
use crate::db::schema::mails;
use crate::network::Networks;

/// Most requests of one network that may wait.
const MOST_WAITING: i64 = 1_000;
/// A site ([`Networks`]) may have this many times as much: mails per turn, and waiting requests.
const WIDE_SHARE: i64 = 16;

/// An instance has this long to send a mail that it took. Then others may take it.
const LEASE: Duration = Duration::from_secs(5 * 60);
/// A mail that could not be sent is tried again after this pause, which doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// Attempts are not counted beyond this number.
const MOST_COUNTED: i32 = 10_000;

/// The recipient of a mail that goes to an address that is not, or no longer, the user's own.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// The user that the mail is about.
    pub user: Uuid,
    /// The address that the mail goes to.
    pub address: String,
}

/// The event that a mail reports.
#[derive(Clone, Debug, Default)]
pub struct Happening {
    /// The IP address that the event came from.
    pub ip_address: Option<IpNetwork>,
    /// The user agent that the event came from.
    pub user_agent: Option<String>,
    /// The admin who invites.
    pub invited_by: Option<Uuid>,
    /// The recipient. `None` if the mail goes to the user who has the address when it is sent.
    pub elsewhere: Option<Elsewhere>,
}

/// The outcome of a request for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A mail waits to be sent.
    Waiting,
    /// The address has had as many as it gets in an hour, or its network has too many waiting.
    TooOften,
}

/// A mail that an instance has taken, to send it.
#[derive(Queryable, Selectable, QueryableByName, Clone, Debug)]
#[diesel(table_name = mails, check_for_backend(diesel::pg::Pg))]
pub struct QueuedMail {
    /// The row's id.
    pub id: Uuid,
    /// The kind of mail.
    pub kind: Kind,
    /// SHA-256 of the address.
    pub email_digest: Vec<u8>,
    /// When the event happened that the mail reports.
    pub happened_at: DateTime<Utc>,
    /// The IP address that the event came from.
    pub ip_address: Option<IpNetwork>,
    /// The user agent that the event came from.
    pub user_agent: Option<String>,
    /// The number of tries, including this one.
    pub attempts: i32,
    /// When it was last requested.
    pub created_at: DateTime<Utc>,
    /// The admin who invites.
    pub invited_by: Option<Uuid>,
    /// How often the server refused the recipient without saying whether that is for good.
    pub refusals: i32,
    /// Why the last try failed.
    pub last_reason: Option<String>,
    /// The address that the mail goes to, if no account need have it.
    pub address: Option<String>,
    /// The user that the mail is about, if `address` is set.
    pub about: Option<Uuid>,
}

/// Puts a mail into the outbox. If a link of the same kind already waits for the address, that mail is
/// renewed instead.
pub fn post(
    conn: &mut PgConnection,
    email_digest: &[u8; 32],
    kind: Kind,
    happening: &Happening,
) -> QueryResult<usize> {
    let networks = happening.ip_address.map(|network| Networks::of(network.ip()));
    put(conn, email_digest, kind, happening, networks, Cause::Owed)
}

/// Puts a requested link into the outbox. Anybody can request one: an address gets five an hour, and a
/// network may have only so many waiting.
pub fn request(
    conn: &mut PgConnection,
    email_digest: &[u8; 32],
    kind: Kind,
    networks: Networks,
) -> QueryResult<Asked> {
    if !requests::count(conn, email_digest, kind)? {
        return Ok(Asked::TooOften);
    }
    let happening = Happening::default();
    Ok(
        match put(conn, email_digest, kind, &happening, Some(networks), Cause::Asked)? {
            0 => Asked::TooOften,
            _ => Asked::Waiting,
        },
    )
}

/// Why a mail is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// An event or an admin caused it.
    Owed,
    /// A request caused it, which may be anybody's.
    Asked,
}

/// Inserts the mail with its turn, which is one later for each waiting mail of its network. A repeated mail keeps
/// the earliest turn of all its requests: nobody can delay a mail by requesting it first.
fn put(
    conn: &mut PgConnection,
    email_digest: &[u8; 32],
    kind: Kind,
    happening: &Happening,
    networks: Option<Networks>,
    cause: Cause,
) -> QueryResult<usize> {
    let range = networks.map(Networks::site_range);
    let elsewhere = happening.elsewhere.as_ref();
    diesel::sql_query(
        "insert into mails as m (kind, email_digest, ip_address, user_agent, invited_by, about, address, network,
             asked, turn)
         select $1, $2, $3, $4, $12, $13, $14, $5, $6, greatest(narrow, wide / $9::double precision)
         from (select count(*) filter (where network = $5) as narrow, count(*) as wide
               from (select network from mails where network between $7 and $8 limit $11) as waiting) as line
         where not $6 or narrow < $10 and wide < $11
         on conflict (email_digest, kind) where kind in ('invitation', 'verification', 'password_reset')
         do update set
             created_at = now(),
             invited_by = excluded.invited_by,
             asked = m.asked and excluded.asked,
             network = case when excluded.turn < m.turn then excluded.network else m.network end,
             turn = least(m.turn, excluded.turn)",
    )
    .bind::<Text, _>(kind)
    .bind::<Binary, _>(&email_digest[..])
    .bind::<Nullable<Inet>, _>(happening.ip_address)
    .bind::<Nullable<Text>, _>(&happening.user_agent)
    .bind::<Nullable<Inet>, _>(networks.map(|networks| IpNetwork::from(networks.subnet())))
    .bind::<Bool, _>(cause == Cause::Asked)
    .bind::<Nullable<Inet>, _>(range.map(|(first, _)| IpNetwork::from(first)))
    .bind::<Nullable<Inet>, _>(range.map(|(_, last)| IpNetwork::from(last)))
    .bind::<BigInt, _>(WIDE_SHARE)
    .bind::<BigInt, _>(MOST_WAITING)
    .bind::<BigInt, _>(MOST_WAITING * WIDE_SHARE)
    .bind::<Nullable<SqlUuid>, _>(happening.invited_by)
    .bind::<Nullable<SqlUuid>, _>(elsewhere.map(|elsewhere| elsewhere.user))
    .bind::<Nullable<Text>, _>(elsewhere.map(|elsewhere| &elsewhere.address))
    .execute(conn)
}

/// How many mails wait in the outbox.
#[derive(QueryableByName, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Invitations that no instance has taken yet, all or those to one address.
    #[diesel(sql_type = BigInt)]
    pub invitations: i64,
    /// Mails of all kinds that no instance has taken yet.
    #[diesel(sql_type = BigInt)]
    pub untouched: i64,
    /// How often instances have taken the mails that still wait, in all.
    #[diesel(sql_type = BigInt)]
    pub attempts: i64,
}

/// Counts the mails that wait. With a digest, the invitations are only those to that address.
pub fn waiting(conn: &mut PgConnection, email_digest: Option<&[u8; 32]>) -> QueryResult<Waiting> {
    diesel::sql_query(
        "select count(*) filter (where attempts = 0) as untouched, coalesce(sum(attempts), 0)::bigint as attempts,
             count(*) filter (where attempts = 0 and kind = 'invitation' and ($1 is null or email_digest = $1))
                 as invitations
         from mails",
    )
    .bind::<Nullable<Binary>, _>(email_digest.map(|digest| &digest[..]))
    .get_result(conn)
}

/// A due mail that was read and not taken.
#[derive(QueryableByName, Clone, Debug)]
#[diesel(table_name = mails, check_for_backend(diesel::pg::Pg))]
pub struct Next {
    /// The row's id.
    pub id: Uuid,
    /// The kind of mail.
    pub kind: Kind,
    /// SHA-256 of the address.
    pub email_digest: Vec<u8>,
    /// When it was last requested.
    pub created_at: DateTime<Utc>,
    /// Whether anybody may have requested it, for an address that may have no account.
    pub asked: bool,
}

/// The first `most` mails of the queue.
pub fn front(conn: &mut PgConnection, most: i64) -> QueryResult<Vec<Next>> {
    let front = format!("select id, kind, email_digest, created_at, asked from mails {IN_LINE} limit $2");
    diesel::sql_query(front)
        .bind::<Array<Text>, _>(&Kind::ALL[..])
        .bind::<BigInt, _>(most)
        .load(conn)
}

/// Removes useless mails, in one statement, and returns the removed ones. It leaves mails that another transaction
/// has locked, or that were requested again since they were read: they may be useful by now.
pub fn discard_all<'a>(
    conn: &mut PgConnection,
    mails: impl IntoIterator<Item = &'a Next>,
) -> QueryResult<Vec<Next>> {
    let (ids, seen): (Vec<Uuid>, Vec<DateTime<Utc>>) =
        mails.into_iter().map(|next| (next.id, next.created_at)).unzip();
    diesel::sql_query(
        "with of_no_use as materialized (
             select m.id from mails as m join unnest($1, $2) as seen (id, created_at) using (id, created_at)
             for update of m skip locked
         )
         delete from mails as m using of_no_use where m.id = of_no_use.id
         returning m.id, m.kind, m.email_digest, m.created_at, m.asked",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Timestamptz>, _>(seen)
    .load(conn)
}

/// The due mails, in order. Kinds that only a newer version knows are left to it.
const IN_LINE: &str = "where due_at <= now() and kind = any($1) order by turn, asked, due_at";

/// Takes the next due mail. It is the caller's until the lease ends.
///
/// Call this in a transaction of its own: the holder of a user's row may wait for a row here, so the holder
/// of a row here must wait for nothing.
pub fn claim(conn: &mut PgConnection) -> QueryResult<Option<QueuedMail>> {
    let next = format!(
        "update mails set attempts = least(attempts, {MOST_COUNTED}) + 1, due_at = now() + $2
         where id = (select id from mails {IN_LINE} limit 1 for update skip locked)
         returning *"
    );
    diesel::sql_query(next)
        .bind::<Array<Text>, _>(&Kind::ALL[..])
        .bind::<Interval, _>(interval(LEASE))
        .get_result(conn)
        .optional()
}

impl QueuedMail {
    /// The time between this try and the one before, at least. Zero for the first.
    pub(super) fn pause_before(&self) -> Duration {
        pause_after(self.attempts - 1)
    }
}

/// The pause after so many tries.
fn pause_after(attempts: i32) -> Duration {
    match u32::try_from(attempts - 1) {
        Ok(doublings) => (FIRST_PAUSE * (1 << doublings.min(16))).min(LONGEST_PAUSE),
        Err(_) => Duration::ZERO,
    }
}

/// Puts back a mail that could not be sent, with what happened to it.
pub fn postpone(conn: &mut PgConnection, mail: &QueuedMail) -> QueryResult<usize> {
    let pause = pause_after(mail.attempts);
    update(mails::table.find(mail.id))
        .set((
            mails::due_at.eq(after(now(), span(pause))),
            mails::refusals.eq(mail.refusals),
            mails::last_reason.eq(&mail.last_reason),
        ))
        .execute(conn)
}

/// Removes a mail.
pub fn remove(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    delete(mails::table.find(id)).execute(conn)
}

/// Removes a useless mail, or puts it back if it was requested again since it was taken: it may be useful by
/// now.
pub fn discard(conn: &mut PgConnection, mail: &QueuedMail) -> QueryResult<()> {
    let of_no_use = mails::table
        .find(mail.id)
        .filter(mails::created_at.eq(mail.created_at));
    if delete(of_no_use).execute(conn)? == 0 {
        postpone(conn, mail)?;
    }
    Ok(())
}
