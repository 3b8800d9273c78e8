//! What a page keeps for the user between sign-out and sign-in, and how it warns that the session will end.

use oneseat::users::Role;
use serde_json::json;

use super::{ADA, app_with_ada};
use crate::support::{App, Browser, MailServer, PASSWORD, eventually, sql};

const ROOT: &str = "root@example.org";

async fn app_with_an_admin() -> App {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    app
}

#[tokio::test]
async fn a_sign_in_leads_to_the_page_that_was_wanted() {
    let app = app_with_an_admin().await;
    let browser = Browser::open(app.address, "/admin/users?q=ada").await;
    browser.submit_login(ROOT, PASSWORD).await;
    browser.wait_for_words(ADA).await;
    browser.wait_for_path("/admin/users").await;
    assert_eq!(browser.run("return location.search").await, "?q=ada");
    // A user who may not see that page gets the dashboard.
    browser.go("/admin/users").await;
    browser.sign_in(ADA).await;
    browser.wait_for_path("/dashboard").await;
    browser.wait_for("#seat-heading").await;
    assert_eq!(browser.run("return notice.textContent").await, "");
}

#[tokio::test]
async fn a_sign_in_leads_to_no_page_of_another_site() {
    let app = app_with_an_admin().await;
    for next in [
        "//example.org/admin/users",
        "https://example.org/admin/users",
        "/static/icon.svg",
    ] {
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let browser = Browser::open(app.address, &format!("/login?next={next}")).await;
        browser.sign_in(ADA).await;
        browser.wait_for_path("/dashboard").await;
    }
}

#[tokio::test]
async fn a_password_that_a_busy_server_has_not_looked_at_stays() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.run("window.real = fetch").await;
    browser.fill("#email", ADA).await;
    browser.fill("#password", PASSWORD).await;
    for (status, code, words) in [
        (503, "unavailable", "busy for a moment"),
        (429, "too_many_requests", "Please wait."),
    ] {
        browser
            .run(&format!(
                "window.fetch = async () => Response.json({{ code: '{code}', detail: 'Please wait.' }}, {{ status: {status} }})"
            ))
            .await;
        browser.click("#login [type=submit]").await;
        browser.wait_for_words(words).await;
        assert_eq!(browser.run("return password.value").await, PASSWORD, "{status}");
    }
    // What was looked at and refused is typed anew.
    browser
        .run("window.fetch = async () => Response.json({ code: 'account_disabled', detail: 'It is disabled.' }, { status: 403 })")
        .await;
    browser.click("#login [type=submit]").await;
    browser.wait_for_words("It is disabled.").await;
    assert_eq!(
        browser.run("return [email.value, password.value]").await,
        json!([ADA, ""])
    );
    browser.fill("#password", PASSWORD).await;
    browser.run("window.fetch = real").await;
    browser.click("[type=submit]").await;
    browser.wait_for("#sign-out").await;
}

#[tokio::test]
async fn an_address_that_was_typed_goes_along_to_the_other_forms() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    let browser = Browser::open(app.address, "/login").await;
    browser.fill("#email", ADA).await;
    browser.click("a[href='/forgot']").await;
    browser.wait_for("#forgot").await;
    assert_eq!(browser.run("return email.value").await, ADA);
    browser.fill("#email", ROOT).await;
    browser.click("a[href='/login']").await;
    browser.wait_for("#login").await;
    assert_eq!(browser.run("return email.value").await, ROOT);
    assert_eq!(browser.run("return sessionStorage.length").await, 0);
    // An empty field carries nothing over, not even what an earlier page has left.
    browser
        .run("email.value = ''; sessionStorage.setItem('oneseat-email', 'left@example.org')")
        .await;
    browser.click("a[href='/forgot']").await;
    browser.wait_for("#forgot").await;
    assert_eq!(browser.run("return email.value").await, "");
    // A page without the field leaves nothing behind.
    browser
        .run("sessionStorage.setItem('oneseat-email', 'left@example.org')")
        .await;
    browser.go("/reset").await;
    assert_eq!(
        browser
            .run("return [document.querySelectorAll('[name=email]').length, sessionStorage.length]")
            .await,
        json!([0, 0])
    );
}

