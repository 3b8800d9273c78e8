//! Users change their name and address.

use oneseat::users::Role;

use super::ADA;
use crate::support::{App, Browser, MailServer, PASSWORD};

const NEW: &str = "countess@example.org";

async fn start(mails: &MailServer) -> App {
    App::start_with(|config| mails.configure(config)).await
}

async fn at_the_seat(app: &App) -> Browser {
    app.add_user("ada", Role::User).await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser.click("summary:has(#account-heading)").await;
    browser
}

async fn ask(browser: &Browser, email: &str, password: &str) {
    browser.fill("#new-email", email).await;
    browser.fill("#email-password", password).await;
    browser.click("#change-email [type=submit]").await;
}

#[tokio::test]
async fn a_user_changes_their_name_and_sees_it_at_once() {
    let app = App::start().await;
    let browser = at_the_seat(&app).await;
    browser.wait_for_words("please ask an administrator").await;
    browser.fill("#own-name", " ").await;
    browser.click("#change-name [type=submit]").await;
    browser.wait_for_words("Enter your name.").await;
    browser.fill("#own-name", "Ada\u{200b}").await;
    browser.click("#change-name [type=submit]").await;
    browser.wait_for_words("U+200B").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "own-name");
    browser.fill("#own-name", "Ada Lovelace").await;
    browser.click("#change-name [type=submit]").await;
    browser.wait_for_words("Your name is changed.").await;
    let heading = "return document.getElementById('seat-heading').textContent";
    assert_eq!(browser.run(heading).await, "Ada Lovelace");
}

#[tokio::test]
async fn a_user_changes_their_address_by_the_link_to_the_new_one_and_stays_signed_in() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let browser = at_the_seat(&app).await;
    ask(&browser, NEW, "not my password").await;
    browser.wait_for_words("The current password is wrong").await;
    let focused = "return [document.activeElement.id, document.activeElement.value]";
    assert_eq!(
        browser.run(focused).await,
        serde_json::json!(["email-password", ""])
    );
    ask(&browser, ADA, PASSWORD).await;
    browser.wait_for_words("This is your address already").await;
    ask(&browser, NEW, PASSWORD).await;
    browser
        .wait_for_words("A link is on its way to the new address.")
        .await;
    browser
        .wait_for_words(&format!(
            "A link is on its way to {NEW}. When you confirm it there"
        ))
        .await;
    let (one, two) = (mails.next().await, mails.next().await);
    let link = if one.header("To") == NEW { one } else { two };

    let reader = Browser::open(app.address, &link.link()).await;
    reader.wait_for_words(NEW).await;
    assert_eq!(reader.run("return location.hash").await, "");
    // To look at it changes nothing.
    assert_eq!(app.visitor().login(NEW, PASSWORD).await.status, 401);
    reader.click("#confirm-email [type=submit]").await;
    reader.wait_for_words("This is your address now.").await;
    reader.go(&link.link()).await;
    reader.wait_for_words("This link is no longer valid").await;

    // The page of the session goes on, and knows its user's new address.
    browser.click(".brand").await;
    let shown = format!("return document.querySelector('.subtitle').textContent.includes('{NEW}')");
    assert!(browser.wait_until(&shown).await);
    assert_eq!(app.sessions(), 1);
    app.auth.revoke_all().await.unwrap();
    browser.click("#sign-in-again").await;
    let typed = "return document.getElementById('email').value";
    assert_eq!(browser.run(typed).await, NEW);
}

#[tokio::test]
async fn a_change_that_waits_can_be_taken_back() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let browser = at_the_seat(&app).await;
    ask(&browser, NEW, PASSWORD).await;
    browser.wait_for_words("When you confirm it there").await;
    browser.click("[data-delete='/auth/email/change']").await;
    browser
        .wait_for_words("Your address is \u{2068}ada@example.org\u{2069}.")
        .await;
    let is_gone = "return document.querySelector('.pending') === null";
    assert!(browser.wait_until(is_gone).await);
    let links = "select count(*) from one_time_links";
    assert_eq!(app.database().number(links), 0);
}

#[tokio::test]
async fn a_page_for_a_new_address_says_so_when_it_was_reached_without_a_link() {
    let app = App::start().await;
    let browser = Browser::open(app.address, "/email").await;
    browser.wait_for_words("only with a link from a mail").await;
    let hidden = "return document.getElementById('confirm-email').hidden";
    assert_eq!(browser.run(hidden).await, true);
}

#[tokio::test]
async fn an_admin_gives_somebody_another_address_and_stays_in_the_list() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    app.add_user("root", Role::Admin).await;
    let admin = Browser::open(app.address, "/login").await;
    admin.sign_in("root@example.org").await;
    admin.click("a[href='/admin/users']").await;
    open_dialog(&admin, ADA).await;
    admin.fill("#readdress-email", "root@example.org").await;
    admin.click("#readdress [type=submit]").await;
    admin
        .wait_for_words("There is a user with this email already")
        .await;
    let focused = "return document.activeElement.id";
    assert_eq!(admin.run(focused).await, "readdress-email");
    admin.fill("#readdress-email", NEW).await;
    admin.click("#readdress [type=submit]").await;
    admin.wait_for_words("A link to verify it is on its way.").await;
    admin.wait_for_words(NEW).await;
    assert_eq!(
        app.visitor().login(NEW, PASSWORD).await.problem(),
        "403 email_unverified"
    );
    // An admin who knows that the address is right says so.
    open_dialog(&admin, NEW).await;
    admin.fill("#readdress-email", "lovelace@example.org").await;
    admin.click("#readdress-verified").await;
    admin.click("#readdress [type=submit]").await;
    admin.wait_for_words("lovelace@example.org").await;
    let login = app.visitor().login("lovelace@example.org", PASSWORD).await;
    assert_eq!(login.status, 200);
    // Admins change their own address on the dashboard, with the password.
    let own = "return document.querySelector(\"[aria-label='Change address of root@example.org']\")";
    assert!(admin.run(own).await.is_null());
}

async fn open_dialog(admin: &Browser, email: &str) {
    let more = format!("[aria-label='More for {email}']");
    admin.wait_for(&more).await;
    admin.click(&more).await;
    admin
        .click(&format!("[aria-label='Change address of {email}']"))
        .await;
    admin.wait_for("#readdress[open]").await;
}
