//! Clients that are slow, many, elsewhere or in secret: raw sockets, origins, TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use oneseat::config::TlsConfig;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, App, Client, PASSWORD, eventually};

/// More than any deadline of the server, in seconds.
const PATIENCE: u64 = 40;

/// A connection of the test's own.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(PATIENCE)))
        .unwrap();
    stream
}

/// What comes until the server closes; fails if it does not.
fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("it is still open: {error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a byte at a time, with a pause, until the server does not take any more. Returns what it had answered.
fn dribble(mut stream: TcpStream, endless: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(PATIENCE);
    for byte in endless.bytes().cycle() {
        assert!(Instant::now() < deadline, "it takes a byte at a time for ever");
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        // Not awaited: the slowness of the client is what is tested.
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// One whole request and its whole answer, so that the connection is one that is kept.
fn first_request(stream: &mut TcpStream) {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(br#"{"status":"ok"}"#) {
        let mut chunk = [0; 1_024];
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "closed after the first request");
        answer.extend_from_slice(&chunk[..read]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_its_time_is_cut_off() {
    let app = App::start().await;
    let address = app.address;
    let half_a_head = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half: ";
    let body = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8000\r\n\r\n{";
    let unread = "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    // All at once: each waits for a deadline of the server's.
    let slow: Vec<(&str, std::thread::JoinHandle<()>)> = vec![
        (
            "nothing at all",
            std::thread::spawn(move || {
                until_closed(&mut connect(address));
            }),
        ),
        (
            "half a head",
            std::thread::spawn(move || {
                let mut stream = connect(address);
                stream.write_all(half_a_head.as_bytes()).unwrap();
                assert!(until_closed(&mut stream).starts_with("HTTP/1.1 408"));
            }),
        ),
        (
            "a head that never ends",
            std::thread::spawn(move || {
                let mut stream = connect(address);
                stream.write_all(half_a_head.as_bytes()).unwrap();
                dribble(stream, "x");
            }),
        ),
        (
            "half a head on a kept connection",
            std::thread::spawn(move || {
                let mut stream = connect(address);
                first_request(&mut stream);
                stream.write_all(half_a_head.as_bytes()).unwrap();
                until_closed(&mut stream);
            }),
        ),
        (
            "a head that never ends on a kept connection",
            std::thread::spawn(move || {
                let mut stream = connect(address);
                first_request(&mut stream);
                stream.write_all(half_a_head.as_bytes()).unwrap();
                dribble(stream, "x");
            }),
        ),
        (
            "a body that stops",
            std::thread::spawn(move || {
                let mut stream = connect(address);
                stream.write_all(body.as_bytes()).unwrap();
                assert!(until_closed(&mut stream).starts_with("HTTP/1.1 408"));
            }),
        ),
        (
            "a body that never ends",
            std::thread::spawn(move || {
                let mut stream = connect(address);
                stream.write_all(body.as_bytes()).unwrap();
                assert!(dribble(stream, " ").contains("408"));
            }),
        ),
        (
            "a body that nobody reads",
            std::thread::spawn(move || {
                let mut stream = connect(address);
                stream.write_all(unread.as_bytes()).unwrap();
                assert!(dribble(stream, "x").contains("HTTP/1.1 200"));
            }),
        ),
        (
            "answers that nobody takes",
            std::thread::spawn(move || {
                let mut stream = connect(address);
                stream
                    .set_write_timeout(Some(Duration::from_secs(PATIENCE)))
                    .unwrap();
                let request = "GET /static/oneseat.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
                // Refused once the server has given up, not before: it first waits for this side to read.
                while let Ok(()) = stream.write_all(request.as_bytes()) {}
                assert!(stream.take_error().unwrap().is_none());
                let refused = stream.write(b"x").unwrap_err();
                assert_ne!(refused.kind(), ErrorKind::WouldBlock, "it waits for ever");
            }),
        ),
    ];
    // A body that is announced, does not come, and that nobody reads. The answer is there; the connection does not stay for ever.
    let silent = [
        ("GET /healthz", "200", "Transfer-Encoding: chunked\r\n\r\n"),
        (
            "GET /healthz",
            "200",
            "Transfer-Encoding: chunked\r\n\r\n10\r\nhalf",
        ),
        ("GET /healthz", "200", "Content-Length: 100\r\n\r\n"),
        (
            "GET /healthz",
            "200",
            "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        ("CONNECT /healthz", "405", "\r\n"),
        ("POST /auth/logout", "401", "Transfer-Encoding: chunked\r\n\r\n"),
        (
            "POST /auth/logout",
            "401",
            "Transfer-Encoding: chunked\r\n\r\n10\r\nhalf",
        ),
        ("POST /auth/logout", "401", "Content-Length: 100\r\n\r\n"),
    ];
    let silent = silent.map(|(route, status, rest)| {
        let waits = std::thread::spawn(move || {
            let mut stream = connect(address);
            stream
                .write_all(format!("{route} HTTP/1.1\r\nHost: x\r\n{rest}").as_bytes())
                .unwrap();
            let answer = until_closed(&mut stream);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        });
        (route, rest, waits)
    });
    // Meanwhile everybody else is served.
    for _ in 0..20 {
        assert_eq!(app.visitor().get("/healthz").await.status, 200);
    }
    for (name, client) in slow {
        assert!(client.join().is_ok(), "{name}");
    }
    for (route, rest, client) in silent {
        assert!(client.join().is_ok(), "{route} with {rest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_body_in_chunks_is_refused_and_its_rest_is_not_waited_for() {
    let app = App::start().await;
    let mut stream = connect(app.address);
    stream
        .write_all(b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..3 {
        stream.write_all(chunk.as_bytes()).unwrap();
    }
    let answer = tokio::task::spawn_blocking(move || until_closed(&mut stream))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("body_too_large"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let app = App::start_with(|config| {
        config.workers = 1;
        config.max_connections = 4;
    })
    .await;
    let mut kept: Vec<_> = (0..4).map(|_| connect(app.address)).collect();
    for stream in &mut kept {
        first_request(stream);
    }
    let mut fifth = connect(app.address);
    fifth.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    fifth
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let waits = fifth.read(&mut [0; 64]).unwrap_err();
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&waits.kind()));
    kept.pop();
    fifth
        .set_read_timeout(Some(Duration::from_secs(PATIENCE)))
        .unwrap();
    assert!(fifth.read(&mut [0; 64]).unwrap() > 0);
}

async fn login(client: &Client, forwarded: &str) -> Answer {
    let request = client
        .request(Method::POST, "/auth/login")
        .header("X-Forwarded-For", forwarded)
        .json(&json!({ "email": "ada@example.org", "password": PASSWORD }));
    Answer::of(request).await
}

#[tokio::test]
async fn an_origin_that_signs_in_too_often_waits_and_nobody_else_does() {
    let app = App::start_with(|config| {
        config.login_rate = NonZeroU32::new(3);
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    for last in 1..=3 {
        assert_eq!(login(&visitor, &format!("2001:db8::{last}")).await.status, 200);
    }
    // The same /64; what stands left of it is made up; bodies are not even looked at.
    for forwarded in ["2001:db8::4", "192.0.2.9, 2001:db8::5", "garbage, 2001:db8::6"] {
        let answer = login(&visitor, forwarded).await;
        assert_eq!(answer.problem(), "429 too_many_requests");
        let seconds: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    let answer = visitor
        .request(Method::POST, "/auth/login")
        .header("X-Forwarded-For", "2001:db8::7");
    assert_eq!(
        Answer::of(answer.body("not json")).await.problem(),
        "429 too_many_requests"
    );
    assert_eq!(login(&visitor, "2001:db8:0:1::1").await.status, 200);
    assert_eq!(login(&visitor, "192.0.2.1").await.status, 200);
    // Whoever is signed in is not concerned.
    let token = login(&visitor, "192.0.2.2").await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    for _ in 0..10 {
        assert_eq!(visitor.with_token(&token).session().await.status, 200);
    }
}

#[tokio::test]
async fn without_a_trusted_proxy_no_header_makes_another_origin() {
    let app = App::start_with(|config| config.login_rate = NonZeroU32::new(2)).await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    for last in 1..=2 {
        assert_eq!(login(&visitor, &format!("192.0.2.{last}")).await.status, 200);
    }
    assert_eq!(
        login(&visitor, "192.0.2.3").await.problem(),
        "429 too_many_requests"
    );
}

/// What a browser asks before it sends what a page of another origin wants.
async fn preflight(app: &App, origin: &str) -> Answer {
    let request = app
        .visitor()
        .request(Method::OPTIONS, "/auth/session")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "GET")
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
        App::start_with(|config| config.cors_origins = vec!["https://app.example.org".to_owned()]).await;
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
    let answer = from_origin(&ada, "https://app.example.org").await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    assert!(answer.header("vary").to_lowercase().contains("origin"));
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
    }
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

/// A certificate for localhost in two files.
fn certificate(dir: &std::path::Path) -> (TlsConfig, reqwest::Certificate) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsConfig {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (
        files,
        reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (files, trusted) = certificate(dir.path());
    let app = App::start_with(|config| config.tls = Some(files)).await;
    // Brings what TLS needs into the process.
    assert_eq!(app.visitor().token, None);
    let https = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/healthz", app.address.port());
    let answer = https.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    // In the clear: no answer. Half a handshake: cut off.
    let address = app.address;
    let answers = tokio::task::spawn_blocking(move || {
        let mut clear = connect(address);
        clear
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut half = connect(address);
        half.write_all(&[22, 3, 1]).unwrap();
        [until_closed(&mut clear), until_closed(&mut half)]
    });
    for answer in answers.await.unwrap() {
        assert!(!answer.contains("HTTP/1.1"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_told_to_stop_says_that_it_is_not_ready_and_goes_on_for_a_while() {
    let mut app = App::start_with(|config| config.stop_delay = Duration::from_secs(2)).await;
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
    // The handler has it in its hands when it asks for the body.
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
