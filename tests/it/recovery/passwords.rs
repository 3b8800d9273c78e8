//! Passwords are changed by users who know them.

use oneseat::users::Password;
use reqwest::Method;
use serde_json::json;

use super::{ADA, NEW, change, forgot, link_to, reset, start};
use crate::support::{Answer, App, MailServer, PASSWORD, RowLock, waiting};

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let answer = change(&ada, "not my password", NEW).await;
    assert_eq!(answer.problem(), "403 wrong_password");
    assert_eq!(
        change(&ada, PASSWORD, "too short").await.problem(),
        "400 password_refused"
    );
    let present = change(&ada, PASSWORD, PASSWORD).await;
    assert_eq!(present.problem(), "400 password_refused");
    assert!(
        present.text.contains("another one than the present one"),
        "{}",
        present.text
    );
    // Who does not know it does not learn it.
    assert_eq!(
        change(&ada, "not my password", "not my password").await.problem(),
        "403 wrong_password"
    );
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(change(&ada, PASSWORD, NEW).await.status, 200);
    assert_eq!(ada.session().await.json()["reason"], "password_changed");
    assert_eq!(
        app.visitor().login(ADA, PASSWORD).await.problem(),
        "401 invalid_credentials"
    );
    assert_eq!(app.visitor().login(ADA, NEW).await.status, 200);
    let told = mails.next().await;
    assert_eq!(told.header("Subject"), "Your password for oneseat was changed");
}

#[tokio::test]
async fn a_new_password_is_judged_for_nobody_who_may_not_set_it() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    // Estimating a password takes processor time, so cheaper checks come first.
    let guessable = "passwordpassword1";
    assert_eq!(
        change(&ada, "not my password", guessable).await.problem(),
        "403 wrong_password"
    );
    assert_eq!(
        change(&ada, PASSWORD, guessable).await.problem(),
        "400 password_refused"
    );
    let visitor = app.visitor();
    assert_eq!(
        reset(&visitor, &"ab".repeat(32), guessable).await.problem(),
        "400 link_invalid"
    );
    assert_eq!(forgot(&visitor, ADA).await.status, 202);
    let mail = mails.next().await;
    let link = mail.link();
    let (_, token) = link.split_once('#').unwrap();
    assert_eq!(
        reset(&visitor, token, guessable).await.problem(),
        "400 password_refused"
    );
    // The link still works.
    assert_eq!(reset(&visitor, token, NEW).await.status, 200);
}

#[tokio::test]
async fn guessing_the_current_password_locks_the_address_and_ends_no_session() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    for _ in 0..5 {
        assert_eq!(
            change(&ada, "not my password", NEW).await.problem(),
            "403 wrong_password"
        );
    }
    assert_eq!(change(&ada, PASSWORD, NEW).await.problem(), "403 account_locked");
    assert_eq!(
        app.visitor().login(ADA, PASSWORD).await.problem(),
        "403 account_locked"
    );
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_meanwhile_changes_no_password() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    // Her row goes to the look-up of the change, then to the sign-in, and then to the change itself.
    let row = RowLock::on(&app, "users");
    let changed = tokio::spawn(async move { change(&ada, PASSWORD, NEW).await });
    waiting(&app, 1).await;
    let visitor = app.visitor();
    let login = tokio::spawn(async move { visitor.sign_in(ADA).await });
    waiting(&app, 2).await;
    row.let_go();
    let changed = changed.await.unwrap();
    assert_eq!(changed.problem(), "401 session_ended");
    assert_eq!(changed.json()["reason"], "replaced");
    assert_eq!(login.await.unwrap().session().await.status, 200);
    app.visitor().sign_in(ADA).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_password_that_is_first_keeps_a_sign_in_out() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let there = ada.clone();
    let row = RowLock::on(&app, "users");
    let changed = tokio::spawn(async move { change(&there, PASSWORD, NEW).await });
    waiting(&app, 1).await;
    let row = row.let_one_pass(&app, "users").await;
    // The change has been looked up. From here on it waits before the sign-in.
    let visitor = app.visitor();
    let login = tokio::spawn(async move { visitor.login(ADA, PASSWORD).await });
    waiting(&app, 2).await;
    row.let_go();
    assert_eq!(changed.await.unwrap().status, 200);
    assert_eq!(login.await.unwrap().problem(), "401 invalid_credentials");
    assert_eq!(ada.session().await.json()["reason"], "password_changed");
    assert_eq!(app.sessions(), 0);
    assert_eq!(app.visitor().login(ADA, NEW).await.status, 200);
}

