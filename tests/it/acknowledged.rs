//! No answer shows that something was taken away while another instance may still answer as before.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use oneseat::config::{MailPolicy, ServeConfig, TakeoverPolicy};
use oneseat::users::Role;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, Client, NoSweep, PASSWORD, RowLock, eventually, sql, waiting};

/// Everybody with a session, each for one of the requests that end it.
const SEATED: [&str; 10] = [
    "root", "ada", "bob", "carol", "dora", "eve", "frank", "grace", "heidi", "ivan",
];

/// Those that something is done to.
const SUBJECTS: [&str; 11] = [
    "free",
    "promoted",
    "disabled",
    "enabled",
    "moved",
    "removed",
    "locked",
    "invited",
    "forgetful",
    "unproven",
    "readdressed",
];

const NEW_PASSWORD: &str = "nine green bottles on a wall";
const WRONG: &str = "not the password";

fn with_mail(config: &mut ServeConfig) {
    config.policy.mail = MailPolicy::Needed;
}

fn token(app: &App, name: &str) -> String {
    app.database()
        .text(&format!("select encode(sha256('{name}'), 'hex')"))
}

/// Makes everybody, without a sign-in for each.
async fn populate(app: &App) {
    for name in SEATED.into_iter().chain(SUBJECTS) {
        let is_admin = ["root", "ivan"].contains(&name);
        app.add_user(name, if is_admin { Role::Admin } else { Role::User })
            .await;
    }
    let seated = SEATED.join("', '");
    app.database().execute(&format!(
        "insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(sha256(name::bytea)), '192.0.2.1', now(), now() + interval '2 hours', now()
             from users where name in ('{seated}');
         update users set disabled_at = now() where name = 'enabled';
         update users set email_verified = false where name = 'unproven';
         insert into one_time_links (user_id, purpose, token_digest, email, expires_at)
             select id, case name when 'moved' then 'email_change' when 'unproven' then 'verification' else 'password_reset' end,
                 sha256(sha256(name::bytea)), case name when 'moved' then 'elsewhere@example.org' else email end,
                 now() + interval '20 minutes'
             from users where name in ('moved', 'unproven', 'forgetful')"
    ));
}

/// The requests whose answers show that something was taken away, or that it is not there, and each answer when all
/// of them have been sent before.
struct Requests<'a> {
    app: &'a App,
    /// Of an instance that asks before a takeover.
    asks: &'a App,
    service: (String, String),
    /// The session of Carol.
    carol: String,
    /// What somebody of this name is called in a path. An account that was removed keeps its name here.
    ids: Vec<(&'static str, String)>,
}

