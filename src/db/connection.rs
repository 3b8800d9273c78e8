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

/// The settings that the laws need, whatever the database's defaults (and no compilation of statements that
/// take less than a millisecond): each statement sees what was committed
/// before it began, and a reported end survives a crash of PostgreSQL. What standbys must confirm is left to
/// the operator.
const LAWS: &str = "set jit = off; set timezone = 'UTC'; set default_transaction_isolation = 'read committed'; \
     select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";

/// Sessions that were opened in another database, of which this one is a copy, are over before anything is
/// asked. To mark a million of them takes a while.
const HOME: &str = "set statement_timeout = '60s'; set lock_timeout = '60s'; \
     begin isolation level read committed read write; select end_sessions_from_elsewhere(); commit";

/// Limits every statement, lock and idle transaction, so that a stuck database becomes an error.
pub(super) fn configure(connection: &mut PgConnection, timeouts: Timeouts) -> QueryResult<()> {
    connection.batch_execute(&format!("{HOME}; {}; {LAWS}", timeouts.settings()))
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
