//! Behaviour that differs from browser to browser: how a page closes, and what is sent then; menus, dialogs
//! and the focus.

use std::net::SocketAddr;
use std::time::Duration;

use fantoccini::key::Key;
use oneseat::users::Role;

use super::ADA;
use super::client_module::Site;
use super::lists::{FOCUSED, app_with_people};
use crate::support::{App, Browser, Engine, PASSWORD, eventually};

/// A server with a short page grace.
async fn app() -> App {
    let app = App::start_with(|config| config.page_grace = Duration::from_secs(10)).await;
    app.add_user("ada", Role::User).await;
    app
}

async fn signed_in(engine: Engine, app: &App) -> Browser {
    let browser = Browser::open_in(engine, app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser
}

/// Waits until so many sessions have ended with their page.
async fn ended_with_their_pages(app: &App, count: i64) {
    let ended = "select count(*) from ended_sessions where reason = 'page_closed'";
    eventually("the session has ended with its page", async || {
        app.sessions() == 0 && app.database().number(ended) == count
    })
    .await;
}

/// The page is reloaded, its window is closed, and its browser is killed.
async fn a_session_ends_with_its_page(engine: Engine) {
    let app = app().await;
    let browser = signed_in(engine, &app).await;
    browser.page.refresh().await.unwrap();
    browser.wait_for("#login").await;
    ended_with_their_pages(&app, 1).await;

    browser.sign_in(ADA).await;
    browser.page.close_window().await.unwrap();
    ended_with_their_pages(&app, 2).await;
    drop(browser);

    let browser = signed_in(engine, &app).await;
    browser.kill();
    ended_with_their_pages(&app, 3).await;
}

/// Back leads from another site to ours, and from ours to the other one.
async fn back_leads_from_site_to_site(engine: Engine) {
    let (app, site) = (app().await, Site::start());
    site.show_the_example(app.address);
    let browser = Browser::open_in(engine, app.address, "/login").await;
    let is_at = async |address: SocketAddr| {
        let there = format!("return location.host === '{address}' && document.readyState === 'complete'");
        assert!(
            browser.wait_until(&there).await,
            "never at {address} in {engine:?}"
        );
    };
    browser.page.goto(&site.origin()).await.unwrap();
    is_at(site.address).await;
    browser.page.back().await.unwrap();
    is_at(app.address).await;
    browser.wait_for("#login").await;
    browser.page.forward().await.unwrap();
    is_at(site.address).await;
    browser.go("/login").await;
    browser.page.back().await.unwrap();
    is_at(site.address).await;
}

async fn a_takeover_is_told(engine: Engine) {
    let app = app().await;
    let browser = signed_in(engine, &app).await;
    app.visitor().sign_in(ADA).await;
    browser.wait_for_words("so this page was signed out.").await;
}

/// An admin ends a session from its menu, searches, and turns pages, all by the keyboard.
async fn lists_are_used_by_keyboard(engine: Engine) {
    let app = app_with_people().await;
    app.database().execute(
        "insert into users (name, email) select 'Guest ' || n, 'g' || n || '@example.org' from generate_series(1, 60) as n",
    );
    let admin = Browser::open_in(engine, app.address, "/admin/sessions").await;
    // As wide as a tablet: actions are in a menu.
    admin.page.set_window_size(800, 900).await.unwrap();
    admin.submit_login("root@example.org", PASSWORD).await;
    let [enter, escape, tab] = [Key::Enter, Key::Escape, Key::Tab].map(char::from);
    let opener = "[aria-label='Actions for p20@example.org']";
    admin.wait_for(opener).await;
    let is_focused = async |label: &str| {
        let is_there =
            format!("return {FOCUSED} === '{label}' || document.activeElement.textContent === '{label}'");
        let focused = admin.wait_until(&is_there).await;
        let there = admin
            .run("return document.activeElement.outerHTML.slice(0, 200)")
            .await;
        assert!(focused, "{label} in {engine:?}: {there}");
    };
    admin
        .run(&format!("document.querySelector(\"{opener}\").focus()"))
        .await;
    admin.press(enter).await;
    is_focused("End the session of p20@example.org").await;
    admin.press(tab).await;
    is_focused("Close").await;
    admin.press(escape).await;
    is_focused("Actions for p20@example.org").await;
    admin.press(enter).await;
    is_focused("End the session of p20@example.org").await;
    admin.press(enter).await;
    is_focused("Cancel").await;
    admin.press(tab).await;
    is_focused("End").await;
    admin.press(enter).await;
    admin.wait_for_words("is signed out.").await;
    admin.wait_for_count("#live-heading .count", 30).await;
    is_focused("Actions for p21@example.org").await;
    assert!(!admin.text().await.contains("p20@example.org"));
    admin.press(escape).await;
    assert!(
        admin
            .wait_until("return document.querySelector('.toast') === null")
            .await
    );

    admin.fill("#q", "p30@").await;
    admin.press(enter).await;
    admin.wait_for_count("#live-heading .count", 1).await;
    assert!(admin.text().await.contains("Person 30"));
    for (link, rows) in [
        ("a[href='/admin/users']", 50),
        ("[rel=next]", 42),
        ("[rel=prev]", 50),
    ] {
        admin.wait_for(link).await;
        admin
            .run(&format!("document.querySelector(\"{link}\").focus()"))
            .await;
        admin.press(enter).await;
        let has_rows = format!("return document.querySelectorAll('.accounts tbody tr').length === {rows}");
        assert!(admin.wait_until(&has_rows).await, "{link} in {engine:?}");
    }
}

/// The menu of a row is next to its button, and all of it can be seen.
async fn menus_are_next_to_their_buttons(engine: Engine) {
    let app = app_with_people().await;
    let admin = Browser::open_in(engine, app.address, "/admin/users").await;
    admin.page.set_window_size(1_200, 900).await.unwrap();
    admin.submit_login("root@example.org", PASSWORD).await;
    for email in ["p30@example.org", "p15@example.org", "p1@example.org"] {
        let more = format!("[aria-label='More for {email}']");
        admin.wait_for(&more).await;
        admin
            .run(&format!(
                "document.querySelector(\"{more}\").scrollIntoView({{ block: 'center' }})"
            ))
            .await;
        admin.click(&more).await;
        admin.wait_for(".more-menu:popover-open").await;
        let is_there = format!(
            "const button = document.querySelector(\"{more}\").getBoundingClientRect();
             const menu = document.querySelector('.more-menu:popover-open').getBoundingClientRect();
             const gap = Math.min(Math.abs(menu.top - button.bottom), Math.abs(button.top - menu.bottom));
             return gap < 16 && menu.top >= 0 && menu.bottom <= innerHeight && menu.height < 350;"
        );
        assert!(admin.wait_until(&is_there).await, "{email} in {engine:?}");
        admin.press(Key::Escape.into()).await;
        admin
            .wait_until("return document.querySelector(':popover-open') === null")
            .await;
    }
}

#[tokio::test]
async fn in_chromium_a_session_ends_with_its_page() {
    a_session_ends_with_its_page(Engine::Chromium).await;
}

#[tokio::test]
async fn in_firefox_a_session_ends_with_its_page() {
    a_session_ends_with_its_page(Engine::Firefox).await;
}

#[tokio::test]
async fn in_webkit_a_session_ends_with_its_page() {
    a_session_ends_with_its_page(Engine::WebKit).await;
}

#[tokio::test]
async fn in_chromium_back_leads_from_site_to_site() {
    back_leads_from_site_to_site(Engine::Chromium).await;
}

#[tokio::test]
async fn in_firefox_back_leads_from_site_to_site() {
    back_leads_from_site_to_site(Engine::Firefox).await;
}

#[tokio::test]
async fn in_webkit_back_leads_from_site_to_site() {
    back_leads_from_site_to_site(Engine::WebKit).await;
}

#[tokio::test]
async fn in_firefox_a_takeover_is_told() {
    a_takeover_is_told(Engine::Firefox).await;
}

#[tokio::test]
async fn in_webkit_a_takeover_is_told() {
    a_takeover_is_told(Engine::WebKit).await;
}

#[tokio::test]
async fn in_firefox_lists_are_used_by_keyboard() {
    lists_are_used_by_keyboard(Engine::Firefox).await;
}

#[tokio::test]
async fn in_webkit_lists_are_used_by_keyboard() {
    lists_are_used_by_keyboard(Engine::WebKit).await;
}

#[tokio::test]
async fn in_chromium_menus_are_next_to_their_buttons() {
    menus_are_next_to_their_buttons(Engine::Chromium).await;
}

#[tokio::test]
async fn in_firefox_menus_are_next_to_their_buttons() {
    menus_are_next_to_their_buttons(Engine::Firefox).await;
}

#[tokio::test]
async fn in_webkit_menus_are_next_to_their_buttons() {
    menus_are_next_to_their_buttons(Engine::WebKit).await;
}
