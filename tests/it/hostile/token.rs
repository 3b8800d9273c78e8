//! Tokens that do not exist, belong to another user, or are in the wrong place.

use diesel::RunQueryDsl;
use diesel::sql_types::Text;

use super::{CANARY, Change, Try, attempt, request, request_of_bytes, try_all};
use crate::support::App;

const MISSING: &[&str] = &["401 token_missing"];
const INVALID: &[&str] = &["401 token_invalid"];
const WELCOME: &[&str] = &["200"];

fn asking(name: &str, line: &str, right: &'static [&'static str]) -> Try {
    let sent = request("GET", "/auth/session", &[line], "");
    attempt(name, sent, right, Change::Nothing)
}

/// What the database holds instead of the token.
fn stored_digest(app: &App) -> String {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        digest: String,
    }
    diesel::sql_query("select encode(token_digest, 'hex') as digest from sessions limit 1")
        .get_result::<Row>(&mut app.database().connect())
        .unwrap()
        .digest
}

#[tokio::test]
async fn only_the_token_itself_in_its_own_place_is_a_token() {
    let app = App::start().await;
    let token = app.signed_in("ada").await.token.unwrap();
    let digest = stored_digest(&app);
    let changed = format!("{}{}", &token[..63], if token.ends_with('0') { '1' } else { '0' });
    let upper = token.to_uppercase();
    let wide: String = token
        .chars()
        .map(|c| {
            c.to_digit(10)
                .map_or(c, |digit| char::from_u32('\u{ff10}' as u32 + digit).unwrap())
        })
        .collect();
    let long = "a".repeat(100_000);
    #[rustfmt::skip] // One row a line.
    let mut rows = vec![
        asking("no header", "X-Nothing: here", MISSING),
        asking("a scheme in lower case", &format!("Authorization: bearer {token}"), WELCOME),
        asking("a scheme in upper case", &format!("Authorization: BEARER {token}"), WELCOME),
        asking("spaces around the token", &format!("Authorization:   Bearer   {token}   "), WELCOME),
        asking("a scheme alone", "Authorization: Bearer", MISSING),
        asking("a scheme and a space", "Authorization: Bearer ", MISSING),
        asking("an empty header", "Authorization:", MISSING),
        asking("a token alone", &format!("Authorization: {token}"), MISSING),
        asking("another scheme", "Authorization: Basic YWRhOnB3", MISSING),
        asking("another scheme with the token", &format!("Authorization: Token {token}"), MISSING),
        asking("a scheme that begins like ours", &format!("Authorization: Bearerx {token}"), MISSING),
        asking("a tab after the scheme", &format!("Authorization: Bearer\t{token}"), MISSING),
        asking("a token in two parts", &format!("Authorization: Bearer {} {}", &token[..32], &token[32..]), INVALID),
        asking("the token twice in one header", &format!("Authorization: Bearer {token}, Bearer {token}"), INVALID),
        asking("the token in quotes", &format!("Authorization: Bearer \"{token}\""), INVALID),
        asking("a token one character short", &format!("Authorization: Bearer {}", &token[1..]), INVALID),
        asking("a token one character long", &format!("Authorization: Bearer {token}0"), INVALID),
        asking("one character changed", &format!("Authorization: Bearer {changed}"), INVALID),
        asking("the token in upper case", &format!("Authorization: Bearer {upper}"), INVALID),
        asking("the token in full-width digits", &format!("Authorization: Bearer {wide}"), INVALID),
        asking("the stored digest", &format!("Authorization: Bearer {digest}"), INVALID),
        asking("a token of zeros", &format!("Authorization: Bearer {}", "0".repeat(64)), INVALID),
        asking("what would be a pattern", &format!("Authorization: Bearer {}", "%".repeat(64)), INVALID),
        asking("an injection", &format!("Authorization: Bearer ' or 1=1; -- {CANARY}"), INVALID),
        asking("100 kB of token", &format!("Authorization: Bearer {long}"), INVALID),
        asking("two headers", &format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}"), &["400 bad_request"]),
        asking("two headers, one of another scheme", &format!("Authorization: Basic eDp5\r\nAuthorization: Bearer {token}"), &["400 bad_request"]),
        asking("a header that goes on in the next line", &format!("Authorization: Bearer\r\n {token}"), &["400"]),
        asking("the token in a cookie", &format!("Cookie: token={token}; session={token}; Authorization=Bearer {token}"), MISSING),
        asking("the token for a proxy", &format!("Proxy-Authorization: Bearer {token}"), MISSING),
        asking("the token in other headers", &format!("X-Authorization: Bearer {token}\r\nX-Auth-Token: {token}"), MISSING),
        attempt(
            "a NUL after the token",
            request_of_bytes(
                "GET",
                "/auth/session",
                &[b"Authorization: Bearer ", token.as_bytes(), b"\0"].concat(),
            ),
            &["400"],
            Change::Nothing,
        ),
        attempt("bytes that are no text", request_of_bytes("GET", "/auth/session", b"Authorization: Bearer \xff\xfe\x80"), INVALID, Change::Nothing),
        attempt(
            "the token in the query",
            request(
                "GET",
                &format!("/auth/session?token={token}&access_token={token}&Authorization=Bearer%20{token}"),
                &[],
                "",
            ),
            MISSING,
            Change::Nothing,
        ),
        attempt(
            "the token in a form",
            request(
                "POST",
                "/auth/logout",
                &["Content-Type: application/x-www-form-urlencoded"],
                format!("access_token={token}"),
            ),
            MISSING,
            Change::Nothing,
        ),
        attempt(
            "the token as userinfo of the address",
            request("GET", &format!("http://ada:{token}@x/auth/session"), &[], ""),
            MISSING,
            Change::Nothing,
        ),
        attempt(
            "the token in a trailer",
            request(
                "POST",
                "/auth/logout",
                &[&format!(
                    "Trailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer {token}"
                )],
                "",
            ),
            MISSING,
            Change::Nothing,
        ),
    ];
    for odd in [
        "TRUE",
        "1",
        "",
        "true, true",
        "true\r\nOneseat-Passive: false",
        &"x".repeat(10_000),
    ] {
        let line = format!("Authorization: Bearer {token}\r\nOneseat-Passive: {odd}");
        let name: String = odd.chars().take(20).collect();
        rows.push(asking(&format!("passive {name:?}"), &line, WELCOME));
    }
    for line in [
        "Range: bytes=0-1",
        "If-Modified-Since: Tue, 01 Jan 2030 00:00:00 GMT",
        "If-None-Match: *",
        "Accept: nonsense/*;q=9",
        "Accept-Encoding: gzip, br, zstd",
        "X-Forwarded-For: garbage",
        "Forwarded: for=\"_x\"",
        "Upgrade: h2c",
        "X-HTTP-Method-Override: DELETE",
    ] {
        let both = format!("Authorization: Bearer {token}\r\n{line}");
        rows.push(asking(line, &both, WELCOME));
    }
    try_all(&app, rows);
}

