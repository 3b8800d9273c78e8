//! PostgreSQL's clock steps back: what was told as ended stays so, and nobody is told before it has been written.

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use oneseat::auth::{Activity, Authority, Error};
use oneseat::sessions::EndReason;
use oneseat::token::Token;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    Answer, App, Client, Clocked, EventStream, PASSWORD, Program, eventually, left, oneseat,
};

/// Steps of the clock, with what they are in seconds.
const STEPS: [(&str, i64); 2] = [("-1s", -1), ("-5m", -300)];

/// Every way in which somebody is told that a session is over.
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

/// As if the time of every session were up just now.
const OVER: &str = "update sessions set expires_at = now() - interval '50 milliseconds'";

fn is_over(answer: &Answer) {
    assert_eq!(answer.problem(), "401 session_ended");
    assert_eq!(answer.json()["reason"], "expired");
}

fn why(told: Result<(), Error>) -> EndReason {
    match told {
        Err(Error::SessionEnded(ending)) => ending.reason,
        other => panic!("{other:?}"),
    }
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
    let token = Token::parse(ada.token.as_deref().unwrap().as_bytes()).unwrap();
    let before = app.auth.validate(&token, Activity::Passive).await.unwrap();
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
        "an operator who ends it" => {
            let told = app.auth.revoke(before.session.id, Authority::Operator).await;
            assert!(matches!(told, Err(Error::NoSuchSession)), "{told:?}");
        }
        "an act that began before" => {
            let by = Authority::Own((&before).into());
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
    let by = Authority::Admin((&before).into());
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
async fn while_an_end_cannot_be_written_nobody_is_told_of_it() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let read_only = |value: &str| {
        app.database().execute(&format!(
            "alter system set default_transaction_read_only = {value}"
        ));
        app.database().number("select count(pg_reload_conf())");
    };
    app.database().execute(&format!(
        "{OVER} where user_id = (select id from users where email like 'ada%')"
    ));
    read_only("on");
    eventually("nothing can be written", async || {
        let off = "select count(*) from pg_settings where name = 'default_transaction_read_only' and setting = 'on'";
        app.database().number(off) == 1
    })
    .await;
    for answer in [
        ada.session_passively().await,
        ada.session().await,
        ada.get("/auth/verify").await,
        ada.get("/auth/session/events").await,
        ada.logout().await,
    ] {
        assert_eq!(answer.problem(), "503 unavailable");
    }
    // Who lives, and who never was, is told all the same.
    assert_eq!(bob.session_passively().await.status, 200);
    let nobody = bob.with_token("ab".repeat(32)).session().await;
    assert_eq!(nobody.problem(), "401 token_invalid");
    // The clock has stepped back to before the end of what nobody was told of: that is no end.
    postgres.set("-5m");
    read_only("off");
    eventually("something can be written", async || {
        bob.session().await.status != 503
    })
    .await;
    assert_eq!(ada.session_passively().await.status, 200);
    postgres.set("+0");
    is_over(&ada.session().await);
    postgres.set("-5m");
    is_over(&ada.session().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_somebody_holds_is_told_when_it_is_written_and_keeps_nobody_waiting() {
    let app = App::start().await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let of_ada = "user_id = (select id from users where email like 'ada%')";
    app.database().execute(&format!("{OVER} where {of_ada}"));
    let mut holder = app.database().connect();
    holder
        .batch_execute(&format!("begin; select from sessions where {of_ada} for update"))
        .unwrap();
    let nobody = bob.with_token("ab".repeat(32));
    let (held, live, unknown) = tokio::join!(
        join_all((0..20).map(|_| ada.session())),
        join_all((0..20).map(|_| bob.session())),
        join_all((0..20).map(|_| nobody.session())),
    );
    assert!(held.iter().all(|answer| answer.problem() == "503 unavailable"));
    assert!(live.iter().all(|answer| answer.status == 200));
    assert!(
        unknown
            .iter()
            .all(|answer| answer.problem() == "401 token_invalid")
    );
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    assert_eq!(app.database().number(waiting), 0);
    holder.batch_execute("rollback").unwrap();
    is_over(&ada.session().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_many_tell_at_once_is_written_and_logged_once() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    let url = postgres.url();
    let serve = ["--bind", "127.0.0.1:0", "--database-url", &url];
    let programs = [Program::serve_with(&serve, &[]), Program::serve_with(&serve, &[])];
    app.add_user("ada", Role::User).await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    let session = ada.session().await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    app.database().execute(OVER);
    let sweep = tokio::task::spawn_blocking({
        let url = url.clone();
        move || oneseat(&["sweep", "--database-url", &url], "")
    });
    let at = |n: usize| ada.at(programs[n % programs.len()].address);
    let told = join_all((0..40).map(|n| async move { at(n).session().await })).await;
    // An answer that came while another was writing may be that it is not known yet.
    for answer in &told {
        assert!([401, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    let swept = String::from_utf8(sweep.await.unwrap().stderr).unwrap();
    postgres.set("-1s");
    for n in 0..2 {
        is_over(&at(n).session().await);
    }
    let ends = |line: &str| line.contains("session_ended") && line.contains(&session);
    let [first, second] = programs.map(|program| program.terminate().1);
    let lines = first
        .iter()
        .chain(&second)
        .map(String::as_str)
        .chain(swept.lines());
    assert_eq!(lines.filter(|line| ends(line)).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_time_that_the_clock_stepped_back_from_lasts_no_longer_than_one_of_now() {
    let postgres = Clocked::start();
    let app = App::start_on(postgres.database()).await;
    for name in ["ada", "bob"] {
        app.add_user(name, Role::User).await;
    }
    postgres.set("+1d");
    let ada = app.visitor().sign_in("ada@example.org").await;
    app.visitor().sign_in("bob@example.org").await;
    postgres.set("+0");
    // Whoever comes back is counted from then on, and whoever does not by the next sweep.
    let seconds = left(&app, &ada.session().await);
    assert!((7190..=7200).contains(&seconds), "{seconds}");
    let seconds = left(&app, &ada.session_passively().await);
    assert!(seconds <= 7200, "{seconds}");
    while app.auth.sweep(|_| ()).await.unwrap().is_none() {}
    let too_long =
        "select count(*) from sessions where last_activity > now() or expires_at > now() + interval '2 hours'
        or ends_at > now() + interval '12 hours'";
    assert_eq!((app.sessions(), app.database().number(too_long)), (2, 0));
}
