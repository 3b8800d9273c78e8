//! A browser opens six connections to one origin over HTTP/1.1, for all of its tabs together.

use fantoccini::wd::WindowHandle;
use oneseat::users::Role;

use crate::support::{App, Browser, eventually};

/// More than there are connections.
const TABS: usize = 8;

async fn in_a_new_tab(browser: &Browser, name: &str) -> WindowHandle {
    let tab = browser.page.new_window(true).await.unwrap().handle;
    browser.page.switch_to_window(tab.clone()).await.unwrap();
    browser.go("/login").await;
    browser.sign_in(&format!("{name}@example.org")).await;
    tab
}

#[tokio::test]
async fn eight_tabs_of_one_browser_each_hold_a_session_and_the_one_that_is_seen_a_stream() {
    let app = App::start().await;
    let browser = Browser::open(app.address, "/login").await;
    let mut tabs = Vec::new();
    for n in 0..TABS {
        let name = format!("user{n}");
        app.add_user(&name, Role::User).await;
        tabs.push(in_a_new_tab(&browser, &name).await);
    }
    // Each still gets answers.
    for tab in &tabs {
        browser.page.switch_to_window(tab.clone()).await.unwrap();
        browser.click(".brand").await;
        browser.wait_for("#sign-out").await;
    }
    // The one that is seen last is told at once, and a hidden one when it asks.
    app.visitor().sign_in("user7@example.org").await;
    browser.wait_for_words("so this page was signed out.").await;
    app.visitor().sign_in("user0@example.org").await;
    browser.page.switch_to_window(tabs[0].clone()).await.unwrap();
    browser.wait_for_words("so this page was signed out.").await;
    eventually("all live", async || app.sessions() == 8).await;
}

#[tokio::test]
async fn a_page_that_asks_at_an_interval_is_not_missed() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let ada = app.visitor().sign_in_as_page("ada@example.org").await;
    let answer = ada.get("/auth/session/events?once=true").await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains(": open"), "{answer:?}");
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        // A proxy must not hold events back.
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let missed = "select count(*) from sessions where page_lost_at is not null";
    assert_eq!(app.database().number(missed), 0);
    for wrong in ["once=1", "twice=true", "once=true&once=true"] {
        let answer = ada.get(&format!("/auth/session/events?{wrong}")).await;
        assert_eq!(answer.problem(), "400 bad_request", "{wrong}");
    }
}
