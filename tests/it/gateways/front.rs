//! Gateways in front of oneseat itself.

use std::num::NonZeroU32;

use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use super::connection::{CLIENT, Connection};
use super::upstream::Upstream;
use super::{Gateway, Task};
use crate::support::{Answer, App, Client, PASSWORD, Program};

/// Every header by which a client could claim an address.
fn forged(n: usize) -> Vec<(&'static str, String)> {
    vec![
        ("X-Forwarded-For", format!("198.51.100.{n}")),
        ("X-Forwarded-For", format!("203.0.113.{n}, 127.0.0.1")),
        ("Forwarded", format!("for=198.51.100.{n}")),
        ("X-Real-IP", format!("198.51.100.{n}")),
        ("X-Request-Id", format!("chosen-{n}")),
        // Another header to oneseat.
        ("X_Forwarded_For", format!("198.51.100.{n}")),
        ("X.Request.Id", format!("chosen-{n}")),
    ]
}

/// A client at [`CLIENT`] that connects to `https://seat.example.org`.
pub(super) fn visitor(gateway: &Gateway) -> Client {
    // Installs the cryptography provider of TLS in this process.
    let _ = Client::new(gateway.address);
    let trusted = reqwest::Certificate::from_der(&gateway.certificate).unwrap();
    let builder = reqwest::Client::builder()
        .tls_certs_only([trusted])
        .resolve("seat.example.org", gateway.address)
        .local_address(Some(CLIENT.into()));
    let origin = format!("https://seat.example.org:{}", gateway.address.port());
    Client::built(builder, origin)
}

