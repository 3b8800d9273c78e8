//! Why a session ended: on the next request, in the history, and at once over the event stream.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use oneseat::auth::{Authority, LastAdmin};
use oneseat::sessions::EndReason;
use oneseat::users::{Email, Password, Role};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{App, Client, EventStream, PASSWORD, eventually, sql};

/// Ends Ada's session in each way that there is.
async fn end(app: &App, ada: &Client, reason: EndReason) {
    let email: Email = "ada@example.org".parse().unwrap();
    match reason {
        EndReason::SignedOut => drop(ada.logout().await),
        EndReason::PageClosed => drop(
            ada.post("/auth/logout", &json!({ "reason": "page_closed" }))
                .await,
        ),
        EndReason::Replaced => drop(app.visitor().sign_in("ada@example.org").await),
        EndReason::Expired => app.database().execute(&sql::backdate_sessions("3 hours")),
        EndReason::Revoked => drop(app.auth.revoke_all().await.unwrap()),
        EndReason::PasswordChanged => app
            .auth
            .set_password(email, Password::chosen(PASSWORD, &[]).unwrap())
            .await
            .unwrap(),
        EndReason::AccountDisabled => app
            .auth
            .disable(email, Authority::Operator, LastAdmin::MayGo)
            .await
            .unwrap(),
        EndReason::Restored => app.database().execute(sql::BROUGHT_BACK),
        EndReason::Unknown => panic!("nothing of this version ends a session so"),
    }
}

/// The part of a text between two others.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap();
    rest.split_once(end).unwrap().0
}

/// The parts of a text between pairs of this mark: every other part.
fn quoted(text: &str, mark: char) -> Vec<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}

