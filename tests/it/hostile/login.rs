//! Sign-ins that are refused, and a few odd ones that are not.

use oneseat::users::{Email, Password, Role};
use serde_json::json;

use super::{CANARY, Change, Try, attempt, request, request_of_bytes, try_all};
use crate::support::{App, PASSWORD};

const JSON: &str = "Content-Type: application/json";
const NONSENSE: &[&str] = &["400 bad_request"];
const WRONG: &[&str] = &["401 invalid_credentials"];
const WELCOME: &[&str] = &["200"];
const TOO_LARGE: &[&str] = &["413 body_too_large"];

fn refused(name: &str, body: impl AsRef<[u8]>, right: &'static [&'static str]) -> Try {
    let sent = request("POST", "/auth/login", &[JSON], body);
    attempt(name, sent, right, Change::Nothing)
}

/// A well-formed password that belongs to no account.
fn counted(name: &str, email: &str, password: &str) -> Try {
    let body = json!({ "email": email, "password": password }).to_string();
    let sent = request("POST", "/auth/login", &[JSON], body);
    attempt(name, sent, WRONG, Change::OneFailure)
}

fn with_header(name: &str, line: &str, right: &'static [&'static str], may_change: Change) -> Try {
    let body = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let sent = request("POST", "/auth/login", &[JSON, line], body);
    attempt(name, sent, right, may_change)
}

