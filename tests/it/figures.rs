//! Figures and counts: what belongs to a day, to a month, and to no number at all.

use std::collections::BTreeMap;
use std::time::Instant;

use diesel::connection::SimpleConnection;
use oneseat::sessions::EndReason;
use oneseat::users::Role;

use crate::metrics::read_by_a_client_library;
use crate::outage::throw_away;
use crate::support::{App, Client, Database, PASSWORD, Program, add_user, eventually};

/// Past sessions of the only user, each with its reason, its end and its beginning, as SQL.
fn past(database: &Database, sessions: &[(&str, &str, &str)]) {
    for (reason, ended, began) in sessions {
        database.execute(&format!(
            "insert into ended_sessions select gen_random_uuid(), id, sha256(gen_random_uuid()::text::bytea), '192.0.2.1', null,
                 {began}, {began}, {began}, {ended}, '{reason}' from users"
        ));
    }
}

#[tokio::test]
async fn an_end_counts_for_its_day_and_for_the_last_thirty() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let today = "select (now() at time zone 'UTC')::date::text";
    let before = app.database().text(today);
    let noon =
        |days: u32| format!("((now() at time zone 'UTC')::date - {days} + time '12:00') at time zone 'UTC'");
    let ago = |span: &str| format!("now() - interval '{span}'");
    let (long_ago, noons) = (ago("40 days"), [1, 28, 29, 30].map(noon));
    past(
        app.database(),
        &[
            ("signed_out", &noons[0], &long_ago),
            ("revoked", &noons[1], &long_ago),
            ("expired", &noons[2], &long_ago),
            ("replaced", &noons[3], &long_ago),
        ],
    );
    let spans = [
        "23 hours 50 minutes",
        "24 hours 10 minutes",
        "29 days 23 hours",
        "30 days 1 hour",
    ];
    for span in spans {
        past(
            app.database(),
            &[
                ("password_changed", &ago(span), &long_ago),
                ("restored", "now()", &ago(span)),
            ],
        );
    }
    let told = app.auth.statistics().await.unwrap();
    let of = |reason: EndReason| EndReason::ALL.iter().position(|known| *known == reason).unwrap();
    let changed = &told.endings[of(EndReason::PasswordChanged)];
    assert_eq!(changed.0, EndReason::PasswordChanged);
    assert_eq!((changed.1.day, changed.1.month), (1, 3));
    assert_eq!((told.sign_ins.day, told.sign_ins.month), (1, 3));
    if told.today.to_string() != before {
        // Midnight came in between.
        return;
    }
    assert_eq!(told.by_day.len(), 30);
    let days = |reason: EndReason| -> Vec<usize> {
        let with = told
            .by_day
            .iter()
            .enumerate()
            .filter(|(_, ends)| ends[of(reason)] == 1);
        with.map(|(day, _)| day).collect()
    };
    assert_eq!(days(EndReason::SignedOut), [28]);
    assert_eq!(days(EndReason::Revoked), [1]);
    assert_eq!(days(EndReason::Expired), [0]);
    assert_eq!(days(EndReason::Replaced), [0; 0]);
    assert_eq!(told.by_day[29][of(EndReason::Restored)], 4);
}

/// A program over this database, and what its metrics say.
fn measured(database_url: &str) -> (Program, impl AsyncFn() -> BTreeMap<String, f64> + use<>) {
    let serve = [
        // A sweep that fails, as on a busy machine, is followed by another one soon.
        "--sweep-interval",
        "1s",
        "--bind",
        "127.0.0.1:0",
        "--metrics-bind",
        "127.0.0.1:0",
        "--database-url",
        database_url,
    ];
    let program = Program::serve_with(&serve, &[]);
    let metrics = Client::new(program.metrics_address.unwrap());
    let told = async move || read_by_a_client_library(&metrics.get("/metrics").await.text);
    (program, told)
}

#[tokio::test]
async fn a_sweep_is_counted_with_what_it_has_removed() {
    let database = Database::fresh();
    let (_program, told) = measured(database.url());
    let told_at_last = async |name: &str| told().await.get(name).copied().unwrap_or_default();
    eventually("its sweeps are counted", async || {
        told_at_last("oneseat_sweeps_total").await >= 1.0
    })
    .await;
    database.execute(
        "insert into users (name, email) select 'u', n || '@x' from generate_series(1, 3) n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(email::bytea), '192.0.2.1', now(), now() - interval '1 second', now() from users;
         insert into login_failures values (sha256('old'), 4, null, now() - interval '25 hours')",
    );
    eventually("what they have removed is counted", async || {
        told_at_last("oneseat_swept_rows_total").await > 0.0
    })
    .await;
    assert_eq!(told_at_last("oneseat_swept_rows_total").await, 4.0);
    assert_eq!(told_at_last("oneseat_sessions_ended_total expired").await, 3.0);
    assert_eq!(told_at_last("oneseat_live_sessions").await, 0.0);
}

