//! Proves that a server is still the primary.
//!
//! With synchronous replication a standby confirms each commit. After a standby was promoted, none confirms the
//! commits of the old primary: they wait for ever, while it still answers every query, with the data from before the
//! promotion.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Bool, Nullable, Text};

use super::PgConnection;

/// Whether commits of this server wait for a standby, as a part of a statement.
pub const IS_REPLICATED: &str = "current_setting('synchronous_standby_names') <> ''";

/// A transaction that has to be committed. Nobody reads what it writes.
const COMMIT: &str = "select pg_logical_emit_message(true, 'oneseat', '')";

/// Most commits of this program that may wait at one server. A commit that waits for ever keeps its connection, so more
/// of them would use up the connections of PostgreSQL. Behind a pooler, the size of the pool is the bound.
const MOST: usize = 16;

/// The number of commits that wait now, by the name of the server.
static UNDER_WAY: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// Whether commits have ever waited for a standby since this program started.
static IS_USED: AtomicBool = AtomicBool::new(false);

/// [`IS_REPLICATED`] for Diesel.
pub fn is_replicated() -> SqlLiteral<Bool> {
    sql(IS_REPLICATED)
}

/// Runs `work`, whose queries and whose [`prove`] have to reach the same server. Behind a pooler that takes a
/// transaction, and the commit at its end is what waits.
///
/// # Errors
/// Those of `work`, and of [`prove`].
pub fn with_one_server<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    match conn.is_pooled() {
        true => conn.transaction(work),
        false => work(conn),
    }
}

/// Returns when a standby has confirmed a commit that began after the call. So no standby had been promoted when the
/// call began. Call it in [`with_one_server`], and only where commits [wait](is_replicated). `server` is the server's
/// name in the feed.
///
/// # Errors
/// PostgreSQL's own words, or that too many such commits wait already. Without a standby the call hangs.
pub fn prove(conn: &mut PgConnection, server: Option<&str>) -> QueryResult<()> {
    IS_USED.store(true, Ordering::Relaxed);
    let _slot = match conn.is_pooled() {
        true => None,
        false => Some(ConfirmSlot::take(server.unwrap_or_default())?),
    };
    diesel::sql_query(COMMIT).execute(conn).map(drop)
}

/// Like [`prove`], but asks first whether commits wait, and returns at once if they do not.
///
/// # Errors
/// As [`prove`].
pub fn prove_if_replicated(conn: &mut PgConnection) -> QueryResult<()> {
    let server = sql::<Nullable<Text>>("feed_server()");
    let (is_replicated, server): (bool, Option<String>) =
        diesel::select((is_replicated(), server)).get_result(conn)?;
    match is_replicated {
        true => prove(conn, server.as_deref()),
        false => Ok(()),
    }
}

/// Like [`prove_if_replicated`], before a use case tells a refusal. It asks nothing if commits have never waited.
///
/// # Errors
/// As [`prove`].
pub fn prove_for_refusal(conn: &mut PgConnection) -> QueryResult<()> {
    match IS_USED.load(Ordering::Relaxed) {
        true => prove_if_replicated(conn),
        false => Ok(()),
    }
}

/// One of the [`MOST`] places for commits that wait at this server.
struct ConfirmSlot(String);

impl ConfirmSlot {
    fn take(server: &str) -> QueryResult<Self> {
        let mut under_way = under_way();
        let count = under_way.entry(server.to_owned()).or_default();
        if *count >= MOST {
            return Err(Error::QueryBuilderError(
                "no standby confirms commits: start one, or take it out of synchronous_standby_names".into(),
            ));
        }
        *count += 1;
        Ok(Self(server.to_owned()))
    }
}

impl Drop for ConfirmSlot {
    fn drop(&mut self) {
        let mut under_way = under_way();
        if let Some(count) = under_way.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.0);
            }
        }
    }
}

fn under_way() -> MutexGuard<'static, BTreeMap<String, usize>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_commits_wait_at_one_server_and_those_keep_nobody_from_another() {
        let slots: Vec<_> = (0..MOST).map(|_| ConfirmSlot::take("deposed")).collect();
        assert!(slots.iter().all(Result::is_ok));
        assert!(ConfirmSlot::take("deposed").is_err());
        assert!(ConfirmSlot::take("promoted").is_ok());
        drop(slots);
        assert!(ConfirmSlot::take("deposed").is_ok());
        assert!(under_way().is_empty());
    }
}
