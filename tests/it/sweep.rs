//! Sweeping a great many rows, batch by batch, without holding up anybody.

use std::cell::RefCell;
use std::process::{Command, Stdio};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use oneseat::auth::Error;

use crate::support::{App, eventually, oneseat};

/// Makes so many users whose sessions have expired, 1,500 at the same moment each. So every batch ends among rows of one moment, and
/// the next one has to begin with the same moment.
fn expired(app: &App, sessions: u32) {
    app.database().execute(&format!(
        "insert into users (name, email) select 'u', n || '@x' from generate_series(1, {sessions}) n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(email::bytea), '192.0.2.1', now() - interval '3 hours',
                    now() - interval '1 second' * (1 + split_part(email, '@', 1)::integer / 1500),
                    now() - interval '3 hours' from users;
         analyze sessions"
    ));
}

#[tokio::test]
async fn a_sweep_goes_batch_by_batch_and_passes_over_what_others_hold() {
    let app = App::start_swept().await;
    expired(&app, 4_500);
    assert_eq!(app.auth.sweepable().await.unwrap(), 4_500);
    let mut holder = app.database().connect();
    holder
        .batch_execute("begin; select from sessions order by expires_at limit 7 for update")
        .unwrap();
    let steps = RefCell::new(Vec::new());
    let swept = app
        .auth
        .sweep(|so_far| steps.borrow_mut().push(so_far.rows()))
        .await;
    assert_eq!(swept.unwrap().unwrap().sessions, 4_493);
    assert_eq!(*steps.borrow(), [1_000, 2_000, 3_000, 4_000, 4_493]);
    holder.batch_execute("rollback").unwrap();
    assert_eq!(app.auth.sweep(|_| ()).await.unwrap().unwrap().sessions, 7);
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn a_batch_is_a_batch_whatever_plan_postgresql_makes() {
    let app = App::start_swept().await;
    expired(&app, 1_100);
    // What a planner may choose by itself for a small table: to look again what is to go, for each row that could.
    for choice in [
        "hashagg",
        "hashjoin",
        "mergejoin",
        "sort",
        "incremental_sort",
        "material",
        "memoize",
    ] {
        app.database().execute(&format!(
            "do $$ begin execute format('alter database %I set enable_{choice} = off', current_database()); end $$"
        ));
    }
    let steps = RefCell::new(Vec::new());
    let swept = app
        .auth
        .sweep(|so_far| steps.borrow_mut().push(so_far.rows()))
        .await;
    assert_eq!(swept.unwrap().unwrap().sessions, 1_100);
    assert_eq!(*steps.borrow(), [1_000, 1_100]);
}

#[tokio::test]
async fn each_table_is_swept_along_an_index() {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        line: String,
    }
    let app = App::start_swept().await;
    expired(&app, 20_000);
    app.database().execute(
        "insert into ended_sessions select gen_random_uuid(), user_id, sha256(token_digest), ip_address, user_agent, last_activity,
             expires_at, created_at, expires_at - interval '40 days', 'expired' from sessions;
         insert into login_failures select token_digest, 1, null, expires_at - interval '2 days' from sessions;
         analyze ended_sessions; analyze login_failures",
    );
    let conn = &mut app.database().connect();
    for (query, index) in [
        (
            "select id from sessions where expires_at between '1970-01-01' and now()
             order by expires_at limit 1000 for update skip locked",
            "sessions_expires_at_idx",
        ),
        (
            "select id from ended_sessions where ended_at >= '1970-01-01' and ended_at < now() - interval '30 days'
             order by ended_at limit 1000 for update skip locked",
            "ended_sessions_ended_at_idx",
        ),
        (
            "select email_digest from login_failures where updated_at >= '1970-01-01'
                 and updated_at < now() - interval '1 day' and (locked_until is null or locked_until <= now())
             order by updated_at limit 1000 for update skip locked",
            "login_failures_updated_at_idx",
        ),
    ] {
        let plan: Vec<Line> = diesel::sql_query(format!("explain {query}")).load(conn).unwrap();
        let plan: Vec<String> = plan.into_iter().map(|line| line.line).collect();
        assert!(plan.iter().any(|line| line.contains(index)), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("Sort")), "{plan:#?}");
    }
    let swept = app.auth.sweep(|_| ()).await.unwrap().unwrap();
    assert_eq!(
        (swept.sessions, swept.endings, swept.login_failures),
        (20_000, 20_000, 20_000)
    );
}

