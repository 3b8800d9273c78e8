//! SQL text that PostgreSQL parses once for each connection.

use std::marker::PhantomData;

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Untyped;
use diesel::{QueryResult, RunQueryDsl};

/// A query of Diesel's `sql_query`, kept by each connection as a prepared statement. There must be few different
/// texts: no statement is ever forgotten.
///
/// The columns of the result must be listed, without `*`: PostgreSQL refuses a prepared statement whose
/// result has changed, and while a newer version adds a column, the older one still runs.
///
/// Rows are read by the names of their columns, or by their order, see [`Prepared::of_type`].
pub struct Prepared<Q, Row = Untyped> {
    query: Q,
    row: PhantomData<Row>,
}

impl<Q> Prepared<Q> {
    /// The query, with all its parameters.
    pub fn new(query: Q) -> Self {
        Self {
            query,
            row: PhantomData,
        }
    }

    /// Reads rows of this SQL type, by the order of their columns.
    pub fn of_type<Row>(self) -> Prepared<Q, Row> {
        Prepared {
            query: self.query,
            row: PhantomData,
        }
    }
}

impl<Q: QueryFragment<Pg>, Row> QueryFragment<Pg> for Prepared<Q, Row> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out)
    }

    /// `sql_query` answers no, because it does not know where its text comes from.
    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

/// Diesel finds the prepared statement by its text.
impl<Q, Row> QueryId for Prepared<Q, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, Row> Query for Prepared<Q, Row> {
    type SqlType = Row;
}

impl<Q, Row, Conn> RunQueryDsl<Conn> for Prepared<Q, Row> {}
