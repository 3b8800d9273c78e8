//! The columns `page_...` of the table `sessions`: what is known of the page of a session that ends with its
//! page.
//!
//! `page_lost_at` is set when the newest stream of the page was closed by the other side, and when the page
//! signs in and has none yet. `page_heard_at` is when the page was last heard, as far as instances have
//! written it. Any instance writes these marks, in any order. Only [`end_lost`] and [`end_left`] end a
//! session, with its row locked.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Interval, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::pages::{Heard, LostStream};
use super::{EndReason, EndedSession, history, store};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::db::clock::{interval, now};
use crate::db::schema::sessions;

/// A page that is there is heard at least this often: it answers each beat of its stream (every 20 seconds).
/// After a longer silence, it was not the page that closed the stream: when a machine sleeps, a proxy closes
/// its connection after some time. QUIC does so soonest, after 30 seconds (RFC 9000 10.1 lets both sides
/// choose the time).
const HEARD_WITHIN: Duration = Duration::from_secs(28);

/// How long after the end of its stream a page may still be heard: requests that it sent before it went may
/// arrive late.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// The condition for pages that were lost at least `grace` ago, and that are gone, or are not, as `is_gone`
/// says. A page is gone if it was heard shortly before its stream was closed, and not since.
fn due_sql([grace, heard_within, under_way]: [&str; 3], is_gone: bool) -> String {
    let not = if is_gone { "" } else { "not" };
    format!(
        "page_lost_at <= now() - {grace}
            and {not} coalesce(page_heard_at between page_lost_at - {heard_within} and page_lost_at + {under_way}, false)
         order by page_lost_at"
    )
}

/// Records the newest stream of the session's page. The page is no longer lost.
pub fn stream_opened(conn: &mut PgConnection, session: Uuid, stream: Uuid) -> QueryResult<usize> {
    diesel::update(sessions::table.find(session))
        .filter(sessions::ends_with_page)
        .set((
            sessions::page_stream.eq(stream),
            sessions::page_lost_at.eq(None::<DateTime<Utc>>),
            sessions::page_heard_at.eq(now().nullable()),
        ))
        .execute(conn)
}

