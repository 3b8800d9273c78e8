//! Clients that wait with their body until they are asked for it (RFC 9110 10.1.1).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use oneseat::users::Role;

use super::{connect, until_closed};
use crate::support::{App, PASSWORD};

const JSON: &str = "Content-Type: application/json\r\n";

/// Sends a head that announces a body of this length, and waits.
fn announce(address: SocketAddr, path: &str, headers: &str, length: usize) -> TcpStream {
    let mut stream = connect(address);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Reads one head.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_refused_is_not_asked_for() {
    let app = App::start().await;
    let admin = app.admin().await.token.unwrap();
    let rows = format!("Authorization: Bearer {admin}\r\nContent-Type: application/jsonl\r\n");
    for (path, headers, length, status) in [
        ("/auth/login", JSON, 8 * 1024 + 1, "413"),
        ("/auth/login", JSON, 5_000_000_000, "413"),
        ("/auth/login", "Content-Type: text/plain\r\n", 10, "415"),
        ("/auth/password/change", JSON, 10, "401"),
        ("/nowhere", JSON, 10, "404"),
        ("/healthz", JSON, 10, "405"),
        ("/api/admin/users/import", &rows, 4 * 1024 * 1024 + 1, "413"),
    ] {
        let answer = until_closed(&mut announce(app.address, path, headers, length));
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{path}: {answer}"
        );
        assert!(!answer.contains("100 Continue"), "{path}: {answer}");
        for line in ["connection: close", "x-request-id: ", "content-security-policy: "] {
            assert!(head.contains(&format!("\r\n{line}")), "{path}: {line}: {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_read_is_asked_for_and_the_connection_lives_on() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let body = format!(r#"{{"email":"ada@example.org","password":"{PASSWORD}"}}"#);
    let mut stream = announce(app.address, "/auth/login", JSON, body.len());
    assert_eq!(head(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).unwrap();
    let answer = head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let next = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(next.as_bytes()).unwrap();
    let rest = until_closed(&mut stream);
    assert!(
        rest.contains("HTTP/1.1 200 ") && rest.ends_with(r#"{"status":"ok"}"#),
        "{rest}"
    );

    // A client that does not wait is answered, too.
    let mut stream = announce(
        app.address,
        "/auth/login",
        "Connection: close\r\nContent-Type: application/json\r\n",
        body.len(),
    );
    stream.write_all(body.as_bytes()).unwrap();
    let answer = until_closed(&mut stream);
    assert!(answer.contains("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_expects_to_be_asked_and_has_no_body_leaves_the_connection_open() {
    let app = App::start().await;
    let mut stream = connect(app.address);
    for (call, status) in [("GET /healthz", "200"), ("POST /auth/logout", "401")] {
        let asked = format!("{call} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n");
        stream.write_all(asked.as_bytes()).unwrap();
        let head = head(&mut stream).to_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{call}: {head}");
        assert!(!head.contains("\r\nconnection: "), "{call}: {head}");
        let (_, length) = head.split_once("\r\ncontent-length: ").unwrap();
        let length = length.lines().next().unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_told_why_its_body_is_refused_and_sends_none_of_it() {
    let app = App::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("body");
    std::fs::write(&file, "x".repeat(3_000_000)).unwrap();
    let url = format!("http://{}/auth/login", app.address);
    let told = "%{http_code} %{size_upload}";
    let output = Command::new("curl")
        .args([
            "--silent",
            "--max-time",
            "30",
            "--expect100-timeout",
            "30",
            "--output",
            "/dev/null",
        ])
        .args([
            "--header",
            "Content-Type: application/json",
            "--header",
            "Expect: 100-continue",
        ])
        .args([
            "--write-out",
            told,
            "--data-binary",
            &format!("@{}", file.display()),
            &url,
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "413 0");
}
