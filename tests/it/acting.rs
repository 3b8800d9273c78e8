//! Nobody acts after their end: half a request, then the end of who asks, then the rest. And somebody can always administer.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use oneseat::auth::{Authority, Error, LastAdmin};
use oneseat::config::MailPolicy;
use oneseat::users::{Email, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, PASSWORD, sql};

const ROOT: &str = "root@example.org";

/// Longer than any deadline of the server.
const PATIENCE: Duration = Duration::from_secs(90);

/// Whose word counts on a route that takes a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Nobody's: no session is shown.
    NoSession,
    /// A live session's.
    Session,
    /// That of a live session whose user is an admin.
    Admin,
}

/// Every route that takes a body, with one that would be obeyed. One that is missing here fails the test.
fn table() -> Vec<(&'static str, &'static str, Needs, Value)> {
    use Needs::{Admin, NoSession, Session};
    vec![
        ("POST", "/auth/login", NoSession, Value::Null),
        ("POST", "/auth/password/forgot", NoSession, Value::Null),
        ("POST", "/auth/password/reset", NoSession, Value::Null),
        ("POST", "/auth/email/resend", NoSession, Value::Null),
        ("POST", "/auth/email/verify", NoSession, Value::Null),
        ("POST", "/auth/introspect", NoSession, Value::Null),
        ("POST", "/auth/logout", Session, json!({ "reason": "signed_out" })),
        (
            "POST",
            "/auth/password/change",
            Session,
            json!({ "currentPassword": PASSWORD, "newPassword": "nine green bottles on a wall" }),
        ),
        (
            "POST",
            "/api/admin/users",
            Admin,
            json!({ "email": "mallory@example.org", "name": "Mallory", "role": "admin" }),
        ),
    ]
}

/// How who asks may end, and what an admin's request is answered then.
const ENDS: [(&str, &str); 7] = [
    ("signed_out", "401 session_ended"),
    ("replaced", "401 session_ended"),
    ("revoked", "401 session_ended"),
    ("disabled", "401 session_ended"),
    ("removed", "401 session_ended"),
    ("expired", "401 session_ended"),
    ("demoted", "403 forbidden"),
];

/// A request of which the server has the head and half the body, and waits for the rest.
struct Half {
    stream: TcpStream,
    rest: String,
}

