//! The table `mail_requests`: how often each address had a request for a mail, whether or not an account has it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Integer, Interval, Text};

use super::Kind;
use crate::db::PgConnection;
use crate::db::clock::interval;
use crate::db::stale::Stale;

/// Mails of one kind that an address can request in [`WINDOW`].
const MOST: i32 = 5;

/// The time for which requests are counted.
pub const WINDOW: Duration = Duration::from_secs(60 * 60);

/// Counts a request for a mail of this kind. `false`: the address has had as many as it gets in an hour.
pub fn count(conn: &mut PgConnection, email_digest: &[u8; 32], kind: Kind) -> QueryResult<bool> {
    let within = diesel::sql_query(
        "insert into mail_requests as r (email_digest, kind, requests) values ($1, $2, 1)
         on conflict (email_digest, kind) do update set
             requests = case when r.since <= now() - $3 then 1 else r.requests + 1 end,
             since = case when r.since <= now() - $3 then now() else r.since end
         where r.since <= now() - $3 or r.requests < $4",
    )
    .bind::<Binary, _>(&email_digest[..])
    .bind::<Text, _>(kind)
    .bind::<Interval, _>(interval(WINDOW))
    .bind::<Integer, _>(MOST)
    .execute(conn)?;
    Ok(within > 0)
}

/// Deletes up to `batch` stale rows of requests begun at `from` or later, the oldest first. Returns when they
/// began.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    let requests = Stale {
        table: "mail_requests",
        key: &["email_digest", "kind"],
        since: "since",
        also: "true",
    };
    requests.forget(conn, WINDOW, from, batch)
}
