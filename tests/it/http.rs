//! The headers of every response, and the answers to requests that make no sense.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, App, PASSWORD};

/// Asserts that the answer has each header of security, once.
fn is_secured(answer: &Answer, path: &str) {
    let policy = answer.header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(directive), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{path}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), geolocation=(), microphone=(), payment=()",
        ),
        ("strict-transport-security", ""),
    ] {
        assert_eq!(answer.header(name), value, "{path}: {name}");
    }
    for name in ["cache-control", "content-security-policy", "x-frame-options"] {
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{path}: {name}");
    }
}

#[tokio::test]
async fn every_response_carries_the_security_headers() {
    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("logo.svg"), "<svg/>").unwrap();
    let app = App::start_with(|config| config.http.static_dir = Some(own.path().to_owned())).await;
    let ada = app.signed_in("ada").await;
    let one_mb = "x".repeat(1_000_000);
    for (method, path, body, status) in [
        (Method::DELETE, "/auth/session", "", "405"),
        (Method::POST, "/auth/login", one_mb.as_str(), "413"),
        (Method::POST, "/auth/login", "", "415"),
        (Method::POST, "/nowhere", "", "404"),
        (Method::GET, "/static/%2ehidden", "", "404"),
        (Method::GET, "/%ff", "", "404"),
    ] {
        let mut request = ada.request(method, path);
        if !body.is_empty() {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_owned());
        }
        let answer = Answer::of(request).await;
        assert_eq!(answer.status.as_str(), status, "{path}");
        is_secured(&answer, path);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    for path in [
        "/login",
        "/",
        "/dashboard",
        "/auth/session",
        "/nowhere",
        "/static/oneseat.js",
        "/static/0123456789abcdef/oneseat.js",
        "/static/logo.svg",
        "/static/nothing",
        "/readyz",
        "/openapi.json",
        "/docs/api/",
        "/docs/api/swagger-ui.css",
    ] {
        let answer = ada.get(path).await;
        is_secured(&answer, path);
        let may_be_kept = path != "/static/nothing" && path.starts_with("/static/")
            || path.starts_with("/docs/")
            || path == "/openapi.json";
        let kept = if may_be_kept { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), kept, "{path}");
    }
    // WebKitGTK shows nothing after "Back" to a page with one of them (docs/decisions/0015).
    let webkitgtk = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15";
    for (path, policy) in [("/login", ""), ("/auth/session", "same-origin")] {
        let request = ada.request(Method::GET, path).header("User-Agent", webkitgtk);
        let answer = Answer::of(request).await;
        assert_eq!(answer.header("cross-origin-opener-policy"), policy, "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
}

#[tokio::test]
async fn https_is_made_to_stick() {
    let app =
        App::start_with(|config| config.http.public_url = Some("https://seat.example.org".to_owned())).await;
    assert!(
        app.visitor()
            .get("/login")
            .await
            .header("strict-transport-security")
            .contains("max-age=")
    );
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = App::start().await;
    for (method, path, allow) in [
        (Method::GET, "/auth/login", "POST"),
        (Method::GET, "/auth/logout", "POST"),
        (Method::DELETE, "/auth/session", "GET, HEAD"),
        (Method::POST, "/static/oneseat.js", "GET, HEAD"),
    ] {
        let answer = Answer::of(app.visitor().request(method, path)).await;
        assert_eq!(answer.problem(), "405 method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = App::start().await;
    let answer = Answer::of(app.visitor().request(Method::HEAD, "/login")).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    // Of an answer without an end there is no HEAD.
    let events = app
        .signed_in("ada")
        .await
        .request(Method::HEAD, "/auth/session/events");
    let refused = Answer::of(events).await;
    assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let app = App::start().await;
    for path in ["/nowhere", "/auth", "/static/nothing.js", "/static/.hidden"] {
        let answer = app.visitor().get(path).await;
        assert!(
            ["404 not_found", "400 bad_request"].contains(&answer.problem().as_str()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_login_that_makes_no_sense_is_refused_in_words_and_changes_nothing() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let long_email = format!("{}@example.org", "a".repeat(300));
    let emoji = "\u{1f600}".repeat(1_025);
    for (body, status) in [
        ("", "400 bad_request"),
        ("{", "400 bad_request"),
        ("null", "400 bad_request"),
        ("42", "400 bad_request"),
        ("[]", "400 bad_request"),
        (
            r#"["ada@example.org","correct horse battery staple"]"#,
            "400 bad_request",
        ),
        ("{}", "400 bad_request"),
        (r#"{"email":"ada@example.org"}"#, "400 bad_request"),
        (r#"{"email":null,"password":"x"}"#, "400 bad_request"),
        (r#"{"email":"ada@example.org","password":5}"#, "400 bad_request"),
        (
            r#"{"email":"ada@example.org","email":"b@x","password":"x"}"#,
            "400 bad_request",
        ),
        (r#"{"email":"ada@example.org","password":""}"#, "400 bad_request"),
        (r#"{"email":"","password":"x"}"#, "400 bad_request"),
        (r#"{"email":"ada","password":"x"}"#, "400 bad_request"),
        (
            r#"{"email":"a\u0000@example.org","password":"x"}"#,
            "400 bad_request",
        ),
        (
            r#"{"email":"ada@example.org","password":"a\u0000"}"#,
            "401 invalid_credentials",
        ),
        (
            &json!({"email": long_email, "password": "x"}).to_string(),
            "400 bad_request",
        ),
        (
            &json!({"email": "ada@example.org", "password": "x".repeat(1_025)}).to_string(),
            "400 bad_request",
        ),
        (
            &json!({"email": "ada@example.org", "password": emoji}).to_string(),
            "400 bad_request",
        ),
        (
            &json!({"email": "ada@example.org", "password": "x".repeat(1_000_000)}).to_string(),
            "413 body_too_large",
        ),
        (
            &json!({"email": "ad\u{430}@example.org", "password": PASSWORD}).to_string(),
            "401 invalid_credentials",
        ),
    ] {
        let request = app
            .visitor()
            .request(Method::POST, "/auth/login")
            .header("Content-Type", "application/json")
            .body(body.to_owned());
        let answer = Answer::of(request).await;
        assert_eq!(answer.problem(), status, "{}", &body[..body.len().min(80)]);
    }
    assert_eq!(app.sessions(), 1);
}

#[tokio::test]
async fn a_login_that_is_not_json_is_refused() {
    let app = App::start().await;
    let json = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let (refused, taken) = ("415 unsupported_media_type", "401 invalid_credentials");
    for (content_type, problem) in [
        ("text/plain", refused),
        ("application/x-www-form-urlencoded", refused),
        ("application/jsonp", refused),
        ("text/json", refused),
        ("application/vnd.api+json", refused),
        ("nonsense", refused),
        ("application/json", taken),
        ("application/json; charset=utf-8", taken),
        ("application/json;charset=\"UTF-8\"", taken),
        ("Application/JSON", taken),
    ] {
        let request = app
            .visitor()
            .request(Method::POST, "/auth/login")
            .header("Content-Type", content_type)
            .body(json.clone());
        assert_eq!(Answer::of(request).await.problem(), problem, "{content_type}");
    }
}

#[tokio::test]
async fn what_was_sent_is_not_repeated() {
    let app = App::start().await;
    for body in [
        r#"{"email":["canary-email"],"password":"canary-password"}"#,
        r#"{"email":"ada@example.org","password":"x","takeover":"canary"}"#,
        r#"{"email":"ada@example.org","password":"x","endsWithPage":"canary"}"#,
    ] {
        let request = app
            .visitor()
            .request(Method::POST, "/auth/login")
            .header("Content-Type", "application/json")
            .body(body);
        let answer = Answer::of(request).await;
        assert_eq!(answer.problem(), "400 bad_request", "{body}");
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
}

/// Sends the bytes of a client that ignores the rules, and returns the status line of the answer.
fn raw(app: &App, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(app.address).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    connection.write_all(request).unwrap();
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).unwrap();
    line
}

#[tokio::test]
async fn no_path_leads_out_of_the_static_directory() {
    let app = App::start().await;
    for path in [
        "/static/../Cargo.toml",
        "/static/%2e%2e/Cargo.toml",
        "/static/..%2fCargo.toml",
        "/static/0123456789abcdef/../../Cargo.toml",
        "/static//etc/passwd",
    ] {
        let answer = raw(
            &app,
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert!(
            answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let app = App::start().await;
    let head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{";
    assert!(raw(&app, head).starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn a_dead_token_is_told_before_a_wrong_body() {
    let app = App::start().await;
    let dead = app.visitor().with_token("ab".repeat(32));
    let request = dead
        .request(Method::POST, "/auth/logout")
        .header("Content-Type", "text/plain")
        .body("x");
    assert_eq!(Answer::of(request).await.problem(), "401 token_invalid");
}