#[tokio::test]
async fn what_ended_stays_ended_and_nobody_reaches_what_is_not_theirs() {
    let app = App::start().await;
    let over = app.signed_in("over").await;
    assert_eq!(over.logout().await.status, 200);
    let expired = app.signed_in("late").await;
    app.database()
        .execute(&crate::support::sql::backdate_sessions("3 hours"));
    // That is written once, when it is told for the first time.
    assert_eq!(expired.session().await.problem(), "401 session_ended");
    let (ada, admin) = (app.signed_in("ada").await, app.admin().await);
    let who = ada.session().await.json();
    let bearer = |token: &Option<String>| format!("Authorization: Bearer {}", token.as_ref().unwrap());
    let (over, expired, ada, admin) = (
        bearer(&over.token),
        bearer(&expired.token),
        bearer(&ada.token),
        bearer(&admin.token),
    );
    let (session, user) = (
        who["session"]["id"].as_str().unwrap(),
        who["user"]["id"].as_str().unwrap(),
    );
    let nobody = uuid::Uuid::new_v4();

    let tried = |name: &str, method, path: &str, who: &str, right| {
        attempt(name, request(method, path, &[who], ""), right, Change::Nothing)
    };
    const ENDED: &[&str] = &["401 session_ended"];
    const FORBIDDEN: &[&str] = &["403 forbidden"];
    const NOT_FOUND: &[&str] = &["404 not_found"];
    const NO_METHOD: &[&str] = &["405 method_not_allowed"];
    #[rustfmt::skip] // One row a line.
    let mut rows = vec![
        tried("signing out twice", "POST", "/auth/logout", &over, ENDED),
        tried("signing out after the time was up", "POST", "/auth/logout", &expired, ENDED),
        tried("asking after the time was up", "GET", "/auth/session", &expired, ENDED),
        tried("listening after the time was up", "GET", "/auth/session/events", &expired, ENDED),
        tried("signing out by GET", "GET", "/auth/logout", &ada, NO_METHOD),
        tried("signing out by HEAD", "HEAD", "/auth/logout", &ada, &["405"]),
        tried("signing out by PUT", "PUT", "/auth/logout", &ada, NO_METHOD),
        tried("a user lists sessions", "GET", "/api/admin/sessions", &ada, FORBIDDEN),
        tried("a user lists endings", "GET", "/api/admin/history", &ada, FORBIDDEN),
        tried("a user ends everybody", "DELETE", "/api/admin/sessions", &ada, FORBIDDEN),
        tried("a user ends their own as if an admin", "DELETE", &format!("/api/admin/sessions/{session}"), &ada, FORBIDDEN),
        tried("a user ends a user's", "DELETE", &format!("/api/admin/users/{user}/session"), &ada, FORBIDDEN),
        tried("a user lifts a lock", "DELETE", &format!("/api/admin/users/{user}/lock"), &ada, FORBIDDEN),
        tried("a user opens the page of sessions", "GET", "/admin/sessions", &ada, FORBIDDEN),
        tried("a user opens the page of endings", "GET", "/admin/history", &ada, FORBIDDEN),
        tried("a user spells the path otherwise", "GET", "/api/%61dmin/sessions", &ada, FORBIDDEN),
        tried("a user hopes for a slash", "DELETE", "/api/admin/sessions/", &ada, NOT_FOUND),
        tried("a user hopes for two slashes", "GET", "//api//admin/sessions", &ada, NOT_FOUND),
        tried("a user hopes for dots", "GET", "/static/../api/admin/sessions", &ada, NOT_FOUND),
        tried("a user hopes for upper case", "GET", "/API/ADMIN/SESSIONS", &ada, NOT_FOUND),
        tried("an unknown session", "DELETE", &format!("/api/admin/sessions/{nobody}"), &admin, NOT_FOUND),
        tried("a user's id for a session's", "DELETE", &format!("/api/admin/sessions/{user}"), &admin, NOT_FOUND),
        tried("a session's id for a user's", "DELETE", &format!("/api/admin/users/{session}/session"), &admin, NOT_FOUND),
        tried("a lock that is none", "DELETE", &format!("/api/admin/users/{nobody}/lock"), &admin, NOT_FOUND),
        tried(
            "a method in a header",
            "POST",
            &format!("/api/admin/sessions/{session}"),
            &format!("{admin}\r\nX-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE"),
            NO_METHOD,
        ),
        tried("a method in the query", "POST", &format!("/api/admin/sessions/{session}?_method=DELETE"), &admin, NO_METHOD),
        tried("a method in a header of a GET", "GET", "/api/admin/sessions", &format!("{admin}\r\nX-HTTP-Method-Override: DELETE"), &["200"]),
    ];
    for id in [
        "7",
        "null",
        "%00",
        "..",
        "%2e%2e",
        "..%2f..%2fhealthz",
        "{id}",
        "*",
        "%27%20or%201=1--",
        &"9".repeat(5_000),
    ] {
        let shown: String = id.chars().take(20).collect();
        rows.push(tried(
            &format!("the id {shown}"),
            "DELETE",
            &format!("/api/admin/sessions/{id}"),
            &admin,
            NOT_FOUND,
        ));
    }
    try_all(&app, rows);
}
