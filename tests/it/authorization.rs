//! Which caller reaches what: every route, as visitor, user and admin.

use std::collections::BTreeSet;

use oneseat::web::routes;
use reqwest::Method;
use reqwest::header::AUTHORIZATION;

use crate::support::{Answer, App};

/// Method, path, and the status for a visitor, a user and an admin. The test fails for a route that is not
/// listed here.
const TABLE: &[(&str, &str, [u16; 3])] = &[
    ("GET", "/healthz", [200, 200, 200]),
    ("GET", "/readyz", [200, 200, 200]),
    ("GET", "/openapi.json", [200, 200, 200]),
    ("GET", "/openapi-3.0.json", [200, 200, 200]),
    ("GET", "/.well-known/oauth-authorization-server", [404, 404, 404]),
    ("GET", "/docs", [303, 303, 303]),
    ("GET", "/docs/api", [303, 303, 303]),
    ("GET", "/docs/api/", [200, 200, 200]),
    ("GET", "/docs/api/{file}", [404, 404, 404]),
    ("POST", "/auth/login", [415, 415, 415]),
    ("POST", "/auth/logout", [401, 200, 200]),
    ("GET", "/auth/session", [401, 200, 200]),
    ("POST", "/auth/password/forgot", [415, 415, 415]),
    ("POST", "/auth/link", [415, 415, 415]),
    ("POST", "/auth/password/reset", [415, 415, 415]),
    ("POST", "/auth/password/change", [401, 415, 415]),
    ("POST", "/auth/email/resend", [415, 415, 415]),
    ("POST", "/auth/email/verify", [415, 415, 415]),
    ("POST", "/auth/email/confirm", [415, 415, 415]),
    ("POST", "/auth/email/change", [401, 415, 415]),
    ("DELETE", "/auth/email/change", [401, 200, 200]),
    ("PATCH", "/auth/account", [401, 415, 415]),
    ("GET", "/forgot", [200, 200, 200]),
    ("GET", "/reset", [200, 200, 200]),
    ("GET", "/welcome", [200, 200, 200]),
    ("GET", "/verify", [200, 200, 200]),
    ("GET", "/email", [200, 200, 200]),
    ("GET", "/", [303, 303, 303]),
    ("GET", "/login", [200, 200, 200]),
    ("GET", "/.well-known/change-password", [303, 303, 303]),
    ("GET", "/dashboard", [303, 200, 200]),
    ("GET", "/auth/session/events", [401, 200, 200]),
    ("GET", "/auth/history", [401, 200, 200]),
    ("GET", "/auth/verify", [401, 200, 200]),
    ("POST", "/auth/introspect", [415, 401, 401]),
    ("GET", "/admin", [303, 303, 303]),
    ("GET", "/admin/sessions", [303, 403, 200]),
    ("GET", "/admin/history", [303, 403, 200]),
    ("GET", "/api/admin/sessions", [401, 403, 200]),
    ("DELETE", "/api/admin/sessions", [401, 403, 200]),
    ("DELETE", "/api/admin/sessions/{id}", [401, 403, 404]),
    ("GET", "/admin/users", [303, 403, 200]),
    ("GET", "/api/admin/users", [401, 403, 200]),
    ("POST", "/api/admin/users", [401, 403, 415]),
    ("POST", "/api/admin/users/import", [401, 403, 415]),
    ("GET", "/api/admin/users/{id}", [401, 403, 404]),
    ("PATCH", "/api/admin/users/{id}", [401, 403, 415]),
    ("DELETE", "/api/admin/users/{id}", [401, 403, 404]),
    ("POST", "/api/admin/users/{id}/disable", [401, 403, 404]),
    ("POST", "/api/admin/users/{id}/enable", [401, 403, 404]),
    ("POST", "/api/admin/users/{id}/password-link", [401, 403, 404]),
    ("PUT", "/api/admin/users/{id}/email", [401, 403, 415]),
    ("DELETE", "/api/admin/users/{id}/session", [401, 403, 404]),
    ("DELETE", "/api/admin/users/{id}/lock", [401, 403, 404]),
    ("GET", "/api/admin/history", [401, 403, 200]),
];

