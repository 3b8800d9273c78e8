//! Limits change at a restart, and instances have different ones: today's limits count, and no session lives
//! longer than was promised.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use oneseat::auth::lists::{Position, Search};
use oneseat::config::{ServeConfig, SessionPolicy};
use oneseat::users::{Email, Role};
use reqwest::Method;

use crate::support::{Answer, App, Database, EventStream, NoSweep, left, oneseat, sql};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stricter_limits_bind_sessions_that_are_there() {
    let loose = App::start().await;
    let _no_sweep = NoSweep::over(&loose);
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
            if is_active {
                there.session().await
            } else {
                there.session_passively().await
            }
            .expired();
            // An end that one instance has reported is an end at every other.
            ada.session().await.expired();
        }
    }
    // Within them it lives, and for no longer than they say.
    let ada = loose.visitor().sign_in("ada@example.org").await;
    loose.database().execute(&sql::backdate_sessions("5 minutes"));
    let seconds = left(&loose, &ada.at(strict.address).session_passively().await);
    assert!((240..=300).contains(&seconds), "{seconds}");
    let seconds = left(&loose, &ada.at(strict.address).session().await);
    assert!((540..=600).contains(&seconds), "{seconds}");
    // Nor does activity there extend it beyond the lifetime there.
    loose.database().execute(
        "update sessions set created_at = now() - interval '55 minutes', last_activity = now() - interval '2 minutes'",
    );
    let seconds = left(&loose, &ada.at(strict.address).session().await);
    assert!((240..=300).contains(&seconds), "{seconds}");
    let stored = "select round(extract(epoch from expires_at - now())) from sessions";
    assert!((240..=300).contains(&loose.database().number(stored)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looser_limits_lengthen_nothing_that_was_promised() {
    let strict = App::start_with(limits(10, 1)).await;
    let _no_sweep = NoSweep::over(&strict);
    let loose = strict.another_instance().await;
    strict.add_user("ada", Role::User).await;
    let ada = strict
        .visitor()
        .sign_in("ada@example.org")
        .await
        .at(loose.address);
    strict.database().execute(&sql::backdate_sessions("5 minutes"));
    let seconds = left(&strict, &ada.session_passively().await);
    assert!((240..=300).contains(&seconds), "{seconds}");
    // The default threshold of the loose one is a quarter of an hour: let it have been longer ago, and the row still live.
    strict.database().execute(
        "update sessions set last_activity = now() - interval '20 minutes', created_at = now() - interval '55 minutes',
             ends_at = now() + interval '5 minutes', expires_at = now() + interval '1 minute'",
    );
    let seconds = left(&strict, &ada.session().await);
    assert!((240..=300).contains(&seconds), "{seconds}");
    let offers_more = async || ada.get("/dashboard").await.text.contains("id=\"stay\"");
    assert!(!offers_more().await, "that was its last extension");
    strict.database().execute(
        "update sessions set last_activity = now() - interval '20 minutes', ends_at = now() + interval '40 minutes',
             expires_at = now() + interval '1 minute'",
    );
    let seconds = left(&strict, &ada.session().await);
    assert!((540..=600).contains(&seconds), "{seconds}");
    assert!(offers_more().await);
}

/// Backdates this user's activity by so long.
fn idle(app: &App, name: &str, interval: &str) {
    app.database().execute(&format!(
        "{} where user_id = (select id from users where email = '{name}@example.org')",
        sql::backdate_sessions(interval)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_figures_go_by_todays_limits() {
    let loose = App::start().await;
    let _no_sweep = NoSweep::over(&loose);
    let strict = loose.another_instance_with(limits(10, 1)).await;
    let root = strict.admin().await;
    for name in ["ada", "bob"] {
        loose.signed_in(name).await;
    }
    idle(&loose, "ada", "20 minutes");
    idle(&loose, "bob", "4 minutes");
    let list = root.get("/api/admin/sessions").await.json();
    assert_eq!(list["total"], 2, "{list}");
    let is_bob = |row: &&serde_json::Value| row["user"]["email"] == "bob@example.org";
    let bob = list["sessions"].as_array().unwrap().iter().find(is_bob).unwrap();
    let ends_at = bob["expiresAt"].as_str().unwrap();
    let in_time = format!(
        "select count(*) where timestamptz '{ends_at}' between now() and now() + interval '6 minutes'"
    );
    assert_eq!(strict.database().number(&in_time), 1, "{ends_at}");
    assert_eq!(strict.auth.statistics().await.unwrap().signed_in_now, 2);
    let search = || Search::from("ada");
    let found = strict
        .auth
        .find_sessions(search(), Position::First, 10, None)
        .await
        .unwrap();
    assert_eq!(found.total, 0);
    let accounts = strict.auth.accounts(search(), None, 10).await.unwrap();
    assert_eq!(accounts.rows[0].session, None);
    let email = || "ada@example.org".parse::<Email>().unwrap();
    assert!(strict.auth.account(email()).await.unwrap().session.is_none());
    // By the limits of the other it lives.
    assert_eq!(loose.auth.statistics().await.unwrap().signed_in_now, 3);
    assert!(loose.auth.account(email()).await.unwrap().session.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_over_by_todays_limits_counts_as_expired_in_every_way_of_ending_it() {
    let loose = App::start().await;
    let _no_sweep = NoSweep::over(&loose);
    let strict = loose.another_instance_with(limits(10, 1)).await;
    let root = strict.admin().await;
    loose.add_user("ada", Role::User).await;
    for way in [
        "sign-in",
        "an admin",
        "an end by the user",
        "everybody's end",
        "disabling",
    ] {
        let ada = loose.visitor().sign_in("ada@example.org").await;
        let seat = ada.session().await.json();
        idle(&loose, "ada", "20 minutes");
        let delete = |path: String| Answer::of(root.request(Method::DELETE, &path));
        match way {
            "sign-in" => {
                strict.visitor().sign_in("ada@example.org").await;
            }
            "an admin" => {
                let id = seat["session"]["id"].as_str().unwrap();
                let answer = delete(format!("/api/admin/sessions/{id}")).await;
                assert_eq!(answer.problem(), "404 not_found");
            }
            "an end by the user" => {
                let id = seat["user"]["id"].as_str().unwrap();
                let answer = delete(format!("/api/admin/users/{id}/session")).await;
                assert_eq!(answer.problem(), "404 not_found");
            }
            "everybody's end" => {
                // It is none of those that the admin has seen, and does not stop their end.
                let answer = delete("/api/admin/sessions?atMost=0".to_owned()).await;
                assert_eq!(
                    (answer.status.as_u16(), &answer.json()["ended"]),
                    (200, &0.into())
                );
            }
            _ => {
                let id = seat["user"]["id"].as_str().unwrap();
                let answer = root
                    .post(&format!("/api/admin/users/{id}/disable"), &serde_json::json!({}))
                    .await;
                assert!(answer.status.is_success(), "{answer:?}");
            }
        }
        ada.session().await.expired();
        let id = seat["session"]["id"].as_str().unwrap();
        let at_its_time = format!(
            "select count(*) from ended_sessions where id = '{id}' and ended_at = last_activity + interval '10 minutes'"
        );
        assert_eq!(strict.database().number(&at_its_time), 1, "{way}");
    }
    // Nor does an operator end it: only the admin's session lived.
    loose.database().execute("update users set disabled_at = null");
    let ada = loose.visitor().sign_in("ada@example.org").await;
    idle(&loose, "ada", "20 minutes");
    assert_eq!(strict.auth.revoke_all().await.unwrap(), 1);
    ada.session().await.expired();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_hears_of_an_end_that_another_instance_has_found_by_its_own_limits() {
    let loose = App::start().await;
    let mut no_sweep = NoSweep::over(&loose);
    let strict = loose.another_instance_with(limits(10, 1)).await;
    no_sweep.but_of(&strict).await;
    loose.add_user("ada", Role::User).await;
    for teller in ["an answer", "a sweep"] {
        let ada = loose.visitor().sign_in("ada@example.org").await;
        let mut events = EventStream::open(&ada).await;
        idle(&loose, "ada", "20 minutes");
        match teller {
            "an answer" => ada.at(strict.address).session_passively().await.expired(),
            _ => no_sweep.but_of(&strict).await,
        }
        let (event, data) = events.next().await.unwrap();
        assert_eq!(event, "ended", "{teller}");
        assert!(data.contains("expired"), "{data}");
        assert_eq!(events.next().await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_applies_its_limits_to_what_looser_instances_have_written_since() {
    let loose = App::start().await;
    let mut no_sweep = NoSweep::over(&loose);
    let strict = loose.another_instance_with(limits(10, 1)).await;
    loose.add_user("ada", Role::User).await;
    for _ in 0..2 {
        loose.visitor().sign_in("ada@example.org").await;
        let beyond = "select count(*) from sessions where expires_at > now() + interval '10 minutes'";
        assert_eq!(loose.database().number(beyond), 1);
        no_sweep.but_of(&strict).await;
        assert_eq!((loose.sessions(), loose.database().number(beyond)), (1, 0));
        // So commands, which have no limits of their own, show the same end.
        let url = loose.database().url();
        let list = oneseat(&["session", "list", "--json", "--database-url", url], "");
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
        let ends_at = list[0]["expiresAt"].as_str().unwrap();
        let beyond = format!("select count(*) where timestamptz '{ends_at}' > now() + interval '10 minutes'");
        assert_eq!(loose.database().number(&beyond), 0, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_applied_batch_by_batch_past_what_others_hold() {
    let loose = App::start().await;
    let mut no_sweep = NoSweep::over(&loose);
    let strict = loose.another_instance_with(limits(10, 1)).await;
    // Over by the idle timeout, over by the lifetime, and within both; each may last far longer by what is stored.
    loose.database().execute(
        "insert into users (name, email) select 'u' || mod(n, 3), n || '@x' from generate_series(1, 4500) n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(email::bytea), '192.0.2.1',
                 now() - interval '1 minute' * case name when 'u0' then 20 else 1 end, now() + interval '90 minutes',
                 now() - interval '1 minute' * case name when 'u1' then 90 else 30 end from users",
    );
    let mut holder = loose.database().connect();
    let of = |name: &str| format!("user_id in (select id from users where name = '{name}')");
    holder
        .batch_execute(&format!(
            "begin; select from sessions where {} limit 7 for update",
            of("u0")
        ))
        .unwrap();
    no_sweep.but_of(&strict).await;
    let left = |name: &str| {
        let left = format!(
            "select count(*) from sessions where {} and expires_at < now() + interval '10 minutes'",
            of(name)
        );
        loose.database().number(&left)
    };
    assert_eq!((loose.sessions(), left("u1"), left("u2")), (1_507, 0, 1_500));
    holder.batch_execute("rollback").unwrap();
    no_sweep.but_of(&strict).await;
    assert_eq!((loose.sessions(), left("u2")), (1_500, 1_500));
}

#[test]
fn the_one_definition_is_part_of_each_plan_and_no_call() {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        line: String,
    }
    let database = Database::fresh();
    let explain = "explain select from sessions
        where session_ends_at(expires_at, last_activity, created_at, interval '2 hours', interval '12 hours') > now()";
    let plan: Vec<Line> = diesel::sql_query(explain).load(&mut database.connect()).unwrap();
    assert!(plan.iter().any(|line| line.line.contains("LEAST(")));
}
