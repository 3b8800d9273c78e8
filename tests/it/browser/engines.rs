//! What differs from browser to browser: how a page goes, and what is told when it does.

use std::net::SocketAddr;
use std::time::Duration;

use oneseat::users::Role;

use super::ADA;
use super::client_module::Site;
use crate::support::{App, Browser, Engine, eventually};

/// A server that misses pages soon.
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

/// So many sessions have ended with their page.
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
