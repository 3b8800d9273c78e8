//! Two pages of one user: which one is asked, and what the page says that lost the session.

use oneseat::config::TakeoverPolicy;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use super::{ADA, app_with_ada};
use crate::support::{Answer, App, Browser, EventStream, PASSWORD};

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";

/// Signs in with another browser than the test's.
async fn sign_in_with_firefox(app: &App, email: &str) {
    let request = app
        .visitor()
        .request(Method::POST, "/auth/login")
        .header("user-agent", FIREFOX)
        .json(&json!({ "email": email, "password": PASSWORD }));
    assert_eq!(Answer::of(request).await.status, 200);
}

/// Has it an event stream? From then on it hears of the end by itself.
async fn is_listening(browser: &Browser) {
    assert!(browser.wait_until("return window.listens === true").await);
}

/// Notes that the page has opened its event stream.
const NOTE_STREAM: &str = "const real = window.fetch;
     window.fetch = async (...asked) => {
         const answer = await real(...asked);
         if (`${asked[0]}`.endsWith('/auth/session/events')) window.listens = true;
         return answer;
     };";

#[tokio::test]
async fn the_page_asks_before_it_takes_the_seat_and_cancelling_leaves_all_as_it_was() {
    let app = App::start_with(|config| config.policy.takeover = TakeoverPolicy::Ask).await;
    app.add_user("ada", Role::User).await;
    sign_in_with_firefox(&app, ADA).await;
    let browser = Browser::open(app.address, "/login").await;
    browser.submit_login(ADA, PASSWORD).await;
    browser
        .wait_for_words("You have been signed in with Firefox 144 on Windows since")
        .await;
    browser.click("#confirm-no").await;
    assert!(
        browser
            .wait_until(
                "return !document.querySelector('dialog[open], [aria-busy=true]') && document.activeElement.type === 'submit'"
            )
            .await
    );
    let kept = "return [email.value, password.value, document.querySelector('.form-error').textContent]";
    assert_eq!(browser.run(kept).await, json!([ADA, PASSWORD, ""]));
    assert_eq!(app.sessions(), 1);
    assert_eq!(app.database().number("select count(*) from ended_sessions"), 0);

    browser.click("#login [type=submit]").await;
    browser.wait_for_words("Sign in here instead?").await;
    browser.click("#confirm-yes").await;
    browser.wait_for("#sign-out").await;
    let replaced = "select count(*) from ended_sessions where reason = 'replaced'";
    assert_eq!(app.database().number(replaced), 1);
}

#[tokio::test]
async fn escape_answers_no_and_the_field_has_the_focus_again() {
    let app = App::start_with(|config| config.policy.takeover = TakeoverPolicy::Ask).await;
    app.add_user("ada", Role::User).await;
    sign_in_with_firefox(&app, ADA).await;
    let browser = Browser::open(app.address, "/login").await;
    browser.fill("#email", ADA).await;
    browser.fill("#password", PASSWORD).await;
    browser.press(char::from(fantoccini::key::Key::Enter)).await;
    browser.wait_for_words("Sign in here instead?").await;
    browser.press(char::from(fantoccini::key::Key::Escape)).await;
    assert!(
        browser
            .wait_until("return document.activeElement.id === 'password'")
            .await
    );
    assert_eq!(browser.run("return password.value").await, PASSWORD);
}

#[tokio::test]
async fn a_page_says_which_browser_replaced_it_and_from_where() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.run(NOTE_STREAM).await;
    browser.sign_in(ADA).await;
    is_listening(&browser).await;
    sign_in_with_firefox(&app, ADA).await;
    browser
        .wait_for_words("You were signed in with Firefox 144 on Windows from 127.0.0.1 at")
        .await;
    browser.wait_for_words("If it was not you").await;
}

#[tokio::test]
async fn another_window_of_the_same_browser_is_called_so() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.run(NOTE_STREAM).await;
    browser.sign_in(ADA).await;
    is_listening(&browser).await;
    let first = browser.page.window().await.unwrap();
    let second = browser.page.new_window(false).await.unwrap().handle;
    browser.page.switch_to_window(second).await.unwrap();
    browser.go("/login").await;
    browser.sign_in(ADA).await;
    browser.page.switch_to_window(first).await.unwrap();
    browser.wait_for_words("You were signed in again at").await;
}

#[tokio::test]
async fn who_signs_in_again_comes_back_to_the_page_they_were_on() {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    let admin = Browser::open(app.address, "/login").await;
    admin.submit_login("root@example.org", PASSWORD).await;
    admin.click("a[href='/admin/users']").await;
    admin.wait_for_words(ADA).await;
    app.auth.revoke_all().await.unwrap();
    admin.click("#sign-in-again").await;
    admin.fill("#password", PASSWORD).await;
    admin.click("#login [type=submit]").await;
    admin.wait_for_words(ADA).await;
    admin.wait_for_path("/admin/users").await;
}

/// The event `ended` of a session that was signed in to so, after another sign-in with this user agent. Before
/// that, this SQL runs.
async fn ended_after(sql: &str, app: &App, login: serde_json::Value, user_agent: &str) -> serde_json::Value {
    let request = app
        .visitor()
        .request(Method::POST, "/auth/login")
        .header("user-agent", FIREFOX)
        .json(&login);
    let answer = Answer::of(request).await;
    let client = app.visitor().with_token(answer.json()["token"].as_str().unwrap());
    let mut events = EventStream::open(&client).await;
    app.database().execute(sql);
    let request = app
        .visitor()
        .request(Method::POST, "/auth/login")
        .header("user-agent", user_agent)
        .json(&json!({ "email": ADA, "password": PASSWORD }));
    assert_eq!(Answer::of(request).await.status, 200);
    let (event, data) = events.next().await.unwrap();
    assert_eq!(event, "ended");
    assert_eq!(events.next().await, None);
    // A dead token learns no more than before.
    let refused = client.session().await;
    assert_eq!(refused.problem(), "401 session_ended");
    assert!(refused.json().get("by").is_none());
    assert!(EventStream::open_while_live(&client).await.is_none());
    serde_json::from_str(&data).unwrap()
}

#[tokio::test]
async fn the_stream_of_a_page_tells_who_replaced_it_and_that_of_an_api_client_does_not() {
    let app = app_with_ada().await;
    let page = json!({ "email": ADA, "password": PASSWORD, "endsWithPage": true });
    let ended = async |app, login, user_agent| ended_after("select", app, login, user_agent).await;
    let told = ended(&app, page.clone(), "curl/8.5.0").await;
    assert_eq!(
        told["by"],
        json!({ "device": "curl 8", "address": "127.0.0.1", "isSameBrowser": false })
    );
    assert_eq!(
        ended(&app, page.clone(), FIREFOX).await["by"]["isSameBrowser"],
        true
    );
    // The same browser, but elsewhere; and one of which nothing is known but where it is.
    for elsewhere in [
        "update sessions set ip_address = '192.0.2.1'",
        "update sessions set user_agent = null",
    ] {
        let told = ended_after(elsewhere, &app, page.clone(), FIREFOX).await;
        assert_eq!(told["by"]["isSameBrowser"], false, "{elsewhere}");
        assert_eq!(told["by"]["address"], "127.0.0.1");
    }

    let client = json!({ "email": ADA, "password": PASSWORD });
    let told = ended(&app, client, "curl/8.5.0").await;
    let names: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(names, ["at", "reason"]);
}