/// Runs `oneseat sweep` with a terminal that `script` gives it; returns what that shows.
fn on_a_terminal(url: &str, redirected: &str) -> String {
    let command = format!("{} sweep {redirected}", env!("CARGO_BIN_EXE_oneseat"));
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("DATABASE_URL", url)
        .env("COLUMNS", "100")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_terminal_is_shown_how_far_the_sweep_has_come_and_a_file_is_told_of_each_session() {
    let app = App::start_swept().await;
    expired(&app, 3_000);
    let shown = on_a_terminal(app.database().url(), "");
    assert!(shown.contains("of 3,000 rows"), "{shown}");
    assert!(shown.contains("removed 3000 expired sessions"), "{shown}");
    assert!(!shown.contains("session_ended"), "{shown}");

    app.database()
        .execute("delete from users; delete from ended_sessions");
    expired(&app, 3_000);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let quiet = on_a_terminal(app.database().url(), &format!("2>{}", file.display()));
    assert!(quiet.contains("removed 3000 expired sessions"), "{quiet}");
    assert!(!quiet.contains("rows,"), "{quiet}");
    let log = std::fs::read_to_string(file).unwrap();
    assert_eq!(log.matches("session_ended").count(), 3_000);
    assert!(!log.contains("rows,"), "{log}");
}

#[tokio::test]
async fn rows_that_cannot_be_counted_are_swept_all_the_same() {
    let app = App::start_swept().await;
    expired(&app, 3_000);
    let mut holder = app.database().connect();
    holder
        .batch_execute("begin; lock table sessions in access exclusive mode")
        .unwrap();
    let waits = |statement: &str| {
        let waiting = format!(
            "select count(*) from pg_stat_activity where datname = current_database()
                 and wait_event_type = 'Lock' and query ilike '%{statement}%'"
        );
        app.database().number(&waiting) == 1
    };
    let shown = std::thread::spawn({
        let url = app.database().url().to_owned();
        move || on_a_terminal(&url, "")
    });
    eventually("the rows are counted", async || waits("count(")).await;
    eventually("they could not be", async || waits("delete from sessions")).await;
    holder.batch_execute("rollback").unwrap();
    let shown = shown.join().unwrap();
    assert!(shown.contains("removed 3000 expired sessions"), "{shown}");
}

#[tokio::test]
async fn one_sweep_keeps_all_others_out_until_its_end() {
    let app = App::start_swept().await;
    expired(&app, 2_500);
    let others = RefCell::new(Vec::new());
    let swept = app.auth.sweep(|_| {
        let other = oneseat(&["sweep", "--database-url", app.database().url()], "");
        others.borrow_mut().push(String::from_utf8(other.stdout).unwrap());
    });
    assert_eq!(swept.await.unwrap().unwrap().sessions, 2_500);
    assert_eq!(
        *others.borrow(),
        ["another instance is sweeping; it is left to that one\n"; 3]
    );
}

#[tokio::test]
async fn a_sweep_that_loses_its_connection_stops_and_the_next_one_goes_on() {
    let app = App::start_swept().await;
    expired(&app, 2_500);
    let swept = app.auth.sweep(|_| {
        app.database().number(
            "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory'
                 and database = (select oid from pg_database where datname = current_database())",
        );
    });
    assert!(matches!(swept.await, Err(Error::Unavailable(_))));
    assert_eq!(app.sessions(), 1_500);
    assert_eq!(app.auth.sweep(|_| ()).await.unwrap().unwrap().sessions, 1_500);
}

#[tokio::test]
async fn what_is_kept_for_a_time_goes_when_that_is_up_and_not_before() {
    let app = App::start_swept().await;
    // A lock stays for as long as it lasts, even if that is longer than the day for which failures are kept.
    app.database().execute(
        "insert into login_failures (email_digest, failed_attempts, locked_until, updated_at) values
             (email_digest('few@x'), 4, null, now() - interval '23 hours'),
             (email_digest('old@x'), 4, null, now() - interval '25 hours'),
             (email_digest('locked@x'), 5, now() + interval '1 hour', now() - interval '25 hours'),
             (email_digest('over@x'), 5, now() - interval '1 second', now() - interval '25 hours');
         insert into undelivered_mails (email_digest, kind, reason, given_up_at)
             select email_digest(day || '@x'), 'invitation', 'no such mailbox', now() - interval '1 day' * day
                 from unnest(array[89, 91]) as day;
         insert into ended_sessions
             select gen_random_uuid(), gen_random_uuid(), sha256(day::text::bytea), '192.0.2.1', null, now(), now(), now(),
                 now() - interval '1 day' * day, 'expired' from unnest(array[29, 31]) as day",
    );
    // Of each 1,500 rows that are due, as many rows of the same users and addresses that are not.
    app.database().execute(
        "insert into users (name, email) select 'u', n || '@x' from generate_series(1, 1500) n;
         insert into one_time_links (user_id, purpose, token_digest, email, expires_at)
             select id, 'password_reset', sha256(email::bytea), email, now() - interval '1 second' from users
             union all
             select id, 'verification', sha256(id::text::bytea), email, now() + interval '1 hour' from users;
         insert into mail_requests (email_digest, kind, requests, since)
             select email_digest(email), 'password_reset', 5, now() - interval '61 minutes' from users
             union all
             select email_digest(email), 'verification', 5, now() - interval '59 minutes' from users;
         insert into known_origins (user_id, origin_digest, last_seen)
             select id, sha256(email::bytea), now() - interval '181 days' from users
             union all
             select id, sha256('everywhere'), now() - interval '179 days' from users",
    );
    // Links, requests and notes are not counted beforehand.
    assert_eq!(app.auth.sweepable().await.unwrap(), 2 + 1 + 1_500);
    let swept = app.auth.sweep(|_| ()).await.unwrap().unwrap();
    assert_eq!(
        (swept.login_failures, swept.endings, swept.others, swept.rows()),
        (2, 1, 4_501, 4_504)
    );
    let locked = app.visitor().login("locked@x", "not the password").await;
    assert_eq!(locked.problem(), "403 account_locked");
    for kept in [
        "login_failures where email_digest in (email_digest('few@x'), email_digest('locked@x')) and failed_attempts > 3",
        "undelivered_mails where given_up_at > now() - interval '90 days'",
        "ended_sessions where ended_at > now() - interval '30 days'",
    ] {
        let number = app.database().number(&format!("select count(*) from {kept}"));
        let right = if kept.starts_with("login_failures") { 2 } else { 1 };
        assert_eq!(number, right, "{kept}");
    }
    for (left, of_them) in [
        ("one_time_links", "purpose = 'verification'"),
        ("mail_requests", "kind = 'verification'"),
        ("known_origins", "origin_digest = sha256('everywhere')"),
    ] {
        let number = |of: &str| {
            app.database()
                .number(&format!("select count(*) from {left} where {of}"))
        };
        assert_eq!((number("true"), number(of_them)), (1_500, 1_500), "{left}");
    }
}

#[tokio::test]
async fn mails_are_given_up_batch_by_batch_past_what_others_hold() {
    let app = App::start_swept().await;
    app.database().execute(
        "insert into mails (kind, email_digest, created_at)
             select 'password_changed', sha256(n::text::bytea), now() - interval '3 days 1 second' from generate_series(1, 2500) n
             union all
             select 'password_changed', sha256(n::text::bytea), now() - interval '2 days 23 hours' from generate_series(1, 10) n",
    );
    let mut delivery = app.database().connect();
    delivery
        .batch_execute(
            "begin; select from mails where created_at < now() - interval '3 days' limit 1 for update",
        )
        .unwrap();
    let swept = app.auth.sweep(|_| ()).await.unwrap().unwrap();
    assert_eq!(swept.others, 2_499);
    delivery.batch_execute("rollback").unwrap();
    assert_eq!(app.auth.sweep(|_| ()).await.unwrap().unwrap().others, 1);
    assert_eq!(app.database().number("select count(*) from mails"), 10);
}

#[tokio::test]
async fn a_sweep_waits_for_no_row_that_somebody_else_holds() {
    let app = App::start_swept().await;
    app.database().execute(
        "insert into users (name, email) values ('a', 'a@x'), ('b', 'b@x');
         insert into known_origins (user_id, origin_digest, last_seen)
             select id, sha256(place), now() - interval '200 days'
             from users, (values ('one'::bytea), ('two'), ('three')) as places (place);
         insert into mail_requests (email_digest, kind, requests, since)
             select sha256(address), kind, 1, now() - interval '2 hours'
             from (values ('a'::bytea), ('b')) as addresses (address), (values ('password_reset'), ('verification')) as kinds (kind);
         insert into one_time_links (user_id, purpose, token_digest, email, expires_at)
             select id, purpose, sha256((email || purpose)::bytea), email, now() - interval '1 second'
             from users, (values ('password_reset'), ('verification')) as purposes (purpose);
         insert into login_failures select email_digest(email), 1, null, now() - interval '2 days' from users;
         insert into ended_sessions
             select gen_random_uuid(), id, sha256(email::bytea), '192.0.2.1', null, now(), now(), now(), now() - interval '40 days', 'expired'
             from users;
         insert into mails (kind, email_digest, created_at)
             select kind, email_digest(email), now() - interval '4 days'
             from users, (values ('password_reset'), ('verification')) as kinds (kind)",
    );
    // One of each table, whose parts are those of others, too.
    let held = [
        (
            "known_origins",
            "origin_digest = sha256('two') and user_id = (select id from users where email = 'a@x')",
        ),
        (
            "mail_requests",
            "email_digest = sha256('b') and kind = 'verification'",
        ),
        ("one_time_links", "email = 'a@x' and purpose = 'verification'"),
        ("login_failures", "email_digest = email_digest('b@x')"),
        ("ended_sessions", "token_digest = sha256('a@x')"),
        (
            "mails",
            "email_digest = email_digest('a@x') and kind = 'verification'",
        ),
    ];
    let mut holder = app.database().connect();
    let mut hold = |statement: &str| holder.batch_execute(statement).unwrap();
    hold("begin");
    for (table, row) in held {
        hold(&format!("select from {table} where {row} for update"));
    }
    let swept = app.auth.sweep(|_| ()).await.unwrap().unwrap();
    assert_eq!(
        (swept.login_failures, swept.endings, swept.others),
        (1, 1, 5 + 3 + 3 + 3)
    );
    for (table, row) in held {
        let left = |of: &str| {
            app.database()
                .number(&format!("select count(*) from {table} where {of}"))
        };
        assert_eq!((left("true"), left(row)), (1, 1), "{table}");
    }
    hold("rollback");
    let swept = app.auth.sweep(|_| ()).await.unwrap().unwrap();
    assert_eq!((swept.login_failures, swept.endings, swept.others), (1, 1, 4));
}
