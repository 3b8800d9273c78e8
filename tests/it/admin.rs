//! What admins see and what sessions they end.

use oneseat::auth::{Authority, LastAdmin};
use oneseat::users::{Email, Role};
use reqwest::Method;
use serde_json::Value;

use crate::support::{Answer, App, Client};

async fn delete(client: &Client, path: &str) -> Answer {
    Answer::of(client.request(Method::DELETE, path)).await
}

fn emails(body: &Value) -> Vec<&str> {
    body["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["user"]["email"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_list_shows_who_is_signed_in_and_marks_the_callers_own() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let admin = app.admin().await;
    let answer = admin.get("/api/admin/sessions").await;
    let body = answer.json();
    assert_eq!(body["total"], 2);
    assert_eq!(emails(&body), ["root@example.org", "ada@example.org"]);
    assert_eq!(
        (
            body["sessions"][0]["current"].as_bool(),
            body["sessions"][1]["current"].as_bool()
        ),
        (Some(true), Some(false))
    );
    let mut fields: Vec<_> = body["sessions"][1].as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "createdAt",
            "current",
            "expiresAt",
            "id",
            "ipAddress",
            "lastActivity",
            "user",
            "userAgent"
        ]
    );
    assert!(!answer.text.contains(ada.token.as_deref().unwrap()));
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_or_repeats() {
    let app = App::start().await;
    let admin = app.admin().await;
    // Several with the same time: the id decides.
    app.database().execute(
        "insert into users (name, email) select 'U' || n, 'u' || n || '@x.org' from generate_series(1, 25) n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
         select now(), id, sha256(email::bytea), '192.0.2.1', now(), now() + interval '1 hour',
             date_trunc('minute', now()) - interval '1 hour' from users where email like 'u%'",
    );
    let mut seen = Vec::new();
    let mut path = "/api/admin/sessions?limit=10".to_owned();
    for rows in [10, 10, 6] {
        let body = admin.get(&path).await.json();
        assert_eq!(body["total"], 26);
        assert_eq!(emails(&body).len(), rows);
        seen.extend(emails(&body).into_iter().map(str::to_owned));
        path = format!(
            "/api/admin/sessions?limit=10&after={}",
            body["next"].as_str().unwrap_or_default()
        );
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 26);
}

#[tokio::test]
async fn the_list_is_searched_by_name_email_and_address() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.signed_in("ada").await;
    app.signed_in("grace").await;
    app.database().execute(
        "update users set name = 'Ada 100%_Lovelace' where email like 'ada%';
         update sessions set ip_address = '203.0.113.9', folded_origin = 'curl 8 203.0.113.9' where user_id = (select id from users where email like 'ada%')",
    );
    for (q, count) in [
        ("lovelace", 1),
        ("ADA@", 1),
        ("example.org", 3),
        ("100%25_", 1),
        ("_", 1),
        ("%25", 1),
        ("e_", 0),
        ("203.0.113.9", 1),
        ("203.0.113.0/24", 1),
        ("203.0.", 1),
        ("nobody", 0),
        ("a", 3),
    ] {
        let body = admin.get(&format!("/api/admin/sessions?q={q}")).await.json();
        assert_eq!(emails(&body).len(), count, "{q}");
        assert_eq!(body["total"], count, "{q}");
    }
}

#[tokio::test]
async fn a_list_asked_for_in_nonsense_is_refused_in_words() {
    let app = App::start().await;
    let admin = app.admin().await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "after=x",
        "q=%00",
        "limit=-1",
        "q=a&q=b",
        "after=s-210866803200000001_00000000-0000-0000-0000-000000000000_1",
        // Only past sessions have one.
        "reason=revoked",
    ] {
        assert_eq!(
            admin.get(&format!("/api/admin/sessions?{query}")).await.problem(),
            "400 bad_request",
            "{query}"
        );
    }
    assert_eq!(
        admin.get("/api/admin/history?reason=boredom").await.problem(),
        "400 bad_request"
    );
    assert_eq!(
        delete(&admin, "/api/admin/sessions/7").await.problem(),
        "404 not_found"
    );
}

