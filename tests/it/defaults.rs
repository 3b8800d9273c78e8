//! The laws hold whatever the defaults of the database are.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use oneseat::db::migrations::{self, Error};
use oneseat::db::{Database as Pool, PgConnection};
use oneseat::users::Role;

use crate::support::{App, Database, NoSweep, PASSWORD, eventually, hostile};

/// Settings that an operator may have made for other programs.
const HOSTILE: [(&str, &str); 16] = [
    ("default_transaction_isolation", "repeatable read"),
    ("synchronous_commit", "off"),
    ("timezone", "Pacific/Auckland"),
    ("statement_timeout", "50ms"),
    ("lock_timeout", "10ms"),
    ("client_min_messages", "log"),
    ("exit_on_error", "on"),
    ("standard_conforming_strings", "off"),
    ("transform_null_equals", "on"),
    ("gin_fuzzy_search_limit", "1"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "escape"),
    ("session_replication_role", "replica"),
    ("oneseat.names_its_user", "on"),
    ("oneseat.waits_after_commit", "on"),
    ("oneseat.last_admin_may_go", "on"),
];

fn hostile() -> Database {
    let database = Database::fresh();
    for (name, value) in HOSTILE {
        database.execute(&format!(
            "do $$ begin execute format('alter database %I set {name} = ''{value}''', current_database()); end $$"
        ));
    }
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sign_in_under_way_outlives_the_end_of_every_session() {
    let app = App::start_on(hostile()).await;
    app.add_user("ada", Role::User).await;
    // It would wait for the same lock.
    let _no_sweep = NoSweep::over(&app);
    let mut other = app.database().connect();
    // A sign-in has to wait where it deletes the older session.
    other
        .batch_execute("begin; lock table sessions in exclusive mode")
        .unwrap();
    let visitor = app.visitor();
    let sign_in = tokio::spawn(async move { visitor.login("ada@example.org", PASSWORD).await });
    eventually("the sign-in waits", async || waiting(&app, "relation") == 1).await;
    let auth = app.auth.clone();
    let ended = tokio::spawn(async move { auth.revoke_all().await });
    eventually("the end waits for the sign-in", async || {
        waiting(&app, "advisory") == 1
    })
    .await;
    other.batch_execute("rollback").unwrap();

    let ada = sign_in.await.unwrap();
    assert_eq!(ended.await.unwrap().unwrap(), 1);
    let ada = app.visitor().with_token(ada.json()["token"].as_str().unwrap());
    assert_eq!(ada.session().await.status, 401);
    assert_eq!(app.sessions(), 0);
}

/// Connections that wait for a lock of this kind.
fn waiting(app: &App, kind: &str) -> i64 {
    app.database().number(&format!(
        "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and wait_event = '{kind}'"
    ))
}

#[tokio::test]
async fn every_connection_has_the_settings_that_the_laws_rest_on() {
    let database = hostile();
    let pool = Pool::connect(database.url(), 2).unwrap();
    let wanted = |name: &str| match name {
        "default_transaction_isolation" => "read committed",
        "synchronous_commit" => "on",
        "timezone" => "UTC",
        "statement_timeout" => "5s",
        "lock_timeout" => "4s",
        "client_min_messages" => "error",
        "standard_conforming_strings" => "on",
        "exit_on_error" | "transform_null_equals" => "off",
        "oneseat.names_its_user" | "oneseat.waits_after_commit" | "oneseat.last_admin_may_go" => "off",
        "gin_fuzzy_search_limit" => "0",
        "extra_float_digits" => "1",
        "bytea_output" => "hex",
        "session_replication_role" => "origin",
        _ => unreachable!("{name}"),
    };
    let mut own = pool.own().await.unwrap();
    for (name, _) in HOSTILE {
        let of_the_pool = pool.run(move |conn| setting(conn, name)).await.unwrap();
        let apart = own.run(move |conn| setting(conn, name)).await.unwrap();
        assert_eq!(
            (of_the_pool.as_str(), apart.as_str()),
            (wanted(name), wanted(name))
        );
    }
    // A program that is frozen between two transactions keeps its lock for a while, but not for ever.
    let idle = own.run(|conn| setting(conn, "idle_session_timeout")).await;
    assert_eq!(idle.unwrap(), "5min");
}

fn setting(conn: &mut PgConnection, name: &str) -> Result<String, oneseat::db::Unavailable> {
    let current = diesel::dsl::sql::<Text>("current_setting(")
        .bind::<Text, _>(name)
        .sql(")");
    Ok(diesel::select(current).get_result(conn)?)
}

/// Every table of the migrations is created where the next connection finds it.
#[test]
fn tables_are_made_in_the_first_schema_that_can_hold_them() {
    for path in [
        "pg_temp, public",
        "pg_catalog, public",
        "information_schema, nowhere, public",
    ] {
        let database = Database::empty();
        let name = database.text("select current_database()");
        database.execute(&format!("alter database {name} set search_path = {path}"));
        migrations::run(database.url()).unwrap();
        let there = "select count(*) from pg_tables where tablename in ('users', 'sessions') and schemaname = 'public'";
        assert_eq!(database.number(there), 2, "{path}");
        assert_eq!(migrations::run(database.url()).unwrap(), [""; 0], "{path}");
    }
    let database = Database::empty();
    let name = database.text("select current_database()");
    database.execute(&format!(
        "alter database {name} set search_path = pg_temp, pg_catalog"
    ));
    let refused = migrations::run(database.url()).unwrap_err();
    assert!(matches!(refused, Error::NoSchema(_)), "{refused}");
}

/// A role on whose connections PostgreSQL enforces neither foreign keys nor triggers.
struct Replica {
    database: Database,
    role: String,
    url: String,
}

impl Replica {
    fn new() -> Self {
        let database = Database::fresh();
        let own = database.text("select quote_ident(current_user)");
        let role = database.text("select current_database() || '_replica'");
        database.execute(&format!(
            "create role {role} login; alter role {role} set session_replication_role = replica;
             grant all on all tables in schema public to {role}"
        ));
        let url = database
            .url()
            .replacen(&format!("{own}@"), &format!("{role}@"), 1);
        Self { database, role, url }
    }

    fn grant(&self, privilege: &str) {
        self.database
            .execute(&format!("grant {privilege} to {}", self.role));
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let role = &self.role;
        self.database
            .execute(&format!("drop owned by {role}; drop role {role}"));
    }
}

#[test]
fn a_role_that_cannot_switch_the_triggers_on_is_refused_with_the_remedy() {
    let replica = Replica::new();
    for exits in ["off", "on"] {
        replica.database.execute(&format!(
            "alter role {} set exit_on_error = {exits}",
            replica.role
        ));
        let refused = migrations::run(&replica.url).unwrap_err();
        assert!(matches!(refused, Error::Replica), "{refused}");
        assert!(
            refused.to_string().contains("reset session_replication_role"),
            "{refused}"
        );
    }
}

/// Since PostgreSQL 15 it need not be a superuser.
#[tokio::test]
async fn a_role_that_may_switch_the_triggers_on_does_so_on_every_connection() {
    let replica = Replica::new();
    if replica
        .database
        .number("select current_setting('server_version_num')")
        < 150_000
    {
        return;
    }
    replica.grant("set on parameter session_replication_role");
    assert_eq!(migrations::run(&replica.url).unwrap(), [""; 0]);
    let pool = Pool::connect(&replica.url, 1).unwrap();
    let role = pool.run(|conn| setting(conn, "session_replication_role")).await;
    assert_eq!(role.unwrap(), "origin");
}

/// Runs the tests of the laws once more, with this same binary: every database that they make has all hostile
/// defaults.
#[test]
fn the_laws_hold_over_defaults_that_are_hostile_all_at_once() {
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(TESTS_OF_LAWS)
        .args(["--test-threads", "2"])
        .env(hostile::WANTED, "yes")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    let words = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}\n{words}");
    for law in TESTS_OF_LAWS {
        let passed = |line: &str| line.starts_with(&format!("test {law}")) && line.ends_with("... ok");
        assert!(told.lines().any(passed), "no test of {law}: {told}");
    }
}

/// Each is the name of a test, or a prefix of such names.
const TESTS_OF_LAWS: [&str; 20] = [
    "acting::last_admin::not_even_plain_sql",
    "acting::last_admin::the_last_admin_is_told",
    "admin::pages_follow_each_other",
    "admin::the_list_is_searched",
    "commands::sessions_end",
    "commands::sweep_and_migrate",
    "defaults::tables_are_made",
    "feed::a_changed_role",
    "limits::looser_limits",
    "lockout::a_lock_ends_by_time",
    "races::a_sign_out_racing",
    "races::fifty_racing_logins",
    "races::no_session_outlives",
    "restored::a_copy_of_the_files",
    "sessions::a_session_lasts_two_hours",
    "sessions::a_sweep_removes",
    "sessions::activity_never_extends",
    "sessions::logout_holds",
    "sign_in::a_second_login",
    "telling::an_end_that_somebody_holds",
];
