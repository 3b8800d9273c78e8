//! Deletes rows that are of no use after some time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Interval, Timestamptz};

use super::PgConnection;
use super::clock::interval;

/// A table whose rows are deleted by age.
pub struct Stale {
    /// The table's name.
    pub table: &'static str,
    /// The columns of the key.
    pub key: &'static [&'static str],
    /// The time from which a row's age counts.
    pub since: &'static str,
    /// What must also be true of a row, in SQL.
    pub also: &'static str,
}

impl Stale {
    /// Deletes up to `batch` rows of `from` or later that are older than `age`, the oldest first. Returns
    /// their times.
    ///
    /// It deletes by the whole key, and only rows that it has locked: it never waits.
    ///
    /// # Errors
    /// Diesel's.
    pub fn forget(
        &self,
        conn: &mut PgConnection,
        age: Duration,
        from: DateTime<Utc>,
        batch: i64,
    ) -> QueryResult<Vec<DateTime<Utc>>> {
        #[derive(QueryableByName)]
        struct Gone {
            #[diesel(sql_type = Timestamptz)]
            since: DateTime<Utc>,
        }
        let Self {
            table, since, also, ..
        } = self;
        let is_same: Vec<String> = self
            .key
            .iter()
            .map(|key| format!("t.{key} = stale.{key}"))
            .collect();
        let gone: Vec<Gone> = diesel::sql_query(format!(
            "with stale as materialized (
                 select {key} from {table} where {since} >= $1 and {since} < now() - $2 and {also}
                 order by {since} limit $3 for update skip locked
             )
             delete from {table} as t using stale where {is_same} returning t.{since} as since",
            key = self.key.join(", "),
            is_same = is_same.join(" and "),
        ))
        .bind::<Timestamptz, _>(from)
        .bind::<Interval, _>(interval(age))
        .bind::<BigInt, _>(batch)
        .load(conn)?;
        Ok(gone.into_iter().map(|gone| gone.since).collect())
    }

    /// The number of rows that are older than `age`.
    ///
    /// # Errors
    /// Diesel's.
    pub fn count(&self, conn: &mut PgConnection, age: Duration) -> QueryResult<i64> {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            rows: i64,
        }
        let Self {
            table, since, also, ..
        } = self;
        let count = format!("select count(*) as rows from {table} where {since} < now() - $1 and {also}");
        let count = diesel::sql_query(count).bind::<Interval, _>(interval(age));
        Ok(count.get_result::<Count>(conn)?.rows)
    }
}
