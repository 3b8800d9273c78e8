//! Sessions that end while other calls are running.

use serde_json::json;

use super::leaving::{HIDE, SHOW};
use super::{ADA, BOB, LOGIN, LOGOUT, Page};
use crate::support::{PASSWORD, eventually};

const BUSY: &str = "503 Service Unavailable";

#[tokio::test]
async fn a_sign_out_during_a_sign_in_waits_for_its_answer_and_ends_what_it_opened() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("sign-in", ADA).await;
    let answer = page.gate.held().await;
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-in").await, "SessionEnded signed_out");
    assert!(
        page.has_no_outcome("sign-out").await,
        "the server does not know yet"
    );
    answer.deliver();
    assert_eq!(page.outcome("sign-out").await, true);
    assert_eq!(page.app.sessions(), 0);
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_second_sign_out_says_what_the_first_says() {
    let mut page = Page::open().await;
    page.sign_in(ADA).await;
    page.gate.hold(LOGOUT);
    page.begin("first", "seat.signOut()").await;
    page.begin("second", "seat.signOut()").await;
    let answer = page.gate.held().await;
    assert!(page.has_no_outcome("second").await);
    drop(answer);
    assert_eq!(page.outcome("first").await, false);
    assert_eq!(page.outcome("second").await, false);
    assert_eq!(page.gate.asked(LOGOUT), 1);
    page.agrees_on(None).await;
}

#[tokio::test]
async fn what_waits_for_an_answer_when_the_session_ends_is_aborted_with_the_reason() {
    let mut page = Page::open().await;
    page.sign_in(ADA).await;
    page.gate.hold("GET /auth/history");
    page.begin("history", "seat.fetch('/auth/history')").await;
    let answer = page.gate.held().await;
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("history").await, "SessionEnded signed_out");
    answer.deliver();
    assert_eq!(page.outcome("sign-out").await, true);
    // If a caller aborts its own request, only that request is affected.
    page.sign_in(ADA).await;
    let call = "(() => { window.enough = new AbortController(); return seat.fetch('/auth/history', { signal: enough.signal }); })()";
    page.begin("given up", call).await;
    let _answer = page.gate.held().await;
    page.browser.run("enough.abort()").await;
    assert_eq!(page.outcome("given up").await, "DOMException 20");
    page.agrees_on(Some(ADA)).await;
    // With a signal of the caller's, too, the end of the session aborts the request.
    page.browser.run("delete outcomes['given up']").await;
    page.begin("given up", call).await;
    let _answer = page.gate.held().await;
    page.begin("again", "seat.signOut()").await;
    assert_eq!(page.outcome("given up").await, "SessionEnded signed_out");
    // An answer that has come already, when the session ends, is not given to the caller either.
    page.gate.hold_nothing();
    page.sign_in(ADA).await;
    page.browser
        .run(
            "const real = window.fetch;
             window.fetch = async (url, options) => {
                 const answer = await real(url, options);
                 if (`${url}`.endsWith('/auth/history')) await new Promise((go) => { window.letGo = go; });
                 return answer;
             };",
        )
        .await;
    page.begin("come", "seat.fetch('/auth/history')").await;
    assert!(page.browser.wait_until("return 'letGo' in window").await);
    page.begin("at once", "seat.signOut()").await;
    assert_eq!(page.outcome("at once").await, true);
    page.browser.run("letGo()").await;
    assert_eq!(page.outcome("come").await, "SessionEnded signed_out");
}

#[tokio::test]
async fn a_change_of_password_is_what_the_server_says_it_is() {
    let mut page = Page::open().await;
    page.sign_in(ADA).await;
    page.gate.hold("POST /auth/password/change");
    let call = format!("seat.changePassword('{PASSWORD}', 'seven sleepy otters in a row')");
    page.begin("change", &call).await;
    let answer = page.gate.held().await;
    // The stream may tell of the end first; only the answer says by whom.
    assert!(page.browser.wait_until("return seat.user === null").await);
    assert!(page.has_no_outcome("change").await);
    answer.deliver();
    assert_eq!(page.outcome("change").await, "done");
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_listener_that_throws_is_reported_and_changes_nothing() {
    let page = Page::open().await;
    page.browser
        .run(
            "seat.onEnded(() => { throw new Error('of a listener'); });
             seat.onEnded(({ reason }) => { outcomes.told = reason; });
             seat.onChanged(() => { throw new Error('of another'); });
             seat.onChanged(() => { outcomes.changed = 'told'; });",
        )
        .await;
    page.sign_in(ADA).await;
    assert_eq!(page.outcome("changed").await, "told");
    page.sign_in(ADA).await;
    assert_eq!(page.outcome("told").await, "replaced");
    page.agrees_on(Some(ADA)).await;
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, true);
    page.agrees_on(None).await;
    let reported = page.browser.run("return reported.join()").await;
    let reported = reported.as_str().unwrap();
    assert!(
        reported.contains("of a listener") && reported.contains("of another"),
        "{reported}"
    );
}

