//! Slow or many clients, over raw sockets. This folder also covers other origins, TLS, rates, and the stop of
//! the server.

mod cors;
mod expectation;
mod rate;
mod stop;
mod tls;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{App, eventually};

/// More seconds than any deadline of the server.
const TIMEOUT: u64 = 40;

/// A connection of the test.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(TIMEOUT)))
        .unwrap();
    stream
}

/// A connection from another address of this machine.
async fn connect_from(from: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let stream = socket.connect(address).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(TIMEOUT)))
        .unwrap();
    stream
}

/// The bytes that come until the server closes; fails if it does not close.
fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("it is still open: {error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a byte at a time, with a pause, until the server accepts no more. Returns what it had answered.
fn dribble(mut stream: TcpStream, endless: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(TIMEOUT);
    for byte in endless.bytes().cycle() {
        assert!(Instant::now() < deadline, "it takes a byte at a time for ever");
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        // A real pause, because the slowness of the client is what is tested.
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// One complete request and its answer, so that the server keeps the connection.
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
    // All at once, because each waits for a deadline of the server.
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
                    .set_write_timeout(Some(Duration::from_secs(TIMEOUT)))
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
    // A body that is announced but does not come, and that no handler reads. The answer is sent; the
    // connection does not stay open for ever.
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
    // Meanwhile all other clients are served.
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
async fn answers_that_are_taken_late_are_complete() {
    const MANY: usize = 20;
    let app = App::start_with(|config| config.http.workers = 1).await;
    // More of them than are read ahead.
    let long = "x".repeat(200);
    let asked = format!("GET /docs/api/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n");
    let last = format!("{asked}Connection: close\r\n\r\n");
    let mut stream = connect(app.address);
    let mut other = connect(app.address);
    // Much more than the buffers between the two hold.
    stream
        .write_all((format!("{asked}\r\n").repeat(MANY - 1) + &last).as_bytes())
        .unwrap();
    stream.peek(&mut [0]).unwrap();
    // The only thread that serves goes on with the first connection between these, until it has to wait.
    for _ in 0..100 {
        first_request(&mut other);
    }
    let came = until_closed(&mut stream);
    let one = app.visitor().get("/docs/api/swagger-ui-bundle.js").await.text;
    let bodies = came.split("HTTP/1.1 200 OK\r\n").skip(1);
    let whole = bodies.filter(|answer| answer.ends_with(&format!("\r\n\r\n{one}")));
    assert_eq!(whole.count(), MANY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_body_in_chunks_is_refused_and_its_rest_is_not_waited_for() {
    let app = App::start().await;
    let begin = || {
        let mut stream = connect(app.address);
        stream
            .write_all(b"POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        stream
    };
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    // The largest body that is read.
    let mut stream = begin();
    stream
        .write_all(format!("{chunk}{chunk}0\r\n\r\n").as_bytes())
        .unwrap();
    let answer = tokio::task::spawn_blocking(move || until_closed(&mut stream))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let mut stream = begin();
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
async fn a_body_that_may_be_left_out_is_read_when_it_comes_in_chunks() {
    let app = App::start().await;
    let token = app.signed_in("ada").await.token.unwrap();
    let mut stream = connect(app.address);
    let body = r#"{"reason":"page_closed"}"#;
    let request = format!(
        "POST /auth/logout HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let answer = tokio::task::spawn_blocking(move || until_closed(&mut stream))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let reason = app.database().text("select reason from ended_sessions");
    assert_eq!(reason, "page_closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let app = App::start_with(|config| {
        config.http.workers = 1;
        config.http.max_connections = 4;
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
        .set_read_timeout(Some(Duration::from_secs(TIMEOUT)))
        .unwrap();
    assert!(fifth.read(&mut [0; 64]).unwrap() > 0);
}

/// Is a request on a new connection answered? The connection is kept, if it is.
fn served(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = connect(address);
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = [0; 12];
    let is_answered = asked.is_ok() && stream.read_exact(&mut answer).is_ok();
    is_answered.then_some(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_network_leaves_a_fifth_of_all_connections_to_others() {
    let app = App::start_with(|config| {
        config.http.workers = 1;
        config.http.max_connections = 20;
    })
    .await;
    let mut kept: Vec<TcpStream> = (0..30).map_while(|_| served(app.address)).collect();
    assert_eq!(kept.len(), 16);
    for n in 1..=3 {
        first_request(&mut connect_from([127, 0, n, 1], app.address).await);
    }
    // Closed connections can be opened again.
    kept.truncate(8);
    eventually("there is a place again", async || served(app.address).is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_may_have_every_connection() {
    let app = App::start_with(|config| {
        config.http.workers = 1;
        config.http.max_connections = 20;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let kept: Vec<TcpStream> = (0..20).map_while(|_| served(app.address)).collect();
    assert_eq!(kept.len(), 20);
}
