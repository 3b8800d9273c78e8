//! The table `known_origins`: from where a user has signed in, so that a place never seen before can be told.
//!
//! A place is a network (an IPv4 address, or the /64 of an IPv6 address) and a browser without its version. Only its digest is kept.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Interval, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::Origin;
use crate::db::clock::{before, interval, now, span};
use crate::db::schema::known_origins;

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
    #[derive(QueryableByName)]
    struct Gone {
        #[diesel(sql_type = Timestamptz)]
        last_seen: DateTime<Utc>,
    }
    // By the whole key, and by rows that are ours already: nobody is waited for.
    let gone: Vec<Gone> = diesel::sql_query(
        "with stale as materialized (
             select user_id, origin_digest from known_origins where last_seen >= $1 and last_seen < now() - $2
             order by last_seen limit $3 for update skip locked
         )
         delete from known_origins as k using stale
         where k.user_id = stale.user_id and k.origin_digest = stale.origin_digest
         returning k.last_seen",
    )
    .bind::<Timestamptz, _>(from)
    .bind::<Interval, _>(interval(FORGOTTEN))
    .bind::<BigInt, _>(batch)
    .load(conn)?;
    Ok(gone.into_iter().map(|gone| gone.last_seen).collect())
}

/// How many are old enough to be forgotten.
pub fn count_stale(conn: &mut PgConnection) -> QueryResult<i64> {
    known_origins::table
        .filter(known_origins::last_seen.lt(before(now(), span(FORGOTTEN))))
        .count()
        .get_result(conn)
}
