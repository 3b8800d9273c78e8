//! A connection whose every statement obeys the laws, also where a pooler is in between.
//!
//! It is Diesel's connection. Behind a pooler each transaction begins with the settings that the laws need, and a
//! statement outside of a transaction gets a transaction of its own: otherwise Diesel might prepare the statement on
//! one backend and run it on another (docs/decisions/0013).

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use diesel::connection::{
    AnsiTransactionManager, CacheSize, ConnectionSealed, DefaultLoadingMode, Instrumentation, LoadConnection,
    SimpleConnection, TransactionManager, TransactionManagerStatus,
};
use diesel::expression::QueryMetadata;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use diesel::sql_types::Integer;

use super::connection_settings::{self, Beginning, PLANNED_ONCE};

/// The connection that stores and use cases borrow.
pub struct PgConnection {
    diesel: diesel::PgConnection,
    /// Set if a pooler is in between.
    pooled: Option<Pooled>,
    /// Whether the connection must not be used again, although it is open.
    must_be_closed: bool,
}

struct Pooled {
    beginning: Beginning,
    /// The SQL of `beginning`.
    statements: String,
    /// Where the process id of each transaction's backend is stored, if somebody wants it.
    backend: Option<Arc<AtomicI32>>,
}

impl PgConnection {
    /// A connection to a backend of its own, which already has the settings that the laws need.
    pub(super) fn direct(diesel: diesel::PgConnection) -> Self {
        Self {
            diesel,
            pooled: None,
            must_be_closed: false,
        }
    }

    /// A connection through a pooler, whose transactions begin like this.
    pub(super) fn pooled(mut diesel: diesel::PgConnection, beginning: Beginning) -> Self {
        if !beginning.maps_statements {
            // Without a name, a statement lives as long as its transaction, on one backend.
            diesel.set_prepared_statement_cache_size(CacheSize::Disabled);
        }
        let pooled = Pooled {
            statements: beginning.statements(),
            beginning,
            backend: None,
        };
        Self {
            diesel,
            pooled: Some(pooled),
            must_be_closed: false,
        }
    }

    /// Whether a pooler is in between, so that nothing lasts longer than a transaction.
    pub fn is_pooled(&self) -> bool {
        self.pooled.is_some()
    }

    /// Has statements find single rows by index, with plans that are made once.
    pub(super) fn plan_once(&mut self) -> QueryResult<()> {
        match &mut self.pooled {
            None => self.diesel.batch_execute(&connection_settings::set(PLANNED_ONCE)),
            Some(pooled) => {
                pooled.beginning.plans = PLANNED_ONCE;
                pooled.statements = pooled.beginning.statements();
                Ok(())
            }
        }
    }

    /// Stores which backend does the work, from now on.
    pub(super) fn report_backend(&mut self, backend: Option<Arc<AtomicI32>>) -> QueryResult<()> {
        match (&mut self.pooled, backend) {
            (Some(pooled), backend) => pooled.backend = backend,
            (None, Some(backend)) => backend.store(backend_pid(&mut self.diesel)?, Ordering::Relaxed),
            (None, None) => {}
        }
        Ok(())
    }

    /// Diesel's own connection, for Diesel's own work in a transaction of this one.
    pub(super) fn diesel_mut(&mut self) -> &mut diesel::PgConnection {
        &mut self.diesel
    }

    /// Whether it must not be used again.
    pub(super) fn is_broken(&mut self) -> bool {
        self.must_be_closed || AnsiTransactionManager::is_broken_transaction_manager(&mut self.diesel)
    }

    /// Reads what has arrived, without waiting.
    pub(super) fn read_what_arrived(&mut self) -> QueryResult<()> {
        self.diesel
            .notifications_iter()
            .try_for_each(|notice| notice.map(drop))
    }

    /// Begins a transaction with this statement, which has no result and may be empty.
    pub(super) fn begin_with(&mut self, first: &str) -> QueryResult<()> {
        let begun = match &self.pooled {
            None if first.is_empty() => begin(&mut self.diesel, "begin"),
            None => begin(&mut self.diesel, &format!("begin; {first}")),
            Some(Pooled {
                statements,
                backend: Some(backend),
                ..
            }) => begin_reported(&mut self.diesel, statements, backend, first),
            Some(Pooled { statements, .. }) if first.is_empty() => begin(&mut self.diesel, statements),
            Some(Pooled { statements, .. }) => begin(&mut self.diesel, &format!("{statements}; {first}")),
        };
        // Behind a pooler another connection may succeed.
        self.must_be_closed |= begun.is_err() && self.is_pooled();
        begun
    }

