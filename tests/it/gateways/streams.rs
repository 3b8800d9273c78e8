//! Event streams through gateways that hold data back unless they are told not to.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use oneseat::users::Role;

use super::connection::Connection;
use super::front::visitor;
use super::{Gateway, Kind, Task};
use crate::support::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nginx_in_a_row_hold_no_event_back() {
    let app = App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    app.add_user("eve", Role::User).await;
    let admin = app.admin().await;
    let inner = Gateway::start(Kind::Nginx, Task::Front, app.address).await;
    let outer = Gateway::start(Kind::Nginx, Task::FrontOfAnother, inner.address).await;
    let mut stream = Connection::plain(&outer).await;
    let head = format!(
        "GET /auth/session/events HTTP/1.1\r\nHost: seat.example.org\r\nAuthorization: Bearer {}\r\n\r\n",
        admin.token()
    );
    stream.send(&head).await;
    stream.read_until(": open\n").await;
    visitor(&inner).sign_in("eve@example.org").await;
    let before = stream.read_until("event: changed\n").await;
    // An event that was held back would come with the next beat at the earliest.
    assert!(!before.contains(": beat"), "{before}");
}

/// A server that begins a stream, and sends an event in it for each that the test sends into this channel.
fn streaming() -> (SocketAddr, Sender<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, events) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map_while(Result::ok);
            // A connection without a request only checks that the server is there.
            if !lines.any(|line| line.is_empty()) {
                continue;
            }
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = stream.write_all(head.as_bytes());
            for number in &events {
                let event = format!("data: event {number}\n\n");
                let _ = write!(stream, "{:x}\r\n{event}\r\n", event.len());
            }
        }
    });
    (address, sender)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_passes_an_event_on_at_once() {
    let (oneseat, events) = streaming();
    let gateway = Gateway::start(Kind::Haproxy, Task::Front, oneseat).await;
    let mut stream = Connection::tls(&gateway).await;
    stream
        .send("GET /auth/session/events HTTP/1.1\r\nHost: seat.example.org\r\n\r\n")
        .await;
    assert_eq!(stream.status().await, 200);
    let mut delays = Vec::new();
    for number in 0..10 {
        let sent = Instant::now();
        events.send(number).unwrap();
        stream.read_until(&format!("event {number}\n")).await;
        delays.push(sent.elapsed());
    }
    // A machine may be busy at one event. Without its option HAProxy is late at each, by 200 ms.
    let shortest = delays.iter().min().unwrap();
    assert!(*shortest < Duration::from_millis(150), "{delays:?}");
}
