//! What a page does when an answer does not come.

use oneseat::users::Role;
use serde_json::json;

use super::app_with_ada;
use super::lists::{FOCUSED, app_with_people, at};
use crate::support::{App, Browser, MailServer, PASSWORD};

/// The server answers a call of the page's for this path only after `mend()`. Until then `answer` says what comes of it.
fn without_answers(path: &str, answer: &str) -> String {
    format!(
        "const real = window.fetch;
         window.fetch = (url, ...rest) => `${{url}}`.includes('{path}') ? {answer} : real(url, ...rest);
         window.mend = () => {{ window.fetch = real; dispatchEvent(new Event('online')); }};"
    )
}

const NO_NETWORK: &str = "Promise.reject(new TypeError('cut'))";
const BUSY: &str = "Promise.resolve(Response.json({ code: 'unavailable' }, { status: 503 }))";

async fn app() -> App {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    app.add_user("grace", Role::User).await;
    app
}

async fn admin_at(app: &App, path: &str) -> Browser {
    let admin = Browser::open(app.address, path).await;
    admin.submit_login("root@example.org", PASSWORD).await;
    admin.wait_for(".people").await;
    admin
}

async fn notice(browser: &Browser) -> String {
    let words = browser.run("return notice.textContent").await;
    words.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_search_that_got_no_answer_is_made_when_there_are_answers_again_as_its_box_says_by_then() {
    let app = app().await;
    let admin = admin_at(&app, "/admin/users").await;
    admin.run(&without_answers("/admin/users?", NO_NETWORK)).await;
    admin.fill("#q", "gra").await;
    admin.click(".search [type=submit]").await;
    admin.wait_for_words("oneseat cannot be reached.").await;
    admin.wait_for("#q").await.send_keys("ce").await.unwrap();
    admin.run("mend()").await;
    admin.wait_for_count("#users-heading .count", 1).await;
    assert_eq!(
        admin
            .run("return [location.search, q.value, document.activeElement.id, q.selectionStart]")
            .await,
        json!(["?q=grace", "grace", "q", 5])
    );
    assert_eq!(notice(&admin).await, "");
    admin.page.back().await.unwrap();
    admin.wait_for_count("#users-heading .count", 3).await;
}

#[tokio::test]
async fn a_page_that_a_busy_server_did_not_give_comes_by_itself() {
    let app = app().await;
    let admin = admin_at(&app, "/admin/users").await;
    admin.run(&without_answers("/admin/sessions", BUSY)).await;
    admin.click("a[href='/admin/sessions']").await;
    admin.wait_for_words("oneseat is busy for a moment.").await;
    admin.wait_for_path("/admin/users").await;
    admin.run("mend()").await;
    admin.wait_for("#live-heading").await;
    admin.wait_for_path("/admin/sessions").await;
    assert_eq!(notice(&admin).await, "");
}

#[tokio::test]
async fn what_could_not_be_done_is_told_until_there_are_answers_and_the_row_keeps_the_focus() {
    let app = app().await;
    let admin = admin_at(&app, "/admin/users").await;
    admin.run(&without_answers("/admin/", NO_NETWORK)).await;
    admin.click("[aria-label='Disable grace@example.org']").await;
    admin.click("#confirm-yes").await;
    admin.wait_for_words("oneseat cannot be reached.").await;
    let focused = "document.activeElement.getAttribute('aria-label') === 'Disable grace@example.org'";
    assert!(admin.wait_until(&format!("return {focused}")).await);
    admin.run("window.row = document.activeElement; mend()").await;
    let is_new = format!("return !window.row.isConnected && {focused}");
    assert!(admin.wait_until(&is_new).await);
    let told = "return [notice.textContent, document.querySelector('[role=alert] .toast p').textContent.slice(0, 26)]";
    assert_eq!(
        admin.run(told).await,
        json!(["", "oneseat cannot be reached."]),
        "it was not done, and that stays true"
    );
    admin.click("[aria-label='Disable grace@example.org']").await;
    admin.click("#confirm-yes").await;
    admin.wait_for_words("is disabled.").await;
    assert!(!admin.text().await.contains("cannot be reached"));
    admin.click(".toast button:first-of-type").await;
    admin.wait_for_words("can sign in again.").await;
    let disabled = "select count(*) from users where disabled_at is not null";
    assert_eq!(
        app.database().number(disabled),
        0,
        "nobody does again what somebody asked for"
    );
}

#[tokio::test]
async fn what_was_refused_is_told_in_sight_and_above_the_menu_on_a_phone_too() {
    let app = app_with_people().await;
    app.database()
        .execute("update users set disabled_at = now() where email = 'p20@example.org'");
    let admin = at(&app, "/admin/users", 375).await;
    let refused =
        "Promise.resolve(Response.json({ code: 'no', detail: 'It is not to be.' }, { status: 409 }))";
    admin.run(&without_answers("/enable", refused)).await;
    admin.click("[aria-label='Actions for p20@example.org']").await;
    admin.click("[aria-label='Enable p20@example.org']").await;
    admin.wait_for_words("It is not to be.").await;
    let is_seen = "const words = document.querySelector('[role=alert] .toast p');
         const { left, top, width, height } = words.getBoundingClientRect();
         return scrollY > 100 && document.elementFromPoint(left + width / 2, top + height / 2) === words";
    assert!(admin.wait_until(is_seen).await);
    assert_eq!(
        admin.run(&format!("return {FOCUSED}")).await,
        "Actions for p20@example.org"
    );
}

#[tokio::test]
async fn what_is_typed_or_chosen_while_there_are_no_answers_stays() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    app.add_user("root", Role::Admin).await;
    let admin = admin_at(&app, "/admin/users").await;
    let name = admin.wait_for("#invite-name").await;
    admin
        .run("Math.random = () => 0; window.plain = fetch; window.timers = []; const real = setTimeout; window.setTimeout = (does, after) => { timers.push(after); return real(does, after); }")
        .await;
    let busy = "Promise.resolve(Response.json({ code: 'unavailable' }, { status: 503, headers: { 'Retry-After': '77' } }))";
    admin.run(&without_answers("/admin/sessions", busy)).await;
    admin.click("a[href='/admin/sessions']").await;
    admin.wait_for_words("oneseat is busy for a moment.").await;
    assert!(
        admin.wait_until("return timers.includes(77_000)").await,
        "the server said when"
    );
    admin
        .run(
            "window.asked = 0;
             window.mend = () => {
                 window.fetch = (url, ...rest) => { asked += `${url}`.includes('/admin/sessions'); return plain(url, ...rest); };
                 dispatchEvent(new Event('online'));
             };
             document.getElementById('invite-role').value = 'admin'",
        )
        .await;
    // When the last of these timers is called, the page has looked.
    let looks = "window.looked = false; mend();
         setTimeout(() => setTimeout(() => setTimeout(() => { window.looked = true; }, 100), 100), 100)";
    for typed in ["", "Grace"] {
        name.send_keys(typed).await.unwrap();
        admin.run(looks).await;
        assert!(admin.wait_until("return looked").await);
        assert_eq!(
            admin
                .run("return [asked, document.getElementById('invite-role').value, document.getElementById('invite-name').value]")
                .await,
            json!([0, "admin", typed])
        );
    }
    admin
        .run("document.getElementById('invite').reset(); document.activeElement.blur(); mend()")
        .await;
    admin.wait_for_path("/admin/sessions").await;
}

