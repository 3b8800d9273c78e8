//! What happens at the very moment at which a time is over: PostgreSQL's clock stands still there.

use std::net::IpAddr;
use std::time::Duration;

use oneseat::auth::audit::Resource;
use oneseat::auth::lists::Search;
use oneseat::auth::{Activity, Authority, Error, Holder};
use oneseat::config::{ServeConfig, TakeoverPolicy};
use oneseat::sessions::store::SessionStatus;
use oneseat::sessions::{EndReason, Origin};
use oneseat::token::Token;
use oneseat::users::Role;

use crate::support::{App, Client, Clocked, NoSweep, eventually};

/// A time at which the clock stands still: far from today in every time zone.
const STILL: &str = "2041-07-01 12:00:00";

/// Backdates or sets what the sessions of Ada hold.
fn of_ada(change: &str) -> String {
    format!("update sessions set {change} from users where users.id = user_id and users.name = 'ada'")
}

const OVER: &str = "expires_at = now()";

/// An end waits for no lease: by a clock that stands still, such a wait would have no end.
fn without_a_lease(config: &mut ServeConfig) {
    config.memory.lease = Duration::ZERO;
}

async fn ada(app: &App) -> Client {
    app.visitor().sign_in("ada@example.org").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_moment_at_which_it_expires_a_session_is_over_for_everybody_who_asks() {
    let postgres = Clocked::start();
    let app = App::start_on_with(postgres.database(), without_a_lease).await;
    let asks = app.another_instance_with(|config| {
        without_a_lease(config);
        config.policy.takeover = TakeoverPolicy::Ask;
    });
    let asks = asks.await;
    let mut no_sweep = NoSweep::over(&app);
    no_sweep.but_of(&app).await;
    for name in ["ada", "bob"] {
        app.add_user(name, Role::User).await;
    }
    postgres.set(STILL);
    let database = app.database();
    let over = of_ada(OVER);

    // A microsecond before, it lives.
    let client = ada(&app).await;
    database.execute(&of_ada("expires_at = now() + interval '1 microsecond'"));
    assert_eq!(client.session_passively().await.status, 200);
    let live = async || app.auth.count_live_sessions(Search::All).await.unwrap();
    assert_eq!(
        (live().await, app.auth.statistics().await.unwrap().signed_in_now),
        (1, 1)
    );
    database.execute(&over);
    assert_eq!(
        (live().await, app.auth.statistics().await.unwrap().signed_in_now),
        (0, 0)
    );
    assert_eq!(app.auth.sweepable().await.unwrap(), 1);
    client.session_passively().await.expired();

    let client = ada(&app).await;
    let token = Token::parse(client.token().as_bytes()).unwrap();
    let seat = app.auth.validate(&token, Activity::Passive).await.unwrap();
    database.execute(&over);
    let origin = Origin::new(IpAddr::from([192, 0, 2, 1]), None);
    let by = Authority::Own(Holder::new(&seat, Resource::default(), origin));
    match app.auth.unlock_user(seat.user.id, by).await {
        Err(Error::SessionEnded(ending)) => assert_eq!(ending.reason, EndReason::Expired),
        other => panic!("{other:?}"),
    }

    let client = ada(&app).await;
    let id = client.session().await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .parse();
    let id = id.unwrap();
    database.execute(&over);
    let revoked = app.auth.revoke(id, Authority::Operator).await;
    assert!(matches!(revoked, Err(Error::NoSuchSession)), "{revoked:?}");
    assert!(matches!(
        app.auth.status(id).await.unwrap(),
        SessionStatus::Ended(_)
    ));

    let client = ada(&app).await;
    let id = client.session().await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .parse();
    database.execute(&over);
    let status = app.auth.status(id.unwrap()).await.unwrap();
    assert!(
        matches!(status, SessionStatus::Ended(ending) if ending.reason == EndReason::Expired),
        "{status:?}"
    );

    ada(&app).await;
    database.execute(&over);
    // Nobody is asked for a seat that is free.
    ada(&asks).await;
    database.execute(&over);
    no_sweep.but_of(&app).await;
    assert_eq!(app.sessions(), 0);
    postgres.set("+0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_moment_at_which_it_is_due_activity_is_written_and_the_past_is_kept_to_its_last_moment() {
    let postgres = Clocked::start();
    let app = App::start_on_with(postgres.database(), without_a_lease).await;
    let mut no_sweep = NoSweep::over(&app);
    no_sweep.but_of(&app).await;
    app.add_user("ada", Role::User).await;
    postgres.set(STILL);
    let client = ada(&app).await;
    let active = |ago: &str| {
        let change =
            format!("last_activity = now() - interval '{ago}', expires_at = now() + interval '1 hour'");
        app.database().execute(&of_ada(&change));
    };
    let written = "select count(*) from sessions where last_activity = now() and expires_at = now() + interval '2 hours'";
    active("14 minutes 59.999999 seconds");
    assert_eq!(client.session().await.status, 200);
    assert_eq!(app.database().number(written), 0);
    active("15 minutes");
    assert_eq!(client.session_passively().await.status, 200);
    assert_eq!(app.database().number(written), 0);
    assert_eq!(client.session().await.status, 200);
    assert_eq!(app.database().number(written), 1);

    client.logout().await;
    let ended = |ago: &str| {
        let change = format!("update ended_sessions set ended_at = now() - interval '{ago}'");
        app.database().execute(&change);
    };
    for (ago, left) in [("30 days", 1), ("30 days 0.000001 seconds", 0)] {
        ended(ago);
        no_sweep.but_of(&app).await;
        let past = app.database().number("select count(*) from ended_sessions");
        assert_eq!(past, left, "{ago}");
    }
    postgres.set("+0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_is_judged_by_postgresqls_clock() {
    let postgres = Clocked::start();
    let lease = Duration::from_millis(500);
    let app = App::start_on_with(postgres.database(), |config| config.memory.lease = lease).await;
    let _no_sweep = NoSweep::over(&app);
    app.add_user("ada", Role::User).await;
    let client = ada(&app).await;
    for _ in 0..3 {
        assert_eq!(client.session().await.status, 200);
    }
    // The session stays in memory: nothing happens to it. What the clock shows is told with the next lease.
    postgres.set("+16m");
    app.auth.wait_out_leases().await.unwrap();
    assert_eq!(client.session().await.status, 200);
    let written = "select count(*) from sessions where last_activity > now() - interval '1 minute'";
    assert_eq!(app.database().number(written), 1);
    for _ in 0..3 {
        assert_eq!(client.session().await.status, 200);
    }
    postgres.set("+3h");
    app.auth.wait_out_leases().await.unwrap();
    client.session_passively().await.expired();

    // A microsecond before a time is over, only PostgreSQL knows whether it is: its clock stands still, and that of
    // an answer from memory has gone on.
    postgres.set(STILL);
    let now = app.database().number("extract(epoch from now()) * 1000000");
    app.add_user("bob", Role::User).await;
    let bob = app.visitor().sign_in("bob@example.org").await;
    let client = ada(&app).await;
    let is_remembered = async |client: &Client, activity| {
        let token = Token::parse(client.token().as_bytes()).unwrap();
        let seat = app.auth.validate(&token, activity).await.unwrap();
        seat.checked_at.timestamp_micros() != now
    };
    for (change, activity) in [
        ("expires_at = now() + interval '1 microsecond'", Activity::Passive),
        (
            "expires_at = now() + interval '1 hour', last_activity = now() - interval '14 minutes 59.999999 seconds'",
            Activity::Active,
        ),
    ] {
        let change = of_ada(change);
        app.database()
            .execute(&format!("set oneseat.waits_after_commit = 'on'; {change}"));
        let mut times = 0;
        eventually(
            "the memory is in use before and after Ada is asked about",
            async || {
                let before = is_remembered(&bob, Activity::Passive).await;
                for _ in 0..3 {
                    assert!(!is_remembered(&client, activity).await, "{change}");
                }
                times += i32::from(before && is_remembered(&bob, Activity::Passive).await);
                times == 3
            },
        )
        .await;
    }
    postgres.set("+0");
}
