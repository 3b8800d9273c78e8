//! The tables `mails` (what waits to be sent) and `mail_requests` (who asked how often).
//!
//! Rows name an address by its digest alone, and are written in the same way whether or not an account stands behind it: that is
//! found out when the mail is made (law 7). Delivery is at least once: a program that dies between sending a mail and removing its
//! row sends it again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, update};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Inet, Integer, Interval, Nullable, Text, Timestamptz};
use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::Kind;
use crate::db::clock::{after, before, interval, now, span};
use crate::db::schema::mails;

/// Links of one kind that an address can be sent in [`REQUESTS_WINDOW`].
const MOST_REQUESTS: i32 = 5;
const REQUESTS_WINDOW: Duration = Duration::from_secs(60 * 60);

/// Beyond so many a network's asks are not counted any more: all of them are the last.
const LAST_TURN: i64 = 1_000;

/// Whoever takes a mail has this long to send it before others take it for lost.
const LEASE: Duration = Duration::from_secs(5 * 60);
/// A mail that could not be sent is tried again after this long, then after twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// After this long nobody waits for it any more.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// What happened that somebody is to be told of.
#[derive(Clone, Debug, Default)]
pub struct Happening {
    /// From where.
    pub ip_address: Option<IpNetwork>,
    /// With what.
    pub user_agent: Option<String>,
}

/// What became of a request for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A mail waits to be sent.
    Waiting,
    /// The address has had as many as it gets in an hour.
    TooOften,
}

/// A mail whose turn it is.
#[derive(Queryable, Selectable, QueryableByName, Clone, Debug)]
#[diesel(table_name = mails, check_for_backend(diesel::pg::Pg))]
pub struct Waiting {
    /// Names the row.
    pub id: Uuid,
    /// What it is about.
    pub kind: Kind,
    /// SHA-256 of the address.
    pub email_digest: Vec<u8>,
    /// When that was.
    pub happened_at: DateTime<Utc>,
    /// From where.
    pub ip_address: Option<IpNetwork>,
    /// With what.
    pub user_agent: Option<String>,
    /// How often it was tried, this time included.
    pub attempts: i32,
    /// When it was asked for, the last time if it was more than once.
    pub created_at: DateTime<Utc>,
}

/// Puts a mail into the outbox. If one with a link of the same kind waits for the same address, that one is as good as new.
pub fn post(
    conn: &mut PgConnection,
    email_digest: &[u8; 32],
    kind: Kind,
    happening: &Happening,
) -> QueryResult<usize> {
    diesel::sql_query(
        "insert into mails (kind, email_digest, ip_address, user_agent) values ($1, $2, $3, $4)
         on conflict (email_digest, kind) where kind in ('invitation', 'verification', 'password_reset')
         do update set created_at = now()",
    )
    .bind::<Text, _>(kind)
    .bind::<Binary, _>(&email_digest[..])
    .bind::<Nullable<Inet>, _>(happening.ip_address)
    .bind::<Nullable<Text>, _>(&happening.user_agent)
    .execute(conn)
}

/// The same because somebody at `network` asked for a link, which anybody can: an address gets five an hour, and who asks for many waits
/// for themselves.
pub fn request(
    conn: &mut PgConnection,
    email_digest: &[u8; 32],
    kind: Kind,
    network: IpNetwork,
) -> QueryResult<Asked> {
    let within = diesel::sql_query(
        "insert into mail_requests as r (email_digest, kind, requests) values ($1, $2, 1)
         on conflict (email_digest, kind) do update set
             requests = case when r.since <= now() - $3 then 1 else r.requests + 1 end,
             since = case when r.since <= now() - $3 then now() else r.since end
         where r.since <= now() - $3 or r.requests < $4",
    )
    .bind::<Binary, _>(&email_digest[..])
    .bind::<Text, _>(kind)
    .bind::<Interval, _>(interval(REQUESTS_WINDOW))
    .bind::<Integer, _>(MOST_REQUESTS)
    .execute(conn)?;
    if within == 0 {
        return Ok(Asked::TooOften);
    }
    diesel::sql_query(
        "insert into mails (kind, email_digest, asked_from, turn)
         select $1, $2, $3, 1 + count(*) from (select from mails where asked_from = $3 limit $4) as waiting
         on conflict (email_digest, kind) where kind in ('invitation', 'verification', 'password_reset')
         do update set created_at = now()",
    )
    .bind::<Text, _>(kind)
    .bind::<Binary, _>(&email_digest[..])
    .bind::<Inet, _>(network)
    .bind::<BigInt, _>(LAST_TURN)
    .execute(conn)?;
    Ok(Asked::Waiting)
}

