//! The pages, in a real Chromium; `engines` has what differs in Firefox and WebKitGTK.

mod accessibility;
mod accounts;
mod address;
mod client_module;
mod cold;
mod connection;
mod engines;
mod lists;
mod live;
mod menus;
mod outages;
mod overlaps;
mod paper;
mod react;
mod recovery;
mod renewal;
mod requests;
mod sign_out;
mod silence;
mod streams;
mod swagger;
mod takeover;
mod ways;

use oneseat::users::Role;
use serde_json::json;

use crate::support::{App, Browser, eventually, sql};

const ADA: &str = "ada@example.org";

async fn app_with_ada() -> App {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    app
}

#[tokio::test]
async fn a_user_signs_in_sees_the_seat_and_signs_out() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/").await;
    assert_eq!(browser.path().await, "/login");
    // A page load would lose this mark.
    browser.run("window.mark = 'same page'").await;
    browser.sign_in(ADA).await;
    assert_eq!(browser.path().await, "/dashboard");
    assert_eq!(browser.run("return document.title").await, "Your seat · oneseat");
    browser.wait_for_words("about 2 hours").await;
    let text = browser.text().await;
    for words in ["ada@example.org", "127.0.0.1", "Headless Chrome", "Linux"] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
    browser.click("#sign-out").await;
    browser.wait_for_words("You are signed out.").await;
    assert_eq!(browser.path().await, "/login");
    assert_eq!(browser.run("return window.mark").await, "same page");
    assert!(!browser.text().await.contains(ADA));
    eventually("the server knows", async || app.sessions() == 0).await;
}

#[tokio::test]
async fn a_page_refresh_loses_the_session_on_both_sides() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    // The test reads the token on its way in; the page itself gives it to nobody.
    browser
        .run(
            "const real = window.fetch;
             window.fetch = async (...args) => {
                 const response = await real(...args);
                 if (String(args[0]).endsWith('/auth/login')) window.seen = (await response.clone().json()).token;
                 return response;
             }",
        )
        .await;
    browser.sign_in(ADA).await;
    let token = browser.run("return window.seen").await;
    let caller = app.visitor().with_token(token.as_str().unwrap());
    assert_eq!(caller.session().await.status, 200);

    browser.page.refresh().await.unwrap();
    browser.wait_for("#login").await;
    assert_eq!(browser.path().await, "/login");
    eventually("the old token is refused", async || {
        caller.session().await.status == 401
    })
    .await;
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn leaving_for_another_page_and_coming_back_shows_the_login() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser.go("/healthz").await;
    eventually("the server knows", async || app.sessions() == 0).await;
    browser.page.back().await.unwrap();
    browser.wait_for("#login").await;
    assert!(!browser.text().await.contains(ADA));
}

#[tokio::test]
async fn a_second_window_takes_the_seat_and_the_first_says_so_at_once() {
    let app = app_with_ada().await;
    let first = Browser::open(app.address, "/login").await;
    first.sign_in(ADA).await;
    let second = Browser::open(app.address, "/login").await;
    second.sign_in(ADA).await;
    first.wait_for_words("so this page was signed out.").await;
    assert_eq!(first.path().await, "/login");
    assert!(!first.text().await.contains(ADA));
    second.click(".brand").await;
    second.wait_for("#sign-out").await;
    assert_eq!(app.sessions(), 1);
}

#[tokio::test]
async fn the_token_is_nowhere_but_in_memory() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    let kept = browser
        .run(
            "return [document.cookie, localStorage.length, sessionStorage.length,
                     Object.values(window).filter((value) => /^[0-9a-f]{64}$/.test(value)).length,
                     /[0-9a-f]{64}/.test(document.documentElement.outerHTML), location.search, location.hash]",
        )
        .await;
    assert_eq!(kept, json!(["", 0, 0, 0, false, "", ""]));
    let databases = browser
        .page
        .execute_async(
            "const done = arguments[0]; indexedDB.databases().then((all) => done(all.length))",
            vec![],
        )
        .await;
    assert_eq!(databases.unwrap(), 0);
    assert!(browser.page.get_all_cookies().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_told_in_plain_words_and_the_form_stays() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.submit_login(ADA, "not the password").await;
    browser.wait_for_words("Email or password is wrong.").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "password");
    assert_eq!(
        browser.run("return document.getElementById('email').value").await,
        ADA
    );
    assert_eq!(
        browser
            .run("return document.getElementById('password').value")
            .await,
        ""
    );
    browser.sign_in(ADA).await;
}

#[tokio::test]
async fn an_empty_form_is_not_sent() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.click("#login [type=submit]").await;
    browser.wait_for_words("Enter your email.").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "email");
    assert_eq!(app.database().number("select count(*) from login_failures"), 0);
}

#[tokio::test]
async fn the_password_can_be_shown_and_hidden() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.fill("#password", "secret words").await;
    let kind = "return document.getElementById('password').type";
    browser.click("#show-password").await;
    assert_eq!(browser.run(kind).await, "text");
    browser.click("#show-password").await;
    assert_eq!(browser.run(kind).await, "password");
}

