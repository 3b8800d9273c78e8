//! The life of a session: activity, expiry, sign-out, sweep.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::support::{App, PASSWORD, eventually, sql};

/// Seconds from now until the only session expires.
const LEFT: &str = "select round(extract(epoch from expires_at - now())) from sessions";

#[tokio::test]
async fn a_session_lasts_two_hours_without_activity() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    assert!((7100..=7200).contains(&app.database().number(LEFT)));
    let expires = |when: &str| {
        let update = format!("update sessions set expires_at = now() {when} interval '1 second'");
        app.database().execute(&update);
    };
    // A second before its time it lives. A machine that needs longer than that to ask is no refusal.
    eventually("it is asked about within a second", async || {
        let began = Instant::now();
        expires("+");
        let status = ada.session_passively().await.status;
        assert!(
            status == 200 || began.elapsed() > Duration::from_secs(1),
            "{status}"
        );
        status == 200
    })
    .await;
    // A second after, it is over.
    expires("-");
    assert_eq!(ada.session().await.problem(), "401 session_ended");
    // It was refused because it had expired, not because of a sweep; and the reported end has been written.
    let ended = "select count(*) from ended_sessions where reason = 'expired'";
    assert_eq!((app.sessions(), app.database().number(ended)), (0, 1));
}

#[tokio::test]
async fn activity_extends_a_session() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("1 hour"));
    let session = ada.session().await.json();
    assert!((7100..=7200).contains(&app.database().number(LEFT)));
    let expires_at = session["session"]["expiresAt"].as_str().unwrap();
    assert!(expires_at > session["session"]["lastActivity"].as_str().unwrap());
}

#[tokio::test]
async fn activity_is_written_down_only_past_the_threshold() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("10 minutes"));
    ada.session().await;
    assert!(app.database().number(LEFT) <= 6600);
    app.database().execute(&sql::backdate_sessions("5 minutes"));
    ada.session().await;
    assert!(app.database().number(LEFT) > 7100);
}

#[tokio::test]
async fn activity_never_extends_past_the_maximum_lifetime() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    for _ in 0..6 {
        app.database()
            .execute(&sql::backdate_sessions("1 hour 50 minutes"));
        assert_eq!(ada.session().await.status, 200);
    }
    // Eleven of twelve hours are over.
    assert!((3500..=3600).contains(&app.database().number(LEFT)));
    // No page offers an extension that would be none, whether today's limit or that of the sign-in is reached.
    for (until_todays, until_its_own, is_final) in [
        ("0 seconds", "0 seconds", true),
        ("0 seconds", "1 hour", true),
        ("1 hour", "0 seconds", true),
        ("1 microsecond", "1 microsecond", false),
    ] {
        app.database().execute(&format!(
            "update sessions set created_at = expires_at - interval '12 hours' + interval '{until_todays}',
                 ends_at = expires_at + interval '{until_its_own}', last_activity = last_activity - interval '1 second'"
        ));
        let page = ada.get("/dashboard").await.text;
        for words in ["and cannot be extended", "is about to reach its maximum length"] {
            assert_eq!(
                page.contains(words),
                is_final,
                "{until_todays}, {until_its_own}: {page}"
            );
        }
        for words in ["Using your session keeps it alive", "Stay signed in"] {
            assert_eq!(
                page.contains(words),
                !is_final,
                "{until_todays}, {until_its_own}: {page}"
            );
        }
    }
    app.database().execute(&sql::backdate_sessions("1 hour"));
    assert_eq!(ada.session().await.problem(), "401 session_ended");
}

#[tokio::test]
async fn passive_requests_never_extend_a_session() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("1 hour"));
    assert_eq!(ada.session_passively().await.status, 200);
    assert!(app.database().number(LEFT) <= 3600);
}

#[tokio::test]
async fn a_touch_revives_nothing() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("1 hour"));
    // Another connection has ended the session and has not committed yet: the touch skips the row.
    let mut other = app.database().connect();
    other.batch_execute("begin; delete from sessions").unwrap();
    assert_eq!(ada.session().await.status, 200);
    other.batch_execute("commit").unwrap();
    assert_eq!(ada.session().await.problem(), "401 token_invalid");
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn logout_ends_the_session() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let answer = ada.logout().await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "success": true }))
    );
    assert_eq!(ada.session().await.problem(), "401 session_ended");
    assert_eq!(ada.logout().await.problem(), "401 session_ended");
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn logout_holds_on_the_very_next_request_at_another_instance() {
    let app = App::start().await;
    let other = app.another_instance().await;
    for _ in 0..20 {
        let ada = if app.sessions() == 0 && app.database().number("select count(*) from users") == 0 {
            app.signed_in("ada").await
        } else {
            app.visitor().sign_in("ada@example.org").await
        };
        assert_eq!(ada.at(other.address).session().await.status, 200);
        assert_eq!(ada.logout().await.status, 200);
        assert_eq!(
            ada.at(other.address).session().await.problem(),
            "401 session_ended"
        );
    }
}