#[tokio::test]
async fn a_connection_that_waits_is_not_idle() {
    let database = Database::fresh();
    let (program, told) = measured(database.url());
    add_user(database.url(), "ada@example.org", "user");
    let mut holder = database.connect();
    holder
        .batch_execute("begin; lock table sessions in exclusive mode")
        .unwrap();
    let visitor = program.visitor();
    // Each waits for the lock, and then gives up.
    let sign_ins = tokio::spawn(async move {
        loop {
            visitor.login("ada@example.org", PASSWORD).await;
        }
    });
    eventually("one connection is not idle", async || {
        let told = told().await;
        told["oneseat_db_connections_idle"] < told["oneseat_db_connections"]
    })
    .await;
    sign_ins.abort();
    holder.batch_execute("rollback").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_no_old_number_is_told_and_the_rest_is() {
    let (_dir, embedded) = throw_away();
    let (program, told) = measured(&embedded.url());
    add_user(&embedded.url(), "ada@example.org", "user");
    let ada = program.visitor().sign_in("ada@example.org").await;
    assert_eq!(ada.session().await.status, 200);
    let before = told().await;
    assert_eq!(before["oneseat_live_sessions"], 1.0);
    assert!(before["oneseat_feed_age_seconds"] >= 0.0, "{before:#?}");

    embedded.stop().unwrap();
    let mut asked = 0.0;
    eventually("nothing is remembered any more", async || {
        asked += 1.0;
        ada.session().await.status == 503
    })
    .await;
    let away = told().await;
    assert!(away["oneseat_live_sessions"].is_nan(), "{away:#?}");
    for (sample, value) in [
        ("oneseat_validation_queue_depth", 0.0),
        ("oneseat_hashing_queue_depth", 0.0),
        ("oneseat_event_streams", 0.0),
        ("oneseat_sign_ins_total success", 1.0),
        ("oneseat_http_requests_total GET /auth/session 503", 1.0),
    ] {
        assert_eq!(away.get(sample), Some(&value), "{sample} in {away:#?}");
    }
    let validated = |told: &BTreeMap<String, f64>| {
        ["memory", "database"]
            .map(|source| told[&format!("oneseat_validations_total {source}")])
            .iter()
            .sum::<f64>()
    };
    assert_eq!(validated(&away), validated(&before) + asked);
    eventually("the feed grows old", async || {
        told().await["oneseat_feed_age_seconds"] > before["oneseat_feed_age_seconds"]
    })
    .await;

    embedded.revive().unwrap();
    eventually("all is told again", async || {
        told().await["oneseat_live_sessions"] == 1.0
    })
    .await;
    drop(program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_runs_out_while_tokens_are_checked_is_counted() {
    let database = Database::fresh();
    let (program, told) = measured(database.url());
    add_user(database.url(), "ada@example.org", "user");
    let ada = program.visitor().sign_in("ada@example.org").await;
    assert_eq!(ada.session().await.status, 200);
    let mut holder = database.connect();
    holder
        .batch_execute("begin; lock table feed in access exclusive mode")
        .unwrap();
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
                   and wait_event_type = 'Lock' and query like '%read_feed%'";
    eventually("the feed cannot be read", async || {
        assert_eq!(ada.session().await.status, 200);
        database.number(waiting) == 1
    })
    .await;
    let began = Instant::now();
    // Twice as long as a lease.
    while began.elapsed().as_millis() < 400 {
        assert_eq!(ada.session().await.status, 200);
    }
    holder.batch_execute("rollback").unwrap();
    eventually("it is counted", async || {
        assert_eq!(ada.session().await.status, 200);
        told().await["oneseat_validation_leases_lost_total"] >= 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_runs_out_while_nobody_checks_a_token_is_not_counted() {
    let database = Database::fresh();
    let (program, told) = measured(database.url());
    add_user(database.url(), "ada@example.org", "user");
    // Each ends the one before, and waits for longer than a lease before it is answered.
    for _ in 0..4 {
        program.visitor().sign_in("ada@example.org").await;
    }
    let told = told().await;
    assert_eq!(told["oneseat_sign_ins_total success"], 4.0);
    assert_eq!(told["oneseat_validation_leases_lost_total"], 0.0);
}