/// Notes that these streams were closed by the other side. A page that has opened another one is not lost.
pub fn streams_lost(conn: &mut PgConnection, lost: &[LostStream]) -> QueryResult<usize> {
    diesel::sql_query(
        "update sessions set
             page_lost_at = now(),
             page_heard_at = greatest(page_heard_at, now() - silent_for)
         from unnest($1, $2, $3) as lost (session, stream, silent_for)
         where id = session and page_stream = stream and page_lost_at is null",
    )
    .bind::<Array<SqlUuid>, _>(lost.iter().map(|lost| lost.session).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(lost.iter().map(|lost| lost.stream).collect::<Vec<_>>())
    .bind::<Array<Interval>, _>(
        lost.iter()
            .map(|lost| interval(lost.silent_for))
            .collect::<Vec<PgInterval>>(),
    )
    .execute(conn)
}

/// The sessions whose pages may be gone, and since when: up to `most`, the oldest loss first. `after` is the
/// last row of the call before.
pub fn lost(
    conn: &mut PgConnection,
    after: Option<(DateTime<Utc>, Uuid)>,
    most: usize,
) -> QueryResult<Vec<(DateTime<Utc>, Uuid)>> {
    let mut lost = sessions::table
        .filter(sessions::page_lost_at.is_not_null())
        .order((sessions::page_lost_at, sessions::id))
        .select((sessions::page_lost_at.assume_not_null(), sessions::id))
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .into_boxed();
    if let Some((at, id)) = after {
        let same_time = sessions::page_lost_at.eq(at).and(sessions::id.gt(id));
        lost = lost
            .filter(sessions::page_lost_at.ge(at))
            .filter(sessions::page_lost_at.gt(at).or(same_time));
    }
    lost.load(conn)
}

/// Records what an instance knows of pages that may be gone: when it last heard them, and a stream that they
/// have there. A page with such a stream is no longer lost.
pub fn heard(conn: &mut PgConnection, pages: &[(Uuid, Heard)]) -> QueryResult<usize> {
    diesel::sql_query(
        "update sessions set
             page_heard_at = greatest(page_heard_at, now() - silent_for),
             page_stream = coalesce(stream, page_stream),
             page_lost_at = case when stream is null then page_lost_at end
         from unnest($1, $2, $3) as heard (session, stream, silent_for)
         where id = session and page_lost_at is not null
             and (stream is not null or page_heard_at < now() - silent_for)",
    )
    .bind::<Array<SqlUuid>, _>(pages.iter().map(|(session, _)| *session).collect::<Vec<_>>())
    .bind::<Array<diesel::sql_types::Nullable<SqlUuid>>, _>(
        pages.iter().map(|(_, heard)| heard.stream).collect::<Vec<_>>(),
    )
    .bind::<Array<Interval>, _>(
        pages
            .iter()
            .map(|(_, heard)| interval(heard.silent_for))
            .collect::<Vec<PgInterval>>(),
    )
    .execute(conn)
}

/// Ends up to `batch` sessions whose pages have been gone for `grace`, skipping locked rows. Returns them.
pub fn end_lost(
    conn: &mut PgConnection,
    grace: Duration,
    batch: i64,
    policy: &SessionPolicy,
) -> QueryResult<Vec<EndedSession>> {
    let (idle_timeout, max_lifetime) = store::limits(policy);
    let due = due_sql(["$4", "$5", "$6"], true);
    diesel::sql_query(history::move_sql(&history::unheld_sql(&format!(
        "{due} limit $7"
    ))))
    .bind::<Interval, _>(idle_timeout)
    .bind::<Interval, _>(max_lifetime)
    .bind::<Text, _>(EndReason::PageClosed)
    .bind::<Interval, _>(interval(grace))
    .bind::<Interval, _>(interval(HEARD_WITHIN))
    .bind::<Interval, _>(interval(UNDER_WAY))
    .bind::<BigInt, _>(batch)
    .load(conn)
}

/// Ends those of these sessions whose pages said that they may be about to go, and then were gone for
/// `grace`. Returns them.
pub fn end_left(
    conn: &mut PgConnection,
    left: &[(Uuid, Duration)],
    grace: Duration,
    policy: &SessionPolicy,
) -> QueryResult<Vec<EndedSession>> {
    let (idle_timeout, max_lifetime) = store::limits(policy);
    // The page may have stayed: another instance may have heard it.
    let is_gone = "page_lost_at <= now() - $4 and id = any($6) and exists (
            select from unnest($6, $7) as left_at (session, ago)
                where session = id and page_heard_at <= now() - ago + $5
        )";
    diesel::sql_query(history::move_sql(&history::unheld_sql(is_gone)))
        .bind::<Interval, _>(idle_timeout)
        .bind::<Interval, _>(max_lifetime)
        .bind::<Text, _>(EndReason::PageClosed)
        .bind::<Interval, _>(interval(grace))
        .bind::<Interval, _>(interval(UNDER_WAY))
        .bind::<Array<SqlUuid>, _>(left.iter().map(|(session, _)| *session).collect::<Vec<_>>())
        .bind::<Array<Interval>, _>(left.iter().map(|(_, ago)| interval(*ago)).collect::<Vec<_>>())
        .load(conn)
}

/// Clears `page_lost_at` of up to `batch` pages that were heard after their stream was closed, or had been
/// silent for long before.
pub fn keep_others(conn: &mut PgConnection, grace: Duration, batch: i64) -> QueryResult<usize> {
    let due = due_sql(["$1", "$2", "$3"], false);
    let chosen = history::unheld_sql(&format!("{due} limit $4"));
    diesel::sql_query(format!("update sessions set page_lost_at = null where {chosen}"))
        .bind::<Interval, _>(interval(grace))
        .bind::<Interval, _>(interval(HEARD_WITHIN))
        .bind::<Interval, _>(interval(UNDER_WAY))
        .bind::<BigInt, _>(batch)
        .execute(conn)
}
