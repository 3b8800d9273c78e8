//! The database goes away and comes back.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::{select, sql};
use diesel::sql_types::Integer;
use diesel::{PgConnection, QueryResult, RunQueryDsl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oneseat::db::embedded::Embedded;
use oneseat::db::{Unavailable, migrations};
use oneseat::users::Role;
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::support::{Answer, App, Database, EventStream, PASSWORD, Program, add_user, eventually};

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

    assert!(embedded.revive().unwrap(), "it had died");
    assert!(!embedded.revive().unwrap(), "it runs");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_database_does_not_answer_stops_when_it_is_told_to() {
    let (_dir, embedded) = throw_away();
    let database = Database::at(embedded.url());
    let program = Program::over(database.url());
    add_user(database.url(), "ada@example.org", "user");
    let visitor = program.visitor();
    assert_eq!(visitor.login("ada@example.org", PASSWORD).await.status, 200);
    let _frozen = FrozenBackends::of(&database);
    assert_unavailable(&visitor.login("ada@example.org", PASSWORD).await);
    let (is_success, log) = program.terminate();
    assert!(is_success, "{log:#?}");
}

/// The process that serves this connection.
fn backend(conn: &mut oneseat::db::PgConnection) -> QueryResult<i32> {
    select(sql::<Integer>("pg_backend_pid()")).get_result(conn)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_without_an_answer_is_replaced_once_and_not_again_soon() {
    // Backends that are frozen hold up the whole server.
    let (_dir, embedded) = throw_away();
    let pool = oneseat::db::Database::connect(&embedded.url(), 2).unwrap();
    let mut pinned = pool.pin();
    let pinned_at_first = pinned.run(backend).unwrap();
    let mut frozen = FrozenBackends(Vec::new());
    // Asks on a connection whose backend is frozen before it can answer.
    let ask_in_vain = || {
        let (pool, (told, is_frozen)) = (pool.clone(), channel());
        let asked = tokio::spawn(async move {
            pool.run(move |conn| {
                let pid = backend(conn)?;
                kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
                told.send(pid).unwrap();
                Ok::<_, Unavailable>(conn.batch_execute("select 1")?)
            })
            .await
        });
        (asked, is_frozen.recv().unwrap())
    };
    let (first, stopped) = ask_in_vain();
    frozen.0.push(Pid::from_raw(stopped));
    // So that something can be asked between the two failures.
    sleep(Duration::from_secs(2)).await;
    let (second, stopped) = ask_in_vain();
    frozen.0.push(Pid::from_raw(stopped));

    // The processes that serve the pool, which has two connections.
    let both_backends = async || {
        let (told, pids) = channel();
        let one = || {
            let (pool, told, (go_on, wait)) = (pool.clone(), told.clone(), channel::<()>());
            let work = move |conn: &mut _| {
                told.send(backend(conn)?).unwrap();
                // It is held until both are known.
                let _ = wait.recv();
                Ok::<_, Unavailable>(())
            };
            (tokio::spawn(async move { pool.run(work).await }), go_on)
        };
        let held = [one(), one()];
        let both = spawn_blocking(move || BTreeSet::from([pids.recv().unwrap(), pids.recv().unwrap()]));
        let both = both.await.unwrap();
        for (asking, go_on) in held {
            drop(go_on);
            asking.await.unwrap().unwrap();
        }
        both
    };
    let ask = async || pool.run(|conn| Ok::<_, Unavailable>(backend(conn)?)).await;

    assert!(first.await.unwrap().is_err());
    assert!(ask().await.is_ok(), "a new pool has places");
    let new = both_backends().await;
    // The second connection is of the pool that has been replaced.
    assert!(second.await.unwrap().is_err());
    assert_eq!(both_backends().await, new);
    assert_ne!(pinned.run(backend).unwrap(), pinned_at_first);

    // A server that is only slow does not cost a pool each time.
    let (third, stopped) = ask_in_vain();
    frozen.0.push(Pid::from_raw(stopped));
    assert!(third.await.unwrap().is_err());
    assert!(new.contains(&stopped) && new.contains(&ask().await.unwrap()));
    // When all are stuck, nobody finds out any more that there is no answer: it is replaced when that is allowed again.
    let (fourth, stopped) = ask_in_vain();
    frozen.0.push(Pid::from_raw(stopped));
    assert!(fourth.await.unwrap().is_err());
    assert!(ask().await.is_err(), "both are stuck");
    eventually("there are new connections", async || ask().await.is_ok()).await;
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
async fn an_instance_that_could_not_read_what_has_ended_is_ready_again_though_nobody_asks_it() {
    let app = App::start().await;
    let (visitor, ada) = (app.visitor(), app.signed_in("ada").await);
    let is_ready = async || visitor.get("/readyz").await.status == 200;
    app.database()
        .execute("alter function read_feed(pg_snapshot) rename to gone");
    eventually("it is not ready", async || {
        ada.session().await;
        !is_ready().await
    })
    .await;
    // For longer than the feed is read on after a token: a load balancer sends nobody here.
    sleep(Duration::from_secs(3)).await;
    assert_unavailable(&visitor.get("/readyz").await);
    app.database()
        .execute("alter function gone(pg_snapshot) rename to read_feed");
    eventually("it is ready again", is_ready).await;
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test]
async fn while_what_has_ended_cannot_be_read_nobody_is_signed_in_and_so_nobody_out() {
    let app = App::start().await;
    let (visitor, ada) = (app.visitor(), app.signed_in("ada").await);
    let sign_in = async || visitor.login("ada@example.org", PASSWORD).await;
    app.database()
        .execute("alter function read_feed(pg_snapshot) rename to gone");
    eventually("it is not ready", async || {
        ada.session().await;
        visitor.get("/readyz").await.status == 503
    })
    .await;
    assert_unavailable(&sign_in().await);
    app.database()
        .execute("alter function gone(pg_snapshot) rename to read_feed");
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(app.database().number("select count(*) from ended_sessions"), 0);
    assert_eq!(sign_in().await.status, 200, "also while the feed is read again");
    assert_eq!(ada.session().await.json()["reason"], "replaced");
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