#[tokio::test]
async fn who_is_signed_out_by_somebody_else_finds_the_address_in_the_form() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    app.auth.revoke_all().await.unwrap();
    browser
        .wait_for_words("An administrator ended your session")
        .await;
    browser.click("#sign-in-again").await;
    assert_eq!(
        browser
            .run("return [email.value, document.activeElement.id]")
            .await,
        json!([ADA, "password"])
    );
    // A user who signs out may leave the machine to another person.
    browser.sign_in(ADA).await;
    browser.click("#sign-out").await;
    browser.wait_for_words("You are signed out.").await;
    assert_eq!(browser.run("return email.value").await, "");
}

#[tokio::test]
async fn after_a_reload_the_page_says_why_it_shows_the_login() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser.page.refresh().await.unwrap();
    browser.wait_for_words("You left or reloaded the page").await;
    let typed =
        "return [document.getElementById('email').value, document.activeElement.id, sessionStorage.length]";
    assert_eq!(browser.run(typed).await, json!([ADA, "password", 0]));
    browser.page.refresh().await.unwrap();
    browser.wait_for("#login").await;
    assert!(!browser.text().await.contains("reloaded"), "it is said once");
}

#[tokio::test]
async fn a_page_that_is_swapped_in_has_no_form_that_nobody_serves() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    app.add_user("ada", Role::User).await;
    let browser = Browser::open(app.address, "/login").await;
    for path in ["/forgot", "/verify", "/reset", "/welcome"] {
        browser.sign_in(ADA).await;
        browser
            .run(&format!("main.insertAdjacentHTML('afterbegin', '<a id=away href={path}>away</a>'); window.mark = 1; away.click()"))
            .await;
        assert!(
            browser.wait_until("return window.mark === undefined").await,
            "{path} is loaded with its own script"
        );
        browser.go("/login").await;
    }
    // Where the way out of an error leads there, it leaves the session alone.
    browser.sign_in(ADA).await;
    for _ in 0..10 {
        app.visitor().login(ADA, "a wrong password").await;
    }
    browser.click("summary").await;
    browser.fill("#current-password", PASSWORD).await;
    browser.fill("#new-password", "some other words for this").await;
    browser.click("#change-password [type=submit]").await;
    let way_out = browser.wait_for("#change-password .form-error a").await;
    assert_eq!(way_out.attr("target").await.unwrap().as_deref(), Some("_blank"));
}

#[tokio::test]
async fn every_page_warns_before_the_end_and_so_does_the_title() {
    let app = app_with_an_admin().await;
    let admin = Browser::open(app.address, "/login").await;
    admin.submit_login(ROOT, PASSWORD).await;
    admin.click("a[href='/admin/users']").await;
    admin.wait_for_path("/admin/users").await;
    admin.wait_for_words(ADA).await;
    app.database()
        .execute(&sql::backdate_sessions("1 hour 58 minutes 30 seconds"));
    admin
        .run("document.dispatchEvent(new Event('visibilitychange'))")
        .await;
    admin.wait_for_words("Still there?").await;
    assert!(
        admin
            .wait_until("return /^1 min \\d\\d s left/.test(document.title)")
            .await
    );
    admin.click("#stay").await;
    assert!(
        admin
            .wait_until("return document.title === 'Users · oneseat'")
            .await
    );
    admin.wait_for_path("/admin/users").await;
}

#[tokio::test]
async fn a_page_whose_machine_slept_asks_how_long_the_session_lasts() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser.wait_for_words("about 2 hours").await;
    app.database().execute(&sql::backdate_sessions("40 minutes"));
    // Somebody is typing: the page must not be replaced.
    browser.click("summary").await;
    browser.fill("#current-password", "half a").await;
    browser
        .run("const real = Date.now; Date.now = () => real() + 40 * 60_000")
        .await;
    browser.wait_for_words("about 1½ hours").await;
    assert_eq!(
        browser
            .run("return document.getElementById('current-password').value")
            .await,
        "half a"
    );
    eventually("asking was no activity", async || {
        app.database()
            .number("select count(*) from sessions where last_activity < now() - interval '30 minutes'")
            == 1
    })
    .await;
}

