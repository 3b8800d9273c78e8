//! With `--takeover ask`, a sign-in while the user has a live session changes nothing unless it says
//! `takeover`.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use oneseat::config::TakeoverPolicy;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{Answer, App, Client, PASSWORD, RowLock, eventually, sql, waiting};

const ADA: &str = "ada@example.org";
const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";

async fn app_that_asks() -> App {
    let app = App::start_with(|config| config.policy.takeover = TakeoverPolicy::Ask).await;
    app.add_user("ada", Role::User).await;
    app
}

async fn take(client: &Client) -> Answer {
    let body = json!({ "email": ADA, "password": PASSWORD, "takeover": true });
    client.post("/auth/login", &body).await
}

/// A digest of what is stored of users, sessions and failures.
fn state(app: &App) -> String {
    app.database().text(
        "select concat((select json_agg(u order by id) from users u), (select json_agg(s order by id) from sessions s),
             (select json_agg(e order by id) from ended_sessions e), (select json_agg(f) from login_failures f),
             (select json_agg(k order by origin_digest) from known_origins k), (select json_agg(m) from mails m))",
    )
}

#[tokio::test]
async fn a_sign_in_to_a_taken_seat_is_told_who_has_it_and_changes_nothing() {
    let app = app_that_asks().await;
    let request = app
        .visitor()
        .request(Method::POST, "/auth/login")
        .header("user-agent", FIREFOX)
        .json(&json!({ "email": ADA, "password": PASSWORD }));
    let first = Answer::of(request).await;
    assert_eq!(first.status, 200, "a free seat is not asked about");
    let holder = app.visitor().with_token(first.json()["token"].as_str().unwrap());
    let wrong = app.visitor().login(ADA, "not the password").await;
    assert_eq!(wrong.problem(), "401 invalid_credentials");

    let before = state(&app);
    let asked = app.visitor().login(ADA, PASSWORD).await;
    assert_eq!(asked.problem(), "409 seat_taken");
    assert_eq!(state(&app), before);
    let session = holder.session().await.json()["session"].clone();
    assert_eq!(asked.json()["since"], session["createdAt"]);
    assert_eq!(asked.json()["device"], "Firefox 144 on Windows");
    let told: Value = asked.json();
    assert!(
        told.get("reason").is_none() && told.get("token").is_none(),
        "{told}"
    );

    let taken = take(&app.visitor()).await;
    assert_eq!(taken.status, 200);
    let ended = holder.session().await;
    assert_eq!(ended.problem(), "401 session_ended");
    assert_eq!(ended.json()["reason"], "replaced");
    assert_eq!(app.sessions(), 1);
    let failures = app.database().number("select count(*) from login_failures");
    assert_eq!(failures, 0, "a sign-in forgets the failures");
}

