//! Every open stream hears of an end, however its instance comes to know of it, and no sooner than the end is written.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use oneseat::sessions::EndReason;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use crate::audit::security_lines;
use crate::support::{
    Answer, App, Client, Database, EventStream, NoSweep, PASSWORD, Program, add_user, eventually, sql,
};

/// Ends the sessions of everybody with such a name, as a statement of an operator.
fn end_of(name: &str) -> String {
    format!(
        "with gone as (delete from sessions where user_id in (select id from users where name like '{name}') returning *)
         insert into ended_sessions select id, user_id, token_digest, ip_address, user_agent, last_activity,
             expires_at, created_at, now(), 'revoked' from gone"
    )
}

/// The session of a sign-in by a client of this name, and the client.
async fn signed_in_as(app: &App, agent: &str) -> (Uuid, Client) {
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let request = app.visitor().request(Method::POST, "/auth/login");
    let answer = Answer::of(request.header("user-agent", agent).json(&login)).await;
    let client = app.visitor().with_token(answer.json()["token"].as_str().unwrap());
    let id = client.session().await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .parse();
    (id.unwrap(), client)
}

#[tokio::test]
async fn an_open_stream_is_reason_enough_to_read_what_has_ended() {
    // No token is answered from memory, so nothing else wants to know.
    let app = App::start_with(|config| config.memory.lease = Duration::ZERO).await;
    let ada = app.signed_in("ada").await;
    let mut events = EventStream::open(&ada).await;
    app.database().execute(&end_of("ada"));
    let (event, data) = events.next().await.unwrap();
    assert_eq!(event, "ended");
    assert!(data.contains("revoked"), "{data}");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn an_end_of_more_sessions_than_are_named_one_by_one_is_told_to_each_and_not_to_the_admin() {
    let app = App::start_with(|config| config.http.max_event_streams = 2_000).await;
    let (root, ada) = (app.admin().await, app.signed_in("ada").await);
    app.database().execute(
        "insert into users (name, email) select 'u', n || '@x' from generate_series(1, 1100) n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(email::bytea), '192.0.2.1', now(), now() + interval '1 hour', now()
             from users where name = 'u'",
    );
    let (mut of_root, mut of_ada) = (EventStream::open(&root).await, EventStream::open(&ada).await);
    let others = app.database().text(
        "select string_agg(user_id || ' ' || sessions.id, ' ') from sessions join users on users.id = user_id where name = 'u'",
    );
    let others: Vec<Uuid> = others.split(' ').map(|id| id.parse().unwrap()).collect();
    let (others, []) = others.as_chunks() else {
        panic!("pairs")
    };
    let watchers = others
        .iter()
        .map(|[user, session]| app.auth.watch(*user, *session).unwrap());
    let watchers: Vec<_> = watchers.collect();
    of_root.quiet().await;
    let ended = Answer::of(root.request(Method::DELETE, "/api/admin/sessions")).await;
    assert_eq!(ended.json()["ended"], 1_101);
    let (event, data) = of_ada.next().await.unwrap();
    assert_eq!(event, "ended");
    assert!(data.contains("revoked"), "{data}");
    assert_eq!(of_ada.next().await, None);
    assert_eq!(watchers.len(), 1_100);
    for mut watcher in watchers {
        assert_eq!((&mut watcher.ended).await.unwrap().reason, EndReason::Revoked);
    }
    assert_eq!(of_root.next().await.unwrap().0, "changed");
    of_root.quiet().await;
    assert_eq!(root.session().await.status, 200);
}

#[tokio::test]
async fn lists_are_renewed_after_a_time_in_which_nothing_could_be_heard() {
    let app = App::start().await;
    let mut events = EventStream::open(&app.admin().await).await;
    events.quiet().await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid() and query like '%read_feed%'";
    eventually("the connection is cut", async || app.database().number(cut) > 0).await;
    // What happened meanwhile may be forgotten by now.
    assert_eq!(events.next().await.unwrap().0, "changed");
}

#[tokio::test]
async fn a_replaced_session_is_told_of_the_next_one_and_of_no_later_one() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let (first, _) = signed_in_as(&app, "one").await;
    let (second, _) = signed_in_as(&app, "two").await;
    let (third, client) = signed_in_as(&app, "three").await;
    let by = async |session: Uuid| app.auth.replacement(session).await.and_then(|by| by.user_agent);
    assert_eq!(by(first).await.as_deref(), Some("two"));
    assert_eq!(by(second).await.as_deref(), Some("three"));
    assert_eq!(by(third).await, None);
    client.logout().await;
    signed_in_as(&app, "four").await;
    assert_eq!(by(third).await, None, "it was not replaced");
    assert_eq!(by(second).await.as_deref(), Some("three"));
}

