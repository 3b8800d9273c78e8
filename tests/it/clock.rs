//! PostgreSQL's clock steps back, and limits change: what was told as ended stays so, and nothing lives longer than was promised.

use std::time::Duration;

use oneseat::auth::Authority;
use oneseat::config::{ServeConfig, SessionPolicy};
use oneseat::users::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, Clocked, EventStream, PASSWORD, eventually, sql};

/// Steps of the clock, with what they are in seconds.
const STEPS: [(&str, i64); 2] = [("-1s", -1), ("-5m", -300)];

/// Every way in which somebody is told that a session is over.
const TELLERS: [&str; 9] = [
    "an answer",
    "a page",
    "forward authentication",
    "introspection",
    "an event",
    "a sign-out",
    "an admin who ends it",
    "an admin who ends its user's",
    "an operator who ends it",
];

/// As if the time of every session were up just now.
const OVER: &str = "update sessions set expires_at = now() - interval '50 milliseconds'";

fn is_over(answer: &Answer) {
    assert_eq!(answer.problem(), "401 session_ended");
    assert_eq!(answer.json()["reason"], "expired");
}

/// Lets one of them tell that Ada's session is over.
async fn tell(app: &App, ada: &Client, root: &Client, teller: &str) {
    let seat = ada.session().await.json();
    let id = |what: &str| seat[what]["id"].as_str().unwrap().to_owned();
    let of_ada = format!("{OVER} where user_id = '{}'", id("user"));
    if teller == "an event" {
        let mut events = EventStream::open(ada).await;
        app.database().execute(&of_ada);
        // The stream looks when it thought that the time would be up: a new one looks at once.
        drop(events);
        app.database().execute(&of_ada.replace(
            "now() - interval '50 milliseconds'",
            "now() + interval '5 seconds'",
        ));
        events = EventStream::open(ada).await;
        let (event, data) = events.next().await.unwrap();
        assert_eq!(event, "ended");
        assert!(data.contains("expired"), "{data}");
        return;
    }
    app.database().execute(&of_ada);
    let ended_by = |path: String| Answer::of(root.request(Method::DELETE, &path));
    match teller {
        "an answer" => is_over(&ada.session_passively().await),
        "a page" => is_over(&ada.get("/dashboard").await),
        "forward authentication" => is_over(&ada.get("/auth/verify").await),
        "introspection" => {
            let (client, secret) = app.service(&format!("service-{}", id("session")));
            let request = app
                .visitor()
                .request(Method::POST, "/auth/introspect")
                .basic_auth(client, Some(secret))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(format!("token={}", ada.token.as_deref().unwrap()));
            assert_eq!(Answer::of(request).await.json()["active"], false);
        }
        "a sign-out" => is_over(&ada.logout().await),
        "an admin who ends it" => {
            let answer = ended_by(format!("/api/admin/sessions/{}", id("session"))).await;
            assert_eq!(answer.problem(), "404 not_found");
        }
        "an admin who ends its user's" => {
            let answer = ended_by(format!("/api/admin/users/{}/session", id("user"))).await;
            assert_eq!(answer.problem(), "404 not_found");
        }
        _ => {
            let session = id("session").parse().unwrap();
            assert!(app.auth.revoke(session, Authority::Operator).await.is_err());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_was_told_outlives_a_step_back_of_the_clock() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    let other = app.another_instance().await;
    app.add_user("ada", Role::User).await;
    let root = app.admin().await;
    let clock = "select extract(epoch from clock_timestamp())";
    for (step, seconds) in STEPS {
        for teller in TELLERS {
            let ada = app.visitor().sign_in("ada@example.org").await;
            tell(&app, &ada, &root, teller).await;
            let before = app.database().number(clock);
            postgres.set(step);
            let stepped = app.database().number(clock) - before;
            assert!(stepped < seconds + 10, "the clock did not step: {stepped}");
            for instance in [&app, &other] {
                let ada = ada.at(instance.address);
                for answer in [
                    ada.session_passively().await,
                    ada.session().await,
                    ada.logout().await,
                ] {
                    assert_eq!(answer.problem(), "401 session_ended", "{step} after {teller}");
                    assert_eq!(answer.json()["reason"], "expired", "{step} after {teller}");
                }
            }
            let told =
                "select count(*) from sessions join users on users.id = user_id where email like 'ada%'";
            assert_eq!(app.database().number(told), 0, "{step} after {teller}");
            postgres.set("+0");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_was_told_to_be_over_outlives_a_step_back_of_the_clock() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    let token = "ab".repeat(32);
    for (purpose, path) in [
        ("password_reset", "/auth/password/reset"),
        ("verification", "/auth/email/verify"),
    ] {
        app.database().execute(&format!(
            "insert into one_time_links (user_id, purpose, token_digest, email, expires_at)
                 select id, '{purpose}', sha256(decode('{token}', 'hex')), email, now() - interval '50 milliseconds' from users"
        ));
        let body = json!({ "token": token, "password": "nine green bottles on a wall" });
        assert_eq!(visitor.post(path, &body).await.problem(), "400 link_invalid");
        postgres.set("-5m");
        assert_eq!(
            visitor.post(path, &body).await.problem(),
            "400 link_invalid",
            "{purpose}"
        );
        assert_eq!(app.database().number("select count(*) from one_time_links"), 0);
        postgres.set("+0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_plain_sql_should_have_ended_is_over_for_good_once_that_was_told() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute("update users set disabled_at = now()");
    let answer = ada.session().await;
    assert_eq!(answer.problem(), "401 session_ended");
    assert_eq!(answer.json()["reason"], "account_disabled");
    app.database().execute("update users set disabled_at = null");
    assert_eq!(ada.session().await.problem(), "401 session_ended");
}

const MINUTE: Duration = Duration::from_secs(60);

fn limits(idle_minutes: u32, hours: u32) -> impl FnOnce(&mut ServeConfig) {
    move |config| {
        config.policy.sessions = SessionPolicy {
            idle_timeout: MINUTE * idle_minutes,
            activity_threshold: MINUTE,
            max_lifetime: MINUTE * 60 * hours,
        }
    }
}

/// Seconds from now until that answer says that the session ends.
fn left(app: &App, answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: Value = answer.json();
    let at = body["session"]["expiresAt"].as_str().unwrap();
    app.database().number(&format!(
        "select round(extract(epoch from timestamptz '{at}' - now()))"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stricter_limits_bind_sessions_that_are_there() {
    let loose = App::start().await;
    let strict = loose.another_instance_with(limits(10, 1)).await;
    loose.add_user("ada", Role::User).await;
    // Too long idle for the one, not for the other; and too long there.
    for (age, activity) in [("20 minutes", "20 minutes"), ("90 minutes", "2 minutes")] {
        for is_active in [false, true] {
            let ada = loose.visitor().sign_in("ada@example.org").await;
            loose.database().execute(&format!(
                "update sessions set created_at = now() - interval '{age}', last_activity = now() - interval '{activity}',
                     expires_at = now() - interval '{activity}' + interval '2 hours'"
            ));
            assert_eq!(ada.session_passively().await.status, 200);
            let there = ada.at(strict.address);
            is_over(&if is_active {
                there.session().await
            } else {
                there.session_passively().await
            });
            // What one instance has told is so at every other.
            is_over(&ada.session().await);
        }
    }
    // Within them it lives, and for no longer than they say.
    let ada = loose.visitor().sign_in("ada@example.org").await;
    loose.database().execute(&sql::backdate_sessions("5 minutes"));
    let seconds = left(&loose, &ada.at(strict.address).session_passively().await);
    assert!((290..=300).contains(&seconds), "{seconds}");
    let seconds = left(&loose, &ada.at(strict.address).session().await);
    assert!((590..=600).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looser_limits_lengthen_nothing_that_was_promised() {
    let strict = App::start_with(limits(10, 1)).await;
    let loose = strict.another_instance().await;
    strict.add_user("ada", Role::User).await;
    let ada = strict
        .visitor()
        .sign_in("ada@example.org")
        .await
        .at(loose.address);
    strict.database().execute(&sql::backdate_sessions("5 minutes"));
    let seconds = left(&strict, &ada.session_passively().await);
    assert!((290..=300).contains(&seconds), "{seconds}");
    // The default threshold of the loose one is a quarter of an hour: let it have been longer ago, and the row still live.
    strict.database().execute(
        "update sessions set last_activity = now() - interval '20 minutes', created_at = now() - interval '55 minutes',
             ends_at = now() + interval '5 minutes', expires_at = now() + interval '1 minute'",
    );
    let seconds = left(&strict, &ada.session().await);
    assert!((290..=300).contains(&seconds), "{seconds}");
    strict.database().execute(
        "update sessions set last_activity = now() - interval '20 minutes', ends_at = now() + interval '40 minutes',
             expires_at = now() + interval '1 minute'",
    );
    let seconds = left(&strict, &ada.session().await);
    assert!((590..=600).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stricter_limits_are_written_where_lists_and_sweeps_see_them() {
    let loose = App::start().await;
    let ada = loose.signed_in("ada").await;
    loose.database().execute(&sql::backdate_sessions("20 minutes"));
    let strict = loose.another_instance_with(limits(10, 1)).await;
    eventually("it is swept", async || {
        let _ = strict.auth.sweep(|_| ()).await.unwrap();
        loose.sessions() == 0
    })
    .await;
    is_over(&ada.session().await);
    assert_eq!(
        loose.visitor().login("ada@example.org", PASSWORD).await.status,
        200
    );
}
