//! The ways back in, as users go them: from the message that stops them to the dashboard.

use oneseat::users::{Email, Password, Role};
use serde_json::json;

use super::ADA;
use crate::support::{App, Browser, MailServer, PASSWORD};

const NEW: &str = "nine green bottles on a wall";

async fn start(mails: &MailServer) -> App {
    App::start_with(|config| mails.configure(config)).await
}

async fn choose(browser: &Browser, password: &str) {
    browser.fill("#new-password", password).await;
    browser.click("#choose [type=submit]").await;
}

async fn sign_in_with(browser: &Browser, email: &str, password: &str) {
    browser.submit_login(email, password).await;
    browser.wait_for("#sign-out").await;
}

#[tokio::test]
async fn locked_out_and_in_again_by_the_mailed_link() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    for _ in 0..5 {
        app.visitor().login(ADA, "not the password").await;
    }
    let browser = Browser::open(app.address, "/login").await;
    browser.submit_login(ADA, PASSWORD).await;
    browser
        .wait_for_words("There were too many wrong passwords, so this address is locked until")
        .await;
    let target = "return document.querySelector('#login-error a').target";
    assert_eq!(browser.run(target).await, "", "no session is here");
    browser.click("#login-error a[href='/forgot']").await;
    browser.fill("#email", ADA).await;
    browser.click("#forgot [type=submit]").await;
    browser.wait_for_words("a mail is on its way").await;

    let link = mails.next().await.link();
    browser.go(&link).await;
    browser.wait_for_words(&format!("Your account: {ADA}")).await;
    // Neither on the screen nor in the history.
    let address = browser.page.current_url().await.unwrap();
    assert_eq!((address.path(), address.fragment()), ("/reset", None));
    choose(&browser, "too short").await;
    browser
        .wait_for_words("Password must have at least 15 characters")
        .await;
    choose(&browser, NEW).await;
    browser.wait_for_words("Your password is set.").await;
    browser.click(".form-done a[href='/login']").await;
    sign_in_with(&browser, ADA, NEW).await;

    // The same link once more.
    let other = Browser::open(app.address, &link).await;
    other.wait_for_words("This link is no longer valid").await;
    other.click(".link-over a[href='/forgot']").await;
    other.wait_for("#forgot").await;
}

#[tokio::test]
async fn invited_by_an_admin_and_signed_in() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("root", Role::Admin).await;
    let admin = Browser::open(app.address, "/login").await;
    admin.sign_in("root@example.org").await;
    admin.click("a[href='/admin/users']").await;
    admin.fill("#invite-name", "Grace Hopper").await;
    admin.fill("#invite-email", "not an address").await;
    admin.click("#invite [type=submit]").await;
    admin.wait_for_words("Email must be an address").await;
    admin.fill("#invite-email", "grace@example.org").await;
    admin.click("#invite [type=submit]").await;
    admin.wait_for_words("The invitation is on its way.").await;
    admin.wait_for_words("Invited").await;

    let browser = Browser::open(app.address, &mails.next().await.link()).await;
    browser.wait_for_words("Welcome to oneseat").await;
    choose(&browser, NEW).await;
    browser.wait_for_words("Your password is set.").await;
    browser.click(".form-done a[href='/login']").await;
    sign_in_with(&browser, "grace@example.org", NEW).await;
    browser.wait_for_words("Grace Hopper").await;

    admin.click("a[href='/admin/users']").await;
    // The page that was there has the same button, but knows of no session.
    let knows_of_it = "[data-confirm*='ends their session'][aria-label='Disable grace@example.org']";
    admin.wait_for(knows_of_it).await;
    admin.click(knows_of_it).await;
    admin.wait_for_words("This ends their session.").await;
    admin.click("#confirm-yes").await;
    browser
        .wait_for_words("Your account was disabled or removed at")
        .await;
    admin.click("[aria-label='Enable grace@example.org']").await;
    admin.wait_for("[aria-label='Disable grace@example.org']").await;
    admin
        .click("[aria-label='Send reset to grace@example.org']")
        .await;
    admin.wait_for_words("is on its way.").await;
    assert!(mails.next().await.link().starts_with("/reset#"));
}

