//! What ends while something else is under way.

use super::{ADA, BOB, LOGIN, LOGOUT, Page};
use crate::support::PASSWORD;

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
    // One that its caller gives up is theirs alone.
    page.sign_in(ADA).await;
    let call = "(() => { window.enough = new AbortController(); return seat.fetch('/auth/history', { signal: enough.signal }); })()";
    page.begin("given up", call).await;
    let _answer = page.gate.held().await;
    page.browser.run("enough.abort()").await;
    assert_eq!(page.outcome("given up").await, "DOMException 20");
    page.agrees_on(Some(ADA)).await;
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
