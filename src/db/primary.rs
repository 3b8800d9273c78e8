//! A primary shows that it still is one.
//!
//! With synchronous replication a commit is confirmed by a standby. A server in whose place a standby was promoted is confirmed
//! by none: its commits wait for ever, while it answers every question, by what was true before the promotion.

use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Bool;

use super::PgConnection;

/// Whether commits of this server wait for a standby, as a part of a statement.
pub const IS_REPLICATED: &str = "current_setting('synchronous_standby_names') <> ''";

/// Writes nothing that anybody reads.
const COMMIT: &str = "select pg_logical_emit_message(true, 'oneseat', '')";

/// Commits of this program that may wait at a time. One that waits for ever keeps its connection: more of them would use up those
/// of PostgreSQL.
const MOST: usize = 16;

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// [`IS_REPLICATED`] for Diesel.
pub fn is_replicated() -> SqlLiteral<Bool> {
    sql(IS_REPLICATED)
}

/// Runs `work`, whose questions and whose [`confirm`] have to reach the same server. Behind a pooler that takes a transaction, and
/// the commit at its end is what waits.
///
/// # Errors
/// Those of `work`, and of [`confirm`].
pub fn with_one_server<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    if !conn.is_pooled() {
        return work(conn);
    }
    let _turn = Turn::take()?;
    conn.transaction(work)
}

/// Returns when a standby has confirmed a commit that began after the call. So nobody had been promoted in this server's place when the
/// call began. To be called in [`with_one_server`], where commits [wait](is_replicated).
///
/// # Errors
/// PostgreSQL's own words; too many such commits wait already. Without a standby the call hangs.
pub fn confirm(conn: &mut PgConnection) -> QueryResult<()> {
    let _turn = Turn::take()?;
    diesel::sql_query(COMMIT).execute(conn).map(drop)
}

/// [`confirm`], where it is not known whether commits wait: at once if they do not.
///
/// # Errors
/// As [`confirm`].
pub fn confirm_if_replicated(conn: &mut PgConnection) -> QueryResult<()> {
    match diesel::select(is_replicated()).get_result(conn)? {
        true => confirm(conn),
        false => Ok(()),
    }
}

/// One of [`MOST`].
struct Turn;

impl Turn {
    fn take() -> QueryResult<Self> {
        let turn = Self;
        if UNDER_WAY.fetch_add(1, Ordering::SeqCst) < MOST {
            return Ok(turn);
        }
        Err(Error::QueryBuilderError("no standby confirms commits".into()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_commits_of_a_program_wait_at_a_time() {
        let turns: Vec<_> = (0..MOST).map(|_| Turn::take()).collect();
        assert!(turns.iter().all(Result::is_ok));
        assert!(Turn::take().is_err());
        drop(turns);
        assert!(Turn::take().is_ok());
    }
}