#[tokio::test]
async fn somebody_who_stays_signed_in_keeps_what_they_have_typed() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser.click("summary").await;
    browser.fill("#current-password", "half a").await;
    app.database()
        .execute(&sql::backdate_sessions("1 hour 58 minutes 30 seconds"));
    // As after a sleep: the page asks.
    browser
        .run("window.real = Date.now; Date.now = () => real() + 40 * 60_000")
        .await;
    browser.wait_for_words("Still there?").await;
    browser.click("#stay").await;
    browser.wait_for_words("about 2 hours").await;
    assert_eq!(
        browser
            .run("return [document.getElementById('warning').hidden, document.getElementById('current-password').value]")
            .await,
        json!([true, "half a"])
    );
    let left = "select extract(epoch from expires_at - now()) from sessions";
    assert!(app.database().number(left) > 7100);

    // In its last minute a session cannot be extended any more.
    app.database().execute(
        "update sessions set expires_at = now() + interval '1 minute', ends_at = now() + interval '1 minute'",
    );
    browser.run("Date.now = () => real() + 90 * 60_000").await;
    let is_told = "return !document.getElementById('warning').hidden && !document.getElementById('stay')";
    assert!(browser.wait_until(is_told).await);
    let typed = "return document.getElementById('current-password').value";
    assert_eq!(browser.run(typed).await, "half a");
}

#[tokio::test]
async fn many_sessions_end_only_after_their_number_was_typed() {
    let app = app_with_an_admin().await;
    app.visitor().sign_in(ADA).await;
    app.database().execute(
        "insert into users (name, email, password_hash, email_verified)
             select 'worker ' || n, 'worker' || n || '@example.org', '', true from generate_series(1, 21) as n;
         insert into sessions (user_id, token_digest, ip_address, written_at, created_at, last_activity, expires_at,
                 idle_timeout, ends_at)
             select id, sha256(id::text::bytea), '192.0.2.1', now(), now(), now(), now() + interval '1 hour',
                 interval '1 hour', now() + interval '1 hour'
             from users where name like 'worker %'",
    );
    let admin = Browser::open(app.address, "/admin/sessions?q=worker").await;
    admin.submit_login(ROOT, PASSWORD).await;
    admin.wait_for_words("End these 21").await;
    admin.click("[data-count]").await;
    admin
        .wait_for_words("End the 21 sessions that match “worker”?")
        .await;
    assert_eq!(
        admin
            .run("return document.getElementById('confirm-yes').disabled")
            .await,
        true
    );
    // Enter answers only when the number is right, and then it says yes.
    let enter = char::from(fantoccini::key::Key::Enter);
    let is_open = "return document.getElementById('confirm').open";
    admin.fill("#confirm-typed", "2").await;
    admin.press(enter).await;
    assert_eq!(admin.run(is_open).await, true);
    admin.click("#confirm-no").await;
    assert_eq!(admin.run(is_open).await, false);
    assert_eq!(app.sessions(), 23, "nobody was signed out");
    admin.click("[data-count]").await;
    admin.fill("#confirm-typed", "21").await;
    admin.press(enter).await;
    admin.wait_for_words("21 sessions ended.").await;
    assert_eq!(app.sessions(), 2, "the admin's own, and Ada's");
    // One is ended without that.
    admin.go("/admin/sessions").await;
    admin.submit_login(ROOT, PASSWORD).await;
    admin.wait_for_words("End all but mine").await;
    admin.click("[data-count]").await;
    admin.wait_for_words("End the one other session?").await;
    admin.click("#confirm-yes").await;
    admin.wait_for_words("1 session ended.").await;
}
