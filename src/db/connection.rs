//! Opens connections with time limits, in UTC, and with the settings that the laws need. Finds out whether a pooler
//! is in between.

use diesel::ConnectionError;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::expression::IntoSql;
use diesel::prelude::*;
use diesel::r2d2::HandleError;
use diesel::sql_types::{Bool, Nullable, Text};

use super::connection_settings::{self, Beginning, DEFAULT_ROLE, DEFAULT_SEARCH_PATH, Settings};
use super::{PgConnection, Unavailable, libpq_words};
use crate::redaction::Secrets;

/// The settings with which libpq notices a lost peer, on an idle connection, too: the pool's test relies on
/// that. Values in the URL win.
const LIBPQ_SETTINGS: [(&str, &str); 5] = [
    ("connect_timeout", "3"),
    ("tcp_user_timeout", "5000"),
    // Of several servers, libpq takes the one that can be written to: a standby is of no use to us.
    ("target_session_attrs", "read-write"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "2"),
];

/// The name of our connections, unless the URL has one. The number is the version of the protocol between instances:
/// the feed goes by it.
const APPLICATION_NAME: &str = "oneseat/2";

/// Adds [`LIBPQ_SETTINGS`] to either form of connection string.
fn with_libpq_settings(url: &str) -> String {
    let mut url = url.to_owned();
    for (key, value) in LIBPQ_SETTINGS {
        if !url.contains(key) {
            url = with_setting(&url, key, value);
        }
    }
    url
}

/// Adds one setting. Of two with the same name libpq takes the last.
fn with_setting(url: &str, key: &str, value: &str) -> String {
    if !is_uri(url) {
        format!("{url} {key}={value}")
    } else if url.contains('?') {
        format!("{url}&{key}={value}")
    } else {
        format!("{url}?{key}={value}")
    }
}

fn is_uri(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The name that the operator has chosen for our connections, if any.
fn application_name(url: &str) -> Option<String> {
    const KEY: &str = "application_name=";
    let (_, value) = url.rsplit_once(KEY)?;
    if is_uri(url) {
        let value = value.split(['&', '#']).next()?;
        return Some(
            percent_encoding::percent_decode_str(value)
                .decode_utf8_lossy()
                .into_owned(),
        );
    }
    match value.strip_prefix('\'') {
        // The value is in quotes, with a backslash before a quote or a backslash.
        Some(quoted) => {
            let mut is_escaped = false;
            let value = quoted.chars().take_while(|&c| {
                let ends = c == '\'' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                !ends
            });
            Some(
                value
                    .collect::<String>()
                    .replace("\\'", "'")
                    .replace("\\\\", "\\"),
            )
        }
        None => value.split_whitespace().next().map(str::to_owned),
    }
}

/// Opens a connection outside any pool, with a time limit and nothing else set.
pub(super) fn establish(url: &str) -> Result<diesel::PgConnection, Unavailable> {
    establish_as(url, APPLICATION_NAME)
}

/// Opens such a connection under this name, whatever the URL says.
fn establish_as(url: &str, name: &str) -> Result<diesel::PgConnection, Unavailable> {
    let url = with_setting(&with_libpq_settings(url), "application_name", name);
    diesel::PgConnection::establish(&url).map_err(|error| match error {
        ConnectionError::BadConnection(words) => libpq_words::unavailable(&words, &Secrets::of_url(&url)),
        _ => Unavailable(libpq_words::UNREADABLE.to_owned()),
    })
}

/// What is found out about a connection in its first transaction.
struct Found {
    /// Whether no pooler is between it and PostgreSQL.
    is_direct: bool,
    /// Where our tables are, as SQL names it.
    schema: Option<String>,
    /// Whether a pooler keeps the names of prepared statements apart.
    maps_statements: bool,
}

/// What a connection is opened for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose {
    pub(super) limits: Settings,
    /// Whether sessions of a copied database are marked before anything else. Only if the schema is up to date.
    pub(super) marks_copied_sessions: bool,
}

/// Opens a connection with the laws in force.
///
/// # Errors
/// PostgreSQL's own words, or a pooler's. For a pooler that cannot be used, the remedy.
pub(super) fn open(url: &str, purpose: Purpose) -> Result<PgConnection, Unavailable> {
    let passing = format!("{APPLICATION_NAME}/{:08x}", rand::random::<u32>());
    let name = application_name(url).unwrap_or_else(|| APPLICATION_NAME.to_owned());
    let mut diesel = establish_as(url, &passing)?;
    if let Err(error) =
        AnsiTransactionManager::begin_transaction_sql(&mut diesel, &connection_settings::first_transaction())
    {
        return Err(if has_no_transactions(url) {
            Unavailable(STATEMENT_MODE.to_owned())
        } else {
            error.into()
        });
    }
    let found = find_out(&mut diesel, &passing, &name)?;
    let Purpose {
        limits,
        marks_copied_sessions,
    } = purpose;
    if found.is_direct {
        diesel.batch_execute(&connection_settings::of_a_connection(limits))?;
        if marks_copied_sessions {
            diesel.batch_execute(&connection_settings::marking_copied_sessions(limits))?;
        }
        return Ok(PgConnection::direct(diesel));
    }
    let beginning = Beginning {
        limits,
        schema: found.schema,
        marks_copied_sessions,
        maps_statements: found.maps_statements,
        plans: &[],
    };
    Ok(PgConnection::pooled(diesel, beginning))
}