#[test]
fn every_reason_has_its_words_and_its_colour_and_no_other_has() {
    let page = include_str!("../../docs/api.md");
    let style = include_str!("../../static/lists.css").lines();
    let coloured = style.filter_map(|line| line.strip_prefix('.')?.split_once(" { fill: "));
    let module = between(
        include_str!("../../clients/js/oneseat.js"),
        "@typedef {",
        "} Reason\n",
    );
    let types = between(
        include_str!("../../clients/js/oneseat.d.ts"),
        "export type Reason =\n",
        ";",
    );
    let endings = between(
        include_str!("../../static/pages.js"),
        "const ENDINGS = {\n",
        "\n};",
    );
    let entry = |line: &'static str| line.strip_prefix("  ")?.split_once(": [");
    let with_words = endings.lines().filter_map(entry).map(|(reason, _)| reason);

    let reasons = BTreeSet::from(EndReason::ALL.map(EndReason::as_str));
    // A client also gets the reason `unknown` for one that only a later version knows.
    let mut told = reasons.clone();
    told.insert(EndReason::Unknown.as_str());
    let listed = quoted(between(page, "A session ends as\n", ". "), '`');
    let mut wrong = vec![
        ("docs/api.md", listed, &reasons),
        (
            "static/lists.css",
            coloured.map(|(class, _)| class).collect(),
            &reasons,
        ),
        ("clients/js/oneseat.js", quoted(module, '"'), &told),
        ("clients/js/oneseat.d.ts", quoted(types, '"'), &told),
        ("static/pages.js", with_words.collect(), &told),
    ];
    wrong.retain(|(_, named, reasons)| {
        named.len() != reasons.len() || BTreeSet::from_iter(named.iter().copied()) != **reasons
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_token_of_an_ended_session_is_told_why_and_when() {
    for reason in EndReason::ALL {
        let app = App::start().await;
        let ada = app.signed_in("ada").await;
        end(&app, &ada, reason).await;
        let answer = ada.session().await;
        assert_eq!(answer.problem(), "401 session_ended", "{reason}");
        let body = answer.json();
        assert_eq!(body["reason"], reason.as_str());
        assert_eq!(body["detail"], "Invalid or expired session");
        assert!(body["endedAt"].as_str().unwrap().ends_with('Z'));
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="oneseat", error="invalid_token""#
        );
        // Only the reason and the time are added: a dead token must not show who holds the seat now.
        let mut fields: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        fields.sort();
        assert_eq!(
            fields,
            [
                "code",
                "detail",
                "endedAt",
                "reason",
                "requestId",
                "status",
                "title",
                "type"
            ]
        );
    }
}

#[tokio::test]
async fn a_reason_of_a_later_version_is_unknown_and_hides_no_other_ending() {
    let app = App::start().await;
    let first = app.signed_in("ada").await;
    let admin = app.admin().await;
    app.visitor().sign_in("ada@example.org").await.logout().await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    let mut events = EventStream::open(&ada).await;
    app.database().execute(
        "alter table ended_sessions drop constraint ended_sessions_reason_known;
         with gone as (delete from sessions where user_id = (select id from users where email = 'ada@example.org') returning *)
         insert into ended_sessions select id, user_id, token_digest, ip_address, user_agent, last_activity,
             expires_at, created_at, now(), 'of_a_later_version' from gone",
    );
    let (event, data) = events.next().await.unwrap();
    assert_eq!(event, "ended");
    assert!(data.contains(r#""reason":"unknown""#), "{data}");
    assert_eq!(ada.session().await.json()["reason"], "unknown");
    assert_eq!(first.session().await.json()["reason"], "replaced");
    let history = admin.get("/api/admin/history").await.json();
    let reasons = history["sessions"].as_array().unwrap().iter();
    let reasons: Vec<_> = reasons
        .map(|session| session["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["unknown", "signed_out", "replaced"]);
    assert_eq!(admin.get("/admin/sessions").await.status, 200);
    // No client may give this reason: it means a reason that this version does not know.
    let answer = admin.get("/api/admin/history?reason=unknown").await;
    assert_eq!(answer.problem(), "400 bad_request");
}

#[tokio::test]
async fn removing_the_account_is_told_too() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.auth
        .remove_user(
            "ada@example.org".parse::<Email>().unwrap(),
            Authority::Operator,
            LastAdmin::MayGo,
        )
        .await
        .unwrap();
    assert_eq!(ada.session().await.json()["reason"], "account_disabled");
}

#[tokio::test]
async fn an_expired_session_keeps_its_reason_when_it_is_swept_or_replaced_later() {
    let app = App::start().await;
    let swept = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("3 hours"));
    let before = swept.session().await.json();
    eventually("it is swept", async || {
        app.auth.sweep(|_| ()).await.unwrap();
        app.sessions() == 0
    })
    .await;
    assert_eq!(swept.session().await.json()["endedAt"], before["endedAt"]);

    let expired = app.visitor().sign_in("ada@example.org").await;
    app.database().execute(&sql::backdate_sessions("3 hours"));
    app.visitor().sign_in("ada@example.org").await;
    assert_eq!(expired.session().await.json()["reason"], "expired");
}

#[tokio::test]
async fn what_happened_is_forgotten_after_the_retention() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    ada.logout().await;
    app.database()
        .execute("update ended_sessions set ended_at = now() - interval '29 days 23 hours'");
    app.auth.sweep(|_| ()).await.unwrap();
    assert_eq!(ada.session().await.problem(), "401 session_ended");
    app.database()
        .execute("update ended_sessions set ended_at = now() - interval '30 days 1 second'");
    eventually("it is forgotten", async || {
        app.auth.sweep(|_| ()).await.unwrap();
        app.database().number("select count(*) from ended_sessions") == 0
    })
    .await;
    assert_eq!(ada.session().await.problem(), "401 token_invalid");
}

#[tokio::test]
async fn my_history_tells_my_past_sessions_and_no_others() {
    let app = App::start().await;
    app.signed_in("grace").await.logout().await;
    app.signed_in("ada").await.logout().await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    let history = ada.get("/auth/history").await.json();
    let sessions = history["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0]["reason"], "signed_out");
    let mut fields: Vec<_> = sessions[0].as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "createdAt",
            "endedAt",
            "id",
            "ipAddress",
            "lastActivity",
            "reason",
            "userAgent"
        ]
    );
    // Only the last fifty, the latest first.
    app.database().execute(
        "insert into ended_sessions (id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at, ended_at, reason)
             select gen_random_uuid(), id, sha256(n::text::bytea), '192.0.2.1', n, now(), now(), now(), now() - n * interval '1 minute', 'expired'
             from users, generate_series(1, 60) as n where email = 'ada@example.org'",
    );
    let history = ada.get("/auth/history").await.json();
    let told = history["sessions"].as_array().unwrap().iter();
    let told: Vec<_> = told
        .skip(1)
        .map(|session| session["userAgent"].as_str().unwrap())
        .collect();
    let latest: Vec<_> = (1..50).map(|n| n.to_string()).collect();
    assert_eq!(told, latest);
}

#[tokio::test]
async fn a_stream_tells_the_end_at_another_instance() {
    for reason in EndReason::ALL
        .into_iter()
        .filter(|reason| *reason != EndReason::Expired)
    {
        let app = App::start().await;
        let other = app.another_instance().await;
        let ada = app.signed_in("ada").await;
        let mut events = EventStream::open(&ada.at(other.address)).await;
        end(&app, &ada, reason).await;
        let (event, data) = events.next().await.unwrap();
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(
            (event.as_str(), data["reason"].as_str()),
            ("ended", Some(reason.as_str()))
        );
        assert_eq!(data["at"], ada.session().await.json()["endedAt"]);
        assert_eq!(events.next().await, None, "it is the last event");
    }
}

/// Seconds that a session has left: a few, and more where the machine is so busy that those pass before anything is asked.
const LEFT: [u64; 3] = [6, 60, 240];

fn all_but(seconds: u64) -> String {
    sql::backdate_sessions(&format!("{} seconds", 2 * 60 * 60 - seconds))
}

#[tokio::test]
async fn a_stream_closes_by_itself_when_the_time_is_up() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    for seconds in LEFT {
        let ada = app.visitor().sign_in("ada@example.org").await;
        app.database().execute(&all_but(seconds));
        if let Some(mut events) = EventStream::open_while_live(&ada).await {
            let (event, data) = events.next_after(Duration::from_secs(seconds)).await.unwrap();
            assert_eq!(event, "ended");
            assert!(data.contains("expired"), "{data}");
            return;
        }
    }
    panic!("no stream was opened in time");
}

#[tokio::test]
async fn a_stream_outlives_an_extension_and_never_extends_by_itself() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let left = "select round(extract(epoch from expires_at - now())) from sessions";
    for seconds in LEFT {
        let ada = app.visitor().sign_in("ada@example.org").await;
        app.database().execute(&all_but(seconds));
        let Some(mut events) = EventStream::open_while_live(&ada).await else {
            continue;
        };
        let before = app.database().number(left);
        assert!(before <= seconds.try_into().unwrap(), "{before}");
        if ada.session().await.status != 200 {
            continue;
        }
        assert!(app.database().number(left) > 7000);
        // At its former expiry the stream looks at the session again.
        let quiet = timeout(
            Duration::from_secs(seconds + 1),
            events.next_after(Duration::from_secs(seconds)),
        );
        let quiet = quiet.await;
        assert!(quiet.is_err(), "{quiet:?}");
        ada.logout().await;
        assert_eq!(events.next().await.unwrap().0, "ended");
        return;
    }
    panic!("no session was extended in time");
}