#[tokio::test]
async fn an_admin_ends_one_session_a_users_or_all_but_their_own() {
    let app = App::start().await;
    let admin = app.admin().await;
    let ada = app.signed_in("ada").await;
    let id = ada.session().await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        delete(&admin, &format!("/api/admin/sessions/{id}")).await.status,
        204
    );
    assert_eq!(ada.session().await.json()["reason"], "revoked");
    assert_eq!(
        delete(&admin, &format!("/api/admin/sessions/{id}"))
            .await
            .problem(),
        "404 not_found"
    );

    let ada = app.visitor().sign_in("ada@example.org").await;
    let user = ada.session().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        delete(&admin, &format!("/api/admin/users/{user}/session"))
            .await
            .status,
        204
    );
    assert_eq!(ada.session().await.json()["reason"], "revoked");
    assert_eq!(
        delete(&admin, &format!("/api/admin/users/{user}/session"))
            .await
            .problem(),
        "404 not_found"
    );

    app.visitor().sign_in("ada@example.org").await;
    app.signed_in("grace").await;
    assert_eq!(delete(&admin, "/api/admin/sessions").await.json()["ended"], 2);
    assert_eq!(app.sessions(), 1);
    assert_eq!(admin.session().await.status, 200);
}

#[tokio::test]
async fn an_admin_ends_what_a_search_finds_and_nothing_else() {
    let app = App::start().await;
    let admin = app.admin().await;
    let mut others = Vec::new();
    for name in ["ada", "adam", "eve"] {
        others.push(app.signed_in(name).await);
    }
    // A request that was probably meant otherwise ends no session.
    for query in [
        "q=",
        "q=%20",
        "search=ada",
        "q=ada&limit=1",
        "q=ada&q=eve",
        "q=%00",
    ] {
        let answer = delete(&admin, &format!("/api/admin/sessions?{query}")).await;
        assert_eq!(answer.problem(), "400 bad_request", "{query}");
    }
    assert_eq!(app.sessions(), 4);
    let ended = delete(&admin, "/api/admin/sessions?q=ada").await;
    assert_eq!(ended.json()["ended"], 2);
    for (other, status) in others.iter().zip([401, 401, 200]) {
        assert_eq!(other.session().await.status, status);
    }
    // The admin's own session is never among them.
    let ended = delete(&admin, "/api/admin/sessions?q=127.0.0.1").await;
    assert_eq!(ended.json()["ended"], 1);
    assert_eq!(admin.session().await.status, 200);
    let nobody = delete(&admin, "/api/admin/sessions?q=nobody").await;
    assert_eq!(nobody.json()["ended"], 0);
}

/// The time of the database, for a query.
fn moment(app: &App) -> String {
    let micros = app
        .database()
        .number("select extract(epoch from clock_timestamp()) * 1000000");
    let at = chrono::DateTime::from_timestamp_micros(micros).unwrap();
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[tokio::test]
async fn an_end_of_many_takes_no_more_than_the_admin_has_seen() {
    let app = App::start().await;
    let admin = app.admin().await;
    let ada = app.signed_in("ada").await;
    let bob = app.signed_in("bob").await;
    let seen = moment(&app);
    // One comes, and one has given their seat up and taken another.
    let eve = app.signed_in("eve").await;
    let bob_again = bob.sign_in("bob@example.org").await;
    for query in ["atMost=2", "atMost=0", "q=@example.org&atMost=1"] {
        let answer = delete(&admin, &format!("/api/admin/sessions?{query}")).await;
        assert_eq!(answer.problem(), "409 number_changed", "{query}");
        assert!(answer.text.contains("There are 3 sessions"), "{}", answer.text);
    }
    assert_eq!(app.sessions(), 4);
    for query in [
        "createdBefore=yesterday",
        "createdBefore=",
        "atMost=-1",
        "atMost=few",
        "atMost=",
    ] {
        let answer = delete(&admin, &format!("/api/admin/sessions?{query}")).await;
        let field = query.split('=').next().unwrap();
        assert_eq!(answer.problem(), "400 bad_request", "{query}");
        assert_eq!(answer.json()["field"], field, "{query}");
    }
    // The same moment, as clocks elsewhere show it.
    let elsewhere = |hours: i32| {
        let at = chrono::DateTime::parse_from_rfc3339(&seen).unwrap();
        let at = at.with_timezone(&chrono::FixedOffset::east_opt(hours * 3_600).unwrap());
        at.to_rfc3339().replace('+', "%2B")
    };
    for (query, ended) in [
        (format!("q=eve&createdBefore={seen}"), 0),
        (format!("q=eve&createdBefore={}", elsewhere(5)), 0),
        (format!("createdBefore={}&atMost=2", elsewhere(-7)), 1),
        (format!("createdBefore={seen}&atMost=2"), 0),
    ] {
        let answer = delete(&admin, &format!("/api/admin/sessions?{query}")).await;
        assert_eq!(answer.json()["ended"], ended, "{query}");
    }
    assert_eq!(ada.session().await.json()["reason"], "revoked");
    for lives in [&eve, &bob_again] {
        assert_eq!(lives.session().await.status, 200);
    }
    let answer = delete(&admin, "/api/admin/sessions?atMost=2").await;
    assert_eq!(answer.json()["ended"], 2);
}

#[tokio::test]
async fn an_end_of_many_takes_sessions_that_a_clock_which_stepped_back_has_put_into_the_future() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.signed_in("ada").await;
    app.database().execute(
        "update sessions set created_at = now() + interval '1 hour' from users where users.id = user_id and users.name = 'ada'",
    );
    let query = format!("createdBefore={}&atMost=1", moment(&app));
    let answer = delete(&admin, &format!("/api/admin/sessions?{query}")).await;
    assert_eq!(answer.json()["ended"], 1);
}