impl Half {
    fn sent(address: SocketAddr, client: &Client, method: &str, path: &str, body: &Value) -> Self {
        let (token, body) = (client.token.as_deref().unwrap(), body.to_string());
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        )
        .unwrap();
        // The handler has looked at the token when it asks for the body.
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n", "{path}");
        let (first, rest) = body.split_at(body.len() / 2);
        stream.write_all(first.as_bytes()).unwrap();
        let rest = rest.to_owned();
        Self { stream, rest }
    }

    /// Sends the rest, and reads the answer: `401 session_ended`.
    async fn answer(mut self) -> String {
        let read = tokio::task::spawn_blocking(move || {
            self.stream.write_all(self.rest.as_bytes()).unwrap();
            let mut answer = String::new();
            self.stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = read.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        match serde_json::from_str::<Value>(body).ok() {
            Some(Value::Object(problem)) if problem.contains_key("code") => {
                format!("{status} {}", problem["code"].as_str().unwrap())
            }
            _ => status.to_owned(),
        }
    }
}

async fn end(app: &App, holder: &Client, how: &str) {
    let email: Email = ROOT.parse().unwrap();
    match how {
        "signed_out" => assert_eq!(holder.logout().await.status, 200),
        "replaced" => drop(app.visitor().sign_in(ROOT).await),
        "revoked" => assert_eq!(app.auth.revoke_all().await.unwrap(), 1),
        "disabled" => app
            .auth
            .disable(email, Authority::Operator, LastAdmin::MayGo)
            .await
            .unwrap(),
        "removed" => app.auth.remove_user(email, LastAdmin::MayGo).await.unwrap(),
        "expired" => app.database().execute(&sql::backdate_sessions("3 hours")),
        "demoted" => app.database().execute("update users set role = 'user'"),
        _ => panic!("{how}"),
    }
}

/// A digest of all that a request could change. A session whose time was up may move to those that ended: that is no change.
fn state(app: &App) -> Vec<i64> {
    let tables = [
        "select id, email, name, role, password_hash, disabled_at from users",
        "select id, reason from ended_sessions where reason <> 'expired'",
        "select id from sessions where expires_at > now()",
        "select id, kind from mails",
        "select user_id, purpose from one_time_links",
        "select email_digest, failed_attempts from login_failures",
    ];
    tables
        .map(|table| {
            app.database().number(&format!(
                "select coalesce(sum(hashtextextended(t::text, 0)::numeric) % 1000000007, 0) from ({table}) as t"
            ))
        })
        .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_before_the_end_is_not_done_after_it() {
    let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
    let other = app
        .another_instance_with(|config| config.policy.mail = MailPolicy::Needed)
        .await;
    for (method, path, needs, body) in table() {
        if needs == Needs::NoSession {
            continue;
        }
        for (how, answer) in ENDS {
            // For their own account nobody needs a role.
            if how == "demoted" && needs == Needs::Session {
                continue;
            }
            app.database()
                .execute("delete from users; delete from ended_sessions; delete from mails");
            let root = app.admin().await;
            let half = Half::sent(other.address, &root, method, path, &body);
            end(&app, &root, how).await;
            let before = state(&app);
            assert_eq!(half.answer().await, answer, "{method} {path}, {how}");
            assert_eq!(state(&app), before, "{method} {path}, {how}");
        }
        // Who goes on is obeyed.
        app.database()
            .execute("delete from users; delete from ended_sessions; delete from mails");
        let root = app.admin().await;
        let half = Half::sent(other.address, &root, method, path, &body);
        let before = state(&app);
        let answer = half.answer().await;
        assert!(answer.starts_with("20"), "{method} {path}: {answer}");
        assert_ne!(state(&app), before, "{method} {path}");
    }
}

#[tokio::test]
async fn every_route_that_takes_a_body_is_in_the_table() {
    let app = App::start().await;
    let description = app.visitor().get("/openapi.json").await.json();
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            if call.get("requestBody").is_some() {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    let listed = table()
        .into_iter()
        .map(|(method, path, _, _)| (method.to_owned(), path.to_owned()));
    assert_eq!(described, listed.collect());
}

/// What an admin does without a body, to somebody else.
fn acts(user: &str, session: &str) -> Vec<(Method, String)> {
    vec![
        (Method::DELETE, format!("/api/admin/sessions/{session}")),
        (Method::DELETE, "/api/admin/sessions".to_owned()),
        (Method::DELETE, format!("/api/admin/users/{user}/session")),
        (Method::DELETE, format!("/api/admin/users/{user}/lock")),
        (Method::POST, format!("/api/admin/users/{user}/disable")),
        (Method::POST, format!("/api/admin/users/{user}/enable")),
        (Method::POST, format!("/api/admin/users/{user}/password-link")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_waits_for_a_lock_is_not_done_when_its_admin_has_ended_meanwhile() {
    let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
    for n in 0..acts("", "").len() {
        app.database()
            .execute("delete from users; delete from ended_sessions; delete from mails");
        let root = app.admin().await;
        let ada = app.signed_in("ada").await.session().await.json();
        let id = |what: &str| ada[what]["id"].as_str().unwrap().to_owned();
        let (method, path) = acts(&id("user"), &id("session")).swap_remove(n);
        // Who disables the admin is not done yet, and so the act has to wait.
        let mut disabling = app.database().connect();
        disabling
            .batch_execute(
                "begin; update users set disabled_at = now() where role = 'admin';
                 with gone as (delete from sessions using users where users.id = user_id and role = 'admin' returning sessions.*)
                 insert into ended_sessions select id, user_id, token_digest, ip_address, user_agent, last_activity,
                     expires_at, created_at, now(), 'account_disabled' from gone",
            )
            .unwrap();
        let request = root.request(method.clone(), &path);
        let act = tokio::spawn(async move { Answer::of(request).await });
        let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        crate::support::eventually("the act waits", async || app.database().number(waits) == 1).await;
        disabling.batch_execute("commit").unwrap();
        let before = state(&app);
        assert_eq!(
            act.await.unwrap().problem(),
            "401 session_ended",
            "{method} {path}"
        );
        assert_eq!(state(&app), before, "{method} {path}");
    }
}

/// A second admin, signed in.
async fn second_admin(app: &App) -> Client {
    app.add_user("grace", Role::Admin).await;
    app.visitor().sign_in("grace@example.org").await
}

async fn id_of(client: &Client) -> String {
    client.session().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

const ADMINS: &str = "select count(*) from users where role = 'admin' and disabled_at is null";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_admins_who_disable_each_other_one_stays() {
    let app = App::start().await;
    let other = app.another_instance().await;
    for round in 0..25 {
        app.database().execute("delete from users");
        let (root, grace) = (app.admin().await, second_admin(&app).await.at(other.address));
        let disable = |of: &Client, id: String| {
            let request = of.request(Method::POST, &format!("/api/admin/users/{id}/disable"));
            tokio::spawn(async move { Answer::of(request).await.status.as_u16() })
        };
        let (of_root, of_grace) = (id_of(&root).await, id_of(&grace).await);
        let (one, two) = (disable(&root, of_grace), disable(&grace, of_root));
        let mut answers = [one.await.unwrap(), two.await.unwrap()];
        answers.sort_unstable();
        assert_eq!(answers, [204, 401], "round {round}");
        assert_eq!(app.database().number(ADMINS), 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_admin_who_can_sign_in_is_lost_by_nobody_and_in_no_race() {
    let app = App::start().await;
    let other = app.another_instance().await;
    for round in 0..10 {
        app.database().execute("delete from users");
        app.add_user("root", Role::Admin).await;
        app.add_user("grace", Role::Admin).await;
        // An operator removes one, another disables the other.
        let (first, second) = (app.auth.clone(), other.auth.clone());
        let remove = tokio::spawn(async move {
            let email: Email = ROOT.parse().unwrap();
            first.remove_user(email, LastAdmin::Stays).await
        });
        let disable = tokio::spawn(async move {
            let email: Email = "grace@example.org".parse().unwrap();
            second.disable(email, Authority::Operator, LastAdmin::Stays).await
        });
        let outcomes = [remove.await.unwrap(), disable.await.unwrap()];
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let refused = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(Error::LastAdmin)));
        assert_eq!((done, refused.count()), (1, 1), "round {round}");
        assert_eq!(app.database().number(ADMINS), 1, "round {round}");
    }
}

#[tokio::test]
async fn not_even_plain_sql_loses_the_last_admin_by_accident() {
    let app = App::start().await;
    app.add_user("root", Role::Admin).await;
    app.add_user("grace", Role::Admin).await;
    app.database()
        .execute("update users set disabled_at = now() where email like 'grace%'");
    let mut operator = PgConnection::establish(app.database().url()).unwrap();
    for statement in [
        "update users set role = 'user' where email like 'root%'",
        "update users set disabled_at = now()",
        "update users set email_verified = false",
        "update users set password_hash = null",
        "delete from users",
    ] {
        let refused = operator.batch_execute(statement).unwrap_err().to_string();
        assert!(refused.contains("last admin"), "{statement}: {refused}");
    }
    // The role may pass on within one transaction, in any order; and who means it may.
    operator
        .batch_execute(
            "begin; update users set role = 'user' where email like 'root%';
             update users set disabled_at = null where email like 'grace%'; commit;
             begin; set local oneseat.last_admin_may_go = 'on'; delete from users; commit",
        )
        .unwrap();
    assert_eq!(app.database().number("select count(*) from users"), 0);
}

#[tokio::test]
async fn the_last_admin_is_told_to_stay_by_the_api_too() {
    let app = App::start().await;
    let root = app.admin().await;
    let own = format!("/api/admin/users/{}/disable", id_of(&root).await);
    let answer = Answer::of(root.request(Method::POST, &own)).await;
    assert_eq!(answer.problem(), "409 own_account");
    // Another admin who signs in, and whom the database no longer takes for one who can: then the first is the last.
    let grace = second_admin(&app).await;
    app.database()
        .execute("update users set email_verified = false where email like 'grace%'");
    let answer = Answer::of(grace.request(Method::POST, &own)).await;
    assert_eq!(answer.problem(), "409 last_admin");
    assert_eq!(root.session().await.status, 200);
}