#[tokio::test]
async fn a_body_that_is_not_an_address_and_a_password_is_refused() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let right = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let utf16: Vec<u8> = right.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with = |email: &str, password: &str| format!(r#"{{"email":{email},"password":{password}}}"#);
    let (ada, x) = (r#""ada@example.org""#, r#""x""#);
    let nested = |depth: usize| format!(r#"{{"email":{ada},"password":{x},"more":{}}}"#, "[".repeat(depth));
    #[rustfmt::skip] // One row a line.
    let rows = vec![
        refused("nothing", "", NONSENSE),
        refused("white space", " \r\n\t ", NONSENSE),
        refused("an array of the two", format!(r#"[{ada},"{PASSWORD}"]"#), NONSENSE),
        refused("an array of the object", format!("[{right}]"), NONSENSE),
        refused("null", "null", NONSENSE),
        refused("a number", "42", NONSENSE),
        refused("a text", r#""ada@example.org""#, NONSENSE),
        refused("numbers", with("5", "7"), NONSENSE),
        refused("nulls", with("null", "null"), NONSENSE),
        refused("booleans", with("true", "true"), NONSENSE),
        refused("objects", with(r#"{"$ne":null}"#, r#"{"$gt":""}"#), NONSENSE),
        refused("arrays within", with(&format!("[{ada}]"), &format!("[{x}]")), NONSENSE),
        refused("an email twice", format!(r#"{{"email":{ada},"email":{ada},"password":{x}}}"#), NONSENSE),
        refused("a password twice", format!(r#"{{"email":{ada},"password":{x},"password":"{PASSWORD}"}}"#), NONSENSE),
        refused("other names", format!(r#"{{"Email":{ada},"PASSWORD":"{PASSWORD}"}}"#), NONSENSE),
        refused("something after the end", format!("{right} x"), NONSENSE),
        refused("a second object", format!("{right}{right}"), NONSENSE),
        refused("a comma too many", right.replace('}', ",}"), NONSENSE),
        refused("single quotes", right.replace('"', "'"), NONSENSE),
        refused("a comment", format!("/* x */{right}"), NONSENSE),
        refused("a byte order mark", format!("\u{feff}{right}"), NONSENSE),
        refused("UTF-16", &utf16, NONSENSE),
        refused("bytes that are no text", [b"{\"email\":\"ada@example.org\",\"password\":\"".as_slice(), b"\xff\xfe\"}"] .concat(), NONSENSE),
        refused("half a surrogate pair in the email", with(r#""\ud800@x.org""#, x), NONSENSE),
        refused("half a surrogate pair in the password", with(ada, r#""\udc00""#), NONSENSE),
        refused("a NUL in the email", with(r#""ada\u0000@example.org""#, x), NONSENSE),
        refused("a line break in the email", with(r#""ada@example.org\r\nBcc: x@y""#, x), NONSENSE),
        refused("an email without an at", with(r#""ada""#, x), NONSENSE),
        refused("an injection with a space", with(&format!("\"' or 1=1 -- {CANARY}@x.org\""), x), NONSENSE),
        refused("an empty email", with(r#""""#, x), NONSENSE),
        refused("an email of white space", with(r#""  ""#, x), NONSENSE),
        refused("an email of 300 letters", with(&format!("\"{}@x.org\"", "a".repeat(300)), x), NONSENSE),
        refused("an email of 10 kB", with(&format!("\"{}@x.org\"", "a".repeat(10_000)), x), TOO_LARGE),
        refused("an empty password", with(ada, r#""""#), NONSENSE),
        refused("1025 letters", with(ada, &format!("\"{}\"", "x".repeat(1_025))), NONSENSE),
        refused("1025 emoji", with(ada, &format!("\"{}\"", "\u{1f600}".repeat(1_025))), NONSENSE),
        refused("a password of 1 MB", with(ada, &format!("\"{}\"", "x".repeat(1_000_000))), TOO_LARGE),
        refused("8000 brackets", "[".repeat(8_000), NONSENSE),
        refused("4000 brackets in a field nobody reads", nested(4_000), NONSENSE),
        refused("100,000 brackets", nested(100_000), TOO_LARGE),
        refused("a canary", with(&format!("[\"{CANARY}\"]"), &format!("\"{CANARY}\"")), NONSENSE),
    ];
    try_all(&app, rows);
}

#[tokio::test]
async fn what_is_not_the_password_counts_one_failure_and_no_more() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    app.add_user("eve", Role::User).await;
    // The bytes before the difference must not be all that is hashed.
    let long = "seventy-two bytes of a password that bcrypt would take for all there is.";
    // Too easy to guess to be chosen, and right for what is shown here.
    let eves = Password::typed(&format!("{long}aaaaaaaa")).unwrap();
    app.auth
        .set_password("eve@example.org".parse::<Email>().unwrap(), eves)
        .await
        .unwrap();
    let body = |email: &str, password: &str| json!({ "email": email, "password": password }).to_string();
    let right = body("ada@example.org", PASSWORD);
    let wrong = |lines: &[&str], body: String| request("POST", "/auth/login", lines, body);
    #[rustfmt::skip] // One row a line.
    let mut rows = vec![
        counted("a NUL in the password", "ada@example.org", &format!("{PASSWORD}\0")),
        counted("a space after the password", "ada@example.org", &format!("{PASSWORD} ")),
        counted("the password in upper case", "ada@example.org", &PASSWORD.to_uppercase()),
        counted("64 emoji", "ada@example.org", &"\u{1f600}".repeat(64)),
        counted("128 emoji", "ada@example.org", &"\u{1f600}".repeat(128)),
        counted("80 bytes that differ at the 73rd", "eve@example.org", &format!("{long}baaaaaaa")),
        counted("72 bytes of 80", "eve@example.org", long),
        counted("an unknown address", " A@x ", PASSWORD),
        counted("an unknown address spelt otherwise", "a@X", PASSWORD),
        counted("a homoglyph", "ad\u{430}@example.org", PASSWORD),
        counted("a zero-width space", "\u{200b}ada@example.org", PASSWORD),
        counted("a mark of another direction", "\u{202e}ada@example.org", PASSWORD),
        counted("a byte order mark in the address", "\u{feff}ada@example.org", PASSWORD),
        counted("two ats", "ada@example.org@x", PASSWORD),
        counted("an injection", "'or'1'='1'--@x.org", "' or '1'='1"),
        counted("a pattern", "%@example.org", PASSWORD),
        counted("a template", "{{7*7}}@x.org", &format!("${{jndi:ldap://x}}{CANARY}")),
        counted("a script", "<script>alert(1)</script>@x.org", "<script>alert(1)</script>"),
        counted("a stored hash", "ada@example.org", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"),
        attempt(
            "a role asked for, with a wrong password",
            wrong(
                &[JSON],
                right.replace(PASSWORD, "x").replace('}', r#","role":"admin"}"#),
            ),
            WRONG,
            Change::OneFailure,
        ),
        attempt(
            "a huge number in a field nobody reads",
            wrong(
                &[JSON],
                right.replace(PASSWORD, "x").replace('}', r#","n":1e999999}"#),
            ),
            WRONG,
            Change::OneFailure,
        ),
        attempt(
            "a charset that it is not",
            wrong(
                &["Content-Type: application/json; charset=utf-16"],
                body("ada@example.org", "x"),
            ),
            WRONG,
            Change::OneFailure,
        ),
        attempt("an encoding that it is not", wrong(&[JSON, "Content-Encoding: gzip"], body("ada@example.org", "x")), WRONG, Change::OneFailure),
        attempt(
            "the address and password in the query",
            request(
                "POST",
                "/auth/login?email=ada@example.org&password=x",
                &[JSON],
                body("ada@example.org", "x"),
            ),
            WRONG,
            Change::OneFailure,
        ),
    ];
    // Unusual but valid: a sign-in is refused only for what is wrong with it.
    let welcome = |name: &str, body: String| {
        attempt(
            name,
            request("POST", "/auth/login", &[JSON], body),
            WELCOME,
            Change::SignIn,
        )
    };
    #[rustfmt::skip] // One row a line.
    rows.extend([
        welcome("white space and upper case around the address", body(" ADA@Example.ORG \n", PASSWORD)),
        welcome("all 80 bytes", body("eve@example.org", &format!("{long}aaaaaaaa"))),
        welcome("a role asked for", right.replace('}', r#","role":"admin","user":{"role":"admin"},"__proto__":{"role":"admin"}}"#)),
        welcome("escapes for letters", right.replace("ada@", r"\u0061d\u0061@")),
        with_header("a user agent of 10 kB", &format!("User-Agent: {}", "x".repeat(10_000)), WELCOME, Change::SignIn),
        with_header("a script for a user agent", "User-Agent: <script>alert(1)</script>", WELCOME, Change::SignIn),
        with_header("two user agents", "User-Agent: a\r\nUser-Agent: b", WELCOME, Change::SignIn),
        with_header("the token of another", &format!("Authorization: Bearer {}", "ab".repeat(32)), WELCOME, Change::SignIn),
        with_header("a page of another origin that sends JSON", "Origin: https://evil.example", WELCOME, Change::SignIn),
        with_header("an expectation that is none", "Expect: nonsense", WELCOME, Change::SignIn),
    ]);
    try_all(&app, rows);
    let admins = "select count(*) from users where role = 'admin'";
    assert_eq!(app.database().number(admins), 0);
}

#[tokio::test]
async fn a_login_that_comes_in_the_wrong_wrapping_is_refused() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let right = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let form = format!("email=ada%40example.org&password={}", PASSWORD.replace(' ', "+"));
    let wrapped = |name: &str, lines: &[&str], body: &str, right| {
        attempt(
            name,
            request("POST", "/auth/login", lines, body),
            right,
            Change::Nothing,
        )
    };
    const OTHER_TYPE: &[&str] = &["415 unsupported_media_type"];
    let chunked = |chunks: &str| {
        let head =
            format!("POST /auth/login HTTP/1.1\r\nHost: x\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n");
        format!("{head}{chunks}")
    };
    let endless = "1000\r\n".to_owned() + &" ".repeat(0x1000) + "\r\n";
    #[rustfmt::skip] // One row a line.
    let mut rows = vec![
        wrapped("no type", &[], &right, OTHER_TYPE),
        wrapped("a form", &["Content-Type: application/x-www-form-urlencoded"], &form, OTHER_TYPE),
        wrapped("JSON as text", &["Content-Type: text/plain"], &right, OTHER_TYPE),
        wrapped("JSON as a form", &["Content-Type: multipart/form-data; boundary=x"], &right, OTHER_TYPE),
        wrapped("a type that only ends like ours", &["Content-Type: text/application/json"], &right, OTHER_TYPE),
        wrapped("a list of types", &["Content-Type: text/plain, application/json"], &right, OTHER_TYPE),
        wrapped("two types", &["Content-Type: text/plain\r\nContent-Type: application/json"], &right, OTHER_TYPE),
        wrapped("a type of bytes", &["Content-Type: \u{e9}\u{fffd}"], &right, OTHER_TYPE),
        wrapped("gzip", &[JSON, "Content-Encoding: gzip"], "\u{1f}\u{8b}\u{8}\0\0\0\0\0\0\u{3}\u{3}\0\0\0\0\0\0\0\0\0", NONSENSE),
        attempt("a body in chunks that is too large", chunked(&(endless.repeat(3) + "0\r\n\r\n")), TOO_LARGE, Change::Nothing),
        attempt("a NUL in the user agent", request_of_bytes("POST", "/auth/login", b"User-Agent: a\0b"), &["400"], Change::Nothing),
        attempt("by GET", request("GET", "/auth/login?email=ada@example.org&password=x", &[], ""), &["405 method_not_allowed"], Change::Nothing),
        attempt("by PUT", request("PUT", "/auth/login", &[JSON], &right), &["405 method_not_allowed"], Change::Nothing),
    ];
    for (name, size) in [
        ("that are no number", "zz"),
        ("of negative size", "-1"),
        ("larger than any number", "FFFFFFFFFFFFFFFFFF"),
        ("with a plus", "+5"),
        ("with 0x", "0x5"),
    ] {
        rows.push(attempt(
            format!("chunks {name}"),
            chunked(&format!("{size}\r\n{right}\r\n0\r\n\r\n")),
            NONSENSE,
            Change::Nothing,
        ));
    }
    try_all(&app, rows);
}

#[tokio::test]
async fn a_forwarded_address_is_never_a_reason_to_fail() {
    let app = App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    app.add_user("ada", Role::User).await;
    let many = "10.0.0.1, ".repeat(5_000) + "192.0.2.1";
    let rows: Vec<Try> = [
        "garbage",
        "",
        ",,,,",
        "1.2.3.4:5555",
        "1.2.3.4:99999",
        "::ffff:1.2.3.4",
        "[2001:db8::1]:443",
        "[2001:db8::1",
        "fe80::1%eth0",
        "999.999.999.999",
        "1.2.3.4/24",
        "unknown",
        "\"1.2.3.4\"",
        "' or 1=1 --",
        "127.0.0.1, 127.0.0.1",
        "1.2.3.4\r\nX-Forwarded-For: garbage",
        &many,
    ]
    .iter()
    .map(|value| {
        let name: String = value.chars().take(40).collect();
        with_header(
            &name,
            &format!("X-Forwarded-For: {value}"),
            WELCOME,
            Change::SignIn,
        )
    })
    .collect();
    try_all(&app, rows);
}
