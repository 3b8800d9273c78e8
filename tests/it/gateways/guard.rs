//! In front of an application that reads names of headers as CGI does.

use reqwest::Method;
use serde_json::json;

use super::connection::Connection;
use super::upstream::{Request, Upstream};
use super::{Gateway, Task, free_addresses};
use crate::support::{Answer, App, Client};

/// What oneseat says who it is, for somebody who stands in for it.
const ADA: &str = "Remote-User: ada@example.org\r\nRemote-Email: ada@example.org\r\nRemote-Name: ada\r\nRemote-Groups: user\r\n";

const NAMES: [&str; 4] = ["Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups"];

/// Every sign that a header's name may hold beside letters and digits (RFC 9110 5.6.2).
const SEPARATORS: &str = "-_.!#$%&'*+^`|~";

async fn trusting() -> App {
    App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await
}

/// The application was told once who it is, by nobody else, and not the token.
fn assert_is_ada(gateway: &Gateway, request: &Request) {
    for (name, value) in [
        ("HTTP_REMOTE_USER", "ada@example.org"),
        ("HTTP_REMOTE_EMAIL", "ada@example.org"),
        ("HTTP_REMOTE_NAME", "ada"),
        ("HTTP_REMOTE_GROUPS", "user"),
    ] {
        let told = request.variable(name);
        assert_eq!(told, [value], "{:?}, {name}: {request:#?}", gateway.kind);
    }
    let token = request.variable("HTTP_AUTHORIZATION");
    assert!(token.is_empty(), "{:?}: {request:#?}", gateway.kind);
}