#[tokio::test]
async fn every_route_answers_everybody_as_the_table_says() {
    let listed: BTreeSet<_> = TABLE
        .iter()
        .map(|(method, path, _)| (method.to_string(), (*path).to_owned()))
        .collect();
    let routed: BTreeSet<_> = routes::list()
        .into_iter()
        .map(|(method, path)| (method.to_string(), path))
        .collect();
    assert_eq!(listed, routed);

    let app = App::start().await;
    let nobody = uuid::Uuid::new_v4().to_string();
    for (method, path, statuses) in TABLE {
        // A new sign-in for each call, because some routes end the session.
        app.database().execute("delete from users");
        let callers = [app.visitor(), app.signed_in("ada").await, app.admin().await];
        for (caller, status) in callers.iter().zip(statuses) {
            let answer = caller
                .request(method.parse().unwrap(), &path.replace("{id}", &nobody))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), *status, "{method} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn protected_routes_need_a_token() {
    let app = App::start().await;
    let answer = app.visitor().session().await;
    assert_eq!(answer.problem(), "401 token_missing");
    assert_eq!(answer.json()["detail"], "No authentication token provided");
    assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="oneseat""#);

    let answer = app.visitor().with_token("ab".repeat(32)).session().await;
    assert_eq!(answer.problem(), "401 token_invalid");
    assert_eq!(answer.json()["detail"], "Invalid or expired session");
    assert_eq!(
        answer.header("www-authenticate"),
        r#"Bearer realm="oneseat", error="invalid_token""#
    );
}

#[tokio::test]
async fn the_header_is_read_as_the_rfcs_say() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let token = ada.token.clone().unwrap();
    let changed = format!("{}{}", &token[..63], if token.ends_with('0') { '1' } else { '0' });
    for (value, outcome) in [
        (format!("bearer {token}"), "200"),
        (format!("BEARER {token}"), "200"),
        (format!("Bearer   {token}  "), "200"),
        (format!("Bearer {changed}"), "401 token_invalid"),
        (format!("Bearer {}", token.to_uppercase()), "401 token_invalid"),
        (format!("Bearer {token} {token}"), "401 token_invalid"),
        (format!("Bearer {}", "a".repeat(30_000)), "401 token_invalid"),
        ("Bearer".to_owned(), "401 token_missing"),
        ("Basic YWRhOnBhc3N3b3Jk".to_owned(), "401 token_missing"),
        (token.clone(), "401 token_missing"),
    ] {
        let request = app
            .visitor()
            .request(Method::GET, "/auth/session")
            .header(AUTHORIZATION, &value);
        let answer = Answer::of(request).await;
        let seen = if answer.status == 200 {
            "200".to_owned()
        } else {
            answer.problem()
        };
        assert_eq!(seen, outcome, "{value}");
    }
    let twice = ada
        .request(Method::GET, "/auth/session")
        .header(AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(Answer::of(twice).await.problem(), "400 bad_request");
}

#[tokio::test]
async fn a_token_in_the_query_or_a_cookie_is_ignored() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let token = ada.token.unwrap();
    let path = format!("/auth/session?token={token}&access_token={token}");
    assert_eq!(app.visitor().get(&path).await.problem(), "401 token_missing");
    let cookie = format!("token={token}; session={token}; oneseat={token}");
    let request = app
        .visitor()
        .request(Method::GET, "/auth/session")
        .header("Cookie", cookie);
    assert_eq!(Answer::of(request).await.problem(), "401 token_missing");
}

#[tokio::test]
async fn a_page_fetched_with_a_dead_token_is_a_problem_and_not_a_redirect() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    assert!(ada.get("/dashboard").await.text.contains("ada@example.org"));
    ada.logout().await;
    assert_eq!(ada.get("/dashboard").await.problem(), "401 session_ended");
    let navigation = app.visitor().get("/dashboard").await;
    assert_eq!(
        (navigation.status.as_u16(), navigation.header("location")),
        (303, "/login")
    );
}

#[tokio::test]
async fn what_people_call_themselves_is_text_on_the_page() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database()
        .execute("update users set name = '<img src=x onerror=alert(1)>'");
    let page = ada.get("/dashboard").await.text;
    assert!(
        !page.contains("<img src=x") && page.contains("&#60;img src=x"),
        "{page}"
    );
}

#[tokio::test]
async fn who_may_not_ask_is_told_so_before_what_is_wrong_with_the_question() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    for (method, path) in [
        (Method::DELETE, "/api/admin/sessions/7"),
        (Method::DELETE, "/api/admin/sessions?q="),
        (Method::DELETE, "/api/admin/users/7"),
        (Method::PATCH, "/api/admin/users/7"),
        (Method::DELETE, "/api/admin/users/7/session"),
        (Method::DELETE, "/api/admin/users/7/lock"),
        (Method::GET, "/api/admin/sessions?q=a&q=b"),
        (Method::GET, "/api/admin/history?limit=x"),
        (Method::GET, "/admin/sessions?after=x"),
    ] {
        assert_eq!(
            Answer::of(ada.request(method.clone(), path)).await.problem(),
            "403 forbidden",
            "{path}"
        );
        let visitor = app.visitor().with_token("ab".repeat(32));
        assert_eq!(
            Answer::of(visitor.request(method, path)).await.problem(),
            "401 token_invalid",
            "{path}"
        );
    }
}