impl Requests<'_> {
    fn of(&self, name: &str) -> Client {
        self.app.visitor().with_token(token(self.app, name))
    }

    fn user(&self, name: &str, rest: &str) -> String {
        let (_, id) = self.ids.iter().find(|(of, _)| *of == name).unwrap();
        format!("/api/admin/users/{id}{rest}")
    }

    fn all(&self) -> Vec<(String, RequestBuilder, &'static str)> {
        let (root, ada, visitor) = (self.of("root"), self.of("ada"), self.app.visitor());
        let nobody = visitor.with_token("ab".repeat(32));
        let ask = |client: &Client, method: Method, path: &str, answer| {
            (format!("{method} {path}"), client.request(method, path), answer)
        };
        let get = |client: &Client, path: &str, answer| ask(client, Method::GET, path, answer);
        let delete = |client: &Client, path: &str, answer| ask(client, Method::DELETE, path, answer);
        let post = |client: &Client, path: &str, answer| ask(client, Method::POST, path, answer);
        let send = |client: &Client, method: Method, path: &str, body: Value, answer| {
            let (what, request, answer) = ask(client, method, path, answer);
            (format!("{what} {body}"), request.json(&body), answer)
        };
        let login = |client: &Client, name: &str, password: &str, answer| {
            let body = json!({ "email": format!("{name}@example.org"), "password": password });
            send(client, Method::POST, "/auth/login", body, answer)
        };
        let by_link = |path: &str, name: &str| {
            let body = json!({ "token": token(self.app, name), "password": NEW_PASSWORD });
            send(&visitor, Method::POST, path, body, "400 link_invalid")
        };
        let change = |client: &Client, password: &str, answer| {
            let body = json!({ "currentPassword": password, "newPassword": NEW_PASSWORD });
            send(client, Method::POST, "/auth/password/change", body, answer)
        };
        let address = json!({ "currentPassword": WRONG, "email": "mallory@example.org" });
        let (role, email) = (
            json!({ "role": "admin" }),
            json!({ "email": "other@example.org" }),
        );
        let taken = json!({ "email": "ada@example.org", "name": "x", "role": "user" });
        let (nil, carol) = (Uuid::nil(), &self.carol);
        vec![
            // A session that has ended, or has left no trace, or lacks the role.
            get(&self.of("eve"), "/auth/session", "401 session_ended"),
            get(&self.of("eve"), "/auth/session/events", "401 session_ended"),
            get(&nobody, "/auth/session", "401 token_invalid"),
            get(&ada, "/auth/verify?role=admin", "403 forbidden"),
            get(&ada, "/api/admin/sessions", "403 forbidden"),
            self.introspection("eve", "200"),
            // Sign-ins: to a free seat, to a taken one, and refused.
            login(&visitor, "free", PASSWORD, "200"),
            login(&visitor, "frank", PASSWORD, "200"),
            login(&visitor, "grace", WRONG, "401 invalid_credentials"),
            login(&self.asks.visitor(), "grace", PASSWORD, "409 seat_taken"),
            // Ends.
            post(&self.of("bob"), "/auth/logout", "401 session_ended"),
            delete(&root, &format!("/api/admin/sessions/{carol}"), "404 not_found"),
            delete(&root, &self.user("dora", "/session"), "404 not_found"),
            delete(&root, &format!("/api/admin/sessions/{nil}"), "404 not_found"),
            delete(&root, &format!("/api/admin/users/{nil}"), "404 not_found"),
            delete(&root, "/api/admin/sessions?q=nobody", "200"),
            // What an admin does to accounts.
            send(&root, Method::PATCH, &self.user("promoted", ""), role, "200"),
            post(&root, &self.user("disabled", "/disable"), "204"),
            post(&root, &self.user("enabled", "/enable"), "204"),
            send(
                &root,
                Method::PUT,
                &self.user("readdressed", "/email"),
                email,
                "200",
            ),
            delete(&root, &self.user("removed", ""), "404 not_found"),
            delete(&root, &self.user("locked", "/lock"), "204"),
            post(&root, &self.user("invited", "/password-link"), "204"),
            send(&root, Method::POST, "/api/admin/users", taken, "409 email_taken"),
            // What people do to their own.
            change(&self.of("heidi"), PASSWORD, "401 session_ended"),
            change(&ada, WRONG, "403 wrong_password"),
            send(
                &ada,
                Method::POST,
                "/auth/email/change",
                address,
                "403 wrong_password",
            ),
            delete(&ada, "/auth/email/change", "200"),
            send(
                &ada,
                Method::PATCH,
                "/auth/account",
                json!({ "name": "Ada" }),
                "200",
            ),
            by_link("/auth/password/reset", "forgetful"),
            by_link("/auth/email/verify", "unproven"),
            by_link("/auth/email/confirm", "moved"),
        ]
    }

    /// What a service asks about the token of this user.
    fn introspection(&self, name: &str, answer: &'static str) -> (String, RequestBuilder, &'static str) {
        let (client, secret) = &self.service;
        let request = self
            .app
            .visitor()
            .request(Method::POST, "/auth/introspect")
            .basic_auth(client, Some(secret))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("token={}", token(self.app, name)));
        ("introspection".to_owned(), request, answer)
    }

    /// An import by Ivan, who is no admin by then.
    fn import(&self) -> RequestBuilder {
        self.of("ivan")
            .request(Method::POST, "/api/admin/users/import")
            .header("Content-Type", "application/jsonl")
            .body(r#"{"email":"mallory@example.org"}"#)
    }

    /// What each of them is answered, when all are sent at once.
    async fn answers(&self) -> Vec<(String, String, &'static str)> {
        let answers = self.all().into_iter().map(async |(what, request, expected)| {
            let answer = Answer::of(request).await;
            let told = match answer.status.is_success() {
                true => answer.status.as_str().to_owned(),
                false => answer.problem(),
            };
            (what, told, expected)
        });
        join_all(answers).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_can_know_whether_another_instance_remembers_nothing_is_told_to_be_gone() {
    let app = App::start_with(with_mail).await;
    let asks = app.another_instance_with(|config| {
        with_mail(config);
        config.policy.takeover = TakeoverPolicy::Ask;
    });
    let asks = asks.await;
    populate(&app).await;
    let id = |name: &'static str| {
        let id = format!("select id::text from users where name = '{name}'");
        (name, app.database().text(&id))
    };
    let requests = Requests {
        app: &app,
        asks: &asks,
        service: app.service("service"),
        carol: app.database().text(
            "select sessions.id::text from sessions join users on users.id = user_id where name = 'carol'",
        ),
        ids: SEATED.into_iter().chain(SUBJECTS).map(id).collect(),
    };
    assert_eq!(requests.of("eve").logout().await.status, 200);
    // An import is refused when it has begun.
    let mut held = RowLock::on(&app, "users where name = 'ivan'");
    let import = tokio::spawn(Answer::of(requests.import()));
    waiting(&app, 1).await;
    held.execute(
        "set local oneseat.waits_after_commit = 'on'; update users set role = 'user' where name = 'ivan'",
    );
    // No question to the feed is answered, so no instance learns how long to wait.
    let mut holder = app.database().connect();
    holder
        .batch_execute("begin; lock table validation_lease in access exclusive mode")
        .unwrap();
    held.let_go();
    assert_eq!(requests.of("ada").session().await.status, 200);
    let mut told = requests.answers().await;
    told.retain(|(_, told, _)| told != "503 unavailable");
    assert!(told.is_empty(), "{told:#?}");
    // The rest is answered as ever.
    assert_eq!(requests.of("ada").session().await.status, 200);
    assert_eq!(import.await.unwrap().problem(), "503 unavailable");
    // What was done is done.
    holder.batch_execute("rollback").unwrap();
    eventually("the feed is read again", async || {
        app.auth.wait_out_leases().await.is_ok() && asks.auth.wait_out_leases().await.is_ok()
    })
    .await;
    let mut told = requests.answers().await;
    told.retain(|(_, told, expected)| told != expected);
    assert!(told.is_empty(), "{told:#?}");
    assert_eq!(Answer::of(requests.import()).await.problem(), "403 forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_remembered_is_over_when_its_time_is_although_nobody_asked_since() {
    // The feed is read four times a lease. The longest lease leaves the longest time without a question.
    let app = App::start_with(|config| config.memory.lease = Duration::from_secs(2)).await;
    let _no_sweep = NoSweep::over(&app);
    let ada = app.signed_in("ada").await;
    app.database().execute(
        "set oneseat.waits_after_commit = 'on'; update sessions set expires_at = now() + interval '2 seconds'",
    );
    let over = app.database().text("select expires_at::text from sessions");
    let mut is_over = false;
    while !is_over {
        let question = format!("select (clock_timestamp() >= '{over}')::int");
        is_over = app.database().number(&question) == 1;
        let answer = ada.session_passively().await;
        if is_over {
            answer.expired();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_another_instance_has_just_written_is_told_no_earlier_than_there() {
    let lease = Duration::from_secs(2);
    let app = App::start_with(|config| config.memory.lease = lease).await;
    populate(&app).await;
    let requests = Requests {
        app: &app,
        asks: &app,
        service: app.service("service"),
        carol: String::new(),
        ids: Vec::new(),
    };
    let began = Instant::now();
    // As an instance writes it, which waits after that.
    let revoke = sql::REVOKED;
    app.database()
        .execute(&format!("set oneseat.waits_after_commit = 'on'; {revoke}"));
    let told = async |request: RequestBuilder| {
        let answer = Answer::of(request).await;
        (answer.status.as_u16(), began.elapsed())
    };
    let ask = |name: &str, path: &str| told(requests.of(name).request(Method::GET, path));
    let sign_in = json!({ "email": "eve@example.org", "password": PASSWORD });
    let sign_in = app.visitor().request(Method::POST, "/auth/login").json(&sign_in);
    let (_, introspection, _) = requests.introspection("dora", "200");
    let answers = tokio::join!(
        ask("ada", "/auth/session"),
        ask("bob", "/auth/verify"),
        ask("carol", "/auth/session/events"),
        ask("root", "/api/admin/sessions"),
        told(introspection),
        told(sign_in),
    );
    let (ada, bob, carol, root, dora, eve) = answers;
    let answers = [ada, bob, carol, root, dora, eve];
    let statuses = answers.map(|(status, _)| status);
    assert_eq!(statuses, [401, 401, 401, 401, 200, 200]);
    for (_, after) in answers {
        assert!(after > lease, "{after:?}");
    }
}