#[tokio::test]
async fn an_unverified_address_is_verified_at_the_press_of_a_button() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_unverified_user("ada").await;
    let browser = Browser::open(app.address, "/login").await;
    browser.submit_login(ADA, PASSWORD).await;
    browser
        .wait_for_words("Please verify your email before you sign in.")
        .await;
    browser.click("#login-error a[href='/verify']").await;
    browser.fill("#email", ADA).await;
    browser.click("#resend [type=submit]").await;
    browser.wait_for_words("a mail is on its way").await;
    // A link that was copied in part says so, and one that was copied with more than itself works.
    let link = mails.next().await.link();
    browser.go(&link[..link.len() - 1]).await;
    browser.wait_for_words("This link is incomplete").await;
    browser.go(&format!("{link}).")).await;
    browser.wait_for_words(ADA).await;
    browser.go("/login").await;
    // A program that only fetches the links in a mail uses none up: the page does nothing by itself.
    browser.go(&link).await;
    browser.wait_for_words(ADA).await;
    let unverified = "select count(*) from users where not email_verified";
    assert_eq!(app.database().number(unverified), 1);
    browser.click("#verify [type=submit]").await;
    browser.wait_for_words("Your email is verified.").await;
    browser.click("#verified a").await;
    browser.sign_in(ADA).await;

    // The same link once more: the page offers another.
    let other = Browser::open(app.address, &link).await;
    other.wait_for_words("This link is no longer valid").await;
    other.wait_for_words("Mail me a link").await;
    assert_eq!(
        other
            .run("return document.querySelectorAll('a[href=\"/forgot\"]').length")
            .await,
        0
    );
}

#[tokio::test]
async fn a_password_is_changed_on_the_dashboard() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser.click("summary").await;
    browser.fill("#current-password", "not my password").await;
    browser.fill("#new-password", NEW).await;
    browser.click("#change-password [type=submit]").await;
    browser.wait_for_words("The current password is wrong").await;
    // The way out of a lock opens elsewhere: here it would end the session.
    app.database().execute(
        "insert into login_failures values (email_digest('ada@example.org'), 5, now() + interval '1 hour')
             on conflict (email_digest) do update set locked_until = excluded.locked_until",
    );
    browser.fill("#current-password", "not my password").await;
    browser.fill("#new-password", NEW).await;
    browser.click("#change-password [type=submit]").await;
    browser.wait_for("#change-password a[href='/forgot']").await;
    assert_eq!(
        browser
            .run("const { target, rel } = document.querySelector('#change-password a[href=\"/forgot\"]'); return [target, rel]")
            .await,
        json!(["_blank", "noopener"])
    );
    app.database().execute("delete from login_failures");
    browser.fill("#current-password", PASSWORD).await;
    browser.fill("#new-password", NEW).await;
    browser.click("#change-password [type=submit]").await;
    browser
        .wait_for_words("Your password is changed. Sign in with the new one.")
        .await;
    assert_eq!(browser.path().await, "/login");
    sign_in_with(&browser, ADA, NEW).await;
}

#[tokio::test]
async fn who_signs_in_with_a_password_from_elsewhere_is_asked_for_a_new_one() {
    let app = super::app_with_ada().await;
    // SHA-512 of "tea", as a directory stores it.
    app.database().execute("update users set password_hash = '{SHA512}vvgBv4bN2scoFqMnDxx89RDR/nbQ6hbs9hmsxxahx5pC7/FFR8FRHteA3WQdV46/F/IABbRIkpaIHDwWM3KrUQ=='");
    let browser = Browser::open(app.address, "/login").await;
    let asks = "Please choose a new one under “Change your password”.";
    sign_in_with(&browser, ADA, "tea").await;
    browser.wait_for_words(asks).await;
    // The words are the way.
    browser.click("#notice a").await;
    assert!(
        browser
            .wait_until("return document.activeElement.id === 'current-password' && location.hash === '#change-password'")
            .await
    );
    browser.fill("#current-password", "tea").await;
    browser.fill("#new-password", NEW).await;
    browser.click("#change-password [type=submit]").await;
    browser.wait_for_words("Your password is changed").await;
    sign_in_with(&browser, ADA, NEW).await;
    assert_eq!(
        browser
            .run("return document.getElementById('notice').textContent")
            .await,
        ""
    );
}

