//! axe-core finds nothing to complain about on any page, in light and dark, narrow and wide.

use oneseat::users::Role;
use serde_json::{Value, json};

use super::ADA;
use crate::support::{App, Browser, MailServer, PASSWORD};

/// Where `script/install` puts it.
const AXE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/tools/node_modules/axe-core/axe.min.js"
);

async fn assert_accessible(browser: &Browser, page: &str) {
    let views = [(375, "light"), (375, "dark"), (1280, "light"), (1280, "dark")];
    assert_accessible_at(browser, page, &views).await;
}

async fn assert_accessible_at(browser: &Browser, page: &str, views: &[(u32, &str)]) {
    let axe = std::fs::read_to_string(AXE).expect("axe-core is missing: script/test installs it");
    for (width, scheme) in views {
        let metrics = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        browser
            .devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", media).await;
        browser.run(&axe).await;
        let check = "const done = arguments[0];
            axe.run().then(({ violations }) => done(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])))";
        let violations = browser.page.execute_async(check, Vec::new()).await.unwrap();
        assert_eq!(
            violations,
            Value::Array(Vec::new()),
            "{page} at {width} in {scheme}"
        );
        let overflows = browser
            .run("return document.documentElement.scrollWidth > innerWidth")
            .await;
        assert_eq!(overflows, false, "{page} at {width} scrolls sideways");
    }
}

/// The link of the mail that this call sends, among those of sign-ins.
async fn link(app: &App, mails: &MailServer, call: &str, email: &str, page: &str) -> String {
    let asked = app.visitor().post(call, &json!({ "email": email })).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    loop {
        let mail = mails.next().await;
        if mail.raw.contains(page) {
            return mail.link();
        }
    }
}

#[tokio::test]
async fn no_page_has_a_barrier_that_can_be_found() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    app.add_user("ada", Role::User).await;
    app.add_unverified_user("una").await;
    app.add_user("root", Role::Admin).await;
    app.add_user("grace", Role::User).await;
    for _ in 0..5 {
        app.visitor().login("grace@example.org", "not the password").await;
    }
    app.visitor().sign_in(ADA).await.logout().await;
    let browser = Browser::open(app.address, "/login").await;
    assert_accessible(&browser, "login").await;
    browser.submit_login(ADA, "not the password").await;
    browser.wait_for_words("Email or password is wrong.").await;
    assert_accessible(&browser, "login refused").await;
    browser.sign_in(ADA).await;
    assert_accessible(&browser, "dashboard").await;
    browser.click("summary").await;
    browser.click("summary:has(#account-heading)").await;
    assert_accessible(&browser, "dashboard with its forms").await;
    browser.fill("#new-email", "countess@example.org").await;
    browser.fill("#email-password", PASSWORD).await;
    browser.click("#change-email [type=submit]").await;
    browser.wait_for_words("When you confirm it there").await;
    assert_accessible(&browser, "dashboard with an address that waits").await;
    browser
        .run("document.getElementById('warning').hidden = false; connection.textContent = 'Reconnecting …'")
        .await;
    assert_accessible(&browser, "dashboard with its warning and without its connection").await;
    app.visitor().sign_in(ADA).await;
    browser.wait_for_words("so this page was signed out.").await;
    assert_accessible(&browser, "notice").await;

    browser.click("#sign-in-again").await;
    browser.submit_login("root@example.org", PASSWORD).await;
    browser.click("a[href='/admin/sessions']").await;
    browser.wait_for_words("Locked addresses").await;
    assert_accessible(&browser, "sessions").await;
    browser.click("[data-count]").await;
    browser.wait_for_words("End the one other session?").await;
    assert_accessible(&browser, "confirmation").await;
    browser.click("#confirm [value=no]").await;
    browser.click("a[href='/admin/history']").await;
    browser.wait_for_words("Sessions that ended").await;
    assert_accessible(&browser, "history").await;
    browser.click("a[href='/admin/users']").await;
    browser.wait_for_words("Invite somebody").await;
    assert_accessible(&browser, "users").await;
    browser.click("[aria-label='More for ada@example.org']").await;
    browser
        .click("[aria-label='Change address of ada@example.org']")
        .await;
    browser.wait_for_words("Another address for").await;
    assert_accessible(&browser, "another address").await;
    browser.click("#readdress [value=no]").await;
    browser.click("[aria-label='Disable ada@example.org']").await;
    browser.click("#confirm-yes").await;
    browser.wait_for("[aria-label='Enable ada@example.org']").await;
    assert_accessible(&browser, "users and what was done").await;
    browser.click(".toast button:first-of-type").await;
    browser.wait_for("[aria-label='Disable ada@example.org']").await;
    browser.click(".toast button:last-of-type").await;
    let narrow = json!({ "width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    browser
        .devtools("Emulation.setDeviceMetricsOverride", narrow)
        .await;
    browser.click("[aria-label='Actions for una@example.org']").await;
    browser.wait_for(".menu:popover-open").await;
    assert_accessible_at(&browser, "a menu", &[(375, "light"), (375, "dark")]).await;
    browser
        .run("document.querySelector(':popover-open').hidePopover()")
        .await;
    browser.click("#sign-out").await;

    let reset = link(&app, &mails, "/auth/password/forgot", ADA, "/reset#").await;
    let verify = link(&app, &mails, "/auth/email/resend", "una@example.org", "/verify#").await;
    for (path, words) in [
        ("/forgot", "Forgotten your password?"),
        (reset.as_str(), "Your account: ada@example.org"),
        ("/welcome#0", "This link is incomplete"),
        ("/reset", "only with a link from a mail"),
        (verify.as_str(), "una@example.org"),
        (&*format!("/verify#{:0>64}", 0), "This link is no longer valid"),
        ("/verify", "We mail you a link"),
        (&*format!("/email#{:0>64}", 0), "This link is no longer valid"),
        ("/email", "only with a link from a mail"),
        ("/nowhere", "There is nothing here"),
    ] {
        browser.go("/login").await;
        browser.go(path).await;
        browser.wait_for_words(words).await;
        assert_accessible(&browser, path).await;
    }
}