    /// Runs one statement. Behind a pooler, it gets a transaction of its own if none has begun.
    fn run_one<T>(
        &mut self,
        work: impl FnOnce(&mut diesel::PgConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        if !self.is_pooled() || self.depth()?.is_some() {
            let done = work(&mut self.diesel);
            return self.retired_if_stale(done);
        }
        self.begin_with("")?;
        match work(&mut self.diesel) {
            Ok(done) => {
                AnsiTransactionManager::commit_transaction(&mut self.diesel)?;
                Ok(done)
            }
            failed => {
                // If the rollback fails, too, Diesel knows that the connection is broken.
                let _ = AnsiTransactionManager::rollback_transaction(&mut self.diesel);
                self.retired_if_stale(failed)
            }
        }
    }

    /// Gives the connection up if its prepared statements may be invalid: a column has another type, or the pooler has
    /// forgotten their names. Behind a pooler another connection costs PostgreSQL nothing.
    fn retired_if_stale<T>(&mut self, done: QueryResult<T>) -> QueryResult<T> {
        if let Err(Error::DatabaseError(DatabaseErrorKind::Unknown, words)) = &done {
            self.must_be_closed |= self.is_pooled() || may_be_stale(&**words);
        }
        done
    }

    fn depth(&mut self) -> QueryResult<Option<std::num::NonZeroU32>> {
        AnsiTransactionManager::transaction_manager_status_mut(&mut self.diesel).transaction_depth()
    }
}

/// Whether an error may be that of a prepared statement whose result has another type now (SQLSTATE 0A000). Diesel does not
/// pass the SQLSTATE on, and PostgreSQL's words are in the language of `lc_messages`. But this error says nothing beside
/// its words. So do time-outs, which come too rarely for a new connection to matter.
fn may_be_stale(error: &dyn DatabaseErrorInformation) -> bool {
    let names_something = error.table_name().is_some() || error.constraint_name().is_some();
    let explains = error.details().is_some() || error.hint().is_some();
    !names_something && !explains && error.statement_position().is_none()
}

/// Begins a transaction with these statements.
fn begin(diesel: &mut diesel::PgConnection, statements: &str) -> QueryResult<()> {
    AnsiTransactionManager::begin_transaction_sql(diesel, statements).inspect_err(|_| {
        // PostgreSQL may have begun a transaction that Diesel does not know of. If the connection is lost, this fails,
        // too, and the connection is dropped.
        let _ = diesel.batch_execute("rollback");
    })
}

/// Like [`begin`], but stores which backend it is before `first` may have to wait.
fn begin_reported(
    diesel: &mut diesel::PgConnection,
    statements: &str,
    backend: &AtomicI32,
    first: &str,
) -> QueryResult<()> {
    begin(diesel, statements)?;
    let reported = backend_pid(diesel).map(|pid| backend.store(pid, Ordering::Relaxed));
    let done = reported.and_then(|()| match first {
        "" => Ok(()),
        first => diesel.batch_execute(first),
    });
    if done.is_err() {
        let _ = AnsiTransactionManager::rollback_transaction(diesel);
    }
    done
}

/// The process id of the backend that answers.
fn backend_pid(connection: &mut diesel::PgConnection) -> QueryResult<i32> {
    diesel::select(diesel::dsl::sql::<Integer>("pg_backend_pid()")).get_result(connection)
}

impl SimpleConnection for PgConnection {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.run_one(|diesel| diesel.batch_execute(query))
    }
}

impl ConnectionSealed for PgConnection {}

impl Connection for PgConnection {
    type Backend = Pg;
    type TransactionManager = Transactions;

    /// Only [`super::connect`] knows whether a pooler is in between.
    fn establish(_: &str) -> ConnectionResult<Self> {
        Err(ConnectionError::BadConnection(
            "connect by `db::connect`".to_owned(),
        ))
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        self.run_one(|diesel| diesel.execute_returning_count(source))
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        self.diesel.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.diesel.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.diesel.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.diesel.set_prepared_statement_cache_size(size);
    }
}

impl LoadConnection<DefaultLoadingMode> for PgConnection {
    type Cursor<'conn, 'query> =
        <diesel::PgConnection as LoadConnection<DefaultLoadingMode>>::Cursor<'conn, 'query>;
    type Row<'conn, 'query> =
        <diesel::PgConnection as LoadConnection<DefaultLoadingMode>>::Row<'conn, 'query>;

    /// All rows have arrived when this returns.
    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Self::Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<Pg> + QueryId + 'query,
        Pg: QueryMetadata<T::SqlType>,
    {
        self.run_one(|diesel| LoadConnection::<DefaultLoadingMode>::load(diesel, source))
    }
}

/// Diesel's transactions, which begin as [`PgConnection::begin_with`] says.
pub struct Transactions;

impl TransactionManager<PgConnection> for Transactions {
    type TransactionStateData = AnsiTransactionManager;

    fn begin_transaction(conn: &mut PgConnection) -> QueryResult<()> {
        if conn.depth()?.is_some() {
            return AnsiTransactionManager::begin_transaction(&mut conn.diesel);
        }
        conn.begin_with("")
    }

    fn rollback_transaction(conn: &mut PgConnection) -> QueryResult<()> {
        AnsiTransactionManager::rollback_transaction(&mut conn.diesel)
    }

    fn commit_transaction(conn: &mut PgConnection) -> QueryResult<()> {
        AnsiTransactionManager::commit_transaction(&mut conn.diesel)
    }

    fn transaction_manager_status_mut(conn: &mut PgConnection) -> &mut TransactionManagerStatus {
        AnsiTransactionManager::transaction_manager_status_mut(&mut conn.diesel)
    }
}
