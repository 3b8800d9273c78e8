//! Pages of other origins.

use reqwest::Method;

use crate::support::{Answer, App, Client, Database, Program};

/// The preflight that a browser sends for a request of a page of another origin.
async fn preflight(app: &App, origin: &str) -> Answer {
    preflight_of(app, origin, "GET").await
}

async fn preflight_of(app: &App, origin: &str, method: &str) -> Answer {
    let request = app
        .visitor()
        .request(Method::OPTIONS, "/auth/session")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "authorization,oneseat-passive");
    Answer::of(request).await
}

async fn from_origin(client: &Client, origin: &str) -> Answer {
    let request = client
        .request(Method::GET, "/auth/session")
        .header("Origin", origin);
    Answer::of(request).await
}

#[tokio::test]
async fn pages_of_the_origins_named_may_use_the_api_and_no_others() {
    let app =
        App::start_with(|config| config.http.cors_origins = vec!["https://app.example.org".to_owned()]).await;
    let ada = app.signed_in("ada").await;
    let allowed = preflight(&app, "https://app.example.org").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    assert_eq!(allowed.header("x-content-type-options"), "nosniff");
    // The browser asks once an hour, and not for every request.
    assert_eq!(allowed.header("access-control-max-age"), "3600");
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        let allowed = preflight_of(&app, "https://app.example.org", method).await;
        assert_eq!(allowed.status, 200, "{method}");
        let methods = allowed.header("access-control-allow-methods");
        assert!(
            methods.split(", ").any(|allowed| allowed == method),
            "{method}: {methods}"
        );
    }
    let answer = from_origin(&ada, "https://app.example.org").await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    assert!(answer.header("vary").to_lowercase().contains("origin"));
    // The client module asks the browser whether it has few connections.
    assert_eq!(answer.header("timing-allow-origin"), "https://app.example.org");
    let exposed = answer.header("access-control-expose-headers").to_lowercase();
    let mut exposed: Vec<&str> = exposed.split(", ").collect();
    exposed.sort_unstable();
    assert_eq!(exposed, ["retry-after", "www-authenticate", "x-request-id"]);
    let refused = from_origin(&app.visitor(), "https://app.example.org").await;
    assert_eq!(refused.problem(), "401 token_missing");
    assert_eq!(
        refused.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    for other in [
        "https://app.example.org.evil.example",
        "https://evil.example",
        "http://app.example.org",
        "https://app.example.org:8443",
        "null",
    ] {
        assert_eq!(
            preflight(&app, other).await.problem(),
            "400 bad_request",
            "{other}"
        );
        let answer = from_origin(&ada, other).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{other}");
        assert_eq!(answer.header("timing-allow-origin"), "", "{other}");
    }
}

/// The framework answers for a part of a file that there is not.
#[tokio::test]
async fn pages_of_other_origins_may_read_the_errors_of_the_framework() {
    const ORIGIN: &str = "https://app.example.org";
    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("logo.svg"), "<svg/>").unwrap();
    let app = App::start_with(|config| {
        config.http.cors_origins = vec![ORIGIN.to_owned()];
        config.http.static_dir = Some(own.path().to_owned());
    })
    .await;
    let part = app
        .visitor()
        .request(Method::GET, "/static/logo.svg")
        .header("Origin", ORIGIN)
        .header("Range", "bytes=100-");
    let refused = Answer::of(part).await;
    assert_eq!(refused.problem(), "416 bad_request");
    assert_eq!(refused.header("access-control-allow-origin"), ORIGIN);
    let exposed = refused.header("access-control-expose-headers").to_lowercase();
    assert!(exposed.contains("x-request-id"), "{exposed}");
    assert!(refused.header("vary").to_lowercase().contains("origin"));
}

#[tokio::test]
async fn without_an_origin_named_there_is_no_cors() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let preflight = preflight(&app, "https://app.example.org").await;
    assert_eq!(preflight.problem(), "405 method_not_allowed");
    let answer = from_origin(&ada, "https://app.example.org").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn an_origin_is_allowed_as_browsers_send_it_however_it_was_written() {
    let database = Database::fresh();
    let origins = "https://bücher.example, HTTPS://App.Example.org:443/";
    let args = [
        "--bind",
        "127.0.0.1:0",
        "--database-url",
        database.url(),
        "--cors-origins",
        origins,
    ];
    let program = Program::serve_with(&args, &[]);
    for (origin, allowed) in [
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://app.example.org", "https://app.example.org"),
        ("https://bcher.example", ""),
        ("https://app.example.org:444", ""),
    ] {
        let answer = from_origin(&program.visitor(), origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{origin}");
    }
}
