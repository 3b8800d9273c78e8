//! A restored backup revives no session, with each of PostgreSQL's own programs.

use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use metrics_exporter_prometheus::PrometheusBuilder;
use oneseat::users::Role;
use serde_json::Value;

use crate::audit::security_lines;
use crate::support::{App, Client, Database, EventStream, eventually, oneseat, sql};

/// A dump, as one of PostgreSQL's programs wrote it.
struct Dump {
    dir: tempfile::TempDir,
    /// Text for `psql`, not an archive for `pg_restore`.
    is_plain: bool,
}

impl Dump {
    fn of(database: &Database, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dump");
        let is_plain = options.contains(&"--format=plain");
        let made = Command::new("pg_dump")
            .args(options)
            .arg("--file")
            .arg(file)
            .args(["--dbname", database.url()])
            .output();
        succeeded(&made.unwrap());
        Self { dir, is_plain }
    }

    /// Restores it, and ignores complaints.
    fn restore(&self, database: &Database, options: &[&str]) {
        self.tried(database, options);
    }

    /// Restores it below a running instance, which takes locks in another order and writes its only rows
    /// before the dump does.
    fn restore_beneath(&self, database: &Database, options: &[&str]) {
        let is_disturbed = |output: Output| {
            let errors = String::from_utf8_lossy(&output.stderr);
            errors.contains("deadlock") || errors.contains("is duplicated")
        };
        while is_disturbed(self.tried(database, options)) {}
    }