#[tokio::test]
async fn an_end_by_plain_sql_is_logged_and_counted_once_however_often_it_is_told() {
    let database = Database::fresh();
    let serve = [
        "--bind",
        "127.0.0.1:0",
        "--metrics-bind",
        "127.0.0.1:0",
        "--database-url",
        database.url(),
    ];
    let program = Program::serve_with(&serve, &[]);
    add_user(database.url(), "ada@example.org", "user");
    let ada = program.visitor().sign_in("ada@example.org").await;
    database.execute("update users set disabled_at = now()");
    for _ in 0..3 {
        assert_eq!(ada.session().await.json()["reason"], "account_disabled");
    }
    let metrics = Client::new(program.metrics_address.unwrap());
    let told = metrics.get("/metrics").await.text;
    let counted = "oneseat_sessions_ended_total{reason=\"account_disabled\"} 1\n";
    assert!(told.contains(counted), "{told}");
    let (_, log) = program.terminate();
    let place = r#"from=127.0.0.1 agent="""#;
    let used = format!("WARN session_use_after_expire session=#2 reason=account_disabled {place}");
    let expected = [
        format!("INFO authn_login_success user=#1 session=#2 {place}"),
        format!("INFO session_created user=#1 session=#2 {place}"),
        "INFO session_ended user=#1 session=#2 reason=account_disabled at=T by=operator".to_owned(),
        used.clone(),
        used.clone(),
        used,
    ];
    assert_eq!(security_lines(&log), expected, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_tells_an_expiry_when_it_is_written_and_stays_open_until_then() {
    let app = App::start().await;
    let _no_sweep = NoSweep::over(&app);
    app.add_user("ada", Role::User).await;
    app.database().count_statements();
    let tries = || {
        app.database().number(
            "select coalesce(sum(calls), 0) from pg_stat_statements where query like '%gone as%skip locked%'
                 and query not like '%pg_stat_statements%'
                 and dbid = (select oid from pg_database where datname = current_database())",
        )
    };
    for seconds in [3, 60, 240] {
        let ada = app.visitor().sign_in("ada@example.org").await;
        app.database()
            .execute(&sql::backdate_sessions(&format!("{} seconds", 7_200 - seconds)));
        // A busy machine may need longer than that to open the stream.
        let Some(mut events) = EventStream::open_while_live(&ada).await else {
            continue;
        };
        let mut holder = app.database().connect();
        holder
            .batch_execute("begin; select from sessions for update")
            .unwrap();
        if app
            .database()
            .number("select count(*) from sessions where expires_at > now()")
            == 0
        {
            continue;
        }
        let before = tries();
        eventually("it has looked more than once", async || tries() >= before + 8).await;
        let told = timeout(Duration::from_millis(10), events.next()).await;
        assert!(told.is_err(), "{told:?}");
        holder.batch_execute("rollback").unwrap();
        let (event, data) = events.next_after(Duration::from_secs(seconds)).await.unwrap();
        assert_eq!(event, "ended");
        assert!(data.contains("expired"), "{data}");
        return;
    }
    panic!("no stream was opened in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_a_request_finds_is_told_when_nobody_can_remember_the_session_any_more() {
    const LEASE: Duration = Duration::from_secs(1);
    let app = App::start_with(|config| config.memory.lease = LEASE).await;
    let other = app
        .another_instance_with(|config| config.memory.lease = LEASE)
        .await;
    app.add_user("ada", Role::User).await;
    let delete = "delete from sessions".to_owned();
    for (statement, problem) in [
        (end_of("ada"), "401 session_ended"),
        (delete, "401 token_invalid"),
    ] {
        let ada = app.visitor().sign_in("ada@example.org").await;
        for _ in 0..3 {
            assert_eq!(ada.session().await.status, 200);
        }
        let began = Instant::now();
        // The author of the statement waits after it. An instance that remembers nothing finds the end before that wait is over.
        app.database()
            .execute(&format!("set oneseat.waits_after_commit = 'on'; {statement}"));
        assert_eq!(ada.at(other.address).session().await.problem(), problem);
        assert!(began.elapsed() > LEASE, "{:?}", began.elapsed());
        assert_eq!(ada.session().await.problem(), problem);
    }
    let root = app.admin().await;
    let verify = "/auth/verify?role=admin";
    assert_eq!(root.get(verify).await.status, 200);
    let began = Instant::now();
    app.database()
        .execute("set oneseat.waits_after_commit = 'on'; update users set role = 'user' where name = 'root'");
    let there = root.at(other.address).get(verify).await;
    assert_eq!(there.problem(), "403 forbidden");
    assert!(began.elapsed() > LEASE, "{:?}", began.elapsed());
    assert_eq!(root.get(verify).await.problem(), "403 forbidden");
}