#[tokio::test]
async fn a_first_page_that_got_no_answer_comes_when_there_are_answers() {
    let app = app().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.run(&without_answers("/dashboard", NO_NETWORK)).await;
    browser.submit_login("grace@example.org", PASSWORD).await;
    browser.wait_for_words("oneseat cannot be reached.").await;
    browser.run("mend()").await;
    browser.wait_for("#seat-heading").await;
}

#[tokio::test]
async fn what_is_typed_while_a_search_is_under_way_stays() {
    let app = app().await;
    let admin = admin_at(&app, "/admin/users").await;
    admin
        .run(
            "const real = window.fetch;
             window.fetch = async (...asked) => {
                 const answer = await real(...asked);
                 if (`${asked[0]}`.includes('/admin/users?')) await new Promise((go) => { window.letGo = go; });
                 return answer;
             };",
        )
        .await;
    admin.fill("#q", "gra").await;
    admin.press(char::from(fantoccini::key::Key::Enter)).await;
    assert!(admin.wait_until("return window.letGo !== undefined").await);
    admin.wait_for("#q").await.send_keys("ce").await.unwrap();
    admin.run("letGo()").await;
    admin.wait_for_count("#users-heading .count", 1).await;
    let kept = "return location.search === '?q=gra' && q.value === 'grace' && document.activeElement === q && q.selectionStart === 5";
    assert!(admin.wait_until(kept).await);
}
