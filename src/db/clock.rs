//! PostgreSQL's clock, the only one that sessions know (law 3), in Diesel's words.

use std::time::Duration;

use diesel::data_types::PgInterval;
use diesel::dsl::AsExprOf;
use diesel::expression::IntoSql;
use diesel::sql_types::{Interval, Timestamptz};

#[diesel::declare_sql_function]
extern "SQL" {
    /// When the transaction began.
    fn now() -> Timestamptz;
    /// When the statement began: later than `now()` if the transaction waited before.
    fn statement_timestamp() -> Timestamptz;
    /// The operator `+`, by the name PostgreSQL gives its function.
    #[sql_name = "timestamptz_pl_interval"]
    fn after(at: Timestamptz, span: Interval) -> Timestamptz;
    /// The operator `-`, by the name PostgreSQL gives its function.
    #[sql_name = "timestamptz_mi_interval"]
    fn before(at: Timestamptz, span: Interval) -> Timestamptz;
    /// The earlier of two.
    #[sql_name = "least"]
    fn earlier(a: Timestamptz, b: Timestamptz) -> Timestamptz;
}

/// Microseconds, the unit of PostgreSQL's `interval`; saturating far beyond any configured value.
pub fn interval(duration: Duration) -> PgInterval {
    PgInterval::from_microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// The same as an expression.
pub fn span(duration: Duration) -> AsExprOf<PgInterval, Interval> {
    interval(duration).into_sql::<Interval>()
}
