//! Commands of an operator that must work although an instance hangs.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::connection::SimpleConnection;

use crate::support::{App, Database, PASSWORD, Program, begun, eventually, oneseat};

/// The number of sign-ins that are in their transaction and fulfil this condition.
fn sign_ins(database: &Database, which: &str) -> i64 {
    database.number(&format!(
        "select count(*) from pg_locks join pg_stat_activity using (pid) where datname = current_database()
             and locktype = 'advisory' and mode = 'ShareLock' and granted and {which}"
    ))
}

/// Begins a sign-in at this instance and freezes the instance in the middle of the transaction.
async fn freeze_in_a_sign_in(program: &Program, database: &Database) {
    let mut other: PgConnection = database.connect();
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        program.thaw();
        // Where the older session is deleted a sign-in has to wait, and holds what comes before.
        other
            .batch_execute("begin; lock table sessions in exclusive mode")
            .unwrap();
        let visitor = program.visitor();
        let sign_in = tokio::spawn(async move { visitor.login("ada@example.org", PASSWORD).await.status });
        while sign_ins(database, "wait_event_type = 'Lock'") == 0 && !sign_in.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        program.freeze();
        other.batch_execute("rollback").unwrap();
        sign_in.abort();
        // The statement ends, and the frozen instance sends no other. If the sign-in had given up before,
        // this is tried again.
        while sign_ins(database, "state = 'active'") > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if sign_ins(database, "state = 'idle in transaction'") > 0 {
            return;
        }
    }
    panic!("it cannot be frozen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_every_session_outwaits_an_instance_that_is_frozen_in_a_sign_in() {
    let app = App::start().await;
    let grace = app.signed_in("grace").await;
    app.add_user("ada", oneseat::users::Role::User).await;
    let url = app.database().url();
    let program = Program::serve_with(&["--bind", "127.0.0.1:0", "--database-url", url], &[]);
    freeze_in_a_sign_in(&program, app.database()).await;

    let ended = oneseat(&["session", "end", "--all", "--yes", "--database-url", url], "");
    let words = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{words}");
    assert_eq!(grace.session().await.status, 401);
    program.thaw();
    assert_eq!(app.sessions(), 0, "nobody slipped through");
}

#[tokio::test]
async fn a_process_that_keeps_an_operators_command_waiting_is_named() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().count_statements();
    let mut other = app.database().connect();
    other
        .batch_execute("begin; select from users for update")
        .unwrap();
    let disable = [
        "user",
        "disable",
        "ada@example.org",
        "--database-url",
        app.database().url(),
    ];
    let mut disabling = begun(&disable, &[]);
    let mut words = BufReader::new(disabling.stderr.take().unwrap()).lines();
    let line = words.next().unwrap().unwrap();
    for part in [
        "waiting for connection",
        "idle in transaction",
        "pg_terminate_backend",
    ] {
        assert!(line.contains(part), "{line}");
    }
    // It is looked for again and again, and told once.
    let looks = "select coalesce(sum(calls), 0) from pg_stat_statements where query like '%pg_blocking_pids%'
        and query not like '%pg_stat_statements%' and dbid = (select oid from pg_database where datname = current_database())";
    eventually("it is looked for again", async || {
        app.database().number(looks) >= 3
    })
    .await;
    other.batch_execute("rollback").unwrap();
    assert!(disabling.wait().unwrap().success());
    let again = words.find(|line| line.as_ref().unwrap().contains("waiting for connection"));
    assert!(again.is_none(), "{again:?}");
    assert_eq!(ada.session().await.status, 401);
}

/// The lock of instances that migrate the schema.
const MIGRATION_LOCK: &str = "select pg_advisory_lock(x'6f6e657365617401'::bigint)";

#[tokio::test]
async fn the_end_of_every_session_does_not_wait_for_an_instance_that_hangs_at_its_start() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let mut other = app.database().connect();
    other.batch_execute(MIGRATION_LOCK).unwrap();
    let url = app.database().url();
    let ended = oneseat(&["session", "end", "--all", "--yes", "--database-url", url], "");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ada.session().await.status, 401);
}

#[test]
fn a_program_that_has_to_wait_for_another_one_to_migrate_says_for_which() {
    let database = Database::fresh();
    database.execute("drop schema public cascade; create schema public");
    let mut other = database.connect();
    other.batch_execute(MIGRATION_LOCK).unwrap();
    let mut migrating = begun(&["migrate", "--database-url", database.url()], &[]);
    let mut words = BufReader::new(migrating.stderr.take().unwrap()).lines();
    let line = words.next().unwrap().unwrap();
    for part in ["waiting for connection", "schema", "pg_terminate_backend"] {
        assert!(line.contains(part), "{line}");
    }
    drop(other);
    assert!(migrating.wait().unwrap().success());
}