async fn login(client: &Client, headers: Vec<(&'static str, String)>, email: &str, password: &str) -> Answer {
    let mut request = client.request(Method::POST, "/auth/login");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let body = json!({ "email": email, "password": password });
    Answer::of(request.json(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_chooses_its_address_or_the_name_of_its_request() {
    for kind in super::Kind::ALL {
        let app = App::start_with(|config| {
            config.http.login_rate = NonZeroU32::new(3);
            config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
            config.http.public_url = Some("https://seat.example.org".to_owned());
        })
        .await;
        app.add_user("ada", Role::Admin).await;
        let gateway = Gateway::start(kind, Task::Front, app.address).await;
        let visitor = visitor(&gateway);
        let signed_in = login(&visitor, forged(1), "ada@example.org", PASSWORD).await;
        assert_eq!(signed_in.status, 200, "{kind:?}: {signed_in:?}");
        let ada = visitor.with_token(signed_in.json()["token"].as_str().unwrap());
        let listed = ada.get("/api/admin/sessions").await.json();
        assert_eq!(
            listed["sessions"][0]["ipAddress"], "127.0.0.2",
            "{kind:?}: {listed}"
        );

        // One origin, whatever the headers claim.
        for n in 2..=3 {
            let answer = login(&visitor, forged(n), "ada@example.org", "not the password").await;
            assert_eq!(answer.problem(), "401 invalid_credentials", "{kind:?}");
        }
        let answer = login(&visitor, forged(4), "ada@example.org", "not the password").await;
        assert_eq!(answer.problem(), "429 too_many_requests", "{kind:?}");

        let mut names = Vec::new();
        for n in 0..2 {
            let request = ada.request(Method::GET, "/auth/session");
            let answer = Answer::of(request.header("X-Request-Id", format!("chosen-{n}"))).await;
            assert_eq!(answer.status, 200, "{kind:?}: {answer:?}");
            for once in ["x-request-id", "strict-transport-security"] {
                assert_eq!(answer.headers.get_all(once).iter().count(), 1, "{kind:?}, {once}");
            }
            names.push(answer.header("x-request-id").to_owned());
        }
        assert!(
            names[0] != names[1] && !names.concat().contains("chosen"),
            "{kind:?}: {names:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oneseat_gets_each_header_once_and_from_the_gateway() {
    let oneseat = Upstream::application();
    let nominated = "X-Forwarded-For, X-Request-Id, Authorization, Host";
    for gateway in Gateway::of_all_kinds(Task::Front, oneseat.address).await {
        for headers in [
            String::new(),
            format!("Connection: {nominated}\r\n"),
            format!("Connection: close\r\nConnection: Upgrade, {nominated}\r\nUpgrade: another\r\n"),
            "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nX-Request-Id: chosen\r\nX-Request-Id: again\r\n".to_owned(),
        ] {
            let mut connection = Connection::tls(&gateway).await;
            let head = format!("GET /healthz HTTP/1.1\r\nHost: seat.example.org\r\n{headers}\r\n");
            connection.send(&head).await;
            assert_eq!(connection.status().await, 200, "{:?}, {headers}", gateway.kind);
            let request = oneseat.only_request();
            let told = |name| request.variable(name);
            assert_eq!(told("HTTP_X_FORWARDED_FOR"), ["127.0.0.2"], "{:?}: {request:#?}", gateway.kind);
            assert_eq!(told("HTTP_HOST"), ["seat.example.org"], "{:?}: {request:#?}", gateway.kind);
            for connection in told("HTTP_CONNECTION") {
                let options = ["close", "keep-alive", "upgrade"];
                let is_one = options.contains(&connection.to_lowercase().as_str());
                assert!(is_one, "{:?}: {request:#?}", gateway.kind);
            }
            let names = told("HTTP_X_REQUEST_ID");
            assert!(names.len() == 1 && !["chosen", "again"].contains(&names[0]), "{:?}: {request:#?}", gateway.kind);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_when_they_happen() {
    let app = App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    app.add_user("eve", Role::User).await;
    let admin = app.admin().await;
    for gateway in Gateway::of_all_kinds(Task::Front, app.address).await {
        let mut stream = Connection::tls(&gateway).await;
        let token = admin.token.as_deref().unwrap();
        let head = format!(
            "GET /auth/session/events HTTP/1.1\r\nHost: seat.example.org\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.send(&head).await;
        assert_eq!(stream.status().await, 200, "{:?}", gateway.kind);
        stream.read_until(": open\n").await;
        visitor(&gateway).sign_in("eve@example.org").await;
        let before = stream.read_until("event: changed\n").await;
        // An event that was held back would come with the next beat.
        assert!(!before.contains(": beat"), "{:?}: {before}", gateway.kind);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_is_refused() {
    let app = App::start().await;
    let head = "POST /auth/login HTTP/1.1\r\nHost: seat.example.org\r\nContent-Type: application/json\r\n";
    // More than anybody reads, and little enough to be sent before anybody answers.
    let large = "x".repeat(20_000);
    for gateway in Gateway::of_all_kinds(Task::Front, app.address).await {
        for body in [
            format!("Content-Length: 20000\r\n\r\n{large}"),
            format!("Transfer-Encoding: chunked\r\n\r\n4E20\r\n{large}\r\n0\r\n\r\n"),
        ] {
            let mut connection = Connection::tls(&gateway).await;
            connection.send(&format!("{head}{body}")).await;
            let status = connection.status().await;
            // oneseat does not wait for the rest. A gateway that was still sending it may miss the answer, and give its own.
            assert!([413, 502].contains(&status), "{:?}: {status}", gateway.kind);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_requests_end_at_the_gateway() {
    let oneseat = Upstream::application();
    for gateway in Gateway::of_all_kinds(Task::Front, oneseat.address).await {
        let kind = gateway.kind;
        let head = "POST /slow HTTP/1.1\r\nHost: seat.example.org\r\nContent-Length: 8\r\n\r\n";
        let before = oneseat.begun();
        let mut slow = Connection::tls(&gateway).await;
        slow.send(&format!("{head}half")).await;
        // Meanwhile other clients are served.
        for _ in 0..3 {
            let mut quick = Connection::tls(&gateway).await;
            let head = "GET /quick HTTP/1.1\r\nHost: seat.example.org\r\n\r\n";
            quick.send(head).await;
            assert_eq!(quick.status().await, 200, "{kind:?}");
            assert_eq!(oneseat.only_request().line, "GET /quick HTTP/1.1", "{kind:?}");
        }
        assert_eq!(oneseat.begun() - before, 3, "{kind:?}");
        slow.send("rest").await;
        assert_eq!(slow.status().await, 200, "{kind:?}");
        let request = oneseat.only_request();
        assert_eq!(
            (request.line.as_str(), request.body.as_str()),
            ("POST /slow HTTP/1.1", "halfrest"),
            "{kind:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_clear_there_is_nothing_but_the_way_to_tls() {
    let oneseat = Upstream::application();
    for gateway in Gateway::of_all_kinds(Task::Front, oneseat.address).await {
        if gateway.kind == super::Kind::Caddy {
            // By itself, at port 80, which is not the test's to take.
            continue;
        }
        let answer = Client::new(gateway.plain).get("/a/path?q=1").await;
        assert_eq!(answer.status, 301, "{:?}", gateway.kind);
        assert_eq!(
            answer.header("location"),
            "https://seat.example.org/a/path?q=1",
            "{:?}",
            gateway.kind
        );
    }
    assert!(oneseat.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_gateway_as_documented_is_warned_of_and_one_that_hands_on_headers_is() {
    let (program, _dir) = Program::alone(&["--trusted-proxies", "127.0.0.1"]);
    for gateway in Gateway::of_all_kinds(Task::Front, program.address).await {
        let email = format!("{:?}@example.org", gateway.kind);
        for headers in [Vec::new(), forged(1)] {
            let answer = login(&visitor(&gateway), headers, &email, "not the password").await;
            assert_eq!(answer.status, 401, "{email}: {answer:?}");
        }
    }
    // As if through a proxy that passes on what it receives.
    for _ in 0..2 {
        for headers in [Vec::new(), forged(1)] {
            let answer = login(&program.visitor(), headers, "ada@example.org", "not the password").await;
            assert_eq!(answer.status, 401, "{answer:?}");
        }
    }
    let (_, log) = program.terminate();
    let warnings: Vec<_> = log
        .iter()
        .filter(|line| line.contains("a trusted proxy "))
        .collect();
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    for words in [
        "sends no X-Forwarded-For",
        "with some requests only",
        "hands on addresses",
    ] {
        let told = warnings.iter().filter(|line| line.contains(words));
        assert_eq!(told.count(), 1, "{words}: {warnings:#?}");
    }
    // All of them after the last that came through a gateway.
    let through = log
        .iter()
        // What is counted is told at the end.
        .rposition(|line| line.contains("from=127.0.0.2") && !line.contains("count="))
        .unwrap();
    let first = log.iter().position(|line| line == warnings[0]).unwrap();
    assert!(through < first, "{log:#?}");
}
