//! Behind PgBouncer: Debian's, or the one that `ONESEAT_PGBOUNCER` names. oneseat depends on no session of
//! PostgreSQL.

mod costs;
mod faults;
mod leftovers;

use std::time::{Duration, Instant};

use oneseat::users::Role;
use tokio::task::JoinSet;

use crate::support::{App, Database, EventStream, PASSWORD, Pooler, add_user, oneseat};

/// The modes of PgBouncer in which oneseat works.
const MODES: [&str; 2] = ["transaction", "session"];

/// Advisory locks that outlive their transaction.
const LOCKS: &str = "select count(*) from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())";

/// Two instances behind one pooler. Fields are dropped in this order.
struct Pooled {
    first: App,
    second: App,
    pooler: Pooler,
    database: Database,
}

impl Pooled {
    /// With fewer connections to PostgreSQL than either instance has to the pooler, unless each needs one of its own.
    async fn start(mode: &str) -> Self {
        let connections = if mode == "session" { 50 } else { 3 };
        let database = Database::fresh();
        let pooler = Pooler::start(&database, mode, connections);
        Self {
            first: App::start_by(pooler.url(), &database).await,
            second: App::start_by(pooler.url(), &database).await,
            pooler,
            database,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sign_ins_at_two_instances_leave_one_seat() {
    for mode in MODES {
        let pooled = Pooled::start(mode).await;
        pooled.first.add_user("ada", Role::User).await;
        let mut sign_ins = JoinSet::new();
        for n in 0..20 {
            let app = if n % 2 == 0 { &pooled.first } else { &pooled.second };
            let visitor = app.visitor();
            sign_ins.spawn(async move { visitor.login("ada@example.org", PASSWORD).await });
        }
        let answers = sign_ins.join_all().await;
        assert_eq!(pooled.first.sessions(), 1, "{mode}");
        let mut live = 0;
        for answer in &answers {
            assert_eq!(answer.status, 200, "{mode}: {answer:?}");
            let ada = pooled
                .first
                .visitor()
                .with_token(answer.json()["token"].as_str().unwrap());
            for address in [pooled.first.address, pooled.second.address] {
                live += usize::from(ada.at(address).session().await.status == 200);
            }
        }
        assert_eq!(live, 2, "{mode}: one token, at either instance");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_at_one_instance_is_one_at_the_other_although_that_remembers() {
    for mode in MODES {
        let pooled = Pooled::start(mode).await;
        pooled.first.add_user("ada", Role::User).await;
        for round in 0..5 {
            let ada = pooled.first.visitor().sign_in("ada@example.org").await;
            let elsewhere = ada.at(pooled.second.address);
            for _ in 0..20 {
                assert_eq!(elsewhere.session().await.status, 200, "{mode}");
            }
            match round % 2 {
                0 => assert_eq!(ada.logout().await.status, 200),
                _ => drop(pooled.first.visitor().sign_in("ada@example.org").await),
            }
            assert_eq!(elsewhere.session().await.problem(), "401 session_ended", "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_told_within_a_second() {
    for mode in MODES {
        let pooled = Pooled::start(mode).await;
        let ada = pooled.first.signed_in("ada").await;
        let mut events = EventStream::open(&ada.at(pooled.second.address)).await;
        let began = Instant::now();
        pooled.first.visitor().sign_in("ada@example.org").await;
        let (event, data) = events.next().await.unwrap();
        assert_eq!(event, "ended", "{mode}: {data}");
        assert!(data.contains("replaced"), "{mode}: {data}");
        // A busy machine hashes slowly; the notice itself takes a quarter of a second.
        assert!(began.elapsed() < Duration::from_secs(10), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_and_operators_do_everything() {
    for mode in MODES {
        let pooled = Pooled::start(mode).await;
        let url = pooled.pooler.url();
        let root = pooled.first.admin().await;
        add_user(url, "grace@example.org", "user");
        let grace = pooled.second.visitor().sign_in("grace@example.org").await;
        for page in [
            "/admin/sessions",
            "/admin/users",
            "/admin/history",
            "/api/admin/statistics",
        ] {
            let status = root.get(page).await.status;
            assert!(status == 200 || status == 404, "{mode}, {page}: {status}");
        }
        let listed = root.get("/api/admin/sessions").await.json();
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 2, "{mode}");
        let ended = oneseat(
            &[
                "session",
                "end",
                "--user",
                "grace@example.org",
                "--database-url",
                url,
            ],
            "",
        );
        assert!(ended.status.success(), "{mode}: {ended:?}");
        assert_eq!(grace.session().await.problem(), "401 session_ended", "{mode}");
        pooled.database.execute(
            "insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
                 select now(), id, sha256('x'), '192.0.2.1', now(), now() - interval '1 second', now()
                 from users where email = 'grace@example.org'",
        );
        // Unless one of the instances was faster.
        let swept = oneseat(&["sweep", "--database-url", url], "");
        assert!(swept.status.success(), "{mode}: {swept:?}");
        for command in [&["migrate"][..], &["user", "list"], &["session", "list"]] {
            let done = oneseat(&[command, &["--database-url", url]].concat(), "");
            assert!(done.status.success(), "{mode}: {done:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_migrated_once_and_no_lock_stays_behind() {
    for mode in MODES {
        let database = Database::empty();
        let pooler = Pooler::start(&database, mode, 10);
        let applied: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| oneseat::db::migrations::run(pooler.url()).unwrap().len()))
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        let recorded = database.number("select count(*) from __diesel_schema_migrations");
        assert_eq!(i64::try_from(applied).unwrap(), recorded, "{mode}");
        assert_eq!(database.number(LOCKS), 0, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_to_postgresql_is_enough() {
    let database = Database::fresh();
    let pooler = Pooler::start(&database, "transaction", 1);
    let app = App::start_by(pooler.url(), &database).await;
    let ada = app.signed_in("ada").await;
    assert_eq!(ada.session().await.status, 200);
    assert!(
        oneseat(&["sweep", "--database-url", pooler.url()], "")
            .status
            .success()
    );
    assert_eq!(ada.logout().await.status, 200);
    assert_eq!(database.number(LOCKS), 0);
}

#[test]
fn statement_mode_is_refused_in_one_sentence_with_the_remedy() {
    let database = Database::fresh();
    let pooler = Pooler::start(&database, "statement", 5);
    for command in [&["migrate"][..], &["serve", "--bind", "127.0.0.1:0"]] {
        let refused = oneseat(&[command, &["--database-url", pooler.url()]].concat(), "");
        let words = String::from_utf8(refused.stderr).unwrap();
        let last = words.lines().last().unwrap_or_default();
        assert_eq!(refused.status.code(), Some(1), "{words}");
        assert!(
            last.starts_with("oneseat: ")
                && last.contains("statement mode")
                && last.contains("pool_mode = transaction"),
            "{words}"
        );
    }
}
