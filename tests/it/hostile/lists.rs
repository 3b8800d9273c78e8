//! Lists with nonsensical parameters.

use super::{CANARY, Change, Try, attempt, request, try_all};
use crate::support::App;

const PAGE: &[&str] = &["200"];
const NONSENSE: &[&str] = &["400 bad_request"];

#[tokio::test]
async fn a_list_is_asked_for_in_nonsense() {
    let app = App::start().await;
    app.signed_in("ada").await;
    app.visitor().sign_in("ada@example.org").await;
    app.visitor().sign_in("ada@example.org").await;
    let admin = app.admin().await;
    let next = admin.get("/api/admin/history?limit=1").await.json()["next"]
        .as_str()
        .unwrap()
        .replacen('h', "u", 1);
    let bearer = format!("Authorization: Bearer {}", admin.token.unwrap());
    let long = "a".repeat(10_000);
    #[rustfmt::skip] // One row a line.
    let queries: &[(&str, &str, &'static [&'static str])] = &[
        ("nothing after the question mark", "", PAGE),
        ("a search of 10 kB", &format!("q={long}"), NONSENSE),
        ("a search for a NUL", "q=a%00b", NONSENSE),
        ("a search for bytes that are no text", "q=%ff%fe", NONSENSE),
        ("a percent sign without its number", "q=%zz%", PAGE),
        ("two searches", "q=a&q=b", NONSENSE),
        ("an injection", "q=%27%3b%20drop%20table%20users%3b%20--", PAGE),
        ("a network that is none", "q=10.0.0.0/99", PAGE),
        ("every network", "q=::/0", PAGE),
        ("a search in half a surrogate pair", "q=%ed%a0%80", NONSENSE),
        ("a limit of nothing", "limit=", NONSENSE),
        ("a limit of zero", "limit=0", NONSENSE),
        ("a limit below zero", "limit=-1", NONSENSE),
        ("a limit of 1e9", "limit=1e9", NONSENSE),
        ("a limit beyond the bound", "limit=201", NONSENSE),
        ("a limit beyond every number", "limit=99999999999999999999999", NONSENSE),
        ("a limit in letters", "limit=abc", NONSENSE),
        ("a limit and a half", "limit=1.5", NONSENSE),
        ("a limit with an injection", &format!("limit=1;select%20{CANARY}"), NONSENSE),
        ("two limits", "limit=1&limit=2", NONSENSE),
        ("a cursor of nothing", "after=", PAGE),
        ("a cursor of another list", &format!("after={next}"), NONSENSE),
        ("a cursor of an earlier version", "after=1795000000000000_00000000000000000000000000000000", NONSENSE),
        ("a cursor in letters", "after=abc", NONSENSE),
        ("a cursor without an id", "after=s1795000000000000__1", NONSENSE),
        ("a cursor of another age", "after=s-9223372036854775808_00000000000000000000000000000000_1", NONSENSE),
        ("a cursor beyond all ages", "after=s1_00000000000000000000000000000000_9223372036854775807", NONSENSE),
        ("a cursor with an injection", &format!("after=s1_{CANARY}%27--_1"), NONSENSE),
        ("a cursor of 10 kB", &format!("after={long}"), NONSENSE),
        ("a reason that is none", &format!("reason={CANARY}"), NONSENSE),
        ("a reason in upper case", "reason=REVOKED", NONSENSE),
    ];
    let mut rows: Vec<Try> = Vec::new();
    for path in [
        "/api/admin/sessions",
        "/api/admin/history",
        "/admin/sessions",
        "/admin/history",
    ] {
        let letter = if path.ends_with("sessions") { "s" } else { "h" };
        let last =
            format!("after={letter}253402300799999999_ffffffffffffffffffffffffffffffff_253402300799999999");
        let sent = request("GET", &format!("{path}?{last}"), &[&bearer], "");
        rows.push(attempt(
            format!("{path}, a cursor at the end of time"),
            sent,
            PAGE,
            Change::Nothing,
        ));
        // Programs are told; a page may be reached by a link that somebody else wrote.
        let unknown = if path.starts_with("/api/") { NONSENSE } else { PAGE };
        let of_unknown = [
            ("a parameter that nobody knows", "nothing=here&limit=5", unknown),
            ("an array", "limit[]=1&q[]=x", unknown),
        ];
        for (name, query, right) in queries.iter().chain(&of_unknown) {
            let sent = request("GET", &format!("{path}?{query}"), &[&bearer], "");
            rows.push(attempt(format!("{path}, {name}"), sent, right, Change::Nothing));
        }
        let sent = request("GET", path, &[&bearer], "{}");
        rows.push(attempt(
            format!("{path}, a GET with a body"),
            sent,
            PAGE,
            Change::Nothing,
        ));
    }
    try_all(&app, rows);
}

#[tokio::test]
async fn what_people_search_for_is_text_and_no_pattern() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let admin = app.admin().await;
    for pattern in [
        "%25",
        "_",
        "%25%25%25",
        "___",
        "%5c",
        "%5c%5c%5c",
        "a%25a",
        "%5c%25",
    ] {
        let found = admin
            .get(&format!("/api/admin/sessions?q={pattern}"))
            .await
            .json();
        assert_eq!(found["total"], 0, "{pattern}");
        assert_eq!(found["sessions"].as_array().unwrap().len(), 0, "{pattern}");
    }
}