    fn tried(&self, database: &Database, options: &[&str]) -> Output {
        let file = self.dir.path().join("dump");
        let mut program = if self.is_plain {
            let mut psql = Command::new("psql");
            psql.args(["--no-psqlrc", "--quiet", "--dbname", database.url()]);
            psql
        } else {
            let mut restore = Command::new("pg_restore");
            restore.args(["--dbname", database.url()]);
            restore
        };
        program.args(options).stdin(Stdio::null());
        if self.is_plain {
            program.arg("--file");
        }
        let output = program.arg(file).output().unwrap();
        // Shown if the test fails.
        println!("{}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Ada, Grace and Linus are signed in while the backup is made. Afterwards Ada signs out, and Grace signs in elsewhere.
struct Past {
    app: App,
    dump: Dump,
    ada: Client,
    grace: Client,
    grace_elsewhere: Client,
    linus: Client,
}

impl Past {
    async fn with(options: &[&str]) -> Self {
        let app = App::start().await;
        let ada = app.signed_in("ada").await;
        let grace = app.signed_in("grace").await;
        let linus = app.signed_in("linus").await;
        let dump = Dump::of(app.database(), options);
        assert_eq!(ada.logout().await.status, 200);
        let grace_elsewhere = app.visitor().sign_in("grace@example.org").await;
        Self {
            app,
            dump,
            ada,
            grace,
            grace_elsewhere,
            linus,
        }
    }

    /// Every user who was signed in at the time of the backup is told what happened, at the first request.
    async fn is_over(&self, at: &App) {
        let rows = "select count(*) from sessions";
        assert!(at.database().number(rows) <= 3, "there is no other row");
        for client in [&self.ada, &self.grace, &self.linus] {
            let answer = client.at(at.address).session().await;
            assert_eq!(answer.problem(), "401 session_ended");
            assert_eq!(answer.json()["reason"], "restored", "{answer:?}");
        }
        // This token never existed.
        let answer = self.grace_elsewhere.at(at.address).session().await;
        assert_eq!(answer.problem(), "401 token_invalid");
        assert_eq!(at.sessions(), 0);
        let ada = at.visitor().sign_in("ada@example.org").await;
        assert_eq!(ada.session().await.status, 200);
        eventually("a session that begins now lasts", async || {
            at.auth.sweep(|_| ()).await.unwrap().is_some()
        })
        .await;
        assert_eq!(ada.session().await.status, 200);
    }

    /// Restores into the same database, while two instances are asked about dead tokens without a pause.
    async fn restored_beneath(self, restore: impl FnOnce(&Dump, &Database)) {
        let other = self.app.another_instance().await;
        let is_done = Arc::new(AtomicBool::new(false));
        let asking: Vec<_> = [&self.app, &other]
            .into_iter()
            .flat_map(|app| [self.ada.at(app.address), self.grace.at(app.address)])
            .map(|dead| {
                let is_done = is_done.clone();
                tokio::spawn(async move {
                    let mut answers = 0;
                    while !is_done.load(Ordering::SeqCst) {
                        let status = dead.session().await.status;
                        assert!([401, 503].contains(&status.as_u16()), "{status}");
                        answers += 1;
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    answers
                })
            })
            .collect();
        tokio::task::block_in_place(|| restore(&self.dump, self.app.database()));
        eventually("the other instance is ready again", async || {
            other.visitor().get("/readyz").await.status == 200
        })
        .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        is_done.store(true, Ordering::SeqCst);
        for asking in asking {
            assert!(asking.await.unwrap() > 0);
        }
        let fresh = self.app.another_instance().await;
        self.is_over(&fresh).await;
    }
}

const CUSTOM: &str = "--format=custom";
/// Empties every table.
const EMPTY: &str =
    "do $$ begin execute (select 'truncate ' || string_agg(format('%I', relname), ', ') from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r'); end $$";
const PLAIN: &str = "--format=plain";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_in_a_new_database_revives_nobody() {
    let ways: [(&[&str], &[&str]); 6] = [
        (&[CUSTOM], &[]),
        (&[CUSTOM], &["--single-transaction", "--no-owner"]),
        (&["--format=directory"], &["--jobs=2"]),
        (&[PLAIN], &[]),
        (&[PLAIN, "--inserts"], &["--single-transaction"]),
        (&[PLAIN, "--clean", "--if-exists"], &[]),
    ];
    for (dump, restore) in ways {
        let past = Past::with(dump).await;
        let database = Database::empty();
        past.dump.restore(&database, restore);
        let app = App::start_on(database).await;
        past.is_over(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_alone_in_a_migrated_database_revives_nobody() {
    for (dump, restore) in [
        (&[CUSTOM, "--data-only"][..], &[][..]),
        (&[PLAIN, "--data-only"], &[]),
        (&[CUSTOM, "--data-only"], &["--disable-triggers"]),
        (&[PLAIN, "--data-only", "--column-inserts"], &[]),
    ] {
        let past = Past::with(dump).await;
        let database = Database::fresh();
        past.dump.restore(&database, restore);
        assert_eq!(database.number("select count(*) from sessions"), 3, "{dump:?}");
        let app = App::start_on(database).await;
        past.is_over(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_takes_the_place_of_what_is_served_revives_nobody() {
    let past = Past::with(&[CUSTOM]).await;
    past.restored_beneath(|dump, database| dump.restore_beneath(database, &["--clean", "--if-exists"]))
        .await;
    let past = Past::with(&[PLAIN, "--clean"]).await;
    past.restored_beneath(|dump, database| dump.restore_beneath(database, &["--single-transaction"]))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_take_the_place_of_what_is_served_revive_nobody() {
    let cascade = "truncate users, ended_sessions cascade";
    for (dump, empty, restore) in [
        (&[CUSTOM][..], EMPTY, &["--data-only", "--disable-triggers"][..]),
        (&[CUSTOM, "--data-only"], EMPTY, &[]),
        (&[CUSTOM, "--data-only"], cascade, &[]),
        (&[CUSTOM], cascade, &["--data-only", "--disable-triggers"]),
        (
            &[PLAIN, "--data-only"],
            "delete from users; delete from ended_sessions",
            &[],
        ),
    ] {
        let past = Past::with(dump).await;
        past.restored_beneath(|dump, database| {
            while let Err(error) = database.connect().batch_execute(empty) {
                assert!(error.to_string().contains("deadlock"), "{error}");
            }
            dump.restore_beneath(database, restore);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_under_the_name_of_what_is_served_revives_nobody() {
    let past = Past::with(&[CUSTOM]).await;
    past.restored_beneath(|dump, database| {
        let other = Database::empty();
        dump.restore(&other, &[]);
        database.replace_with(other);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_files_of_a_database_revives_nobody() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let linus = app.signed_in("linus").await;
    let copy = app.database().copy();
    eventually("she is signed out", async || ada.logout().await.status == 200).await;
    app.database().replace_with(copy);
    // The instance goes on, over the copy.
    eventually("the copy is served", async || linus.session().await.status != 503).await;
    for client in [&ada, &linus] {
        let answer = client.session().await;
        assert_eq!(answer.problem(), "401 session_ended");
        assert_eq!(answer.json()["reason"], "restored");
    }
    let ada = app.visitor().sign_in("ada@example.org").await;
    let app = app.another_instance().await;
    assert_eq!(ada.at(app.address).session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_open_while_a_backup_is_put_back_is_told() {
    let app = App::start().await;
    let linus = app.signed_in("linus").await;
    let dump = Dump::of(app.database(), &[CUSTOM]);
    let mut events = EventStream::open(&linus).await;
    tokio::task::block_in_place(|| dump.restore(app.database(), &["--clean", "--if-exists"]));
    let (event, data) = events.next().await.unwrap();
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!((event.as_str(), &data["reason"]), ("ended", &"restored".into()));
}

#[tokio::test]
async fn a_page_whose_session_comes_back_alone_is_told() {
    let app = App::start_swept().await;
    let ada = app.signed_in("ada").await;
    let mut events = EventStream::open(&ada).await;
    // The feed goes on, and names Ada alone.
    app.database().execute(sql::BROUGHT_BACK);
    let (event, data) = events.next().await.unwrap();
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!((event.as_str(), &data["reason"]), ("ended", &"restored".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_nobody_asks_about_are_ended_and_told_in_the_log() {
    let app = App::start_swept().await;
    for name in ["ada", "grace", "linus"] {
        app.signed_in(name).await;
    }
    app.database().execute(sql::BROUGHT_BACK);
    let listed = app.auth.count_live_sessions(oneseat::auth::lists::Search::All);
    assert_eq!(listed.await.unwrap(), 0, "no list shows them");
    let swept = oneseat(&["sweep", "--database-url", app.database().url()], "");
    succeeded(&swept);
    let log = String::from_utf8(swept.stderr).unwrap();
    let lines: Vec<String> = log.lines().map(str::to_owned).collect();
    let ended = |user: usize| {
        let ids = format!("user=#{user} session=#{}", user + 1);
        format!("INFO session_ended {ids} reason=restored at=T by=backup")
    };
    let expected = [
        ended(1),
        ended(3),
        ended(5),
        "WARN backup_restored ended=3".to_owned(),
    ];
    assert_eq!(security_lines(&lines), expected, "{log}");
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn sessions_that_a_sweep_ends_because_of_a_backup_are_among_its_rows() {
    let app = App::start().await;
    for name in ["ada", "grace", "linus"] {
        app.signed_in(name).await;
    }
    app.database().execute(sql::BROUGHT_BACK);
    let recorder = PrometheusBuilder::new().build_recorder();
    let swept = {
        let _counts = metrics::set_default_local_recorder(&recorder);
        app.auth.sweep(|_| ()).await
    };
    assert_eq!(swept.unwrap().unwrap().sessions, 3);
    let told = recorder.handle().render();
    assert!(told.contains("\noneseat_swept_rows_total 3\n"), "{told}");
    assert!(told.contains("\noneseat_sweeps_total 1\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sql_cannot_notice_an_operator_tells() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let end = [
        "session",
        "end",
        "--all",
        "--yes",
        "--reason",
        "restored",
        "--database-url",
    ];
    succeeded(&oneseat(&[&end[..], &[app.database().url()]].concat(), ""));
    assert_eq!(ada.session().await.json()["reason"], "restored");
    for wrong in [
        &["--all", "--reason", "expired"][..],
        &["--user", "ada@example.org", "--reason", "restored"],
    ] {
        let refused = oneseat(&[&["session", "end"], wrong].concat(), "");
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_while_nothing_was_served_may_keep_its_sessions() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let dump = Dump::of(app.database(), &[CUSTOM]);
    let database = Database::empty();
    dump.restore(&database, &[]);
    // docs/install.md says so.
    database.execute("select keep_restored_sessions()");
    let app = App::start_on(database).await;
    assert_eq!(ada.at(app.address).session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rewrites_or_moves_rows_ends_no_session() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    for statement in [
        "vacuum full sessions",
        "vacuum freeze sessions",
        "cluster sessions using sessions_pkey",
        "alter table sessions add column extra uuid default gen_random_uuid()",
        "alter table sessions alter column user_agent type varchar(600)",
        "update sessions set last_activity = last_activity - interval '1 hour'",
        "begin; savepoint s; update sessions set ip_address = ip_address; release s; commit",
    ] {
        app.database().execute(statement);
        eventually("she is still signed in", async || {
            let status = ada.session().await.status;
            assert!(status != 401, "{statement}");
            status == 200
        })
        .await;
    }
}

/// A dump from before restored rows could be recognised: by the previous version, and by much earlier ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_an_earlier_version_revives_nobody() {
    for first_taken_back in ["20261127000015", "20261127000012", "20261127000002"] {
        let app = App::start().await;
        let ada = app.signed_in("ada").await;
        revert(app.database(), first_taken_back);
        let dump = Dump::of(app.database(), &[CUSTOM]);
        let database = Database::empty();
        dump.restore(&database, &[]);
        let restored = App::start_on(database).await;
        let answer = ada.at(restored.address).session().await;
        assert_eq!(
            answer.json()["reason"],
            "restored",
            "{first_taken_back}: {answer:?}"
        );
        // Nor do its data in tables that this version has made.
        let migrated = App::start().await;
        dump.restore(migrated.database(), &["--data-only", "--disable-triggers"]);
        let answer = ada.at(migrated.address).session().await;
        assert_eq!(
            answer.json()["reason"],
            "restored",
            "{first_taken_back}: {answer:?}"
        );
        // An upgrade of the database itself ends nothing.
        let upgraded = app.another_instance().await;
        assert_eq!(ada.at(upgraded.address).session().await.status, 200);
    }
}

/// Reverts this migration and all later ones.
fn revert(database: &Database, first: &str) {
    use diesel_migrations::MigrationHarness;
    let mut connection = database.connect();
    loop {
        let reverted = connection
            .revert_last_migration(oneseat::db::migrations::MIGRATIONS)
            .unwrap();
        if reverted.to_string() == first {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_put_back_alone_leaves_nobody_remembered() {
    let app = App::start().await;
    let dump = Dump::of(app.database(), &[PLAIN, "--table=sessions", "--clean"]);
    let ada = app.signed_in("ada").await;
    for _ in 0..5 {
        assert_eq!(ada.session().await.status, 200);
    }
    // The table goes, and comes back with triggers that were told of nothing.
    dump.restore(app.database(), &["--single-transaction"]);
    let linus = app.signed_in("linus").await;
    // By then every instance has read the feed.
    assert_eq!(linus.logout().await.status, 200);
    assert_eq!(ada.session().await.problem(), "401 token_invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_was_told_stays_although_a_backup_brings_the_session_back() {
    let past = Past::with(&[CUSTOM]).await;
    // Nothing goes out of `ended_sessions` with its user.
    past.app.database().execute("truncate users cascade");
    past.dump
        .restore(past.app.database(), &["--data-only", "--disable-triggers"]);
    let reasons = [
        (&past.ada, "signed_out"),
        (&past.grace, "replaced"),
        (&past.linus, "restored"),
    ];
    for (client, reason) in reasons {
        let answer = client.session().await;
        assert_eq!(answer.json()["reason"], reason, "{answer:?}");
    }
    assert_eq!(past.app.sessions(), 0);
    let ada = past.app.visitor().sign_in("ada@example.org").await;
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(past.app.auth.revoke_all().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_goes_on_when_somebody_has_emptied_every_table() {
    let app = App::start().await;
    app.database().execute(EMPTY);
    app.add_user("ada", Role::User).await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(ada.logout().await.status, 200);
}
