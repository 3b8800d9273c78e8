//! The settings that the laws need, whatever the defaults of the database and the role are. Each has its row
//! in docs/decisions/0011, with the law that rests on it.
//!
//! A connection that is PostgreSQL's own keeps them for as long as it lives. Behind a pooler each transaction may
//! have another connection of PostgreSQL's, which other clients have used before: there each transaction begins
//! with them (docs/decisions/0013).

use super::timeouts::Timeouts;

/// Settings with their values, as SQL writes them.
pub(super) type Settings = &'static [(&'static str, &'static str)];

/// These come first: PostgreSQL would send us what it logs, with values, and libpq would print that. Compiling what
/// follows could take longer than all of it.
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

/// What a transaction begins with by itself. Behind a pooler its first words say it.
const OF_TRANSACTIONS: Settings = &[
    ("default_transaction_isolation", "'read committed'"),
    ("default_transaction_deferrable", "off"),
];

/// Settings that are changed only where they are wrong: not every role may change them, not every version has
/// them, or some other value is right, too. Each with the condition.
const WHERE_WRONG: [(&str, &str, &str); 4] = [
    ("synchronous_commit", "= 'off'", "on"),
    ("session_replication_role", "<> 'origin'", "origin"),
    TRANSACTION_TIMEOUT,
    ("idle_session_timeout", "<> '0'", "0"),
];

/// Since PostgreSQL 17.
const TRANSACTION_TIMEOUT: (&str, &str, &str) = ("transaction_timeout", "<> '0'", "0");

/// Our own words to our triggers, which a transaction says for itself.
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

/// The schema of our tables, if they are there, and whatever is temporary last.
const SEARCH_PATH: &str = "\
    select pg_catalog.set_config('search_path', pg_catalog.quote_ident(nspname) || ', pg_temp', false) \
        from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
        where c.oid = pg_catalog.to_regclass('sessions')";

/// The role that signed in, or that the operator has set for it.
pub(super) const DEFAULT_ROLE: &str = "set local role to default";

/// The search path of the role and the database, whatever was set since, and what is temporary last: somebody
/// else may have left a temporary table behind a pooler.
pub(super) const DEFAULT_SEARCH_PATH: &str = "\
    set local search_path to default; \
    select pg_catalog.set_config('search_path', \
        pg_catalog.concat_ws(', ', nullif(pg_catalog.current_setting('search_path'), ''), 'pg_temp'), true)";

/// To mark millions of sessions takes minutes.
const FOR_MARKING: Settings = &[("statement_timeout", "0"), ("lock_timeout", "'60s'")];

/// These settings, for as long as the connection lives.
pub(super) fn set(settings: Settings) -> String {
    rendered("set", settings)
}

/// These settings, for the rest of the transaction.
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

/// Changes what is wrong, as columns of a `select`.
fn where_wrong(is_local: bool) -> String {
    WHERE_WRONG.map(|change| column(change, is_local)).join(", ")
}

fn column((name, wrong, right): (&str, &str, &str), is_local: bool) -> String {
    format!(
        "case when pg_catalog.current_setting('{name}', true) {wrong} \
         then pg_catalog.set_config('{name}', '{right}', {is_local}) end"
    )
}

/// The laws for a connection of PostgreSQL's own. Limits come first: a default of some milliseconds would end
/// these very statements.
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

/// Sessions that were opened in another database, of which this one is a copy, are over before anything is
/// asked.
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
    /// As SQL names it. `None`: there are no tables yet.
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

/// A standby refuses it.
pub(super) const BEGIN: &str = "begin isolation level read committed, read write, not deferrable";

/// The same isolation where it may be a standby or not. Without it a default could have the first statement wait for others.
const BEGIN_ANY: &str = "begin isolation level read committed, not deferrable";

/// What the operator has set, and not what another client of the pool has left.
const OF_THE_OPERATOR: Settings = &[
    ("synchronous_commit", "default"),
    ("default_transaction_read_only", "default"),
];

/// An operator who has made the database read-only is obeyed.
const READ_ONLY_BY_DEFAULT: &str = ", case when current_setting('default_transaction_read_only') = 'on' \
    then set_config('transaction_read_only', 'on', true) end";

/// One connection of PostgreSQL's has one database for as long as it lives, so it is told that once. The mark names the
/// connection: nobody can have set it beforehand.
const MARKED_ONCE: &str = ", case when current_setting('oneseat.home_is_known', true) is distinct from pg_backend_pid()::text \
    then concat(mark_copied_sessions()::text, \
        set_config('oneseat.home_is_known', pg_backend_pid()::text, false)) end";

/// A statement of one of Diesel's names: the pooler does not keep them apart any more, and a name may stand for the
/// statement of another client. The cast fails, and says the name.
const NO_NAME_IS_TAKEN: &str =
    ", (select min(name) from pg_prepared_statements where starts_with(name, '__diesel'))::integer";

/// Before it is known who is at the other end.
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
