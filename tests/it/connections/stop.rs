//! What happens to clients when the server stops.

use std::io::{Read, Write};
use std::time::Duration;

use oneseat::users::Role;
use serde_json::json;

use super::{connect, first_request, until_closed};
use crate::support::{App, PASSWORD, Program, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_told_to_stop_says_that_it_is_not_ready_and_goes_on_for_a_while() {
    let mut app = App::start_with(|config| config.http.stop_delay = Duration::from_secs(10)).await;
    let ada = app.signed_in("ada").await;
    assert_eq!(app.visitor().get("/readyz").await.status, 200);
    app.stop();
    eventually("it is not ready", async || {
        app.visitor().get("/readyz").await.status == 503
    })
    .await;
    assert_eq!(app.visitor().get("/healthz").await.status, 200);
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_finishes_what_it_has_begun_and_waits_for_nobody_else() {
    let mut app = App::start().await;
    app.add_user("ada", Role::User).await;
    let mut kept = connect(app.address);
    first_request(&mut kept);
    let body = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let (first, rest) = body.split_at(10);
    let mut login = connect(app.address);
    let head =
        "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue";
    login
        .write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())
        .unwrap();
    // Once it asks for the body, the handler has the request.
    let mut go_on = [0; 25];
    login.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    login.write_all(first.as_bytes()).unwrap();
    app.stop();
    // A connection without a request under way is closed, not waited for.
    let closed = tokio::task::spawn_blocking(move || until_closed(&mut kept))
        .await
        .unwrap();
    assert_eq!(closed, "");
    login.write_all(rest.as_bytes()).unwrap();
    let answer = tokio::task::spawn_blocking(move || until_closed(&mut login))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_twice_stops_at_once() {
    let (program, _dir) = Program::alone(&["--stop-delay", "60s"]);
    let visitor = program.visitor();
    program.ask_to_stop();
    eventually("it is not ready", async || {
        visitor.get("/readyz").await.status == 503
    })
    .await;
    assert_eq!(visitor.get("/healthz").await.status, 200);
    let (is_success, log) = program.terminate();
    assert!(is_success, "{log:#?}");
    assert!(
        log.iter().any(|line| line.contains("told twice to stop")),
        "{log:#?}"
    );
}