/// Takes the next mail that is due. It is the caller's until the lease ends.
///
/// Not to be called in a transaction with anything else: whoever holds the row of a user may wait for a row here, so whoever holds
/// a row here waits for nobody.
pub fn claim(conn: &mut PgConnection) -> QueryResult<Option<Waiting>> {
    // What a newer version has put in is left to it.
    let next = "update mails set attempts = attempts + 1, due_at = now() + $1
                where id = (select id from mails where due_at <= now() and kind = any($2)
                            order by turn, due_at limit 1 for update skip locked)
                returning *";
    diesel::sql_query(next)
        .bind::<Interval, _>(interval(LEASE))
        .bind::<Array<Text>, _>(&Kind::ALL[..])
        .get_result(conn)
        .optional()
}

/// Puts a mail back that could not be sent.
pub fn postpone(conn: &mut PgConnection, mail: &Waiting) -> QueryResult<usize> {
    let doublings = u32::try_from(mail.attempts - 1).unwrap_or_default().min(16);
    let pause = (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE);
    update(mails::table.find(mail.id))
        .set(mails::due_at.eq(after(now(), span(pause))))
        .execute(conn)
}

/// Takes a mail out: it was sent.
pub fn remove(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    delete(mails::table.find(id)).execute(conn)
}

/// Takes a mail out that is of no use to anybody, or puts it back if it was asked for again since it was taken: it may be by now.
pub fn discard(conn: &mut PgConnection, mail: &Waiting) -> QueryResult<()> {
    let of_no_use = mails::table
        .find(mail.id)
        .filter(mails::created_at.eq(mail.created_at));
    if delete(of_no_use).execute(conn)? == 0 {
        postpone(conn, mail)?;
    }
    Ok(())
}

/// Takes out up to `batch` mails that could not be sent for days. Returns what and since when.
pub fn give_up(conn: &mut PgConnection, batch: i64) -> QueryResult<Vec<(Uuid, Kind, DateTime<Utc>)>> {
    let old: Vec<Uuid> = mails::table
        .filter(mails::created_at.lt(before(now(), span(GIVE_UP))))
        .filter(mails::kind.eq_any(Kind::ALL))
        .limit(batch)
        .for_update()
        .skip_locked()
        .select(mails::id)
        .load(conn)?;
    delete(mails::table.filter(mails::id.eq_any(old)))
        .returning((mails::id, mails::kind, mails::created_at))
        .get_results(conn)
}

/// Forgets up to `batch` stale rows of requests begun at `from` or later, the oldest first. Returns when they were.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    #[derive(QueryableByName)]
    struct Gone {
        #[diesel(sql_type = Timestamptz)]
        since: DateTime<Utc>,
    }
    // By the whole key, and by rows that are ours already: nobody is waited for.
    let gone: Vec<Gone> = diesel::sql_query(
        "with stale as materialized (
             select email_digest, kind from mail_requests where since >= $1 and since < now() - $2
             order by since limit $3 for update skip locked
         )
         delete from mail_requests as r using stale
         where r.email_digest = stale.email_digest and r.kind = stale.kind
         returning r.since",
    )
    .bind::<Timestamptz, _>(from)
    .bind::<Interval, _>(interval(REQUESTS_WINDOW))
    .bind::<BigInt, _>(batch)
    .load(conn)?;
    Ok(gone.into_iter().map(|gone| gone.since).collect())
}
