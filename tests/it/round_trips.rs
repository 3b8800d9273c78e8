//! The round trips of each request to PostgreSQL: on a real network they take most of its time.

use std::time::{Duration, Instant};

use oneseat::users::Role;

use crate::support::{App, Client, Database, MailServer, PASSWORD, Wire};

/// A server that sends mail, behind a wire. Ada and Grace have accounts.
struct Wired {
    app: App,
    wire: Wire,
    _mails: MailServer,
    // Dropped last: the server has a pool of connections to it.
    _database: Database,
}

async fn wired() -> Wired {
    let database = Database::fresh();
    let wire = Wire::to(&database);
    let mails = MailServer::start();
    let app = App::start_on_with(wire.database(), |config| {
        mails.configure(config);
        config.policy.lockout.max_failed_attempts = i32::MAX;
    })
    .await;
    for name in ["ada", "grace"] {
        app.add_user(name, Role::User).await;
    }
    Wired {
        app,
        wire,
        _mails: mails,
        _database: database,
    }
}

async fn sign_in(app: &App, name: &str) -> Client {
    app.visitor().sign_in(&format!("{name}@example.org")).await
}

#[tokio::test]
async fn a_sign_in_that_takes_a_seat_over_needs_five_round_trips() {
    let Wired { app, wire, .. } = &wired().await;
    // From then on connections are open, statements are prepared, and the origin is known.
    for name in ["ada", "grace", "ada", "grace"] {
        sign_in(app, name).await;
    }
    let trips = wire.fewest(async || drop(sign_in(app, "ada").await)).await;
    assert_eq!(trips, 5);
    assert_eq!(app.sessions(), 2);
}

#[tokio::test]
async fn a_wrong_password_needs_two_round_trips_and_so_does_an_unknown_address() {
    let Wired { app, wire, .. } = &wired().await;
    for email in ["ada@example.org", "nobody@example.org"] {
        let trips = wire
            .fewest(async || {
                let answer = app.visitor().login(email, "not the password").await;
                assert_eq!(answer.status, 401);
            })
            .await;
        assert_eq!(trips, 2, "{email}");
    }
}

#[tokio::test]
async fn a_sign_out_needs_six_round_trips() {
    let Wired { app, wire, .. } = &wired().await;
    let mut clients = Vec::new();
    for n in 0..6 {
        let name = format!("user{n}");
        clients.push(app.signed_in(&name).await);
    }
    let trips = wire
        .fewest(async || assert_eq!(clients.pop().unwrap().logout().await.status, 200))
        .await;
    // The token is validated by a thread with a connection of its own: one of them.
    assert_eq!(trips, 6);
}

#[tokio::test]
#[ignore = "measures, and wants the machine for itself"]
async fn how_long_a_sign_in_takes_at_one_millisecond_each_way() {
    let Wired { app, wire, .. } = &wired().await;
    for one_way in [Duration::ZERO, Duration::from_millis(1)] {
        wire.slow_down(one_way);
        let mut times = Vec::new();
        for round in 0..44 {
            let began = Instant::now();
            let answer = app.visitor().login("ada@example.org", PASSWORD).await;
            assert_eq!(answer.status, 200);
            if round >= 4 {
                times.push(began.elapsed());
            }
        }
        times.sort_unstable();
        let (fastest, median) = (times[0], times[times.len() / 2]);
        println!("{one_way:?} each way: a sign-in takes {fastest:?}, in the middle {median:?}");
    }
}