#[tokio::test]
async fn logout_after_expiry_is_refused() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("3 hours"));
    assert_eq!(ada.logout().await.problem(), "401 session_ended");
}

#[tokio::test]
async fn a_page_says_that_it_was_closed() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let unknown = ada.post("/auth/logout", &json!({ "reason": "revoked" })).await;
    assert_eq!(unknown.problem(), "400 bad_request");
    assert_eq!(app.sessions(), 1);
    assert_eq!(
        ada.post("/auth/logout", &json!({ "reason": "page_closed" }))
            .await
            .status,
        200
    );
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn who_am_i_tells_everything_but_the_token() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let answer = ada.session().await;
    let body = answer.json();
    assert_eq!(body["user"]["name"], "ada");
    let mut fields: Vec<&str> = body["session"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "createdAt",
            "expiresAt",
            "id",
            "ipAddress",
            "lastActivity",
            "userAgent"
        ]
    );
    assert!(!answer.text.contains(ada.token.as_deref().unwrap()));
}

#[tokio::test]
async fn the_database_knows_only_digests() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let token = ada.token.clone().unwrap();
    let ended = app.signed_in("grace").await;
    assert_eq!(ended.logout().await.status, 200);
    // Every row of every table as text, in which bytes are hexadecimal: as tokens are written.
    let rows_with = |secret: &str| {
        app.database().number(&format!(
            "select coalesce(sum((xpath('/row/n/text()', rows))[1]::text::integer), 0)
             from pg_tables, query_to_xml(
                 format('select count(*) as n from %I.%I as t where t::text ilike %L', schemaname, tablename, '%{secret}%'),
                 false, true, '') as rows
             where schemaname not in ('pg_catalog', 'information_schema')"
        ))
    };
    for secret in [&token, &ended.token.unwrap(), PASSWORD] {
        assert_eq!(rows_with(secret), 0);
    }
    // A token in a table would be found this way.
    assert_eq!(rows_with("grace@example.org"), 1);
    assert_eq!(rows_with(&stored_digest(&app)), 1);
    let digest = format!("select count(*) from sessions where token_digest = sha256('\\x{token}'::bytea)");
    assert_eq!(app.database().number(&digest), 1);
}

/// The only token in the table of sessions.
fn stored_digest(app: &App) -> String {
    let byte = |n| {
        let byte = format!("select get_byte(token_digest, {n}) from sessions");
        format!("{:02x}", app.database().number(&byte))
    };
    (0..32).map(byte).collect()
}

#[tokio::test]
async fn the_stored_digest_is_not_a_token() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let digest = stored_digest(&app);
    assert_eq!(
        ada.with_token(digest).session().await.problem(),
        "401 token_invalid"
    );
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test]
async fn a_sweep_removes_what_has_expired_and_nothing_else() {
    let app = App::start_swept().await;
    let _expired = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("3 hours"));
    let live = app.signed_in("grace").await;
    app.database().execute(
        "insert into login_failures values
             (sha256('old'), 4, null, now() - interval '25 hours'),
             (sha256('young'), 4, null, now() - interval '23 hours'),
             (sha256('locked'), 5, now() + interval '1 hour', now() - interval '25 hours')",
    );
    let swept = app.auth.sweep(|_| ()).await.unwrap().unwrap();
    assert_eq!((swept.sessions, swept.login_failures), (1, 1));
    assert_eq!(live.session().await.status, 200);
    assert_eq!(app.sessions(), 1);
    assert_eq!(app.database().number("select count(*) from login_failures"), 2);
}

#[tokio::test]
async fn a_sweep_of_many_batches_removes_them_all() {
    let app = App::start().await;
    app.database().execute(
        "insert into users (name, email) select 'u', n || '@x' from generate_series(1, 2500) n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
         select now(), id, sha256(email::bytea), '127.0.0.1', now(), now() - interval '1 second', now() from users",
    );
    // Of two sweeps at once one may yield; neither fails.
    let other = app.another_instance().await;
    let (one, two) = tokio::join!(app.auth.sweep(|_| ()), other.auth.sweep(|_| ()));
    let swept = [one.unwrap(), two.unwrap()];
    assert!(swept.iter().flatten().map(|swept| swept.sessions).sum::<usize>() <= 2500);
    // Each instance sweeps when it starts, too: until that is over, a sweep asked for may yield to it.
    eventually("all are gone", async || {
        app.auth.sweep(|_| ()).await.unwrap();
        app.sessions() == 0
    })
    .await;
}

#[tokio::test]
async fn the_background_actor_sweeps_by_itself() {
    let app = App::start_with(|config| config.sweep_interval = Duration::from_millis(50)).await;
    let _expired = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("3 hours"));
    eventually("the expired session is gone", async || app.sessions() == 0).await;
}
