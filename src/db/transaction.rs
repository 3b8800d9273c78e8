//! Transactions that begin with a statement, without a round trip of its own.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::pg::PgConnection;
use diesel::result::Error;

/// Runs `work` in a transaction whose first statement is `first`, which has no result. The rest is as with
/// Diesel's own: a commit if `work` succeeds, a rollback if it fails.
///
/// # Errors
/// Those of `work`, and PostgreSQL's.
pub fn begin_with<T, E: From<Error>>(
    conn: &mut PgConnection,
    first: &str,
    work: impl FnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    if let Err(error) = AnsiTransactionManager::begin_transaction_sql(conn, &format!("begin; {first}")) {
        // PostgreSQL has begun a transaction, of which Diesel does not know, because `first` failed. Without
        // a connection this fails, too, and the pool drops the connection.
        let _ = conn.batch_execute("rollback");
        return Err(error.into());
    }
    match work(conn) {
        Ok(done) => {
            AnsiTransactionManager::commit_transaction(conn)?;
            Ok(done)
        }
        Err(error) => match AnsiTransactionManager::rollback_transaction(conn) {
            // The transaction is lost with its connection; the first error says why.
            Ok(()) | Err(Error::BrokenTransactionManager) => Err(error),
            Err(error) => Err(error.into()),
        },
    }
}
