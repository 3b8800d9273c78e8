//! The settings that the laws need, whatever the defaults of the database and the role are. Each has its row
//! in docs/decisions/0011, with the law that rests on it.
//!
//! A connection that is PostgreSQL's own keeps them for as long as it lives. Behind a pooler each transaction may
//! have another connection of PostgreSQL's, which other clients have used before: there each transaction begins
//! with them (docs/decisions/0013).

use super::timeouts::Timeouts;

/// Settings with their values, as SQL writes them.
pub(super) type Settings = &'static [(&'static str, &'static str)];

/// These come first. With another `client_min_messages`, PostgreSQL might send us what it logs, with values, and libpq
/// would print that. With `jit`, compiling the statements that follow could take longer than running them.
const FIRST: Settings = &[
    ("client_min_messages", "error"),
    ("exit_on_error", "off"),
    ("jit", "off"),
];

/// Settings that anybody may set, and that every version has.
const USUAL: Settings = &[
    ("standard_conforming_strings", "on"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("timezone", "'UTC'"),
    ("datestyle", "'ISO'"),
    ("intervalstyle", "'postgres'"),
    ("bytea_output", "'hex'"),
    ("extra_float_digits", "1"),
    ("gin_fuzzy_search_limit", "0"),
];

/// The defaults of a transaction. Behind a pooler, `begin` says the same for each transaction ([`BEGIN`]).
const OF_TRANSACTIONS: Settings = &[
    ("default_transaction_isolation", "'read committed'"),
    ("default_transaction_deferrable", "off"),
];

/// Settings that are changed only where they are wrong: not every role may change them, not every version has
/// them, or other values are right, too. Each has its name, the condition for a wrong value, and the right value.
const WHERE_WRONG: [(&str, &str, &str); 4] = [
    ("synchronous_commit", "= 'off'", "on"),
    ("session_replication_role", "<> 'origin'", "origin"),
    TRANSACTION_TIMEOUT,
    ("idle_session_timeout", "<> '0'", "0"),
];

/// This setting exists since PostgreSQL 17.
const TRANSACTION_TIMEOUT: (&str, &str, &str) = ("transaction_timeout", "<> '0'", "0");

/// Our own settings, by which a transaction tells our triggers what it does.
const TRIGGER_FLAGS: Settings = &[
    ("oneseat.names_its_user", "off"),
    ("oneseat.waits_after_commit", "off"),
    ("oneseat.last_admin_may_go", "off"),
];

/// Plans are made once, for all values and table sizes: planning short statements costs as much as running
/// them, and a plan for a small table would later read all of a large one.
pub(super) const PLANNED_ONCE: Settings = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_indexscan", "on"),
    ("enable_indexonlyscan", "on"),
    ("enable_nestloop", "on"),
];

/// Sets the search path to the schema of our tables, if they are there, with temporary objects last.
const SEARCH_PATH: &str = "\
    select pg_catalog.set_config('search_path', pg_catalog.quote_ident(nspname) || ', pg_temp', false) \
        from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
        where c.oid = pg_catalog.to_regclass('sessions')";

/// Returns to the role that signed in, or that the operator has set for it.
pub(super) const DEFAULT_ROLE: &str = "set local role to default";

/// Returns to the search path of the role and the database, with temporary objects last: behind a pooler, another
/// client may have set another path, or left a temporary table.
pub(super) const DEFAULT_SEARCH_PATH: &str = "\
    set local search_path to default; \
    select pg_catalog.set_config('search_path', \
        pg_catalog.concat_ws(', ', nullif(pg_catalog.current_setting('search_path'), ''), 'pg_temp'), true)";

/// The limits while sessions are marked: to mark millions of them takes minutes.
const FOR_MARKING: Settings = &[("statement_timeout", "0"), ("lock_timeout", "'60s'")];

/// SQL that sets these settings for as long as the connection lives.
pub(super) fn set(settings: Settings) -> String {
    rendered("set", settings)
}

/// SQL that sets these settings for the rest of the transaction.
pub(super) fn set_local(settings: Settings) -> String {
    rendered("set local", settings)
}

fn rendered(command: &str, settings: Settings) -> String {
    let settings: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("{command} {name} = {value}"))
        .collect();
    settings.join("; ")
}

/// Columns of a `select` that change the settings of [`WHERE_WRONG`].
fn where_wrong(is_local: bool) -> String {
    WHERE_WRONG.map(|change| column(change, is_local)).join(", ")
}

fn column((name, wrong, right): (&str, &str, &str), is_local: bool) -> String {
    format!(
        "case when pg_catalog.current_setting('{name}', true) {wrong} \
         then pg_catalog.set_config('{name}', '{right}', {is_local}) end"
    )
}

/// SQL that sets what the laws need, for a connection without a pooler. Limits come first: a default of some
/// milliseconds would end these very statements.
pub(super) fn of_a_connection(limits: Settings) -> String {
    format!(
        "{BEGIN_ANY}; {limits}; {first}; {SEARCH_PATH}; {usual}; {own}; {transactions}; select {wrong}; commit",
        limits = set(limits),
        first = set(FIRST),
        usual = set(USUAL),
        own = set(TRIGGER_FLAGS),
        transactions = set(OF_TRANSACTIONS),
        wrong = where_wrong(false),
    )
}

