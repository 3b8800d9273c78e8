//! The feed in PostgreSQL. The functions are defined in the migrations.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_query;
use diesel::sql_types::{
    Array, BigInt, Bool, Integer, Interval, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::round::Round;
use crate::db::PgConnection;
use crate::db::clock::interval;
use crate::db::primary;
use crate::moment::Moment;

#[diesel::declare_sql_function]
extern "SQL" {
    /// The identity of the server that answers, as [`super::super::memory`] compares it.
    fn feed_server() -> Nullable<Text>;
}

/// In a transaction with this setting, the triggers do not tell the feed of sessions that begin or end. The
/// part `named` ([`name_user_sql`]) of a statement does.
pub(in crate::sessions) const NAMES_ITS_USER: &str = "set local oneseat.names_its_user = 'on'";

/// Adds this user to the feed, as the part `named` of a statement whose part `ended` holds the sessions that
/// it ended. A trigger of the operator's own may have named the user in this transaction already.
pub fn name_user_sql(user_id: &str, ended: &str) -> String {
    format!(
        "named as (insert into feed (user_id, is_end) select {user_id}, exists (select from {ended})
             on conflict do nothing)"
    )
}

/// Tells the pages of admins to renew their lists after a change that no trigger tells of: a new account, or
/// a change in a table of locks or mails. Call it in the transaction that makes the change. The row names no
/// user that exists, so no instance forgets what it remembers.
pub fn tell_lists(conn: &mut PgConnection) -> QueryResult<()> {
    sql_query("insert into feed (user_id, is_end) values (gen_random_uuid(), false)").execute(conn)?;
    Ok(())
}

/// [`tell_lists`] as a part of a statement, once for each row of `rows`.
pub fn tell_lists_sql(rows: &str) -> String {
    format!("insert into feed (user_id, is_end) select gen_random_uuid(), false from {rows}")
}

/// The most rows that one statement deletes.
const PURGED_AT_ONCE: i32 = 10_000;

/// The position of a reader: a snapshot of PostgreSQL, and the server that the snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) server: Arc<str>,
    pub(super) snapshot: String,
}

/// The answer to one question.
#[derive(Debug)]
pub(super) struct Answer {
    /// The round. Its lease is the one of all instances, and may be zero.
    pub(super) round: Round,
    pub(super) snapshot: String,
    /// How long an end has to wait before it is acknowledged.
    pub(super) wait: Duration,
    /// The version of the lease, if a longer one was in use before.
    pub(super) previous: Option<i64>,
}

impl Answer {
    /// The position of the reader after this answer.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor {
            server: self.round.server.clone(),
            snapshot: self.snapshot.clone(),
        }
    }
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
    #[diesel(sql_type = Bool)]
    is_replicated: bool,
}

/// Reads what has happened since the cursor. Without one, or with one of another server, the round is marked
/// as lost. `asked` is a moment before the call.
pub(super) fn read(conn: &mut PgConnection, asked: Moment, since: Option<&Cursor>) -> QueryResult<Answer> {
    let read = |conn: &mut PgConnection| {
        let is_replicated = primary::IS_REPLICATED;
        sql_query(format!(
            "select *, {is_replicated} as is_replicated from read_feed($1::pg_snapshot)"
        ))
        .bind::<Nullable<Text>, _>(since.map(|cursor| &cursor.snapshot))
        .get_result::<Row>(conn)
    };
    let row = primary::with_one_server(conn, |conn| {
        let row = match read(conn) {
            Err(Error::NotFound) => {
                // Somebody has emptied the tables. A lease may still be in use, so assume the longest that
                // can be set.
                sql_query(
                    "insert into validation_lease (lease, previous) values ('0', '2s') on conflict do nothing",
                )
                .execute(conn)?;
                read(conn)?
            }
            row => row?,
        };
        if row.is_replicated {
            // Otherwise a deposed primary would give leases until somebody stops it.
            primary::prove(conn, Some(&row.server))?;
        }
        Ok(row)
    })?;
    let is_lost = row.is_lost || since.is_none_or(|cursor| *cursor.server != *row.server);
    let round = Round {
        server: row.server.into(),
        asked,
        server_time: row.asked_at,
        is_lost,
        is_reliable: row.grants,
        named: row.named,
        ended: row.ended,
        lease: row.grants.then(|| duration(&row.lease)),
    };
    Ok(Answer {
        round,
        snapshot: row.snapshot,
        wait: duration(&row.wait),
        previous: row.previous.map(|_| row.version),
    })
}

/// Sets the lease of all instances.
pub(super) fn set_lease(conn: &mut PgConnection, lease: Duration) -> QueryResult<usize> {
    sql_query("select set_validation_lease($1)")
        .bind::<Interval, _>(interval(lease))
        .execute(conn)
}

/// Forgets the longer lease. Call it after a full wait since this version was first seen.
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
