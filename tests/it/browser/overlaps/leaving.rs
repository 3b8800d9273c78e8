//! A page that is left in the middle of a sign-in, and comes back.

use oneseat::users::Role;

use super::{ADA, LOGIN, Page};
use crate::browser::app_with_ada;
use crate::browser::client_module::{self, Site};
use crate::support::{App, Browser, Gate, PASSWORD, eventually};

/// What a browser tells a page that it keeps for "back".
pub(in crate::browser) const HIDE: &str =
    "dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))";
pub(in crate::browser) const SHOW: &str =
    "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))";

#[tokio::test]
async fn a_page_that_is_left_signs_nobody_in_until_it_is_back() {
    let mut page = Page::open().await;
    page.gate.hold(LOGIN);
    page.begin_sign_in("before", ADA).await;
    let answer = page.gate.held().await;
    page.browser.run(HIDE).await;
    assert_eq!(page.outcome("before").await, "SessionEnded page_closed");
    answer.deliver();
    page.agrees_on(None).await;
    assert_eq!(page.ended("page_closed"), 1);
    page.gate.hold_nothing();
    page.begin_sign_in("hidden", ADA).await;
    assert_eq!(page.outcome("hidden").await, "SessionEnded page_closed");
    assert_eq!(page.gate.asked(LOGIN), 1);
    page.browser.run(SHOW).await;
    page.sign_in(ADA).await;
    page.agrees_on(Some(ADA)).await;
}

#[tokio::test]
async fn a_page_that_the_browser_really_kept_comes_back_signed_out() {
    let site = Site::start();
    let origin = site.origin();
    let app = App::start_with(|config| config.http.cors_origins = vec![origin]).await;
    app.add_user("ada", Role::User).await;
    let mut gate = Gate::before(app.address).await;
    site.show_the_example(gate.address);
    let browser = Browser::open(site.address, "/").await;
    browser
        .run("window.shown = []; addEventListener('pageshow', ({ persisted }) => shown.push(persisted))")
        .await;
    gate.hold(LOGIN);
    client_module::sign_in(&browser, PASSWORD).await;
    let answer = gate.held().await;
    browser.go("/app.css").await;
    answer.deliver();
    browser.page.back().await.unwrap();
    assert!(
        browser
            .wait_until("return window.shown?.includes(true) === true")
            .await
    );
    eventually("what was opened is ended", async || app.sessions() == 0).await;
    let text = browser.text().await;
    assert!(
        text.contains("Take the seat") && !text.contains("the seat of"),
        "{text}"
    );
    let ended = "select count(*) from ended_sessions where reason = 'page_closed'";
    assert_eq!(app.database().number(ended), 1);
}

#[tokio::test]
async fn a_form_sent_twice_signs_in_once_and_one_that_was_left_not_at_all() {
    let app = app_with_ada().await;
    let mut gate = Gate::before(app.address).await;
    let browser = Browser::open(gate.address, "/login").await;
    gate.hold(LOGIN);
    browser.submit_login(ADA, PASSWORD).await;
    let answer = gate.held().await;
    browser
        .run("document.getElementById('login').requestSubmit()")
        .await;
    browser.run(HIDE).await;
    answer.deliver();
    eventually("what was opened is ended", async || app.sessions() == 0).await;
    assert_eq!(gate.asked(LOGIN), 1);
    assert_eq!(browser.path().await, "/login");
    assert_eq!(
        browser
            .run("return document.getElementById('password').value")
            .await,
        ""
    );
    browser.run(SHOW).await;
    gate.hold_nothing();
    browser.sign_in(ADA).await;
    assert_eq!(app.sessions(), 1);
}
