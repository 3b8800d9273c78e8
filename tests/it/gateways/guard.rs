//! Gateways in front of an application that reads header names as CGI does.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::json;

use super::connection::Connection;
use super::upstream::{Request, Upstream};
use super::{Gateway, Kind, Task, free_addresses};
use crate::support::{Answer, App, Client};

/// The identity that oneseat's answer holds, for a server that stands in for oneseat.
const ADA: &str = "Remote-User: ada@example.org\r\nRemote-Email: ada@example.org\r\nRemote-Name: ada\r\nRemote-Groups: user\r\n";

const NAMES: [&str; 4] = ["Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups"];

/// Every character that a header name may have besides letters and digits (RFC 9110 5.6.2).
const SEPARATORS: &str = "-_.!#$%&'*+^`|~";

async fn trusting() -> App {
    App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await
}

/// The application got the identity exactly once, and from the gateway alone, and did not get the token.
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

/// The status of the gateway's answer to a request with this token and these headers.
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
        // Whatever path the client requests, it is not taken for a question to oneseat.
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
            // Nor does it help a client that is not signed in.
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
            // Nor can it make the application drop a header.
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
    let names = ["X-Forwarded-For", "X-Request-Id", "X-Real-IP", "Forwarded"];
    for gateway in Gateway::of_all_kinds(Task::Guard(application.address), oneseat.address).await {
        let mut given = Vec::new();
        // The first may stand for the next, too: names are separated twice.
        for (first, second) in SEPARATORS.chars().zip(SEPARATORS.chars().cycle().skip(1)) {
            let spelled = [[first, first], [first, second], ['-', first]].map(|[one, other]| {
                names.map(|name| {
                    let name = name
                        .replacen('-', &one.to_string(), 1)
                        .replace('-', &other.to_string());
                    format!("{name}: chosen\r\n{}: chosen\r\n", name.to_lowercase())
                })
            });
            let forged = spelled.concat().concat();
            let status = asked(&gateway, "a-token", &forged).await;
            assert_eq!(status, 200, "{:?}, {first}", gateway.kind);
            let (question, request) = (oneseat.only_request(), application.only_request());
            assert!(question.line.starts_with("GET /auth/verify"), "{question:#?}");
            assert_eq!(question.variable("HTTP_AUTHORIZATION"), ["Bearer a-token"]);
            assert_is_ada(&gateway, &request);
            for told in [&question, &request] {
                let address = told.variable("HTTP_X_FORWARDED_FOR");
                assert_eq!(address, ["127.0.0.2"], "{:?}, {first}: {told:#?}", gateway.kind);
                for (name, value) in told.variables() {
                    assert!(
                        !value.contains(&"chosen"),
                        "{:?}, {name}: {told:#?}",
                        gateway.kind
                    );
                }
            }
            let name = request.variable("HTTP_X_REQUEST_ID");
            assert_eq!(name.len(), 1, "{:?}, {first}: {request:#?}", gateway.kind);
            let asked_with = question.variable("HTTP_X_REQUEST_ID");
            assert_eq!(asked_with, name, "{:?}: {question:#?}", gateway.kind);
            given.push(name.concat());
        }
        let different: HashSet<_> = given.iter().collect();
        assert_eq!(different.len(), given.len(), "{:?}: {given:?}", gateway.kind);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_say_who_it_is_lets_nobody_through() {
    let application = Upstream::application();
    for answer in [
        // The answer of some other server, which accepts everything.
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nRemote-User: \r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nRemote-Groups: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n<p>Welcome to our network",
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        // The answer of a server that does not speak HTTP, or that dies.
        "",
        "SSH-2.0-another\r\n",
        "HTTP/1.1 200 OK\r\nRemote-User: ada@exam",
        "HTTP/1.1 2000 OK\r\n\r\n",
    ] {
        let oneseat = Upstream::saying(answer);
        for gateway in Gateway::of_all_kinds(Task::Guard(application.address), oneseat.address).await {
            let status = asked(&gateway, "a-token", "").await;
            assert!(
                (500..600).contains(&status),
                "{:?}, {answer:?}: {status}",
                gateway.kind
            );
            let told = application.requests();
            assert!(told.is_empty(), "{:?}, {answer:?}: {told:#?}", gateway.kind);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_a_program_of_the_gateway_lets_nobody_through() {
    let (oneseat, application) = (Upstream::answering("200 OK", ADA), Upstream::application());
    for (kind, answered) in [(Kind::Haproxy, 503), (Kind::Apache, 500)] {
        let task = Task::GuardWithAnError(application.address);
        let gateway = Gateway::start(kind, task, oneseat.address).await;
        assert_eq!(asked(&gateway, "a-token", "").await, answered, "{kind:?}");
        assert!(application.requests().is_empty(), "{kind:?}");
        assert!(oneseat.requests().is_empty(), "{kind:?} has no error");
    }
}
