//! Settings that an operator may have made for other programs, all at once: defaults of every database of a
//! run, and of its server.

use diesel::connection::SimpleConnection;
use diesel::{PgConnection, QueryResult};

/// The variable that is set for such a run. The tests' own connections keep the usual settings. (It is not a
/// setting of the program.)
pub const WANTED: &str = "HOSTILE_DEFAULTS";

/// The defaults of a database, if this version of PostgreSQL has them.
///
/// `client_min_messages` below `notice` is not among them: libpq prints what PostgreSQL then sends with
/// Diesel's first two statements, and some tests count the lines that a command prints (docs/decisions/0011,
/// "What is left").
pub const OF_A_DATABASE: [(&str, &str); 74] = [
    ("array_nulls", "off"),
    ("backslash_quote", "off"),
    ("bytea_output", "escape"),
    ("check_function_bodies", "off"),
    ("client_encoding", "LATIN1"),
    ("commit_delay", "1000"),
    ("commit_siblings", "0"),
    ("constraint_exclusion", "on"),
    ("cursor_tuple_fraction", "1"),
    ("datestyle", "SQL, DMY"),
    ("deadlock_timeout", "1h"),
    ("debug_parallel_query", "on"),
    ("default_statistics_target", "1"),
    ("default_transaction_deferrable", "on"),
    ("default_transaction_isolation", "serializable"),
    ("enable_bitmapscan", "off"),
    ("enable_hashagg", "off"),
    ("enable_hashjoin", "off"),
    ("enable_indexonlyscan", "off"),
    ("enable_indexscan", "off"),
    ("enable_material", "off"),
    ("enable_memoize", "off"),
    ("enable_mergejoin", "off"),
    ("enable_nestloop", "off"),
    ("enable_seqscan", "off"),
    ("enable_sort", "off"),
    ("enable_tidscan", "off"),
    ("exit_on_error", "on"),
    ("extra_float_digits", "-15"),
    ("force_parallel_mode", "on"),
    ("from_collapse_limit", "1"),
    ("geqo_threshold", "2"),
    ("gin_fuzzy_search_limit", "1"),
    ("idle_in_transaction_session_timeout", "20ms"),
    ("idle_session_timeout", "60s"),
    ("intervalstyle", "iso_8601"),
    ("jit", "on"),
    ("jit_above_cost", "0"),
    ("join_collapse_limit", "1"),
    ("lock_timeout", "10ms"),
    ("log_duration", "on"),
    ("log_lock_waits", "on"),
    ("log_min_duration_statement", "0"),
    ("log_min_error_statement", "debug5"),
    ("log_parameter_max_length_on_error", "-1"),
    ("log_statement", "all"),
    ("max_parallel_workers_per_gather", "4"),
    ("min_parallel_index_scan_size", "0"),
    ("min_parallel_table_scan_size", "0"),
    ("oneseat.last_admin_may_go", "on"),
    ("oneseat.names_its_user", "on"),
    ("oneseat.waits_after_commit", "on"),
    ("parallel_setup_cost", "0"),
    ("parallel_tuple_cost", "0"),
    ("plan_cache_mode", "force_custom_plan"),
    ("quote_all_identifiers", "on"),
    ("random_page_cost", "1000"),
    ("restrict_nonsystem_relation_kind", "view, foreign-table"),
    ("row_security", "off"),
    ("search_path", "pg_temp, pg_catalog, hostile, public"),
    ("session_replication_role", "replica"),
    ("standard_conforming_strings", "off"),
    ("statement_timeout", "50ms"),
    ("stats_fetch_consistency", "snapshot"),
    ("synchronize_seqscans", "off"),
    ("synchronous_commit", "off"),
    ("timezone", "Pacific/Auckland"),
    ("timezone_abbreviations", "Australia"),
    ("track_activities", "off"),
    ("track_counts", "off"),
    ("transaction_timeout", "100ms"),
    ("transform_null_equals", "on"),
    ("work_mem", "64kB"),
    ("xmloption", "document"),
];

/// Settings that can only be made for a server.
pub const OF_THE_SERVER: [(&str, &str); 9] = [
    ("autovacuum_naptime", "1s"),
    ("autovacuum_vacuum_scale_factor", "0"),
    ("autovacuum_vacuum_threshold", "0"),
    ("bgwriter_delay", "10ms"),
    ("max_locks_per_transaction", "10"),
    ("max_prepared_transactions", "10"),
    ("max_wal_senders", "0"),
    ("track_commit_timestamp", "on"),
    ("wal_level", "minimal"),
];

const UNDONE: &str = "set statement_timeout = 0; set jit_above_cost = -1; set transform_null_equals = off; set standard_conforming_strings = on;
     set oneseat.last_admin_may_go = off; set oneseat.names_its_user = off; set oneseat.waits_after_commit = off;
     select set_config(name, boot_val, false) from pg_settings where source in ('database', 'user', 'database user')";

/// Is this such a run?
pub fn is_wanted() -> bool {
    std::env::var_os(WANTED).is_some()
}

/// Gives a connection the settings that it would have without the hostile defaults.
pub fn undo(connection: &mut PgConnection) -> QueryResult<()> {
    if is_wanted() {
        connection.batch_execute(UNDONE)
    } else {
        Ok(())
    }
}

/// Gives a database these defaults.
pub fn as_defaults_of(database: &str) -> String {
    let each = OF_A_DATABASE.map(|(name, setting)| {
        // In quotes, the list would be taken for one name.
        let setting = match name {
            "search_path" => setting.to_owned(),
            _ => format!("''{setting}''"),
        };
        format!(
            "if '{name}' like 'oneseat.%' or current_setting('{name}', true) is not null then
                 execute 'alter database {database} set {name} = {setting}';
             end if;"
        )
    });
    format!("do $$ begin {} end $$", each.join(" "))
}
