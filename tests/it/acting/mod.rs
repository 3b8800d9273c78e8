//! An ended session can do nothing, and there is always an admin.

mod bodies;
mod circles;
mod last_admin;
mod roles;
mod told;
mod waits;

use std::collections::BTreeSet;

use oneseat::auth::{Authority, LastAdmin};
use oneseat::config::{MailPolicy, ServeConfig};
use oneseat::users::{Email, Password, Role};
use oneseat::web::routes;
use reqwest::Method;
use serde_json::Value;

use crate::support::{App, Client, sql};

const ROOT: &str = "root@example.org";

/// A server with mail, so that no call is refused because there is none.
fn with_mail(config: &mut ServeConfig) {
    config.policy.mail = MailPolicy::Needed;
}

/// The ways in which an admin's session can end, or the admin can lose the role, with the answer to the next
/// call.
const ENDS: [(&str, &str); 10] = [
    ("signed_out", "401 session_ended signed_out"),
    ("replaced", "401 session_ended replaced"),
    ("revoked", "401 session_ended revoked"),
    ("expired", "401 session_ended expired"),
    ("restored", "401 session_ended restored"),
    ("new password", "401 session_ended password_changed"),
    ("disabled", "401 session_ended account_disabled"),
    ("disabled by plain SQL", "401 session_ended account_disabled"),
    ("removed", "401 session_ended account_disabled"),
    (DEMOTED, "403 forbidden"),
];

const DEMOTED: &str = "demoted";

async fn end(app: &App, holder: &Client, how: &str) {
    let email: Email = ROOT.parse().unwrap();
    match how {
        "signed_out" => assert_eq!(holder.logout().await.status, 200),
        "replaced" => drop(app.visitor().sign_in(ROOT).await),
        "revoked" => assert_eq!(app.auth.revoke_all().await.unwrap(), 1),
        "expired" => app.database().execute(&sql::backdate_sessions("3 hours")),
        "restored" => app.database().execute(sql::BROUGHT_BACK),
        "new password" => {
            let password = Password::chosen("nine green bottles on a wall", &[]).unwrap();
            app.auth.set_password(email, password).await.unwrap();
        }
        "disabled" => app
            .auth
            .disable(email, Authority::Operator, LastAdmin::MayGo)
            .await
            .unwrap(),
        "disabled by plain SQL" => app.database().execute("update users set disabled_at = now()"),
        "removed" => app
            .auth
            .remove_user(email, Authority::Operator, LastAdmin::MayGo)
            .await
            .unwrap(),
        DEMOTED => app.database().execute("update users set role = 'user'"),
        _ => panic!("{how}"),
    }
}

/// Deletes every user and everything about them.
fn forget_everybody(app: &App) {
    app.database().execute(
        "delete from users; delete from ended_sessions; delete from mails; delete from login_failures",
    );
}

/// A digest of each table that a request could change. The end of a session that was over may be written at
/// any time: it does not count as a change.
fn state(app: &App) -> Vec<i64> {
    let tables = [
        "select id from sessions natural join (select id as user_id from users where disabled_at is null) as able \
         where expires_at > now() and not is_restored",
        "select id, reason from ended_sessions where reason not in ('expired', 'restored', 'account_disabled')",
        "select * from users",
        "select * from mails",
        "select * from undelivered_mails",
        "select * from mail_requests",
        "select * from one_time_links",
        "select * from known_origins",
        "select * from login_failures",
        "select * from service_clients",
    ];
    tables
        .map(|table| {
            let digest = format!(
                "select coalesce(sum(hashtextextended(t::text, 0)::numeric) % 1000000007, 0) from ({table}) as t"
            );
            app.database().number(&digest)
        })
        .to_vec()
}

/// Is the call about the caller's own account, so that it needs no role?
const OWN_CHANGE: &str = "/auth/email/change";

/// The calls of an admin without a body, each with an existing user and session, so that it would have an
/// effect.
fn acts(user: &str, session: &str) -> Vec<(Method, String)> {
    vec![
        (Method::DELETE, format!("/api/admin/sessions/{session}")),
        (Method::DELETE, "/api/admin/sessions".to_owned()),
        (Method::DELETE, format!("/api/admin/users/{user}")),
        (Method::DELETE, format!("/api/admin/users/{user}/session")),
        (Method::DELETE, format!("/api/admin/users/{user}/lock")),
        (Method::POST, format!("/api/admin/users/{user}/disable")),
        (Method::POST, format!("/api/admin/users/{user}/enable")),
        (Method::POST, format!("/api/admin/users/{user}/password-link")),
        (Method::DELETE, OWN_CHANGE.to_owned()),
    ]
}

async fn id_of(client: &Client) -> String {
    client.session().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A second admin, signed in.
async fn second_admin(app: &App) -> Client {
    app.add_user("grace", Role::Admin).await;
    app.visitor().sign_in("grace@example.org").await
}

/// `401 session_ended revoked`, or only the status of an answer that is not a problem.
fn in_short(status: &str, body: &str) -> String {
    let mut words = vec![status.to_owned()];
    if let Ok(body) = serde_json::from_str::<Value>(body) {
        let told = ["code", "reason"].iter().filter_map(|name| body[name].as_str());
        words.extend(told.map(str::to_owned));
    }
    words.join(" ")
}

#[test]
fn every_route_that_changes_something_is_tried() {
    let with_a_body = bodies::table()
        .into_iter()
        .map(|row| (row.method.to_owned(), row.path.to_owned()));
    let without = acts("{id}", "{id}")
        .into_iter()
        .map(|(method, path)| (method.to_string(), path));
    let tried: BTreeSet<_> = with_a_body.chain(without).collect();
    let routed = routes::list()
        .into_iter()
        .filter(|(method, _)| *method != Method::GET.as_str())
        .map(|(method, path)| (method.to_string(), path));
    assert_eq!(tried, routed.collect());
}
