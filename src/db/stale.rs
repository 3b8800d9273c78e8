//! Forgetting rows of a table whose key has two parts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Interval, Timestamptz};

use super::clock::interval;

/// A table from which rows are forgotten by their age.
pub struct Stale {
    /// Its name.
    pub table: &'static str,
    /// The columns of its key.
    pub key: [&'static str; 2],
    /// The column that tells a row's age.
    pub since: &'static str,
}

impl Stale {
    /// Deletes up to `batch` rows of `from` or later that are older than `age`, the oldest first. Returns of when they were.
    ///
    /// By the whole key, and of rows that are ours already: nobody is waited for.
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
