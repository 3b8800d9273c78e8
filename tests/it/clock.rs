//! PostgreSQL's clock steps back: an end that was reported stays, and no session lasts longer than was
//! promised.

use std::net::IpAddr;
use std::time::Duration;

use oneseat::auth::audit::Resource;
use oneseat::auth::{Activity, Authority, Error, Holder, Seat};
use oneseat::sessions::{EndReason, Origin};
use oneseat::token::Token;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::sql::OVER;
use crate::support::{Answer, App, Client, Clocked, EventStream, NoSweep, PASSWORD, left};

/// Steps of the clock, with the seconds that each is.
const STEPS: [(&str, i64); 2] = [("-1s", -1), ("-5m", -300)];

/// The origin of a request with that token.
fn holder(seat: &Seat) -> Holder {
    Holder::new(
        seat,
        Resource::default(),
        Origin::new(IpAddr::from([192, 0, 2, 1]), None),
    )
}

/// Every way in which a client is told that a session is over.
const TELLERS: [&str; 10] = [
    "an answer",
    "a page",
    "forward authentication",
    "introspection",
    "an event",
    "a sign-out",
    "an admin who ends it",
    "an admin who ends its user's",
    "an operator who ends it",
    "an act that began before",
];

fn why(told: Result<(), Error>) -> EndReason {
    match told {
        Err(Error::SessionEnded(ending)) => ending.reason,
        other => panic!("{other:?}"),
    }
}

/// Lets one of these ways report that Ada's session is over.
async fn tell(app: &App, ada: &Client, root: &Client, teller: &str) {
    let seat = ada.session().await.json();
    let id = |what: &str| seat[what]["id"].as_str().unwrap().to_owned();
    let of_ada = format!("{OVER} where user_id = '{}'", id("user"));
    if teller == "an event" {
        // A stream looks at the session when it expects it to expire. A machine may need longer than that to
        // open one.
        let mut opened = None;
        for left in ["5 seconds", "1 minute", "4 minutes"] {
            let left = format!("now() + interval '{left}'");
            app.database()
                .execute(&of_ada.replace("now() - interval '50 milliseconds'", &left));
            opened = EventStream::open_while_live(ada).await;
            if opened.is_some() {
                break;
            }
        }
        let (event, data) = opened
            .unwrap()
            .next_after(Duration::from_secs(240))
            .await
            .unwrap();
        assert_eq!(event, "ended");
        assert!(data.contains("expired"), "{data}");
        return;
    }
    let token = Token::parse(ada.token.as_deref().unwrap().as_bytes()).unwrap();
    let before = app.auth.validate(&token, Activity::Passive).await.unwrap();
    app.database().execute(&of_ada);
    let ended_by = |path: String| Answer::of(root.request(Method::DELETE, &path));
    match teller {
        "an answer" => ada.session_passively().await.expired(),
        "a page" => ada.get("/dashboard").await.expired(),
        "forward authentication" => ada.get("/auth/verify").await.expired(),
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
        "a sign-out" => ada.logout().await.expired(),
        "an admin who ends it" => {
            let answer = ended_by(format!("/api/admin/sessions/{}", id("session"))).await;
            assert_eq!(answer.problem(), "404 not_found");
        }
        "an admin who ends its user's" => {
            let answer = ended_by(format!("/api/admin/users/{}/session", id("user"))).await;
            assert_eq!(answer.problem(), "404 not_found");
        }
        "an operator who ends it" => {
            let told = app.auth.revoke(before.session.id, Authority::Operator).await;
            assert!(matches!(told, Err(Error::NoSuchSession)), "{told:?}");
        }
        "an act that began before" => {
            let by = Authority::Own(holder(&before));
            assert_eq!(
                why(app.auth.unlock_user(before.user.id, by).await),
                EndReason::Expired
            );
        }
        other => panic!("{other}"),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_is_refused_because_plain_sql_disabled_its_user_ends_the_session_for_good() {
    let app = App::start().await;
    let root = app.admin().await;
    let token = Token::parse(root.token.as_deref().unwrap().as_bytes()).unwrap();
    let before = app.auth.validate(&token, Activity::Passive).await.unwrap();
    app.database().execute("update users set disabled_at = now()");
    let by = Authority::Admin(holder(&before));
    let told = app.auth.unlock_user(before.user.id, by).await;
    assert_eq!(why(told), EndReason::AccountDisabled);
    app.database().execute("update users set disabled_at = null");
    assert_eq!(root.session().await.problem(), "401 session_ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_was_told_to_be_over_outlives_a_step_back_of_the_clock() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    app.database().execute(
        "insert into login_failures (email_digest, failed_attempts, locked_until)
             select email_digest(email), 5, now() - interval '50 milliseconds' from users",
    );
    let answer = visitor.login("ada@example.org", "some other password").await;
    assert_eq!(answer.problem(), "401 invalid_credentials");
    postgres.set("-5m");
    let answer = visitor.login("ada@example.org", PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_time_that_the_clock_stepped_back_from_lasts_no_longer_than_one_of_now() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    let mut no_sweep = NoSweep::over(&app);
    for name in ["ada", "bob"] {
        app.add_user(name, Role::User).await;
    }
    postgres.set("+1d");
    let ada = app.visitor().sign_in("ada@example.org").await;
    app.visitor().sign_in("bob@example.org").await;
    postgres.set("+0");
    // A user who comes back is counted from then on; for the others the next sweep sets the time.
    let seconds = left(&app, &ada.session().await);
    assert!((7100..=7200).contains(&seconds), "{seconds}");
    let seconds = left(&app, &ada.session_passively().await);
    assert!(seconds <= 7200, "{seconds}");
    no_sweep.but_of(&app).await;
    let too_long =
        "select count(*) from sessions where last_activity > now() or expires_at > now() + interval '2 hours'
        or ends_at > now() + interval '12 hours'";
    assert_eq!((app.sessions(), app.database().number(too_long)), (2, 0));
}