#[tokio::test]
async fn streams_are_bounded_for_a_session_and_in_all() {
    let app = App::start_with(|config| config.http.max_event_streams = 5).await;
    let ada = app.signed_in("ada").await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(EventStream::open(&ada).await);
    }
    // A fifth takes the place of the oldest, which is closed without an event.
    let mut oldest = open.remove(0);
    open.push(EventStream::open(&ada).await);
    assert_eq!(oldest.next().await, None);
    let grace = app.signed_in("grace").await;
    open.push(EventStream::open(&grace).await);
    // The instance is full now. A session with all its streams still replaces its own oldest.
    let mut oldest = open.remove(0);
    open.push(EventStream::open(&ada).await);
    assert_eq!(oldest.next().await, None);
    let linus = app.signed_in("linus").await;
    assert_eq!(
        linus.get("/auth/session/events").await.problem(),
        "503 unavailable"
    );
    open.clear();
    eventually("places are given back", async || {
        linus
            .request(reqwest::Method::GET, "/auth/session/events")
            .send()
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;
}

#[tokio::test]
async fn a_lost_listener_connection_loses_no_notice() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let mut events = EventStream::open(&ada).await;
    // In one transaction: the listener is cut off, and the session ends before it can be back.
    app.database().execute(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid();
         with gone as (delete from sessions returning *)
         insert into ended_sessions select id, user_id, token_digest, ip_address, user_agent, last_activity,
             expires_at, created_at, now(), 'revoked' from gone",
    );
    let (event, data) = events.next().await.unwrap();
    assert_eq!(event, "ended");
    assert!(data.contains("revoked"), "{data}");
}

#[tokio::test]
async fn an_admins_stream_tells_that_somebody_came_or_went_and_a_users_does_not() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let mut of_ada = EventStream::open(&ada).await;
    let mut of_admin = EventStream::open(&app.admin().await).await;
    app.signed_in("grace").await;
    assert_eq!(of_admin.next().await.unwrap().0, "changed");
    // Until it is quiet, and then somebody goes.
    of_admin.quiet().await;
    app.visitor().sign_in("grace@example.org").await.logout().await;
    assert_eq!(of_admin.next().await.unwrap().0, "changed");
    let quiet = timeout(Duration::from_millis(300), of_ada.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test]
async fn an_admin_who_is_one_no_more_hears_of_nobody() {
    let app = App::start().await;
    let mut events = EventStream::open(&app.admin().await).await;
    events.quiet().await;
    app.database().execute("update users set role = 'user'");
    app.signed_in("ada").await;
    // What is still on its way is of before.
    while let Some((event, _)) = events.next().await {
        assert_eq!(event, "changed");
    }
}

#[tokio::test]
async fn a_stream_on_which_nothing_happens_shows_that_it_lives() {
    let app = App::start().await;
    let mut stream = EventStream::open(&app.signed_in("ada").await).await;
    // Proxies give up a connection on which nothing came for a minute; a beat comes after 20 seconds.
    let patience = Duration::from_secs(50);
    assert_eq!(stream.comment_within(patience).await, ": open");
    assert_eq!(stream.comment_within(patience).await, ": beat");
    let first = Instant::now();
    assert_eq!(stream.comment_within(patience).await, ": beat");
    // One that beat without a pause would keep a processor and a network busy.
    assert!(first.elapsed() > Duration::from_secs(10), "{:?}", first.elapsed());
}
