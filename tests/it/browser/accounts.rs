//! Names, roles and removal on the page of users.

use fantoccini::key::Key;
use oneseat::users::Role;

use super::{ADA, app_with_ada};
use crate::support::{App, Browser, PASSWORD};

const FOCUSED: &str = "document.activeElement.getAttribute('aria-label')";

/// An admin at the page of users, and somebody whose name runs from right to left.
async fn app_and_admin() -> (App, Browser) {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    app.database().execute(
        "insert into users (name, email, created_at) values ('محمد بن عبد الله', 'm@example.org', now() - interval '1 hour')",
    );
    let admin = Browser::open(app.address, "/login?next=/admin/users").await;
    admin.submit_login("root@example.org", PASSWORD).await;
    admin.wait_for(".people").await;
    (app, admin)
}

/// Opens the menu of a row, and presses one of its buttons.
async fn choose(admin: &Browser, email: &str, action: &str) {
    admin.click(&format!("[aria-label='More for {email}']")).await;
    admin.click(&format!("[aria-label='{action} {email}']")).await;
}

async fn is_focused(admin: &Browser, label: &str) {
    assert!(
        admin.wait_until(&format!("return {FOCUSED} === '{label}'")).await,
        "{label} has not the focus, but {}",
        admin.run(&format!("return {FOCUSED}")).await
    );
}

async fn toast(admin: &Browser) -> String {
    let toast = admin
        .run("return document.querySelector('[role=status] .toast p').textContent")
        .await;
    toast.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_admin_renames_somebody_and_takes_it_back() {
    let (app, admin) = app_and_admin().await;
    let name = |name: &str| {
        let named = format!("select count(*) from users where name = '{name}'");
        app.database().number(&named) == 1
    };
    choose(&admin, "m@example.org", "Rename").await;
    admin.wait_for("#rename[open]").await;
    let is_ready = "return document.activeElement.id === 'rename-name' && document.activeElement.value === 'محمد بن عبد الله'";
    assert!(admin.wait_until(is_ready).await);
    admin.fill("#rename-name", "").await;
    admin.click("#rename [type=submit]").await;
    admin.wait_for_words("Enter a name.").await;
    admin.fill("#rename-name", "M\u{200b}").await;
    admin.click("#rename [type=submit]").await;
    admin.wait_for_words("U+200B").await;
    assert_eq!(
        admin
            .run("return document.getElementById('rename-name').getAttribute('aria-invalid')")
            .await,
        "true"
    );
    admin.fill("#rename-name", "Muhammad").await;
    admin.press(char::from(Key::Enter)).await;
    admin.wait_for_words("is now called").await;
    is_focused(&admin, "More for m@example.org").await;
    // What runs from right to left turns nothing around it.
    assert_eq!(
        toast(&admin).await,
        "\u{2068}محمد بن عبد الله\u{2069} is now called \u{2068}Muhammad\u{2069}."
    );
    assert!(name("Muhammad"));
    admin.click(".toast button:first-of-type").await;
    admin.wait_for_words("has their earlier name again.").await;
    assert!(name("محمد بن عبد الله"));
    // Cancelling changes nothing.
    choose(&admin, "m@example.org", "Rename").await;
    admin.fill("#rename-name", "Mallory").await;
    admin.press(char::from(Key::Escape)).await;
    is_focused(&admin, "More for m@example.org").await;
    assert!(name("محمد بن عبد الله"));
}

#[tokio::test]
async fn somebody_who_becomes_an_admin_sees_it_at_once_and_so_when_it_is_over() {
    let (app, admin) = app_and_admin().await;
    let ada = Browser::open(app.address, "/login").await;
    ada.submit_login(ADA, PASSWORD).await;
    ada.wait_for("#sign-out").await;
    let links = "document.querySelectorAll('nav a[href^=\"/admin/\"]').length";
    assert_eq!(ada.run(&format!("return {links}")).await, 0);
    choose(&admin, ADA, "Make admin:").await;
    admin.wait_for_words("an admin?").await;
    admin.click("#confirm-yes").await;
    admin.wait_for_words("is an admin.").await;
    is_focused(&admin, &format!("More for {ADA}")).await;
    assert!(ada.wait_until(&format!("return {links} === 3")).await);
    ada.click("a[href='/admin/users']").await;
    ada.wait_for(&format!("[aria-label='More for {ADA}']")).await;
    // Admins cannot do this to themselves.
    let own = format!("return document.querySelector(\"[aria-label='Remove {ADA}']\")");
    assert_eq!(ada.run(&own).await, serde_json::Value::Null);

    admin.click(".toast button:first-of-type").await;
    admin.wait_for_words("is a user.").await;
    ada.wait_for_words("You are no longer an administrator.").await;
    ada.wait_for_path("/dashboard").await;
    assert!(ada.wait_until(&format!("return {links} === 0")).await);
    let admins = "select count(*) from users where role = 'admin'";
    assert_eq!(app.database().number(admins), 1);
    assert_eq!(app.sessions(), 2);
}

#[tokio::test]
async fn somebody_is_removed_on_a_phone_by_keyboard_once_it_is_confirmed() {
    let (app, admin) = app_and_admin().await;
    let metrics = serde_json::json!({ "width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    admin
        .devtools("Emulation.setDeviceMetricsOverride", metrics)
        .await;
    let ada = Browser::open(app.address, "/login").await;
    ada.submit_login(ADA, PASSWORD).await;
    // The list has heard of it.
    admin
        .wait_for("[data-confirm*='ends their session'][aria-label='Remove ada@example.org']")
        .await;
    let enter = char::from(Key::Enter);
    let focus = |label: &str| format!("document.querySelector(\"[aria-label='{label}']\").focus()");
    admin.run(&focus("Actions for ada@example.org")).await;
    admin.press(enter).await;
    let is_open =
        "return document.querySelector(\"[aria-label='Remove ada@example.org']\").checkVisibility()";
    assert!(admin.wait_until(is_open).await);
    admin.run(&focus("Remove ada@example.org")).await;
    admin.press(enter).await;
    admin.wait_for_words("It cannot be brought back.").await;
    let asked = admin
        .run("return document.getElementById('confirm-words').textContent")
        .await;
    let asked = asked.as_str().unwrap();
    for words in ["ada", "ada@example.org", "This ends their session."] {
        assert!(asked.contains(words), "{asked}");
    }
    // The way back has the focus first.
    admin.press(enter).await;
    is_focused(&admin, "Actions for ada@example.org").await;
    assert_eq!(app.database().number("select count(*) from users"), 3);
    admin.press(enter).await;
    assert!(admin.wait_until(is_open).await);
    admin.run(&focus("Remove ada@example.org")).await;
    admin.press(enter).await;
    admin.click("#confirm-yes").await;
    admin.wait_for_words("is removed.").await;
    ada.wait_for_words("Your account was disabled or removed at")
        .await;
    admin.wait_for_count("#users-heading .count", 2).await;
    is_focused(&admin, "Actions for m@example.org").await;
    assert!(!admin.text().await.contains(ADA));
    assert_eq!(app.database().number("select count(*) from users"), 2);
}