/// SQL that marks sessions as restored if they were opened in another database, of which this one is a copy. It runs
/// before any other statement, so that nobody sees such a session live.
pub(super) fn marking_copied_sessions(limits: Settings) -> String {
    format!(
        "{longer}; begin isolation level read committed read write; select mark_copied_sessions(); commit; {limits}",
        longer = set(FOR_MARKING),
        limits = set(limits),
    )
}

/// How each transaction begins behind a pooler.
#[derive(Clone, Debug)]
pub(super) struct Beginning {
    pub(super) limits: Settings,
    /// The schema of our tables, as SQL names it. `None` if there are no tables yet.
    pub(super) schema: Option<String>,
    /// Whether sessions of a copied database are marked first. Not before the schema is up to date.
    pub(super) marks_copied_sessions: bool,
    /// Whether the pooler keeps prepared statements apart, so that names are safe.
    pub(super) maps_statements: bool,
    pub(super) plans: Settings,
}

impl Beginning {
    /// The first statements of a transaction, in one message.
    pub(super) fn statements(&self) -> String {
        let path = match &self.schema {
            Some(schema) => format!("set local search_path = {schema}, pg_temp"),
            None => DEFAULT_SEARCH_PATH.to_owned(),
        };
        let mut checks = where_wrong(true);
        if self.marks_copied_sessions {
            checks.push_str(MARKED_ONCE);
        }
        if self.maps_statements {
            checks.push_str(NO_NAME_IS_TAKEN);
        }
        checks.push_str(READ_ONLY_BY_DEFAULT);
        let mut parts = vec![
            BEGIN.to_owned(),
            set_local(FOR_MARKING),
            set_local(FIRST),
            set_local(OF_THE_OPERATOR),
            DEFAULT_ROLE.to_owned(),
            path,
            format!("select {checks}"),
            set_local(self.limits),
            set_local(USUAL),
            set_local(TRIGGER_FLAGS),
        ];
        if !self.plans.is_empty() {
            parts.push(set_local(self.plans));
        }
        parts.join("; ")
    }
}

/// How our transactions begin. A standby refuses it.
pub(super) const BEGIN: &str = "begin isolation level read committed, read write, not deferrable";

/// How a transaction begins where the server may be a standby. Without this isolation a default could make the first
/// statement wait for other transactions.
const BEGIN_ANY: &str = "begin isolation level read committed, not deferrable";

/// Settings that return to what the operator has set: another client of the pool may have changed them.
const OF_THE_OPERATOR: Settings = &[
    ("synchronous_commit", "default"),
    ("default_transaction_read_only", "default"),
];

/// Makes the transaction read-only where the operator has made the database read-only.
const READ_ONLY_BY_DEFAULT: &str = ", case when current_setting('default_transaction_read_only') = 'on' \
    then set_config('transaction_read_only', 'on', true) end";

/// Marks copied sessions once for each backend, because a backend keeps its database for as long as it lives. The
/// setting holds the backend's process id, so that nobody can have set it beforehand.
const MARKED_ONCE: &str = ", case when current_setting('oneseat.home_is_known', true) is distinct from pg_backend_pid()::text \
    then concat(mark_copied_sessions()::text, \
        set_config('oneseat.home_is_known', pg_backend_pid()::text, false)) end";

/// Fails if the backend has a prepared statement with one of Diesel's names: then the pooler does not keep names apart
/// any more, and a name may stand for the statement of another client. It is the cast that fails, with the name.
const NO_NAME_IS_TAKEN: &str =
    ", (select min(name) from pg_prepared_statements where starts_with(name, '__diesel'))::integer";

/// The beginning of the first transaction, before it is known whether a pooler is at the other end.
pub(super) fn first_transaction() -> String {
    let limits = Timeouts::Client.settings();
    format!(
        "{BEGIN_ANY}; {limits}; {first}; select {wrong}",
        limits = set_local(limits),
        first = set_local(FIRST),
        wrong = column(TRANSACTION_TIMEOUT, true)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_pooler_nothing_is_set_for_longer_than_a_transaction() {
        let beginning = Beginning {
            limits: Timeouts::Client.settings(),
            schema: Some("public".to_owned()),
            marks_copied_sessions: false,
            maps_statements: true,
            plans: PLANNED_ONCE,
        };
        for statement in beginning.statements().split("; ").skip(1) {
            let is_local = statement.starts_with("set local ") || statement.starts_with("select ");
            assert!(is_local && !statement.contains("false)"), "{statement}");
        }
    }

    #[test]
    fn what_is_set_for_a_connection_is_set_for_a_transaction_too() {
        let session = of_a_connection(Timeouts::Client.settings());
        let beginning = Beginning {
            limits: Timeouts::Client.settings(),
            schema: None,
            marks_copied_sessions: false,
            maps_statements: false,
            plans: &[],
        };
        let transaction = beginning.statements();
        for statement in session.split("; ").filter(|part| part.starts_with("set ")) {
            let local = statement.replacen("set ", "set local ", 1);
            let is_said_by_begin = statement.starts_with("set default_transaction_");
            assert!(transaction.contains(&local) || is_said_by_begin, "{statement}");
        }
    }
}