/// The status of what the gateway answers to somebody with this token and these headers.
async fn asked(gateway: &Gateway, token: &str, headers: &str) -> u16 {
    let mut connection = Connection::plain(gateway).await;
    let host = gateway.address;
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
    connection.send(&head).await;
    connection.status().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gateway_lets_through_who_is_signed_in_and_nobody_else() {
    let (app, application) = (trusting().await, Upstream::application());
    let admin = app.admin().await;
    app.signed_in("ada").await;
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), app.address).await {
        let kind = gateway.kind;
        let ada = app.visitor().sign_in("ada@example.org").await;
        let through = ada.at(gateway.address);
        // Whatever the application is asked, it is no question to oneseat.
        for query in ["with=query", "role=admin", "role=user&role=admin"] {
            let answer = through.get(&format!("/some/path?{query}")).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text.as_str()),
                (200, "ok"),
                "{kind:?}"
            );
            let request = application.only_request();
            assert_eq!(
                request.line,
                format!("GET /some/path?{query} HTTP/1.1"),
                "{kind:?}"
            );
            assert_is_ada(&gateway, &request);
        }
        let answer = through.post("/", &json!({ "a": "body" })).await;
        assert_eq!(answer.status, 200, "{kind:?}: {answer:?}");
        assert_eq!(application.only_request().body, r#"{"a":"body"}"#, "{kind:?}");

        assert_eq!(admin.at(gateway.address).get("/").await.status, 200, "{kind:?}");
        assert_eq!(
            application.only_request().variable("HTTP_REMOTE_GROUPS"),
            ["admin"]
        );

        let answer = app.visitor().at(gateway.address).get("/").await;
        assert_eq!(answer.status, 401, "{kind:?}");
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="oneseat""#,
            "{kind:?}"
        );
        assert_eq!(ada.logout().await.status, 200);
        let answer = through.get("/").await;
        assert_eq!(answer.status, 401, "{kind:?}");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.ends_with(r#"error="invalid_token""#),
            "{kind:?}: {challenge}"
        );
        assert!(application.requests().is_empty(), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gateway_for_admins_lets_admins_through_and_nobody_else() {
    let (app, application) = (trusting().await, Upstream::application());
    let (ada, admin) = (app.signed_in("ada").await, app.admin().await);
    for gateway in Gateway::of_all_kinds(Task::GuardForAdmins(application.address), app.address).await {
        let kind = gateway.kind;
        assert_eq!(ada.at(gateway.address).get("/").await.status, 403, "{kind:?}");
        assert_eq!(
            ada.at(gateway.address).get("/?role=user").await.status,
            403,
            "{kind:?}"
        );
        assert!(application.requests().is_empty(), "{kind:?}");
        assert_eq!(admin.at(gateway.address).get("/").await.status, 200, "{kind:?}");
        assert_eq!(
            application.only_request().variable("HTTP_REMOTE_USER"),
            ["root@example.org"]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_says_who_it_is_in_any_spelling() {
    let (app, application) = (trusting().await, Upstream::application());
    let ada = app.signed_in("ada").await;
    let token = ada.token.clone().unwrap();
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), app.address).await {
        for separator in SEPARATORS.chars() {
            let spelled = NAMES.map(|name| name.replace('-', &separator.to_string()));
            let forged = spelled.map(|name| {
                let (lower, upper) = (name.to_lowercase(), name.to_uppercase());
                format!("{name}: admin\r\n{lower}: admin\r\n{upper}: admin\r\n")
            });
            let forged = forged.concat();
            let status = asked(&gateway, &token, &forged).await;
            assert_eq!(status, 200, "{:?}, {separator}", gateway.kind);
            assert_is_ada(&gateway, &application.only_request());
            // Nor does it help anybody who is not signed in.
            let status = asked(&gateway, "none", &forged).await;
            assert_eq!(status, 401, "{:?}, {separator}", gateway.kind);
            assert!(application.requests().is_empty(), "{:?}", gateway.kind);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_takes_away_what_a_gateway_sets() {
    let (app, application) = (trusting().await, Upstream::application());
    let ada = app.signed_in("ada").await;
    let token = ada.token.clone().unwrap();
    let every = [&NAMES[..], &["X-Forwarded-For", "X-Request-Id"]]
        .concat()
        .join(", ");
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), app.address).await {
        for nominated in [
            format!("Connection: {every}\r\n"),
            format!("Connection: close, {every}\r\n"),
            format!(
                "Connection: keep-alive\r\nConnection: {}\r\n",
                every.to_lowercase()
            ),
            format!("Connection: Upgrade, {every}\r\nUpgrade: another\r\n"),
        ] {
            let status = asked(&gateway, &token, &nominated).await;
            assert_eq!(status, 200, "{:?}, {nominated}", gateway.kind);
            let request = application.only_request();
            assert_is_ada(&gateway, &request);
            assert_eq!(
                request.variable("HTTP_X_FORWARDED_FOR"),
                ["127.0.0.2"],
                "{request:#?}"
            );
            assert_eq!(request.variable("HTTP_X_REQUEST_ID").len(), 1, "{request:#?}");
            // Nor can it have the application drop anything.
            for connection in request.variable("HTTP_CONNECTION") {
                let options = ["close", "keep-alive"].contains(&connection.to_lowercase().as_str());
                assert!(options, "{:?}: {request:#?}", gateway.kind);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_alone_says_the_address_and_the_name() {
    let (oneseat, application) = (Upstream::answering("200 OK", ADA), Upstream::application());
    let forged = "X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\nX-Request-Id: chosen\r\nx-request-id: again\r\n";
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), oneseat.address).await {
        let mut names = Vec::new();
        for _ in 0..2 {
            assert_eq!(
                asked(&gateway, "a-token", forged).await,
                200,
                "{:?}",
                gateway.kind
            );
            let (question, request) = (oneseat.only_request(), application.only_request());
            assert!(question.line.starts_with("GET /auth/verify"), "{question:#?}");
            assert_eq!(question.variable("HTTP_AUTHORIZATION"), ["Bearer a-token"]);
            assert_is_ada(&gateway, &request);
            for told in [&question, &request] {
                assert_eq!(
                    told.variable("HTTP_X_FORWARDED_FOR"),
                    ["127.0.0.2"],
                    "{:?}: {told:#?}",
                    gateway.kind
                );
            }
            let name = request.variable("HTTP_X_REQUEST_ID").concat();
            assert_eq!(
                question.variable("HTTP_X_REQUEST_ID"),
                [&name],
                "{:?}: {question:#?}",
                gateway.kind
            );
            names.push(name);
        }
        assert!(
            names[0] != names[1] && !names.concat().contains("chosen"),
            "{names:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_through_when_nobody_can_tell() {
    let application = Upstream::application();
    let somebody = |gateway: &Gateway| Client::new(gateway.address).with_token("ab".repeat(32));
    let [nobody, _] = free_addresses();
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), nobody).await {
        let status = somebody(&gateway).get("/").await.status;
        assert!(status.is_server_error(), "{:?}: {status}", gateway.kind);
    }
    for (status, headers, answered) in [
        ("503 Service Unavailable", "Retry-After: 2\r\n", 503),
        ("429 Too Many Requests", "Retry-After: 2\r\n", 429),
        ("400 Bad Request", "", 400),
    ] {
        let oneseat = Upstream::answering(status, headers);
        for gateway in Gateway::of_all_kinds(Task::Guard(application.address), oneseat.address).await {
            let answer = Answer::of(somebody(&gateway).request(Method::POST, "/").body("a body")).await;
            assert_eq!(answer.status, answered, "{:?}: {answer:?}", gateway.kind);
            let retry = if headers.is_empty() { "" } else { "2" };
            assert_eq!(
                answer.header("retry-after"),
                retry,
                "{:?}, {status}",
                gateway.kind
            );
        }
    }
    for status in ["302 Found", "404 Not Found", "500 Internal Server Error"] {
        let oneseat = Upstream::answering(status, ADA);
        for gateway in Gateway::of_all_kinds(Task::Guard(application.address), oneseat.address).await {
            let answer = somebody(&gateway).get("/").await;
            assert!(!answer.status.is_success(), "{:?}: {answer:?}", gateway.kind);
        }
    }
    assert!(application.requests().is_empty());
}