#[tokio::test]
async fn the_form_suits_password_managers_and_never_puts_a_password_in_an_address() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    let form = browser
        .run("return [email.autocomplete, password.autocomplete, document.forms[0].method, email.labels.length, password.labels.length]")
        .await;
    assert_eq!(form, json!(["username", "current-password", "post", 1, 1]));
    let is_pasted = browser
        .run("return [email, password].map((input) => input.dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true })))")
        .await;
    assert_eq!(is_pasted, json!([true, true]));
}

#[tokio::test]
async fn the_page_warns_before_the_end_and_stays_signed_in_on_request() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    assert_eq!(
        browser
            .run("return document.getElementById('warning').hidden")
            .await,
        true
    );
    app.database()
        .execute(&sql::backdate_sessions("1 hour 58 minutes 30 seconds"));
    look_passively(&browser).await;
    browser.wait_for_words("Still there?").await;
    browser.click("#stay").await;
    browser.wait_for_words("about 2 hours").await;
    assert_eq!(
        browser
            .run("return document.getElementById('warning').hidden")
            .await,
        true
    );
    let left = "select extract(epoch from expires_at - now()) from sessions";
    assert!(app.database().number(left) > 7100);
}

#[tokio::test]
async fn an_expired_session_returns_to_the_login_by_itself() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    app.database()
        .execute(&sql::backdate_sessions("1 hour 59 minutes 57 seconds"));
    look_passively(&browser).await;
    browser.wait_for_words("You have been signed out").await;
    assert_eq!(browser.path().await, "/login");
}

#[tokio::test]
async fn signing_out_clears_the_page_even_offline() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    let offline = json!({ "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0 });
    browser.devtools("Network.enable", json!({})).await;
    browser
        .devtools("Network.emulateNetworkConditions", offline)
        .await;
    browser.click("#sign-out").await;
    browser.wait_for_words("The server does not know yet").await;
    assert!(!browser.text().await.contains(ADA));
    assert_eq!(app.sessions(), 1);
}

#[tokio::test]
async fn an_answer_that_comes_after_signing_out_shows_nothing() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser
        .run(
            "const real = window.fetch;
             window.fetch = async (path, ...rest) => {
                 const response = await real(path, ...rest);
                 if (String(path).endsWith('/dashboard')) await new Promise((go) => { window.letGo = go; });
                 setTimeout(() => { window.arrived = true; });
                 return response;
             }",
        )
        .await;
    browser.click(".brand").await;
    assert!(browser.wait_until("return window.letGo !== undefined").await);
    browser.click("#sign-out").await;
    browser.wait_for_words("You are signed out.").await;
    browser.run("window.arrived = false; window.letGo()").await;
    assert!(browser.wait_until("return window.arrived").await);
    assert!(!browser.text().await.contains(ADA));
    assert_eq!(browser.path().await, "/login");
}

#[tokio::test]
async fn a_page_that_the_browser_kept_comes_back_without_what_it_showed() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    // The event by which a browser tells a page that it was kept for "back" and is shown again.
    browser
        .run("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
        .await;
    browser.wait_for_words("You left or reloaded the page").await;
    assert!(!browser.text().await.contains(ADA));
    eventually("the server knows", async || app.sessions() == 0).await;
}

#[tokio::test]
async fn signing_out_does_not_claim_what_the_server_did_not_confirm() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser
        .run("const real = window.fetch; window.fetch = (path, ...rest) => real(String(path).endsWith('/auth/logout') ? '/nowhere' : path, ...rest)")
        .await;
    browser.click("#sign-out").await;
    browser.wait_for_words("The server does not know yet").await;
}

#[tokio::test]
async fn without_its_server_the_form_says_so() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    drop(app);
    browser.submit_login(ADA, "whatever it is").await;
    browser.wait_for_words("oneseat cannot be reached.").await;
}

#[tokio::test]
async fn everything_works_from_the_keyboard() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    let tab = char::from(fantoccini::key::Key::Tab);
    let enter = char::from(fantoccini::key::Key::Enter);
    let email = browser.wait_for("#email").await;
    email
        .send_keys(&format!("{ADA}{tab}{}{enter}", crate::support::PASSWORD))
        .await
        .unwrap();
    browser.wait_for("#sign-out").await;
    let mut stops = 0;
    while browser.run("return document.activeElement.id").await != "sign-out" {
        stops += 1;
        assert!(stops < 10, "the button is not reached by Tab");
        browser.press(tab).await;
    }
    browser.press(enter).await;
    browser.wait_for_words("You are signed out.").await;
}

/// A user comes back to the tab: the page checks its session, without counting as activity.
async fn look_passively(browser: &Browser) {
    browser
        .run("document.dispatchEvent(new Event('visibilitychange'))")
        .await;
}

/// Waits until the page is painted.
async fn wait_until_painted(browser: &Browser) {
    browser
        .run("window.painted = false; requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = true; }))")
        .await;
    assert!(browser.wait_until("return window.painted").await);
}