#[tokio::test]
async fn a_listener_that_asks_for_something_else_has_its_way() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    page.browser
        .run("window.off = seat.onEnded(() => { off(); note('within', seat.signOut()); })")
        .await;
    page.begin_sign_in("bob", BOB).await;
    assert_eq!(page.outcome("bob").await, "SessionEnded signed_out");
    assert_eq!(page.outcome("within").await, true);
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_busy_server_is_told_again_of_a_session_that_nobody_holds() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("sign-in", ADA).await;
    let answer = page.gate.held().await;
    page.begin("sign-out", "seat.signOut()").await;
    page.gate.answer_once(LOGOUT, BUSY, "", "{}");
    page.gate
        .answer_once(LOGOUT, "429 Too Many Requests", "Retry-After: 1\r\n", "{}");
    answer.deliver();
    assert_eq!(page.outcome("sign-in").await, "SessionEnded signed_out");
    assert_eq!(page.outcome("sign-out").await, true);
    assert_eq!(page.gate.asked(LOGOUT), 3);
    assert_eq!(page.app.sessions(), 0);
}

#[tokio::test]
async fn a_busy_server_is_told_a_few_times_less_and_less_often_and_as_seldom_as_it_asks() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    page.browser
        .run(
            "window.pauses = [];
             const real = window.setTimeout;
             window.setTimeout = (ring, time) => { pauses.push(Math.floor(time / 1000)); return real(ring, time < 10_000 ? 0 : time); };",
        )
        .await;
    for after in ["", "Retry-After: 3\r\n", "Retry-After: soon\r\n", ""] {
        page.gate.answer_once(LOGOUT, BUSY, after, "{}");
    }
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, false);
    assert_eq!(page.gate.asked(LOGOUT), 4);
    let pauses = page
        .browser
        .run("return pauses.filter((time) => time > 0 && time < 10).slice(-3)")
        .await;
    assert!([json!([1, 3, 4]), json!([1, 3, 5])].contains(&pauses), "{pauses}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_long_pause_is_told_no_more_and_another_answer_is_no_knowledge() {
    let page = Page::open().await;
    for (status, headers, body) in [
        (BUSY, "Retry-After: 3600\r\n", "{}"),
        ("200 OK", "", "<p>Welcome to our network"),
        ("200 OK", "", "{}"),
        ("404 Not Found", "", "{}"),
    ] {
        page.sign_in(ADA).await;
        page.gate.answer_once(LOGOUT, status, headers, body);
        let before = page.gate.asked(LOGOUT);
        page.begin("sign-out", "seat.signOut()").await;
        assert_eq!(page.outcome("sign-out").await, false, "{status} {headers}{body}");
        assert_eq!(page.gate.asked(LOGOUT), before + 1, "{status} {headers}{body}");
        page.browser.run("delete outcomes['sign-out']").await;
    }
}

#[tokio::test]
async fn a_page_that_is_left_tells_a_busy_server_once_more_and_at_once() {
    let page = Page::open().await;
    for last in [BUSY, "200 OK"] {
        page.sign_in(ADA).await;
        page.gate.answer_once(LOGOUT, BUSY, "Retry-After: 9\r\n", "{}");
        if last == BUSY {
            page.gate.answer_once(LOGOUT, BUSY, "", "{}");
        }
        let before = page.gate.asked(LOGOUT);
        page.begin("sign-out", "seat.signOut()").await;
        eventually("it was told once", async || page.gate.asked(LOGOUT) == before + 1).await;
        page.ask_something_else("else").await;
        page.browser.run(HIDE).await;
        assert_eq!(page.outcome("sign-out").await, last == "200 OK", "{last}");
        assert_eq!(page.gate.asked(LOGOUT), before + 2, "{last}");
        page.browser.run(SHOW).await;
        page.browser
            .run("delete outcomes['sign-out']; delete outcomes.else")
            .await;
    }
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_change_of_password_that_another_answers_is_none() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    page.gate.answer_once(
        "POST /auth/password/change",
        "200 OK",
        "",
        "<p>Welcome to our network",
    );
    let call = format!("seat.changePassword('{PASSWORD}', 'seven sleepy otters in a row')");
    page.begin("change", &call).await;
    assert_eq!(page.outcome("change").await, "TypeError");
    page.agrees_on(Some(ADA)).await;
}
