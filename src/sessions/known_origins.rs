//! The table `known_origins`: from where a user has signed in, so that a place never seen before can be told.
//!
//! A place is a network (an IPv4 address, or the /64 of an IPv6 address) and a browser without its version. Only its digest is kept.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Interval, Uuid as SqlUuid};
use uuid::Uuid;

use super::Origin;
use crate::db::clock::{before, interval, now, span};
use crate::db::schema::known_origins;
use crate::db::stale::Stale;

/// A user is told of a new place at most once in this time.
const QUIET: Duration = Duration::from_secs(60 * 60);
/// A place not seen for this long is a new one again.
const FORGOTTEN: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Notes that the user was seen there, in a transaction that holds the user's row. Returns whether to tell them: the place is new, it
/// is not their first, and they were not told of another one within the hour.
pub fn see(conn: &mut PgConnection, user_id: Uuid, origin: &Origin) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Seen {
        #[diesel(sql_type = Bool)]
        to_tell: bool,
    }
    // A row that is there already is left alone on most days: most sign-ins write nothing here.
    let seen = diesel::sql_query(
        "insert into known_origins as k (user_id, origin_digest, told_at)
         select $1, $2, case
             when exists (select from known_origins where user_id = $1)
                 and not exists (select from known_origins where user_id = $1 and told_at > now() - $3)
             then now()
         end
         on conflict (user_id, origin_digest) do update set last_seen = now()
             where k.last_seen < now() - interval '1 day'
         returning coalesce(told_at = now(), false) as to_tell",
    )
    .bind::<SqlUuid, _>(user_id)
    .bind::<Binary, _>(&origin.place_digest()[..])
    .bind::<Interval, _>(interval(QUIET))
    .get_result::<Seen>(conn)
    .optional()?;
    Ok(seen.is_some_and(|seen| seen.to_tell))
}

/// Forgets up to `batch` places last seen at `from` or later, and not for a long time, the oldest first. Returns when they were.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    let places = Stale {
        table: "known_origins",
        key: ["user_id", "origin_digest"],
        since: "last_seen",
    };
    places.forget(conn, FORGOTTEN, from, batch)
}

/// How many are old enough to be forgotten.
pub fn count_stale(conn: &mut PgConnection) -> QueryResult<i64> {
    known_origins::table
        .filter(known_origins::last_seen.lt(before(now(), span(FORGOTTEN))))
        .count()
        .get_result(conn)
}