#[tokio::test]
async fn the_history_is_filtered_by_reason_and_person() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.signed_in("ada").await.logout().await;
    app.signed_in("grace").await;
    app.visitor().sign_in("grace@example.org").await;
    app.signed_in("gone").await.logout().await;
    app.auth
        .remove_user(
            "gone@example.org".parse::<Email>().unwrap(),
            Authority::Operator,
            LastAdmin::MayGo,
        )
        .await
        .unwrap();
    let count = async |query: &str| {
        let body = admin.get(&format!("/api/admin/history?{query}")).await.json();
        body["sessions"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("reason=signed_out").await, 2);
    assert_eq!(count("reason=replaced").await, 1);
    assert_eq!(count("q=grace").await, 1);
    assert_eq!(count("q=127.0.0.1").await, 3);
    assert_eq!(count("q=ada&reason=replaced").await, 0);
    assert_eq!(count("q=removed+user").await, 1);
    assert_eq!(count("q=removed+user+signed+out").await, 1);
    assert_eq!(count("q=removed+user&reason=replaced").await, 0);
    let first = admin.get("/api/admin/history?limit=1").await.json();
    assert_eq!(
        first["sessions"][0]["user"],
        Value::Null,
        "the account is gone, its past is not"
    );
    let after = first["next"].as_str().unwrap();
    assert_eq!(count(&format!("after={after}")).await, 2);
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_gone_at_once() {
    let app = App::start().await;
    let admin = app.admin().await;
    assert_eq!(admin.get("/api/admin/sessions").await.status, 200);
    app.database().execute("update users set role = 'user'");
    assert_eq!(admin.get("/api/admin/sessions").await.problem(), "403 forbidden");
}

#[tokio::test]
async fn an_admin_sees_and_lifts_locks() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.add_user("ada", Role::User).await;
    for _ in 0..5 {
        app.visitor().login("ada@example.org", "not the password").await;
    }
    let page = admin.get("/admin/sessions").await.text;
    assert!(
        page.contains("Locked addresses") && page.contains("ada@example.org"),
        "{page}"
    );
    let start = page.find("/api/admin/users/").unwrap();
    let path = &page[start..start + page[start..].find('"').unwrap()];
    assert_eq!(delete(&admin, path).await.status, 204);
    assert_eq!(
        app.visitor()
            .login("ada@example.org", crate::support::PASSWORD)
            .await
            .status,
        200
    );
    assert!(
        !admin
            .get("/admin/sessions")
            .await
            .text
            .contains("Locked addresses")
    );
}

#[tokio::test]
async fn the_figures_count_what_happened() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.signed_in("ada").await.logout().await;
    app.signed_in("grace").await;
    app.database().execute(
        "insert into ended_sessions select gen_random_uuid(), user_id, sha256('old'), ip_address, null, last_activity,
             expires_at, now() - interval '10 days', now() - interval '9 days', 'expired' from ended_sessions",
    );
    let statistics = app.auth.statistics().await.unwrap();
    assert_eq!(statistics.signed_in_now, 2);
    assert_eq!((statistics.sign_ins.day, statistics.sign_ins.month), (3, 4));
    let of = |reason: &str| {
        statistics
            .endings
            .iter()
            .find(|(known, _)| known.as_str() == reason)
            .unwrap()
            .1
    };
    assert_eq!((of("signed_out").day, of("signed_out").month), (1, 1));
    assert_eq!((of("expired").day, of("expired").month), (0, 1));
    assert_eq!(statistics.by_day.iter().flatten().sum::<i64>(), 2);
    assert_eq!(admin.get("/admin/sessions").await.status, 200);
}

#[tokio::test]
async fn passive_looks_do_not_keep_an_admin_signed_in() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.database()
        .execute(&crate::support::sql::backdate_sessions("1 hour"));
    for path in ["/admin/sessions", "/admin/history", "/api/admin/sessions"] {
        let look = admin.request(Method::GET, path).header("Oneseat-Passive", "true");
        assert_eq!(Answer::of(look).await.status, 200);
    }
    let left = "select extract(epoch from expires_at - now()) from sessions";
    assert!(app.database().number(left) <= 3600);
}
