//! The table `known_origins`: where a user has signed in from, so that a new origin can be reported.
//!
//! An origin is a network (an IPv4 address, or the /64 of an IPv6 address) and a browser without its version.
//! Only its digest is stored.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::db::PgConnection;
use crate::db::stale::Stale;

/// An origin not seen for this long counts as new again.
const FORGOTTEN: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Records a sign-in from this origin, as the part `seen` of a statement. The transaction must hold the lock
/// on the user's row. The parameters are the user, the digest of the origin, and whether to record it at all.
/// The column `to_tell` says whether to report the origin: it is new, it is not the user's first, and no
/// other one was reported within the hour.
pub fn remember_sql([user_id, origin, is_wanted]: [&str; 3]) -> String {
    // An existing row is updated at most once a day: most sign-ins write nothing here.
    format!(
        "seen as (
             insert into known_origins as k (user_id, origin_digest, told_at)
             select {user_id}, {origin}, case
                 when exists (select from known_origins where user_id = {user_id})
                     and not exists (select from known_origins
                         where user_id = {user_id} and told_at > now() - interval '1 hour')
                 then now()
             end
             where {is_wanted}
             on conflict (user_id, origin_digest) do update set last_seen = now()
                 where k.last_seen < now() - interval '1 day'
             returning coalesce(told_at = now(), false) as to_tell
         )"
    )
}

const ORIGINS: Stale = Stale {
    table: "known_origins",
    key: &["user_id", "origin_digest"],
    since: "last_seen",
    also: "true",
};

/// Deletes up to `batch` origins that were last seen at `from` or later, but more than 180 days ago, the
/// oldest first. Returns when they were last seen.
pub fn sweep(conn: &mut PgConnection, from: DateTime<Utc>, batch: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    ORIGINS.forget(conn, FORGOTTEN, from, batch)
}

/// The number of origins old enough to be deleted.
pub fn count_stale(conn: &mut PgConnection) -> QueryResult<i64> {
    ORIGINS.count(conn, FORGOTTEN)
}
