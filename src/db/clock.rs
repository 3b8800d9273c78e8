//! PostgreSQL's clock in Diesel's terms. Sessions use no other clock (law 3).

use std::time::Duration;

use diesel::data_types::PgInterval;
use diesel::dsl::AsExprOf;
use diesel::expression::IntoSql;
use diesel::sql_types::{Interval, Timestamptz};

#[diesel::declare_sql_function]
extern "SQL" {
    /// The start of the transaction.
    fn now() -> Timestamptz;
    /// The start of the statement: later than `now()` if the transaction waited before.
    fn statement_timestamp() -> Timestamptz;
    /// The operator `+`, under PostgreSQL's name for its function.
    #[sql_name = "timestamptz_pl_interval"]
    fn after(at: Timestamptz, span: Interval) -> Timestamptz;
    /// The operator `-`, under PostgreSQL's name for its function.
    #[sql_name = "timestamptz_mi_interval"]
    fn before(at: Timestamptz, span: Interval) -> Timestamptz;
    /// The earlier of two times.
    #[sql_name = "least"]
    fn earlier(a: Timestamptz, b: Timestamptz) -> Timestamptz;
}

/// A PostgreSQL interval, in microseconds. Saturates far beyond any configured value.
pub fn interval(duration: Duration) -> PgInterval {
    PgInterval::from_microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// [`interval`] as an expression.
pub fn span(duration: Duration) -> AsExprOf<PgInterval, Interval> {
    interval(duration).into_sql::<Interval>()
}
