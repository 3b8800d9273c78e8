//! Deletes old rows of a table whose key has two parts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Interval, Timestamptz};

use super::clock::interval;

/// A table whose rows are deleted by age.
pub struct Stale {
    /// The table's name.
    pub table: &'static str,
    /// The columns of the key.
    pub key: [&'static str; 2],
    /// The time from which a row's age counts.
    pub since: &'static str,
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
            table,
            key: [first, second],
            since,
        } = self;
        let gone: Vec<Gone> = diesel::sql_query(format!(
            "with stale as materialized (
                 select {first}, {second} from {table} where {since} >= $1 and {since} < now() - $2
                 order by {since} limit $3 for update skip locked
             )
             delete from {table} as t using stale
             where t.{first} = stale.{first} and t.{second} = stale.{second}
             returning t.{since} as since"
        ))
        .bind::<Timestamptz, _>(from)
        .bind::<Interval, _>(interval(age))
        .bind::<BigInt, _>(batch)
        .load(conn)?;
        Ok(gone.into_iter().map(|gone| gone.since).collect())
    }
}
