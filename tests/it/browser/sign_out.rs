//! What a page keeps of somebody who has signed out: nothing.

use oneseat::users::Role;
use serde_json::json;

use super::{ADA, app_with_ada};
use crate::support::{App, Browser, PASSWORD};

async fn admin_at_users(app: &App) -> Browser {
    let admin = Browser::open(app.address, "/admin/users").await;
    sign_in_as_admin(&admin, "root").await;
    admin
}

async fn sign_in_as_admin(browser: &Browser, name: &str) {
    browser
        .submit_login(&format!("{name}@example.org"), PASSWORD)
        .await;
    browser.wait_for("#sign-out").await;
}

/// Whether the page holds Ada's address, visible or not.
async fn holds_ada(browser: &Browser) -> bool {
    let holds = format!("return document.documentElement.outerHTML.includes('{ADA}')");
    browser.run(&holds).await == true
}

#[tokio::test]
async fn what_was_asked_and_told_goes_with_the_session() {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    let admin = admin_at_users(&app).await;
    admin.wait_for_words(ADA).await;
    admin.click(&format!("[aria-label='Disable {ADA}']")).await;
    admin.click("#confirm-yes").await;
    // It stays until it is taken back or dismissed.
    admin.wait_for_words("is disabled").await;
    admin.click("#sign-out").await;
    admin.wait_for_words("You are signed out.").await;
    let toast = "return document.querySelector('.toast')";
    assert_eq!(admin.run(toast).await, json!(null));
    assert!(!holds_ada(&admin).await);

    admin.go("/admin/users").await;
    sign_in_as_admin(&admin, "root").await;
    admin.click(&format!("[aria-label='Enable {ADA}']")).await;
    admin.wait_for_words("is enabled").await;
    admin.click(&format!("[aria-label='Disable {ADA}']")).await;
    admin.wait_for("dialog[open]").await;
    app.auth.revoke_all().await.unwrap();
    admin.wait_for("#sign-in-again").await;
    let open = "return document.querySelector('dialog[open]')";
    assert_eq!(admin.run(open).await, json!(null));
    assert!(!holds_ada(&admin).await);
}

#[tokio::test]
async fn a_page_that_one_user_did_not_get_is_not_shown_to_the_next() {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    app.add_user("bob", Role::Admin).await;
    let admin = admin_at_users(&app).await;
    admin
        .run(
            "window.asked = 0;
             Math.random = () => 0;
             const real = window.fetch;
             window.fetch = (url, ...rest) => `${url}`.endsWith('/admin/sessions') ? Promise.reject(new TypeError('cut')) : real(url, ...rest);
             window.mend = () => {
                 window.fetch = (url, ...rest) => { asked += `${url}`.endsWith('/admin/sessions'); return real(url, ...rest); };
                 dispatchEvent(new Event('online'));
             };",
        )
        .await;
    admin.click("a[href='/admin/sessions']").await;
    admin.wait_for_words("oneseat cannot be reached.").await;
    admin.click("#sign-out").await;
    admin.wait_for_words("You are signed out.").await;
    sign_in_as_admin(&admin, "bob").await;
    // When the last of these timers is called, the page would have asked.
    admin
        .run(
            "mend();
             setTimeout(() => setTimeout(() => setTimeout(() => { window.looked = true; }, 100), 100), 100);",
        )
        .await;
    assert!(admin.wait_until("return window.looked === true").await);
    assert_eq!(admin.run("return asked").await, 0);
    assert_eq!(admin.path().await, "/dashboard");
}