#[tokio::test]
async fn a_new_password_says_more_than_its_user_is_called() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    // It is a fine password for anybody else.
    let (name, email) = ("mountain umbrella teapot", "lantern.harbour@example.org");
    app.database()
        .execute(&format!("update users set name = '{name}', email = '{email}'"));
    for word in [name, "lantern harbour example"] {
        let answer = change(&ada, PASSWORD, word).await;
        assert_eq!(answer.problem(), "400 password_refused", "{word}");
        let token = link_to(&app, "password_reset", email);
        let answer = reset(&app.visitor(), &token, word).await;
        assert_eq!(answer.problem(), "400 password_refused", "{word}");
    }
    app.database().execute("update users set name = 'ada'");
    assert_eq!(change(&ada, PASSWORD, name).await.status, 200);
    // A name that says what an older password is makes that one weak, too.
    app.database()
        .execute(&format!("update users set name = '{name}'"));
    let answer = app.visitor().login(email, name).await;
    assert_eq!(answer.json()["passwordChangeRecommended"], true);
}

#[test]
fn a_password_that_would_soon_be_guessed_is_refused_with_the_reason() {
    for (password, reason) in [
        (
            "aaaaaaaaaaaaaaaaaaaa",
            "it is made of repeated or well-known parts",
        ),
        ("abcabcabcabcabcabc", "it repeats itself"),
        ("passwordpassword", "many people use it"),
        ("qwertyuiopasdfghjkl", "it is like one that many people use"),
        ("abcdefghijklmnopqrst", "it is a sequence, such as abc"),
        ("12/24/1988 12/24/1988", "it has a date in it"),
        ("christopher jennifer", "it is made of names"),
        ("misrepresentation", "it is one word"),
        (
            "ada@example.org ada",
            "it says little more than your name, your address or what this service is called",
        ),
        (
            "to be or not to be that is the question",
            "it says little more than a well-known phrase",
        ),
    ] {
        let refused = Password::chosen(password, &["Ada", ADA]).map(|_| ()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("password is too easy to guess: {reason}")
        );
    }
}

#[tokio::test]
async fn without_mail_nobody_is_promised_one() {
    let app = App::start().await;
    let admin = app.admin().await;
    assert_eq!(forgot(&app.visitor(), ADA).await.problem(), "404 no_mail");
    let grace = json!({ "email": "grace@example.org", "name": "Grace" });
    assert_eq!(
        admin.post("/api/admin/users", &grace).await.problem(),
        "404 no_mail"
    );
    let told = admin.post("/api/admin/users", &grace).await.json()["detail"].clone();
    let told = told.as_str().unwrap();
    assert!(
        told.contains("`oneseat user add`") && told.contains("--smtp-url"),
        "{told}"
    );
    assert_eq!(app.database().number("select count(*) from users"), 1);
    let own = admin.session().await.json()["user"]["id"].clone();
    let path = format!("/api/admin/users/{}/password-link", own.as_str().unwrap());
    let answer = Answer::of(admin.request(Method::POST, &path)).await;
    assert_eq!(answer.problem(), "404 no_mail");
    let told = answer.json()["detail"].clone();
    assert!(
        told.as_str().unwrap().contains("`oneseat user password`"),
        "{told}"
    );
    let page = app.visitor().get("/forgot").await.text;
    assert!(
        page.contains("sends no mail") && !page.contains("id=\"forgot\""),
        "{page}"
    );
    let page = admin.get("/admin/users").await.text;
    assert!(
        page.contains("nobody can be invited here") && !page.contains("id=\"invite\""),
        "{page}"
    );
    // Without a mail server, no page leads to one that would have to mail something.
    for path in ["/login", "/reset", "/welcome", "/verify", "/forgot"] {
        let page = app.visitor().get(path).await.text;
        assert!(
            !page.contains("href=\"/forgot\"") && !page.contains("href=\"/verify\""),
            "{path}: {page}"
        );
        assert!(
            page.contains("data-no-mail") && page.to_lowercase().contains("administrator"),
            "{path}: {page}"
        );
    }
    // A password can be changed nevertheless.
    let ada = app.signed_in("ada").await;
    assert_eq!(change(&ada, PASSWORD, NEW).await.status, 200);
    assert_eq!(app.database().number("select count(*) from mails"), 0);
}