#[tokio::test]
async fn a_wrong_password_does_not_learn_whether_the_seat_is_taken() {
    let app = app_that_asks().await;
    let wrong = async || {
        let answer = app.visitor().login(ADA, "not the password").await;
        let claimed = app
            .visitor()
            .post(
                "/auth/login",
                &json!({ "email": ADA, "password": "not the password", "takeover": true }),
            )
            .await;
        assert_eq!(answer.problem(), "401 invalid_credentials");
        assert_eq!(answer.words(), claimed.words());
        answer.words()
    };
    let free = wrong().await;
    let holder = app.visitor().sign_in(ADA).await;
    assert_eq!(wrong().await, free);
    for _ in 0..10 {
        app.visitor().login(ADA, "not the password").await;
    }
    for answer in [
        app.visitor().login(ADA, PASSWORD).await,
        take(&app.visitor()).await,
    ] {
        assert_eq!(answer.problem(), "403 account_locked");
    }
    assert_eq!(holder.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_sign_ins_to_a_free_seat_exactly_one_gets_it() {
    let app = app_that_asks().await;
    let other = app
        .another_instance_with(|config| config.policy.takeover = TakeoverPolicy::Ask)
        .await;
    for takes in [false, true] {
        let barrier = Arc::new(Barrier::new(20));
        let tries: Vec<_> = (0..20)
            .map(|n| {
                let visitor = if n % 2 == 0 {
                    app.visitor()
                } else {
                    other.visitor()
                };
                let barrier = barrier.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    match takes {
                        true => take(&visitor).await,
                        false => visitor.login(ADA, PASSWORD).await,
                    }
                })
            })
            .collect();
        let mut opened = Vec::new();
        for answer in tries {
            let answer = answer.await.unwrap();
            if answer.status == 200 {
                opened.push(app.visitor().with_token(answer.json()["token"].as_str().unwrap()));
            } else {
                assert_eq!(answer.problem(), "409 seat_taken");
            }
        }
        assert_eq!(opened.len(), if takes { 20 } else { 1 });
        let mut working = 0;
        for client in &opened {
            let here = client.session().await.status;
            assert_eq!(here, client.at(other.address).session().await.status);
            working += usize::from(here == 200);
        }
        assert_eq!((working, app.sessions()), (1, 1));
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_not_asked_about() {
    let app = app_that_asks().await;
    let first = app.visitor().sign_in(ADA).await;
    app.database().execute(&sql::backdate_sessions("3 hours"));
    let second = app.visitor().sign_in(ADA).await;
    first.session().await.expired();
    assert_eq!(second.logout().await.status, 200);
    app.visitor().sign_in(ADA).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn activity_under_way_at_the_last_moment_keeps_the_seat() {
    let app = app_that_asks().await;
    let first = app.visitor().sign_in(ADA).await;
    app.database().execute(&sql::backdate_sessions("3 hours"));
    // The change of a request that came in time, not committed yet.
    let mut activity = app.database().connect();
    activity
        .batch_execute(
            "begin; update sessions set last_activity = now(), expires_at = now() + interval '2 hours'",
        )
        .unwrap();
    let visitor = app.visitor();
    let asked = tokio::spawn(async move { visitor.login(ADA, PASSWORD).await });
    eventually("the sign-in waits for it", async || {
        app.database().number(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        ) == 1
    })
    .await;
    activity.batch_execute("commit").unwrap();
    assert_eq!(asked.await.unwrap().problem(), "409 seat_taken");
    assert_eq!(first.session().await.status, 200);
}

#[tokio::test]
async fn a_server_that_replaces_does_so_with_and_without_a_word() {
    let app = App::start().await;
    let mut older = app.signed_in("ada").await;
    for answer in [
        take(&app.visitor()).await,
        app.visitor().login(ADA, PASSWORD).await,
    ] {
        assert_eq!(answer.status, 200);
        assert_eq!(older.session().await.problem(), "401 session_ended");
        older = app.visitor().with_token(answer.json()["token"].as_str().unwrap());
    }
    let nonsense = json!({ "email": ADA, "password": PASSWORD, "takeover": "yes" });
    let answer = app.visitor().post("/auth/login", &nonsense).await;
    assert_eq!(answer.problem(), "400 bad_request");
    assert_eq!(older.session().await.status, 200);
}

#[tokio::test]
async fn the_login_page_says_what_a_sign_in_does_to_another_session() {
    let words = "Signing in here signs you out everywhere else.";
    let page = app_that_asks().await.visitor().get("/login").await.text;
    assert!(
        !page.contains(words) && page.contains("you are asked before that ends"),
        "{page}"
    );
    let page = App::start().await.visitor().get("/login").await.text;
    assert!(page.contains(words) && !page.contains("you are asked"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_time_was_up_while_a_sign_in_waited_is_not_asked_about_and_has_expired() {
    let app = app_that_asks().await;
    app.visitor().sign_in(ADA).await;
    let mut held = RowLock::on(&app, "users");
    let visitor = app.visitor();
    let signing_in = tokio::spawn(async move { visitor.login(ADA, PASSWORD).await });
    waiting(&app, 1).await;
    // After the beginning of the sign-in's transaction.
    held.execute(
        "set local oneseat.waits_after_commit = 'on'; update sessions set expires_at = clock_timestamp()",
    );
    held.let_go();
    assert_eq!(signing_in.await.unwrap().status, 200);
    let reasons = "select string_agg(reason, ' ') from ended_sessions";
    assert_eq!(app.database().text(reasons), "expired");
}
