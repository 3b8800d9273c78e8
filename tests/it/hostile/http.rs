//! HTTP as no client should speak it: requests that can be read in two ways, odd paths and methods, too much
//! of everything.

use super::{Change, Reply, Try, attempt, request, request_of_bytes, send, send_in_a_row, try_all};
use crate::support::App;

/// What the parser refuses is answered without a body: docs/security.md says so.
const BY_THE_PARSER: &[&str] = &["400"];
const NOT_FOUND: &[&str] = &["404 not_found"];
const OTHER_METHOD: &[&str] = &["405 method_not_allowed"];

fn sent(name: &str, bytes: impl Into<Vec<u8>>, right: &'static [&'static str]) -> Try {
    attempt(name, bytes, right, Change::Nothing)
}

/// A request with a second one inside, for a server that reads its length differently.
fn hiding(lines: &str, body: &str) -> String {
    format!("POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{lines}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_refused() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let inner = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    #[rustfmt::skip] // One row a line.
    let rows = vec![
        sent("a length and chunks", hiding("Content-Length: 5\r\nTransfer-Encoding: chunked", &format!("0\r\n\r\n{inner}")), BY_THE_PARSER),
        sent("chunks and a length", hiding("Transfer-Encoding: chunked\r\nContent-Length: 5", &format!("0\r\n\r\n{inner}")), BY_THE_PARSER),
        sent("two lengths", hiding("Content-Length: 0\r\nContent-Length: 5", inner), BY_THE_PARSER),
        sent("the same length twice", hiding("Content-Length: 2\r\nContent-Length: 2", "{}"), BY_THE_PARSER),
        sent("a list of lengths", hiding("Content-Length: 2, 2", "{}"), BY_THE_PARSER),
        sent("a length below zero", hiding("Content-Length: -1", inner), BY_THE_PARSER),
        sent("a length with a plus", hiding("Content-Length: +2", "{}"), BY_THE_PARSER),
        sent("a length in hexadecimal", hiding("Content-Length: 0x2", "{}"), BY_THE_PARSER),
        sent("a length in words", hiding("Content-Length: two", "{}"), BY_THE_PARSER),
        sent("an empty length", hiding("Content-Length: ", "{}"), BY_THE_PARSER),
        sent("a length beyond every number", hiding("Content-Length: 99999999999999999999", "{}"), BY_THE_PARSER),
        sent("an encoding that is none", hiding("Transfer-Encoding: xchunked", "0\r\n\r\n"), BY_THE_PARSER),
        sent("two encodings in one line", hiding("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), BY_THE_PARSER),
        sent("two encodings in two lines", hiding("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"), BY_THE_PARSER),
        sent("an encoding after a tab", hiding("Transfer-Encoding:\tchunked\r\nContent-Length: 2", "{}"), BY_THE_PARSER),
        sent("an encoding with a space before its colon", hiding("Transfer-Encoding : chunked", "0\r\n\r\n"), BY_THE_PARSER),
        sent("a length with a space before its colon", hiding("Content-Length : 2", "{}"), BY_THE_PARSER),
        sent("an encoding in the next line", hiding("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), BY_THE_PARSER),
        sent("chunks in HTTP/1.0", "POST /auth/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BY_THE_PARSER),
        sent("two hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", BY_THE_PARSER),
        sent("no host", "GET /healthz HTTP/1.1\r\n\r\n", BY_THE_PARSER),
    ];
    try_all(&app, rows);
}

#[tokio::test]
async fn a_head_that_is_no_head_is_refused() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let many: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n";
    let odd = |line: &[u8]| request_of_bytes("GET", "/healthz", line);
    #[rustfmt::skip] // One row a line.
    let rows = vec![
        sent("a TLS handshake", hello, BY_THE_PARSER),
        sent("HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BY_THE_PARSER),
        sent("HTTP/0.9", "GET /healthz\r\n\r\n", BY_THE_PARSER),
        sent("HTTP/3.0", "GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n", BY_THE_PARSER),
        sent("HTTP in lower case", "GET /healthz http/1.1\r\nHost: x\r\n\r\n", BY_THE_PARSER),
        sent("HTTP/1.0 without a host", "GET /healthz HTTP/1.0\r\n\r\n", &["200"]),
        sent("something after the version", "GET /healthz HTTP/1.1 x\r\nHost: x\r\n\r\n", BY_THE_PARSER),
        sent("two spaces", "GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n", BY_THE_PARSER),
        sent("no path", "GET HTTP/1.1\r\nHost: x\r\n\r\n", BY_THE_PARSER),
        sent("no method", " /healthz HTTP/1.1\r\nHost: x\r\n\r\n", BY_THE_PARSER),
        // RFC 9112 2.2 allows a recipient to take a bare LF for the end of a line.
        sent("lines that end in LF alone", "GET /healthz HTTP/1.1\nHost: x\nConnection: close\n\n", &["200"]),
        sent("lines that end in CR alone", "GET /healthz HTTP/1.1\rHost: x\r\r", BY_THE_PARSER),
        sent("empty lines first", "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &["200"]),
        sent("NULs", vec![0; 1_000], BY_THE_PARSER),
        sent("every byte there is", (0..=255).collect::<Vec<u8>>(), BY_THE_PARSER),
        sent("a line that goes on in the next", odd(b"X-Folded: a\r\n b"), BY_THE_PARSER),
        sent("a header without a colon", odd(b"X-Nothing"), BY_THE_PARSER),
        sent("a header without a name", odd(b": x"), BY_THE_PARSER),
        sent("a header with a space in its name", odd(b"X Y: x"), BY_THE_PARSER),
        sent("a header with a NUL", odd(b"X-Nul: a\0b"), BY_THE_PARSER),
        sent("a header with a CR", odd(b"X-Cr: a\rb"), BY_THE_PARSER),
        sent("a header with a control character", odd(b"X-Bell: \x07"), BY_THE_PARSER),
        sent("a header of bytes that are no text", odd(b"X-Bytes: \xff\xfe"), &["200"]),
        sent("200 headers", odd(many.trim_end().as_bytes()), &["431"]),
        sent("a header of 64 kB", odd(format!("X-Long: {}", "x".repeat(64_000)).as_bytes()), &["200"]),
        sent("a header of 200 kB", odd(format!("X-Long: {}", "x".repeat(200_000)).as_bytes()), &["431", "closed"]),
        sent("a path of 60 kB", request("GET", &format!("/{}", "a".repeat(60_000)), &[], ""), NOT_FOUND),
        sent("a path of 100 kB", request("GET", &format!("/{}", "a".repeat(100_000)), &[], ""), BY_THE_PARSER),
        sent("a path of 200 kB", request("GET", &format!("/{}", "a".repeat(200_000)), &[], ""), &["431", "closed"]),
        sent("an expectation that is none", odd(b"Expect: nonsense"), &["200"]),
        sent("an upgrade to HTTP/2", odd(b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), &["200"]),
        sent("an upgrade to a web socket", odd(b"Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13"), &["200"]),
    ];
    try_all(&app, rows);
}

#[tokio::test]
async fn a_path_or_method_that_is_another_is_no_way_around() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let path = |path: &str, right| sent(&format!("GET {path:?}"), request("GET", path, &[], ""), right);
    let method =
        |method: &str, at: &str, right| sent(&format!("{method} {at}"), request(method, at, &[], ""), right);
    const GUARDED: &[&str] = &["401 token_missing"];
    #[rustfmt::skip] // One row a line.
    let rows = vec![
        path("//auth/session", NOT_FOUND),
        path("/auth//session", NOT_FOUND),
        path("/auth/session/", NOT_FOUND),
        path("/auth/%73ession", GUARDED),
        path("/auth%2fsession", NOT_FOUND),
        path("/auth/./session", NOT_FOUND),
        path("/x/../auth/session", NOT_FOUND),
        path("/x/%2e%2e/auth/session", NOT_FOUND),
        path("/auth/session;a=b", NOT_FOUND),
        path("/auth/session%20", NOT_FOUND),
        path("/auth/session%00", NOT_FOUND),
        path("/auth/session%0d%0aX-Injected:%20yes", NOT_FOUND),
        path("/auth/session?#", GUARDED),
        path("/auth/session#x", GUARDED),
        path("/AUTH/SESSION", NOT_FOUND),
        path("/auth\\session", NOT_FOUND),
        path("/%", NOT_FOUND),
        path("/%zz", NOT_FOUND),
        path("/%ff%fe", NOT_FOUND),
        path("/{id}", NOT_FOUND),
        path("http://evil.example/auth/session", GUARDED),
        path("http://evil.example", &["303"]),
        path("https://user:secret@evil.example:99999/auth/session", GUARDED),
        path("x", NOT_FOUND),
        path("?", BY_THE_PARSER),
        path("/static/../Cargo.toml", &["404 not_found", "400 bad_request"]),
        path("/static/%2e%2e/Cargo.toml", &["404 not_found", "400 bad_request"]),
        path("/static/..%5cCargo.toml", &["404 not_found", "400 bad_request"]),
        path("/static/%00", &["404 not_found", "400 bad_request"]),
        path(&format!("/static/{}", "a/".repeat(5_000)), &["404 not_found", "400 bad_request"]),
        path(&format!("/static/{}", "a".repeat(5_000)), &["404 not_found", "400 bad_request"]),
        sent("a NUL in the path", b"GET /auth/session\0 HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), BY_THE_PARSER),
        sent("bytes in the path", b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".as_slice(), &["404 not_found", "400"]),
        method("TRACE", "/healthz", OTHER_METHOD),
        method("TRACK", "/healthz", OTHER_METHOD),
        method("OPTIONS", "/healthz", OTHER_METHOD),
        method("OPTIONS", "*", &["404 not_found", "400"]),
        method("PROPFIND", "/healthz", OTHER_METHOD),
        method("PATCH", "/auth/session", OTHER_METHOD),
        method("get", "/healthz", OTHER_METHOD),
        method("GETX", "/healthz", OTHER_METHOD),
        method("CONNECT", "evil.example:443", &["404 not_found", "400", "405 method_not_allowed"]),
        method("CONNECT", "/auth/session", &["404 not_found", "400", "405 method_not_allowed"]),
        method(&"A".repeat(10_000), "/healthz", &["405 method_not_allowed", "400"]),
        method("DELETE", "/static/oneseat.js", OTHER_METHOD),
    ];
    try_all(&app, rows);
}

#[tokio::test]
async fn what_is_injected_in_a_path_reaches_no_header() {
    let app = App::start().await;
    for path in [
        "/%0d%0aX-Injected:%20yes",
        "/dashboard?%0d%0aX-Injected:%20yes",
        "//evil.example/%2f..",
    ] {
        let Reply { head, .. } = send(app.address, &request("GET", path, &[], "")).unwrap();
        assert!(!head.to_lowercase().contains("x-injected"), "{head}");
        let location = super::field(&head, "location");
        assert!(location.is_none_or(|location| location == "/login"), "{head}");
    }
}

#[tokio::test]
async fn requests_in_a_row_get_an_answer_each_and_in_their_order() {
    let app = App::start().await;
    let mut sent = Vec::new();
    for n in 0..100 {
        let path = if n % 2 == 0 { "/healthz" } else { "/auth/session" };
        sent.extend(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").bytes());
    }
    sent.extend(request("GET", "/healthz", &[], ""));
    let reply = send_in_a_row(app.address, &sent, 101).unwrap();
    let expected = ["200", "401"].repeat(50);
    assert_eq!(reply.statuses[..100], expected);
    assert_eq!(reply.statuses[100..], ["200"]);
}

#[tokio::test]
async fn what_follows_a_request_has_nothing_of_it() {
    let app = App::start().await;
    let bearer = format!(
        "Authorization: Bearer {}",
        app.signed_in("ada").await.token.unwrap()
    );
    let last = request("GET", "/auth/session", &[&bearer], "");
    let without = "GET /auth/session HTTP/1.1\r\nHost: x\r\n\r\n";
    // A body longer than its length: what is left of it is the head of a request that is none.
    let lie = hiding("Content-Length: 2", "{}and more of it\r\n\r\n");
    // The first request says that it is the last; the parser may answer the next one all the same, without the token.
    let after_the_last = send(app.address, &[&last[..], without.as_bytes()].concat()).unwrap();
    assert!(
        [&["200"][..], &["200", "401"]]
            .iter()
            .any(|right| after_the_last.statuses == *right),
        "{after_the_last:?}"
    );
    let rest = send(app.address, lie.as_bytes()).unwrap();
    assert!(
        [&["400"][..], &["400", "400"]]
            .iter()
            .any(|right| rest.statuses == *right),
        "{rest:?}"
    );
}
