//! Half a request is sent, then its session ends, then the rest is sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use oneseat::users::Role;
use oneseat::web::routes;
use serde_json::{Value, json};

use super::{DEMOTED, ENDS, end, forget_everybody, in_short, state, with_mail};
use crate::support::{App, Client, PASSWORD, eventually};

/// Longer than any deadline of the server.
const TIMEOUT: Duration = Duration::from_secs(90);

/// The import takes JSON lines; an invalid line does not stop the others.
const IMPORT: &str = "/api/admin/users/import";

/// The call is about a user who exists.
const CHANGE: &str = "/api/admin/users/{id}";

/// The authority that a route with a body needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// None: no session is shown.
    NoSession,
    /// A live session.
    Session,
    /// A live session of an admin.
    Admin,
}

/// A route with a body, and the answer if the session is still live.
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    needs: Needs,
    body: Value,
    answer: &'static str,
}

/// Every route with a body, with a body that has an effect.
pub(super) fn table() -> Vec<Row> {
    use Needs::{Admin, NoSession, Session};
    let new_password =
        |current: &str| json!({ "currentPassword": current, "newPassword": "nine green bottles on a wall" });
    let address = |current: &str| json!({ "currentPassword": current, "email": "mallory@example.org" });
    let imported = json!({ "email": "trudy@example.org", "role": "admin", "verified": true });
    let invitation = json!({ "email": "mallory@example.org", "name": "Mallory", "role": "admin" });
    let change = json!({ "name": "Mallory", "role": "admin" });
    let call = |method, path, needs, body, answer| Row {
        method,
        path,
        needs,
        body,
        answer,
    };
    let row = |path, needs, body, answer| call("POST", path, needs, body, answer);
    let open = |path| row(path, NoSession, Value::Null, "");
    vec![
        open("/auth/login"),
        open("/auth/password/forgot"),
        open("/auth/link"),
        open("/auth/password/reset"),
        open("/auth/email/resend"),
        open("/auth/email/verify"),
        open("/auth/email/confirm"),
        open("/auth/introspect"),
        row("/auth/logout", Session, json!({ "reason": "signed_out" }), "200"),
        row("/auth/password/change", Session, new_password(PASSWORD), "200"),
        // The failure is counted if the session is still live.
        row(
            "/auth/password/change",
            Session,
            new_password("not the current password"),
            "403 wrong_password",
        ),
        row("/auth/email/change", Session, address(PASSWORD), "202"),
        row(
            "/auth/email/change",
            Session,
            address("not the current password"),
            "403 wrong_password",
        ),
        call(
            "PATCH",
            "/auth/account",
            Session,
            json!({ "name": "Mallory" }),
            "200",
        ),
        row("/api/admin/users", Admin, invitation, "201"),
        call(
            "PUT",
            "/api/admin/users/{id}/email",
            Admin,
            json!({ "email": "mallory@example.org" }),
            "200",
        ),
        row(IMPORT, Admin, imported, "200"),
        call("PATCH", CHANGE, Admin, change, "200"),
    ]
}

/// A request of which the server has received the head and half of the body.
pub(super) struct Half {
    stream: TcpStream,
    rest: String,
}

impl Half {
    pub(super) fn sent(address: SocketAddr, token: &str, method: &str, path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let (first, rest) = body.split_at(body.len() / 2);
        let media_type = if path == IMPORT { "jsonl" } else { "json" };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nUser-Agent: half\r\n\
             Connection: close\r\nContent-Type: application/{media_type}\r\nContent-Length: {}\r\n\r\n{first}",
            body.len()
        )
        .unwrap();
        let rest = rest.to_owned();
        Self { stream, rest }
    }

    /// Sends the rest, and reads the answer.
    pub(super) async fn answer(mut self) -> String {
        let read = tokio::task::spawn_blocking(move || {
            self.stream.write_all(self.rest.as_bytes()).unwrap();
            let mut answer = String::new();
            self.stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = read.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        in_short(head.split(' ').nth(1).unwrap(), body)
    }
}

/// An admin whose half request is at the server. The server has already checked the session and found it
/// live.
async fn half_of_an_admin(app: &App, other: &App, row: &Row) -> (Client, Half) {
    forget_everybody(app);
    let root = app.admin().await;
    app.add_user("grace", Role::User).await;
    let grace = app
        .database()
        .text("select id::text from users where name = 'grace'");
    let path = row.path.replace("{id}", &grace);
    // The activity is so old that the check records it: that shows when the token has been checked.
    app.database()
        .execute("update sessions set last_activity = last_activity - interval '20 minutes'");
    let token = root.token.as_deref().unwrap();
    let half = Half::sent(other.address, token, row.method, &path, &row.body);
    eventually("the token has been looked at", async || {
        let seen = "select count(*) from sessions where last_activity > now() - interval '10 minutes'";
        app.database().number(seen) == 1
    })
    .await;
    (root, half)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_before_the_end_is_not_done_after_it() {
    let app = App::start_with(with_mail).await;
    let other = app.another_instance_with(with_mail).await;
    for row in table() {
        let Row { path, needs, .. } = row;
        if needs == Needs::NoSession {
            continue;
        }
        for (how, answer) in ENDS {
            // A change of one's own account needs no role.
            if how == DEMOTED && needs == Needs::Session {
                continue;
            }
            let (root, half) = half_of_an_admin(&app, &other, &row).await;
            end(&app, &root, how).await;
            let before = state(&app);
            assert_eq!(half.answer().await, answer, "{path}, {how}");
            assert_eq!(state(&app), before, "{path}, {how}");
        }
        // If the session is still live, the request is carried out.
        let (_, half) = half_of_an_admin(&app, &other, &row).await;
        let before = state(&app);
        assert_eq!(half.answer().await, row.answer, "{path}");
        assert_ne!(state(&app), before, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rest_that_is_not_even_valid_is_refused_as_such_and_changes_nothing() {
    let app = App::start_with(with_mail).await;
    let other = app.another_instance_with(with_mail).await;
    for row in table().into_iter().filter(|row| row.needs != Needs::NoSession) {
        let (root, mut half) = half_of_an_admin(&app, &other, &row).await;
        end(&app, &root, "revoked").await;
        let before = state(&app);
        half.rest = "}".repeat(half.rest.len());
        let refused = match row.path {
            IMPORT => "401 session_ended revoked",
            _ => "400 bad_request",
        };
        assert_eq!(half.answer().await, refused, "{}", row.path);
        assert_eq!(state(&app), before, "{}", row.path);
    }
}

#[tokio::test]
async fn every_other_route_answers_before_the_body_has_come() {
    let app = App::start_with(with_mail).await;
    let (root, nobody) = (app.admin().await, uuid::Uuid::new_v4().to_string());
    let token = root.token.as_deref().unwrap();
    for (method, path) in routes::list() {
        // A stream has no end to read to.
        if path == "/auth/session/events"
            || table()
                .iter()
                .any(|row| row.path == path && method == *row.method)
        {
            continue;
        }
        let path = path.replace("{id}", &nobody);
        let mut half = Half::sent(
            app.address,
            token,
            method.as_str(),
            &path,
            &json!({ "half": true }),
        );
        let mut status = [0; 12];
        half.stream.read_exact(&mut status).unwrap();
        let status = std::str::from_utf8(&status[9..]).unwrap().to_owned();
        assert_ne!(
            status, "408",
            "{method} {path} has waited for a body: it belongs in the table"
        );
    }
}