/// Finds out whether PostgreSQL or a pooler is at the other end, in the transaction that has begun. Commits it, and
/// gives the connection its name.
///
/// PostgreSQL knows under which name a connection began. A pooler opened its own connections long ago, under
/// another name, and only sets ours afterwards. `passing` is chosen anew each time, so no pooler has it by chance.
fn find_out(diesel: &mut diesel::PgConnection, passing: &str, name: &str) -> Result<Found, Unavailable> {
    let began_as = text(
        diesel,
        "select reset_val as value from pg_catalog.pg_settings where name = 'application_name'",
    )?;
    let is_direct = began_as.as_deref() == Some(passing);
    let mut found = Found {
        is_direct,
        schema: None,
        maps_statements: false,
    };
    diesel::sql_query("select set_config('application_name', $1, false)")
        .bind::<Text, _>(name)
        .execute(diesel)?;
    if !is_direct {
        diesel.batch_execute(&format!("{DEFAULT_ROLE}; {DEFAULT_SEARCH_PATH}"))?;
        found.schema = text(
            diesel,
            // Qualified and cast, because others may have made functions in the present search path.
            "select pg_catalog.quote_ident(schema::text) as value
                 from pg_catalog.unnest(pg_catalog.current_schemas(false)::text[]) with ordinality as path (schema, place)
                 where not pg_catalog.starts_with(schema, 'pg_')
                     and pg_catalog.to_regclass(pg_catalog.concat(pg_catalog.quote_ident(schema), '.sessions')) is not null
                 order by place limit 1",
        )?;
        found.maps_statements = maps_statements(diesel)?;
    }
    AnsiTransactionManager::commit_transaction(diesel)?;
    Ok(found)
}

/// Whether a pooler gives prepared statements names of its own. Otherwise a statement stays behind on one of its
/// connections to PostgreSQL, where another client may have another statement of that name. Removes what stayed
/// behind.
fn maps_statements(diesel: &mut diesel::PgConnection) -> QueryResult<bool> {
    // Diesel prepares this statement under a name, which fails if the name is taken.
    let prepared = diesel.transaction(|diesel| diesel::select(true.into_sql::<Bool>()).execute(diesel));
    let left = text(
        diesel,
        "select pg_catalog.string_agg(pg_catalog.concat('deallocate ', pg_catalog.quote_ident(name)), '; ') as value
             from pg_catalog.pg_prepared_statements where pg_catalog.starts_with(name, '__diesel')",
    )?;
    if let Some(left) = &left {
        diesel.batch_execute(left)?;
    }
    Ok(prepared.is_ok() && left.is_none())
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

/// Reads one text, by a statement that has no name.
fn text(diesel: &mut diesel::PgConnection, query: &str) -> QueryResult<Option<String>> {
    let row: Option<Row> = diesel::sql_query(query).get_result(diesel).optional()?;
    Ok(row.and_then(|row| row.value))
}

/// Whether a pooler ends every connection that begins a transaction, unless the transaction ends in the same message.
/// This is how PgBouncer behaves in statement mode; libpq does not pass its words on.
fn has_no_transactions(url: &str) -> bool {
    let Ok(mut diesel) = establish(url) else {
        return false;
    };
    diesel.batch_execute("begin; commit").is_ok() && diesel.batch_execute("begin").is_err()
}

const STATEMENT_MODE: &str = "PgBouncer is in statement mode, in which there are no transactions; \
     set pool_mode = transaction for this database in pgbouncer.ini";

/// Logs connections that the pool could not open, in words fit for the log.
#[derive(Debug)]
pub(super) struct Told(pub(super) Secrets);

impl HandleError<Unavailable> for Told {
    fn handle_error(&self, error: Unavailable) {
        log::error!("{}", Unavailable::without(&self.0, &error.0));
    }
}

#[cfg(test)]
mod tests {
    use super::{application_name, with_libpq_settings};

    #[test]
    fn both_forms_of_connection_string_are_bounded() {
        assert_eq!(
            with_libpq_settings("postgres://db/x"),
            "postgres://db/x?connect_timeout=3&tcp_user_timeout=5000&target_session_attrs=read-write&keepalives_idle=10&keepalives_interval=2"
        );
        assert!(with_libpq_settings("host=/run dbname=x").ends_with(" keepalives_interval=2"));
    }

    #[test]
    fn a_value_of_the_operator_wins() {
        let url = with_libpq_settings("postgres://db/x?connect_timeout=30");
        assert!(url.contains("connect_timeout=30") && !url.contains("connect_timeout=3&"));
    }

    #[test]
    fn the_operators_name_for_our_connections_is_read_from_either_form() {
        for (url, name) in [
            ("postgres://db/x", None),
            (
                "postgres://db/x?application_name=my%20seat&sslmode=require",
                Some("my seat"),
            ),
            ("host=/run application_name=seat dbname=x", Some("seat")),
            ("host=/run application_name='' dbname=x", Some("")),
            (
                r"application_name='it\'s a \\ seat' dbname=x",
                Some(r"it's a \ seat"),
            ),
        ] {
            assert_eq!(application_name(url).as_deref(), name, "{url}");
        }
    }
}
