//! A stored hash that no password can match: strangers learn nothing about it, and its user gets a link.

use serde_json::json;

use super::{import, vectors};
use crate::support::{App, MailServer, PASSWORD, eventually};

const ADA: &str = "ada@example.org";
const NEW: &str = "nine green bottles on a wall";

#[tokio::test]
async fn a_hash_that_cannot_be_checked_is_answered_like_an_address_of_nobody_and_its_user_gets_a_link() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    app.add_user("ada", oneseat::users::Role::User).await;
    app.database()
        .execute("update users set password_hash = 'md5 of something'");
    let visitor = app.visitor();
    // Five tries lock both addresses alike, so a stranger learns nothing.
    for _ in 0..6 {
        let (ada, nobody) = (
            visitor.login(ADA, PASSWORD).await,
            visitor.login("eva@example.org", PASSWORD).await,
        );
        assert_eq!((ada.status, ada.words()), (nobody.status, nobody.words()));
    }
    assert_eq!(visitor.login(ADA, PASSWORD).await.problem(), "403 account_locked");
    let mail = mails.next().await;
    assert_eq!(mail.header("To"), ADA);
    assert!(mail.link().starts_with("/reset#"), "{mail:?}");
    // One link is enough for an hour: another would end it.
    let links = "select sum(requests) from mail_requests";
    assert_eq!(app.database().number(links), 1);
    // The link is the way back in, and lifts the lock.
    let reset = json!({ "token": mail.token(), "password": NEW });
    assert_eq!(visitor.post("/auth/password/reset", &reset).await.status, 200);
    assert_eq!(visitor.login(ADA, NEW).await.status, 200);
}

#[tokio::test]
async fn a_link_goes_to_nobody_whose_hash_can_be_checked() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    app.add_user("ada", oneseat::users::Role::User).await;
    let visitor = app.visitor();
    for email in [ADA, "eva@example.org"] {
        assert_eq!(
            visitor.login(email, "not the password").await.problem(),
            "401 invalid_credentials"
        );
    }
    assert_eq!(app.database().number("select count(*) from mails"), 0);
    assert_eq!(app.database().number("select count(*) from mail_requests"), 0);
}

#[tokio::test]
async fn a_hash_with_a_pepper_waits_for_the_pepper() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    let peppered = vectors()
        .into_iter()
        .find(|vector| vector["pepper"].is_string())
        .unwrap();
    let row = json!({ "email": ADA, "verified": true, "hash": peppered["hash"] }).to_string();
    let (code, _, told) = import(&app, "users.jsonl", &row, &[]);
    assert_eq!(code, 0);
    assert!(told.contains("--password-pepper-file"), "{told}");
    let password = peppered["password"].as_str().unwrap();
    // A forgotten pepper locks no user out, and causes no mail.
    for _ in 0..6 {
        let without = app.visitor().login(ADA, password).await;
        assert_eq!(without.problem(), "401 invalid_credentials");
    }
    assert_eq!(app.database().number("select count(*) from login_failures"), 0);
    assert_eq!(app.database().number("select count(*) from mail_requests"), 0);
    let pepper = |text: &str| Some(oneseat::config::Pepper::new(text).unwrap());
    let other = app
        .another_instance_with(|config| config.pepper = pepper("another pepper"))
        .await;
    assert_eq!(
        other.visitor().login(ADA, password).await.problem(),
        "401 invalid_credentials"
    );
    let right = peppered["pepper"].as_str().unwrap();
    let with = app
        .another_instance_with(|config| config.pepper = pepper(right))
        .await;
    assert_eq!(with.visitor().login(ADA, password).await.status, 200);
    // From then on the hash is oneseat's own, and needs no pepper.
    eventually("it is ours", async || {
        app.visitor().login(ADA, password).await.status == 200
    })
    .await;
}
