//! Sign-ins that overlap: the last one that was called is the last at the server.

use serde_json::json;

use super::{ADA, BOB, DEAF, LOGIN, Page, sign_in};
use crate::support::eventually;

#[tokio::test]
async fn of_two_sign_ins_that_overlap_the_later_is_held_and_is_the_last_at_the_server() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("first", ADA).await;
    let first = page.gate.held().await;
    page.begin_sign_in("second", ADA).await;
    assert_eq!(page.outcome("first").await, "SessionEnded replaced");
    page.ask_something_else("else").await;
    assert_eq!(
        page.gate.asked(LOGIN),
        1,
        "the second waits for the first's answer"
    );
    first.deliver();
    page.gate.held().await.deliver();
    assert_eq!(page.outcome("second").await, ADA);
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn of_many_sign_ins_at_once_only_the_first_and_the_last_are_sent() {
    let page = Page::open().await;
    let calls = (0..5).map(|n| format!("note('{n}', {})", sign_in(ADA)));
    page.browser.run(&calls.collect::<Vec<_>>().join(";")).await;
    assert_eq!(page.outcome("4").await, ADA);
    for overtaken in ["0", "1", "2", "3"] {
        assert_eq!(page.outcome(overtaken).await, "SessionEnded replaced");
    }
    assert!(page.gate.asked(LOGIN) <= 2, "{}", page.gate.asked(LOGIN));
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn a_sign_in_of_somebody_else_overtakes_the_first_whose_session_is_ended() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("ada", ADA).await;
    let ada = page.gate.held().await;
    page.begin_sign_in("bob", BOB).await;
    page.gate.hold_nothing();
    ada.deliver();
    assert_eq!(page.outcome("ada").await, "SessionEnded replaced");
    assert_eq!(page.outcome("bob").await, BOB);
    page.agrees_on(Some(BOB)).await;
    assert_eq!(page.ended("signed_out"), 1);
}

#[tokio::test]
async fn a_sign_in_that_overtakes_and_fails_leaves_none() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("first", ADA).await;
    let first = page.gate.held().await;
    page.begin("second", &format!("seat.signIn('{ADA}', 'not the password')"))
        .await;
    page.gate.hold_nothing();
    first.deliver();
    assert_eq!(page.outcome("second").await, "Problem invalid_credentials");
    page.agrees_on(None).await;
}

#[tokio::test]
async fn a_session_that_an_overtaken_sign_in_has_replaced_is_held_no_more() {
    let mut page = Page::open().await;
    page.browser.run(DEAF).await;
    page.sign_in(ADA).await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("again", ADA).await;
    let again = page.gate.held().await;
    page.begin("other", &format!("seat.signIn('{BOB}', 'not the password')"))
        .await;
    page.gate.hold_nothing();
    again.deliver();
    assert_eq!(page.outcome("other").await, "Problem invalid_credentials");
    eventually("the new one has ended, too", async || page.app.sessions() == 0).await;
    assert_eq!(
        page.browser.run("return seat.user").await,
        serde_json::Value::Null
    );
}

#[tokio::test]
async fn a_sign_in_of_somebody_else_ends_the_session_that_was_held() {
    let page = Page::open().await;
    page.browser
        .run("seat.onEnded(({ reason }) => { outcomes.ended = reason; })")
        .await;
    page.sign_in(ADA).await;
    page.sign_in(BOB).await;
    assert_eq!(page.outcome("ended").await, "signed_out");
    page.agrees_on(Some(BOB)).await;
    assert_eq!(page.ended("signed_out"), 1);
}

#[tokio::test]
async fn a_refused_sign_in_changes_nothing_for_the_session_that_is_held() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    page.begin("wrong", &format!("seat.signIn('{BOB}', 'not the password')"))
        .await;
    assert_eq!(page.outcome("wrong").await, "Problem invalid_credentials");
    page.agrees_on(Some(ADA)).await;
    // The token was not refused; the credentials in the body were.
    let call = "seat.fetch('/auth/login', { method: 'POST', headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email: 'bob@example.org', password: 'not the password' }) })
        .then((response) => response.json()).then(({ code }) => code)";
    page.begin("by hand", call).await;
    assert_eq!(page.outcome("by hand").await, "invalid_credentials");
    page.agrees_on(Some(ADA)).await;
    let call = "seat.fetch('/auth/introspect', { method: 'POST', body: new URLSearchParams({ token: 'x' }) })
        .then((response) => response.json()).then(({ code }) => code)";
    page.begin("as a service", call).await;
    assert_eq!(page.outcome("as a service").await, "invalid_client");
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_owned_up_to_and_the_next_sign_in_replaces_what_it_left() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("lost", ADA).await;
    drop(page.gate.held().await);
    assert_eq!(page.outcome("lost").await, "TypeError");
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, false);
    assert_eq!(page.app.sessions(), 1, "which nobody can know of");
    page.gate.hold_nothing();
    page.sign_in(ADA).await;
    page.agrees_on(Some(ADA)).await;
    page.begin("again", "seat.signOut()").await;
    assert_eq!(page.outcome("again").await, true);
    page.agrees_on(None).await;
}

#[tokio::test]
async fn two_seats_in_one_page_are_like_two_pages() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    page.browser
        .run(
            "seat.onEnded(({ reason }) => { outcomes.ended = reason; });
             window.first = seat;
             window.seat = new Oneseat();",
        )
        .await;
    page.begin_sign_in("bob", BOB).await;
    assert_eq!(page.outcome("bob").await, BOB);
    assert_eq!(page.app.sessions(), 2);
    page.begin_sign_in("ada", ADA).await;
    assert_eq!(page.outcome("ada").await, ADA);
    assert_eq!(page.outcome("ended").await, "replaced");
    assert_eq!(page.browser.run("return first.user").await, json!(null));
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn what_is_no_answer_of_oneseats_fails_that_sign_in_and_the_next_goes_on() {
    let page = Page::open().await;
    page.sign_in(ADA).await;
    let user = r#"{"id":"1","name":"ada","email":"ada@example.org","role":"user"}"#;
    for odd in [
        "",
        "<p>Welcome to our network",
        "null",
        "[]",
        "{}",
        r#"{"token":"x"}"#,
        r#"{"token":"x","user":null}"#,
        r#"{"token":"x","user":{"id":"1"}}"#,
        &format!(r#"{{"user":{user}}}"#),
        &format!(r#"{{"token":"","user":{user}}}"#),
        &format!(r#"{{"token":"a\nb","user":{user}}}"#),
    ] {
        page.gate.answer_once(LOGIN, "200 OK", "", odd);
        page.begin_sign_in("odd", BOB).await;
        assert_eq!(page.outcome("odd").await, "TypeError", "{odd}");
        page.browser.run("delete outcomes.odd").await;
    }
    // Whatever happened, the session that the page held is still held.
    page.agrees_on(Some(ADA)).await;
    page.sign_in(BOB).await;
    page.agrees_on(Some(BOB)).await;
    page.begin("sign-out", "seat.signOut()").await;
    assert_eq!(page.outcome("sign-out").await, true);
    page.agrees_on(None).await;
}
