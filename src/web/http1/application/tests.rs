//! Tests what is done for every request.

use std::future::poll_fn;

use actix_http::body::{MessageBody, to_bytes};
use actix_web::http::Method;
use actix_web::test::TestRequest;

use super::super::sliced::PIECE;
use super::super::supervisor::Workers;
use super::*;
use crate::captured_log;
use crate::config::StandardOutput;
use crate::config::tests::read_with;
use crate::token::Token;
use crate::users::Password;
use crate::web::entry::{Entry, entry, mount};

fn config(flags: &[&str]) -> ServeConfig {
    let flags = [&["--database-url", "postgres://"], flags].concat();
    read_with(StandardOutput::Elsewhere, &flags).unwrap().1
}

/// The application with these settings and routes.
async fn with(
    flags: &[&str],
    routes: &dyn Fn() -> Vec<Entry>,
) -> impl Service<Request, Response = Response<BoxBody>, Error = Infallible> + use<> {
    let presence = Workers::new(1).arrive();
    let routes = |app: &mut web::ServiceConfig| mount(app, routes());
    let (app, _) = application(&config(flags), &TrustedProxies::default(), presence, &routes);
    app.new_service(()).await.unwrap()
}

/// Panics at the worst time: it holds the secrets of the request, and its message shows them.
async fn panicking(request: HttpRequest, password: String) -> &'static str {
    let token = Token::parse(&request.headers().get("authorization").unwrap().as_bytes()[7..]).unwrap();
    let password = Password::typed(&password).unwrap();
    panic!("on purpose\nwith {token:?} and {password:?}")
}

#[actix_web::test]
async fn a_panic_is_one_failed_request_without_its_secrets_and_the_next_is_answered() {
    const ORIGIN: &str = "https://app.example.org";
    captured_log::start();
    let routes = || {
        let panicking = entry(Method::POST, "/panic", panicking);
        vec![panicking, entry(Method::GET, "/fine", async || "fine")]
    };
    let app = with(&["--cors-origins", ORIGIN], &routes).await;
    let (token, password) = ("ca".repeat(32), "a canary of a password");

    for _ in 0..2 {
        captured_log::lines();
        let request = TestRequest::post()
            .uri("/panic?token=canary")
            .insert_header(("Authorization", format!("Bearer {token}")))
            .insert_header(("Origin", ORIGIN))
            .set_payload(password);
        let answer = app.call(request.to_request()).await.unwrap();
        assert_eq!(answer.status(), 500);
        for (name, value) in [
            ("content-type", "application/problem+json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("access-control-allow-origin", ORIGIN),
        ] {
            assert_eq!(answer.headers().get(name).unwrap(), value, "{name}");
        }
        assert!(answer.headers().contains_key("content-security-policy"));
        let id = answer
            .headers()
            .get("x-request-id")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let body = to_bytes(answer.into_body()).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            body.contains("\"code\":\"internal\"") && body.contains(&id) && !body.contains("purpose"),
            "{body}"
        );

        let log = captured_log::lines();
        assert_eq!(log.len(), 2, "{log:#?}");
        assert!(
            log[0].contains("src/web/http1/application/tests.rs") && log[0].contains("Token(..)"),
            "{log:#?}"
        );
        assert_eq!(
            log[1],
            format!("ERROR POST \"/panic\" ended in a panic requestId={id}")
        );
        for line in &log {
            assert!(line.ends_with(&id), "{line}");
            assert!(!line.contains(&token) && !line.contains("canary"), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
        let fine = app.call(TestRequest::get().uri("/fine").to_request()).await;
        assert_eq!(fine.unwrap().status(), 200);
    }
}

#[actix_web::test]
async fn no_answer_is_copied_whole_for_a_client_that_may_not_read_it() {
    let long = async || "x".repeat(1_000_000);
    let routes = || vec![entry(Method::GET, "/long", long)];
    let app = with(&[], &routes).await;
    let answer = app.call(TestRequest::get().uri("/long").to_request()).await;
    let mut body = std::pin::pin!(answer.unwrap().into_body());
    let mut pieces = Vec::new();
    while let Some(piece) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        pieces.push(piece.unwrap().len());
    }
    assert_eq!(pieces.iter().sum::<usize>(), 1_000_000);
    assert!(pieces.iter().all(|length| *length <= PIECE), "{pieces:?}");
}

#[actix_web::test]
async fn whatever_answers_a_request_it_is_counted() {
    const ORIGIN: &str = "https://app.example.org";
    let counts = crate::auth::metrics::start().unwrap();
    let routes = || {
        let panicking = entry(Method::POST, "/counted/{id}/panic", panicking);
        vec![panicking, entry(Method::GET, "/counted/{id}", async || "fine")]
    };
    let flags = ["--cors-origins", ORIGIN, "--metrics-bind", "127.0.0.1:0"];
    let app = with(&flags, &routes).await;
    let authorization = ("Authorization", format!("Bearer {}", "ca".repeat(32)));
    for request in [
        TestRequest::get().uri("/counted/1"),
        TestRequest::delete().uri("/counted/1"),
        TestRequest::post()
            .uri("/counted/1/panic")
            .insert_header(authorization)
            .set_payload("a password"),
        TestRequest::default()
            .method(Method::OPTIONS)
            .uri("/counted/1")
            .insert_header(("Origin", ORIGIN))
            .insert_header(("Access-Control-Request-Method", "GET")),
        TestRequest::default()
            .method(Method::OPTIONS)
            .uri("/counted/1")
            .insert_header(("Origin", "https://elsewhere.example.org"))
            .insert_header(("Access-Control-Request-Method", "GET")),
    ] {
        let _ = app.call(request.to_request()).await;
    }
    let told = counts.render();
    for (route, method, status) in [
        ("/counted/{id}", "GET", 200),
        ("/counted/{id}", "DELETE", 405),
        ("/counted/{id}/panic", "POST", 500),
        ("/counted/{id}", "OPTIONS", 200),
        ("/counted/{id}", "OPTIONS", 400),
    ] {
        let labels = format!(r#"{{route="{route}",method="{method}",status="{status}"}} 1"#);
        assert!(told.contains(&labels), "{labels} is not in {told}");
    }
}
