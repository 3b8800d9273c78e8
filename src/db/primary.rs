//! A primary shows that it still is one.
//!
//! With synchronous replication a commit is confirmed by a standby. A server in whose place a standby was promoted is confirmed
//! by none: its commits wait for ever, while it answers every question, by what was true before the promotion.

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Bool;

/// Whether commits of this server wait for a standby: a part of a statement.
pub fn is_replicated() -> SqlLiteral<Bool> {
    sql(IS_REPLICATED)
}

/// [`is_replicated`] as text.
pub const IS_REPLICATED: &str = "current_setting('synchronous_standby_names') <> ''";

/// Returns when a standby has confirmed a commit that began after the call; at once where none has to. So nobody had been promoted
/// in this server's place when the call began. Nothing is written that anybody reads.
///
/// # Errors
/// PostgreSQL's own words. Without a standby the call hangs.
pub fn confirm(conn: &mut PgConnection) -> QueryResult<()> {
    diesel::sql_query(format!(
        "select pg_logical_emit_message(true, 'oneseat', '') where {IS_REPLICATED}"
    ))
    .execute(conn)
    .map(drop)
}
