//! The table `known_origins`: the places a user has signed in from, so that a new one can be reported.
//!
//! A place is a network (an IPv4 address, or the /64 of an IPv6 address) and a browser without its version.
//! Only its digest is stored.

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

/// Users are told of a new place at most once in this time.
const QUIET: Duration = Duration::from_secs(60 * 60);
/// A place not seen for this long counts as new again.
const FORGOTTEN: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Records a sign-in from this place, in a transaction that holds the user's row. Returns whether to tell the
/// user: the place is new, it is not their first, and they were not told of another one within the hour.
pub fn see(conn: &mut PgConnection, user_id: Uuid, origin: &Origin) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Seen {
        #[diesel(sql_type = Bool)]
        to_tell: bool,
    }
    // An existing row is updated at most once a day: most sign-ins write nothing here.
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

/// Deletes up to `batch` places last seen at `from` or later, but not for 180 days, the oldest first. Returns
/// when they were last seen.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    let places = Stale {
        table: "known_origins",
        key: ["user_id", "origin_digest"],
        since: "last_seen",
    };
    places.forget(conn, FORGOTTEN, from, batch)
}

/// The number of places old enough to be deleted.
pub fn count_stale(conn: &mut PgConnection) -> QueryResult<i64> {
    known_origins::table
        .filter(known_origins::last_seen.lt(before(now(), span(FORGOTTEN))))
        .count()
        .get_result(conn)
}
