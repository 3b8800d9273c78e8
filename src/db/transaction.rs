//! Transactions that send their first statement together with `begin`, to save a round trip.

use diesel::connection::TransactionManager;
use diesel::result::Error;

use super::PgConnection;
use super::pg_connection::Transactions;

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
    conn.begin_with(first)?;
    match work(conn) {
        Ok(done) => {
            Transactions::commit_transaction(conn)?;
            Ok(done)
        }
        Err(error) => match Transactions::rollback_transaction(conn) {
            // The transaction is lost with its connection; the first error says why.
            Ok(()) | Err(Error::BrokenTransactionManager) => Err(error),
            Err(error) => Err(error.into()),
        },
    }
}
