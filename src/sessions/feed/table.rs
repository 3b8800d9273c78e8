//! The feed in PostgreSQL. The functions are defined in the migrations.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{
    Array, BigInt, Bool, Integer, Interval, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use crate::db::clock::interval;

#[diesel::declare_sql_function]
extern "SQL" {
    /// The server that answers, as [`super::super::memory`] compares it.
    fn feed_server() -> Nullable<Text>;
}

/// How many rows one statement deletes.
const PURGED_AT_ONCE: i32 = 10_000;

/// Where a reader is: a snapshot of PostgreSQL's, and the server that it means something to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) server: Arc<str>,
    pub(super) snapshot: String,
}

/// The answer to one question.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) cursor: Cursor,
    /// PostgreSQL's clock.
    pub(super) at: DateTime<Utc>,
    /// How long answers from memory may be given, if they may be given at all.
    pub(super) lease: Option<Duration>,
    /// How long an end has to wait.
    pub(super) wait: Duration,
    /// A longer lease that was in use before, and the number of that change.
    pub(super) previous: Option<i64>,
    /// What was in memory means nothing any more.
    pub(super) is_lost: bool,
    /// Users whose rights or sessions have changed; nil means all users.
    pub(super) named: Vec<Uuid>,
    /// Those of them who lost something.
    pub(super) ended: Vec<Uuid>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    server: String,
    #[diesel(sql_type = Text)]
    snapshot: String,
    #[diesel(sql_type = Timestamptz)]
    asked_at: DateTime<Utc>,
    #[diesel(sql_type = Bool)]
    grants: bool,
    #[diesel(sql_type = Interval)]
    lease: PgInterval,
    #[diesel(sql_type = Interval)]
    wait: PgInterval,
    #[diesel(sql_type = Nullable<Interval>)]
    previous: Option<PgInterval>,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Bool)]
    is_lost: bool,
    #[diesel(sql_type = Array<SqlUuid>)]
    named: Vec<Uuid>,
    #[diesel(sql_type = Array<SqlUuid>)]
    ended: Vec<Uuid>,
}

/// What has happened since the cursor. Without one, or with one of another server, everything is lost.
pub(super) fn read(conn: &mut PgConnection, since: Option<&Cursor>) -> QueryResult<Answer> {
    let row: Row = sql_query("select * from read_feed($1::pg_snapshot)")
        .bind::<Nullable<Text>, _>(since.map(|cursor| &cursor.snapshot))
        .get_result(conn)?;
    let is_lost = row.is_lost || since.is_none_or(|cursor| *cursor.server != *row.server);
    Ok(Answer {
        cursor: Cursor {
            server: row.server.into(),
            snapshot: row.snapshot,
        },
        at: row.asked_at,
        lease: row.grants.then(|| duration(&row.lease)),
        wait: duration(&row.wait),
        previous: row.previous.map(|_| row.version),
        is_lost,
        named: row.named,
        ended: row.ended,
    })
}

/// Sets the lease of all instances.
pub(super) fn set_lease(conn: &mut PgConnection, lease: Duration) -> QueryResult<usize> {
    sql_query("select set_validation_lease($1)")
        .bind::<Interval, _>(interval(lease))
        .execute(conn)
}

/// Forgets the longer lease, after a wait that began when this version was seen.
pub(super) fn forget_previous(conn: &mut PgConnection, version: i64) -> QueryResult<usize> {
    sql_query("select forget_previous_lease($1)")
        .bind::<BigInt, _>(version)
        .execute(conn)
}

/// Deletes rows that every snapshot since this one has seen. Returns whether there are more.
pub(super) fn purge(conn: &mut PgConnection, since: &str) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Purged {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let purged: Purged = sql_query("select purge_feed(pg_snapshot_xmin($1::pg_snapshot), $2) as count")
        .bind::<Text, _>(since)
        .bind::<Integer, _>(PURGED_AT_ONCE)
        .get_result(conn)?;
    Ok(purged.count >= PURGED_AT_ONCE.into())
}

/// The columns are limited to seconds, so there are no months and days.
fn duration(interval: &PgInterval) -> Duration {
    Duration::from_micros(u64::try_from(interval.microseconds).unwrap_or(0))
}
