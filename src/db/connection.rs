//! Opens connections: with time limits, in UTC, with the settings that the laws need.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::r2d2::{CustomizeConnection, Error as PoolError, HandleError};
use diesel::{Connection, ConnectionError, QueryResult};

use super::Unavailable;
use super::timeouts::Timeouts;
use crate::redaction::Secrets;

/// The settings with which libpq notices a lost peer, on an idle connection, too: the pool's test relies on
/// that. Values in the URL win.
const LIBPQ_SETTINGS: [(&str, &str); 6] = [
    ("connect_timeout", "3"),
    ("tcp_user_timeout", "5000"),
    // A standby is no server for us: of several, the one that can be written to.
    ("target_session_attrs", "read-write"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "2"),
    // The number is that of how instances deal with each other: the feed goes by it.
    ("application_name", "oneseat/2"),
];

/// Adds [`LIBPQ_SETTINGS`] to either form of connection string.
pub(super) fn with_timeouts(url: &str) -> String {
    let is_uri = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let mut url = url.to_owned();
    for (key, value) in LIBPQ_SETTINGS {
        if url.contains(key) {
            continue;
        }
        if !is_uri {
            url.push_str(&format!(" {key}={value}"));
        } else {
            let separator = if url.contains('?') { '&' } else { '?' };
            url.push_str(&format!("{separator}{key}={value}"));
        }
    }
    url
}

/// Opens a connection outside any pool, with a time limit.
pub(super) fn establish(url: &str) -> Result<PgConnection, Unavailable> {
    PgConnection::establish(&with_timeouts(url)).map_err(|error| match error {
        ConnectionError::BadConnection(words) if is_of_a_server(&words) => {
            Unavailable::without(&Secrets::of_url(url), &words)
        }
        _ => Unavailable(UNREADABLE.to_owned()),
    })
}

const UNREADABLE: &str = "the connection string cannot be used; write it like postgres://user@host/database, \
     with special characters percent-encoded";

/// Do these words come from a server or the network? libpq's words about an unreadable string repeat parts of
/// it, and a part may be a password.
fn is_of_a_server(words: &str) -> bool {
    let starts = [
        "connection to server",
        "could not connect to server",
        "FATAL:",
        "timeout expired",
    ];
    starts.iter().any(|start| words.contains(start))
}

/// The settings that the laws need, whatever the defaults of the database and the role are. Each has its row
/// in docs/decisions/0011, with the law that rests on it.
///
/// Messages come first: PostgreSQL would send us what it logs, with values, and libpq would print that.
pub(super) const LAWS: &str = "\
     set client_min_messages = error; set exit_on_error = off; \
     select pg_catalog.set_config('search_path', pg_catalog.quote_ident(nspname) || ', pg_temp', false) \
         from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
         where c.oid = pg_catalog.to_regclass('sessions'); \
     set standard_conforming_strings = on; set array_nulls = on; set transform_null_equals = off; \
     set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'postgres'; \
     set bytea_output = 'hex'; set extra_float_digits = 1; \
     set gin_fuzzy_search_limit = 0; \
     set default_transaction_isolation = 'read committed'; set default_transaction_deferrable = off; \
     select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'; \
     select set_config(name, 'off', false) \
         from unnest(array['oneseat.names_its_user', 'oneseat.waits_after_commit', 'oneseat.last_admin_may_go']) as own(name) \
         where current_setting(name, true) is not null";

/// One more of them, apart: not every role may set it.
pub(super) const ORIGIN: &str = "select set_config('session_replication_role', 'origin', false) \
     where current_setting('session_replication_role') <> 'origin'";

/// The time limits that only some versions have, and that ours take the place of. Compiling this statement, and those
/// that follow, could take longer than all of them.
pub(super) const NO_OTHER_LIMITS: &str = "\
     set jit = off; \
     select set_config(name, '0', false) \
         from unnest(array['transaction_timeout', 'idle_session_timeout']) as limits(name) \
         where current_setting(name, true) is not null";

/// Sessions that were opened in another database, of which this one is a copy, are over before anything is
/// asked. To mark millions of them takes minutes.
const MARK_COPIED_SESSIONS: &str = "set statement_timeout = 0; set lock_timeout = '60s'; \
     begin isolation level read committed read write; select mark_copied_sessions(); commit";

/// Limits every statement, lock and idle transaction, so that a stuck database becomes an error.
pub(super) fn configure(connection: &mut PgConnection, timeouts: Timeouts) -> QueryResult<()> {
    let limits = timeouts.settings();
    // Limits come first: a default of some milliseconds would end these very statements.
    connection.batch_execute(&format!("{limits}; {NO_OTHER_LIMITS}; {LAWS}; {ORIGIN}"))?;
    connection.batch_execute(&format!("{MARK_COPIED_SESSIONS}; {limits}"))
}

/// Configures every connection of the pool.
#[derive(Debug)]
pub(super) struct Customize(pub(super) Timeouts);

impl CustomizeConnection<PgConnection, PoolError> for Customize {
    fn on_acquire(&self, connection: &mut PgConnection) -> Result<(), PoolError> {
        configure(connection, self.0).map_err(PoolError::QueryError)
    }
}

/// Logs connections that the pool could not open, in words fit for the log.
#[derive(Debug)]
pub(super) struct Told(pub(super) Secrets);

impl HandleError<PoolError> for Told {
    fn handle_error(&self, error: PoolError) {
        log::error!("{}", Unavailable::without(&self.0, &error));
    }
}

#[cfg(test)]
mod tests {
    use super::with_timeouts;

    #[test]
    fn both_forms_of_connection_string_are_bounded() {
        assert_eq!(
            with_timeouts("postgres://db/x"),
            "postgres://db/x?connect_timeout=3&tcp_user_timeout=5000&target_session_attrs=read-write&keepalives_idle=10&keepalives_interval=2&application_name=oneseat/2"
        );
        assert!(with_timeouts("host=/run dbname=x").ends_with(" application_name=oneseat/2"));
    }

    #[test]
    fn a_value_of_the_operator_wins() {
        let url = with_timeouts("postgres://db/x?connect_timeout=30");
        assert!(url.contains("connect_timeout=30") && !url.contains("connect_timeout=3&"));
    }
}
