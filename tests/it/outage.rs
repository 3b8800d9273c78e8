//! The database goes away and comes back.

use diesel::connection::SimpleConnection;
use diesel::dsl::{select, sql};
use diesel::sql_types::Integer;
use diesel::{PgConnection, RunQueryDsl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oneseat::db::embedded::Embedded;
use oneseat::db::{Unavailable, migrations};
use oneseat::users::Role;
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::support::{Answer, App, Database, EventStream, PASSWORD, eventually};

/// Unsafe settings that make a throw-away server quick to start.
const QUICK: [(&str, &str); 1] = [("fsync", "off")];

/// A server of the test's own, to stop and start.
pub fn throw_away() -> (TempDir, Embedded) {
    let dir = tempfile::Builder::new()
        .prefix("oneseat-outage-")
        .tempdir()
        .unwrap();
    let embedded = Embedded::open(dir.path(), &QUICK).unwrap();
    migrations::run(&embedded.url()).unwrap();
    (dir, embedded)
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.problem(), "503 unavailable");
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_the_answer_is_503_and_afterwards_all_is_well() {
    let (_dir, embedded) = throw_away();
    let app = App::start_on(Database::at(embedded.url())).await;
    let ada = app.signed_in("ada").await;
    assert_eq!(app.visitor().get("/readyz").await.status, 200);

    embedded.stop().unwrap();
    assert_unavailable(&ada.session().await);
    assert_unavailable(&ada.logout().await);
    assert_unavailable(&app.visitor().login("ada@example.org", PASSWORD).await);
    assert_unavailable(&app.visitor().get("/readyz").await);
    assert_unavailable(&ada.get("/dashboard").await);
    assert_eq!(app.visitor().get("/healthz").await.status, 200);
    assert_eq!(app.visitor().session().await.problem(), "401 token_missing");

    embedded.revive().unwrap();
    eventually("the session works again", async || {
        ada.session().await.status == StatusCode::OK
    })
    .await;
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
    drop(app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_cut_are_replaced_without_an_error() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    for _ in 0..3 {
        app.database().number(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        );
        assert_eq!(ada.session().await.status, 200);
    }
}

/// Signs all of them in at once, on as many connections as there are.
async fn sign_in_at_once(app: &App, names: &[&str], held: Option<&mut PgConnection>) {
    let logins: Vec<_> = names
        .iter()
        .map(|name| {
            let (visitor, email) = (app.visitor(), format!("{name}@example.org"));
            tokio::spawn(async move { visitor.login(&email, PASSWORD).await })
        })
        .collect();
    if let Some(holder) = held {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        eventually("sign-ins wait", async || {
            app.database().number(waiting) >= i64::try_from(names.len()).unwrap()
        })
        .await;
        holder.batch_execute("rollback").unwrap();
    }
    for login in logins {
        let answer = login.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_while_nobody_used_them_fail_nobody() {
    let (_dir, embedded) = throw_away();
    let app = App::start_on(Database::at(embedded.url())).await;
    let names = ["ada", "bob", "eva", "grace"];
    for name in names {
        app.add_user(name, Role::User).await;
    }
    for _ in 0..3 {
        // As many at once as there are connections beside those of the validators.
        let mut holder = app.database().connect();
        holder
            .batch_execute("begin; lock table sessions in access exclusive mode")
            .unwrap();
        sign_in_at_once(&app, &names, Some(&mut holder)).await;
        let idle = "select count(*) from pg_stat_activity where application_name like 'oneseat/2%' and state = 'idle'";
        assert!(app.database().number(idle) >= 4);

        embedded.stop().unwrap();
        embedded.revive().unwrap();
        sign_in_at_once(&app, &names, None).await;
    }
    drop(app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_cannot_begin_leaves_its_connection_as_it_was() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    // An end of all sessions that holds its lock longer than a sign-in waits for it.
    let mut other = app.database().connect();
    other
        .batch_execute("begin; select pg_advisory_xact_lock(x'6f6e657365617403'::bigint)")
        .unwrap();
    assert_unavailable(&app.visitor().login("ada@example.org", PASSWORD).await);
    let stuck = "select count(*) from pg_stat_activity where state like 'idle in transaction%'
        and application_name like 'oneseat/2%' and datname = current_database()";
    assert_eq!(app.database().number(stuck), 0);
    other.batch_execute("rollback").unwrap();
    assert_eq!(ada.logout().await.status, 200);
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_answers_too_slowly_is_unavailable_and_nothing_else_waits() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let mut other = app.database().connect();
    other
        .batch_execute("begin; lock table sessions in access exclusive mode")
        .unwrap();
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let ada = ada.clone();
            tokio::spawn(async move { ada.session().await })
        })
        .collect();
    assert_eq!(app.visitor().get("/healthz").await.status, 200);
    for answer in slow {
        assert_unavailable(&answer.await.unwrap());
    }
    other.batch_execute("rollback").unwrap();
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_postgresql_loses_no_notice() {
    let (_dir, embedded) = throw_away();
    let app = App::start_on(Database::at(embedded.url())).await;
    let ada = app.signed_in("ada").await;
    let mut events = EventStream::open(&ada).await;
    embedded.stop().unwrap();
    embedded.revive().unwrap();
    // This is probably before the listener is back. Then it finds the end by looking; otherwise it hears of
    // it.
    eventually("the session is ended", async || {
        matches!(app.auth.revoke_all().await, Ok(1))
    })
    .await;
    assert_eq!(events.next().await.unwrap().0, "ended");
    drop(app);
}

/// Backends of PostgreSQL that are frozen until this is dropped.
struct FrozenBackends(Vec<Pid>);

impl FrozenBackends {
    /// All backends that serve oneseat.
    fn of(database: &Database) -> Self {
        let pids = database.text(
            "select coalesce(string_agg(pid::text, ' '), '') from pg_stat_activity
             where application_name like 'oneseat/2%' and datname = current_database()",
        );
        let pids: Vec<Pid> = pids
            .split_whitespace()
            .map(|pid| Pid::from_raw(pid.parse().unwrap()))
            .collect();
        assert!(pids.len() >= 3, "{pids:?}");
        for pid in &pids {
            kill(*pid, Signal::SIGSTOP).unwrap();
        }
        Self(pids)
    }
}

impl Drop for FrozenBackends {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(*pid, Signal::SIGCONT);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_frozen_are_left_behind_and_nothing_that_they_say_later_counts() {
    let (_dir, embedded) = throw_away();
    let app = App::start_on(Database::at(embedded.url())).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    assert_eq!(ada.session().await.status, 200);
    let frozen = FrozenBackends::of(app.database());
    // The kernel still answers for the frozen backends. New connections work, as to a server that has taken
    // their place.
    eventually("tokens are validated", async || bob.session().await.status == 200).await;
    eventually("people sign in", async || {
        app.visitor().login("bob@example.org", PASSWORD).await.status == 200
    })
    .await;
    app.database().execute(
        "set oneseat.waits_after_commit = 'on';
         delete from sessions where user_id = (select id from users where name = 'ada')",
    );
    eventually("the end is known", async || ada.session().await.status == 401).await;
    let asking = tokio::spawn(async move {
        for _ in 0..200 {
            assert_ne!(ada.session().await.status, 200);
        }
    });
    drop(frozen);
    asking.await.unwrap();
    drop(app);
}

#[tokio::test]
async fn a_server_that_cannot_be_written_to_is_not_ready() {
    let app = App::start().await;
    assert_eq!(app.visitor().get("/readyz").await.status, 200);
    let database = app.database();
    let name = database.text("select quote_ident(current_database())");
    database.execute(&format!(
        "alter database {name} set default_transaction_read_only = on;
         select count(pg_terminate_backend(pid)) from pg_stat_activity
             where application_name like 'oneseat/2%' and datname = current_database()"
    ));
    eventually("it is not ready", async || {
        app.visitor().get("/readyz").await.status == 503
    })
    .await;
    // That was no connection that had just been cut.
    for _ in 0..5 {
        assert_unavailable(&app.visitor().get("/readyz").await);
    }
    database.execute(&format!(
        "set transaction_read_only = off; alter database {name} reset default_transaction_read_only"
    ));
    eventually("it is ready", async || {
        app.visitor().get("/readyz").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_connection_whose_statements_may_be_stale_is_replaced_in_every_language() {
    let database = Database::fresh();
    let pool = oneseat::db::Database::connect(database.url(), 1).unwrap();
    let backend = async || {
        let pid = |conn: &mut _| select(sql::<Integer>("pg_backend_pid()")).get_result::<i32>(conn);
        pool.run(move |conn| Ok::<_, Unavailable>(pid(conn)?))
            .await
            .unwrap()
    };
    let fails = async |error: &'static str| {
        let raise = format!("do $$ begin raise exception {error}; end $$");
        let failed = pool.run(move |conn| Ok::<_, Unavailable>(conn.batch_execute(&raise)?));
        assert!(failed.await.is_err());
    };
    // What PostgreSQL 15 says in German.
    let german = "'gecachter Plan darf den Ergebnistyp nicht ändern' using errcode = '0A000'";
    let first = backend().await;
    fails(german).await;
    let second = backend().await;
    assert_ne!(first, second);
    // Errors that say more are about something else.
    for other in [
        "'no' using errcode = '23514', constraint = 'some_constraint'",
        "'no' using errcode = 'P0001', hint = 'do something else'",
    ] {
        fails(other).await;
        assert_eq!(backend().await, second, "{other}");
    }
}

#[tokio::test]
async fn a_statement_whose_result_has_another_type_fails_once() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    assert_eq!(ada.get("/auth/history").await.status, 200);
    let database = app.database();
    database.execute("alter table ended_sessions alter column user_agent type varchar(2000)");
    eventually("it works again", async || {
        ada.get("/auth/history").await.status == 200
    })
    .await;
    drop(app);
}