#[tokio::test]
async fn what_somebody_has_typed_stays_when_the_page_looks_again() {
    let app = super::app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser.click("summary").await;
    browser.fill("#current-password", "half of it").await;
    browser
        .run("document.activeElement.blur(); performance.clearResourceTimings()")
        .await;
    super::look_passively(&browser).await;
    let looked =
        "return performance.getEntriesByType('resource').some((entry) => entry.name.endsWith('/dashboard'))";
    assert!(browser.wait_until(looked).await);
    super::wait_until_painted(&browser).await;
    let typed = "return document.getElementById('current-password').value";
    assert_eq!(browser.run(typed).await, "half of it");
}

#[tokio::test]
async fn a_page_for_a_link_says_so_when_it_was_reached_without_one() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let browser = Browser::open(app.address, "/reset").await;
    browser.wait_for_words("only with a link from a mail").await;
    assert_eq!(
        browser
            .run("return document.getElementById('choose').hidden")
            .await,
        true
    );
}

#[tokio::test]
async fn a_link_works_with_what_was_copied_behind_it_and_says_when_it_is_cut_short() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    app.visitor()
        .post("/auth/password/forgot", &json!({ "email": ADA }))
        .await;
    let link = mails.next().await.link();
    let browser = Browser::open(app.address, "/login").await;
    for behind in [".", "%20", ">", "\"", ")%20and%20so%20on", "\u{201d}"] {
        browser.go("/login").await;
        browser.go(&format!("{link}{behind}")).await;
        browser.wait_for_words(&format!("Your account: {ADA}")).await;
    }
    // An address with a slash that does not belong there leads on, with its fragment.
    browser.go("/login").await;
    browser.go(&link.replace('#', "/#")).await;
    browser.wait_for_words(&format!("Your account: {ADA}")).await;
    assert_eq!(browser.path().await, "/reset");
    let token = link.split('#').nth(1).unwrap();
    for page in ["/reset", "/welcome", "/verify", "/email"] {
        browser.go("/login").await;
        browser.go(&format!("{page}#{}", &token[..50])).await;
        browser.wait_for_words("This link is incomplete").await;
        assert!(!browser.text().await.contains("no longer valid"), "{page}");
        let address = browser.page.current_url().await.unwrap();
        assert_eq!((address.path(), address.fragment()), (page, None));
    }
    browser.go("/login").await;
    browser.go(&format!("{link}.")).await;
    choose(&browser, NEW).await;
    browser.wait_for_words("Your password is set.").await;
}

#[tokio::test]
async fn where_no_mail_is_sent_people_are_led_to_an_administrator() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    app.add_unverified_user("una").await;
    let browser = Browser::open(app.address, "/login").await;
    browser
        .wait_for_words("An administrator can give you a new one.")
        .await;
    browser.sign_in(ADA).await;
    app.visitor().sign_in(ADA).await;
    browser
        .wait_for_words("sign in again and change your password, or ask an administrator")
        .await;
    browser.click("#sign-in-again").await;
    browser.sign_in(ADA).await;
    let password = Password::chosen(PASSWORD, &[]).unwrap();
    app.auth
        .set_password(ADA.parse::<Email>().unwrap(), password)
        .await
        .unwrap();
    browser
        .wait_for_words("If it was not you, ask an administrator at once.")
        .await;
    browser.click("#sign-in-again").await;
    browser.submit_login("una@example.org", PASSWORD).await;
    browser
        .wait_for_words("Please ask an administrator to verify it.")
        .await;
    for _ in 0..5 {
        app.visitor().login(ADA, "not the password").await;
    }
    browser.submit_login(ADA, PASSWORD).await;
    browser
        .wait_for_words("Wait until then, or ask an administrator.")
        .await;
    let links = "return document.querySelectorAll('a[href=\"/forgot\"], a[href=\"/verify\"]').length";
    assert_eq!(browser.run(links).await, 0);
}
