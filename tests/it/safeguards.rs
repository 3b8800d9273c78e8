//! A schema that lacks what the laws depend on is not served.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use oneseat::db::{connect, migrations, safeguards};
use oneseat::users::Role;

use crate::support::{App, Database, eventually, oneseat};

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/safeguards.txt");

#[test]
fn the_list_is_that_of_a_migrated_database() {
    let database = Database::fresh();
    let present = safeguards::present(&mut connect(database.url()).unwrap()).unwrap();
    let present = present.join("\n") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(LIST, &present).unwrap();
    }
    assert_eq!(std::fs::read_to_string(LIST).unwrap(), present);
}

/// Runs one of PostgreSQL's programs.
fn run(program: &str, database: &Database, dump: &Path, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).args(["--dbname", database.url()]);
    match program {
        "pg_dump" => command.arg("--file").arg(dump),
        _ => command.arg(dump),
    };
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn a_restore_that_was_cut_short_is_refused_until_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let dump = dir.path().join("dump");
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    run("pg_dump", app.database(), &dump, &["--format=custom"]);
    let restored = Database::empty();
    let sections = ["--section=pre-data", "--section=data", "--no-owner"];
    run("pg_restore", &restored, &dump, &sections);

    let refused = oneseat(&["user", "list", "--database-url", restored.url()], "");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(
        (refused.status.code(), words.lines().count()),
        (Some(1), 1),
        "{words}"
    );
    assert!(
        words.contains("the schema lacks") && words.contains("pg_restore --section=post-data"),
        "{words}"
    );

    run(
        "pg_restore",
        &restored,
        &dump,
        &["--section=post-data", "--no-owner"],
    );
    let app = App::start_on(restored).await;
    app.visitor().sign_in("ada@example.org").await;
}

/// What breaks the schema, what repairs it, and what the message names meanwhile.
const BREAKS: [(&str, &str, &str); 8] = [
    (
        "alter table sessions drop constraint sessions_user_id_key",
        "alter table sessions add constraint sessions_user_id_key unique (user_id)",
        "sessions.sessions_user_id_key",
    ),
    (
        "drop index mails_one_link_key",
        "create unique index mails_one_link_key on mails (email_digest, kind)
             where kind in ('invitation', 'verification', 'password_reset')",
        "mails.mails_one_link_key",
    ),
    (
        "alter table users disable trigger users_last_admin_stays",
        "alter table users enable trigger users_last_admin_stays",
        "users.users_last_admin_stays",
    ),
    // As `pg_restore --data-only --disable-triggers` leaves it when it is cut short: no foreign key is obeyed.
    (
        "alter table one_time_links disable trigger all",
        "alter table one_time_links enable trigger all",
        "one_time_links.one_time_links_user_id_fkey",
    ),
    (
        "alter table sessions disable trigger sessions_marked",
        "alter table sessions enable always trigger sessions_marked",
        "sessions.sessions_marked",
    ),
    // A trigger for replication alone does not fire here, nor does a foreign key.
    (
        "alter table sessions enable replica trigger sessions_marked",
        "alter table sessions enable always trigger sessions_marked",
        "sessions.sessions_marked",
    ),
    (
        "do $$ begin execute (select string_agg(format('alter table one_time_links enable replica trigger %I', tgname), ';')
             from pg_trigger where tgrelid = 'one_time_links'::regclass and tgisinternal); end $$",
        "alter table one_time_links enable trigger all",
        "one_time_links.one_time_links_user_id_fkey",
    ),
    (
        "alter table sessions drop constraint sessions_user_id_fkey;
         alter table sessions add constraint sessions_user_id_fkey foreign key (user_id) references users on delete cascade not valid",
        "alter table sessions validate constraint sessions_user_id_fkey",
        "sessions.sessions_user_id_fkey",
    ),
];

#[tokio::test]
async fn while_a_safeguard_is_gone_nobody_is_ready_and_nobody_starts() {
    let app = App::start().await;
    let status = async || app.visitor().get("/readyz").await.status.as_u16();
    let url = app.database().url();
    for (breaks, mends, name) in BREAKS {
        assert_eq!(status().await, 200, "{name}");
        app.database().execute(breaks);
        eventually("it is not ready", async || {
            let answer = app.visitor().get("/readyz").await;
            answer.status == 503 && answer.problem() == "503 unavailable"
        })
        .await;
        let refused = migrations::run(url).unwrap_err().to_string();
        assert!(refused.contains(name), "{refused}");
        app.database().execute(mends);
    }
    eventually("it is ready again", async || status().await == 200).await;
    // A later version has more.
    app.database()
        .execute("alter table users add constraint of_a_later_version check (name <> '')");
    assert_eq!(status().await, 200);
    assert_eq!(migrations::run(url).unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_ask_whether_it_is_ready_the_database_is_asked_once_a_second() {
    let app = App::start().await;
    app.database().execute("create extension pg_stat_statements");
    let questions = || {
        app.database().number(
            "select coalesce(sum(calls), 0)::bigint from pg_stat_statements where query like '%indisvalid%'
                 and query not like '%pg_stat_statements%'
                 and dbid = (select oid from pg_database where datname = current_database())",
        )
    };
    let (before, began) = (questions(), Instant::now());
    for _ in 0..10 {
        let asked = (0..20).map(|_| async { app.visitor().get("/readyz").await.status.as_u16() });
        assert_eq!(join_all(asked).await, [200; 20]);
    }
    let allowed = i64::try_from(began.elapsed().as_secs()).unwrap() + 2;
    let asked = questions() - before;
    assert!((1..=allowed).contains(&asked), "{asked} of {allowed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_of_the_database_the_next_question_reaches_it() {
    // What fails is a query of an answer, or already the look-up of the token.
    for (lease, table) in [
        (Duration::from_secs(2), "ended_sessions"),
        (Duration::ZERO, "users"),
    ] {
        let app = App::start_with(|config| config.memory.lease = lease).await;
        let (visitor, ada) = (app.visitor(), app.signed_in("ada").await);
        let mut operator = app.database().connect();
        let mut rename = |from: &str, to: &str| {
            let rename = format!("alter table {from} rename to {to}");
            operator.batch_execute(&rename).unwrap();
        };
        // All within the second for which it is remembered that all was well: a busy machine needs some tries.
        for _ in 0..20 {
            assert_eq!(ada.session().await.status, 200);
            eventually("it is ready", async || visitor.get("/readyz").await.status == 200).await;
            let began = Instant::now();
            rename(table, "gone");
            assert_eq!(ada.get("/auth/history").await.status, 503);
            assert_eq!(visitor.get("/readyz").await.status, 503, "{table}");
            let took = began.elapsed();
            rename("gone", table);
            eventually("it is ready again", async || {
                visitor.get("/readyz").await.status == 200
            })
            .await;
            if took < Duration::from_millis(800) {
                break;
            }
        }
    }
}
