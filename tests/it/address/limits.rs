//! How often another address can be asked for, and what is seen of a mail that does not arrive.

use oneseat::users::Role;

use super::{NEW, ask, outbox_is_empty, start};
use crate::support::{App, MailServer, PASSWORD, eventually};

#[tokio::test]
async fn a_user_asks_for_five_addresses_an_hour() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    for n in 0..5 {
        let email = format!("countess{n}@example.org");
        assert_eq!(ask(&ada, PASSWORD, &email).await.status, 202);
    }
    let answer = ask(&ada, PASSWORD, NEW).await;
    assert_eq!(answer.problem(), "429 too_many_requests");
    assert_eq!(answer.header("retry-after"), "3600");
    outbox_is_empty(&app).await;
    mails.unread();
    app.database()
        .execute("update mail_requests set since = since - interval '1 hour'");
    assert_eq!(ask(&ada, PASSWORD, NEW).await.status, 202);
}

#[tokio::test]
async fn an_address_gets_five_links_an_hour_whoever_asks() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    for n in 0..7 {
        let somebody = app.signed_in(&format!("user{n}")).await;
        assert_eq!(ask(&somebody, PASSWORD, NEW).await.status, 202);
    }
    outbox_is_empty(&app).await;
    let received = mails.unread();
    let to_new = received.iter().filter(|mail| mail.header("To") == NEW);
    assert_eq!(to_new.count(), 5);
    assert_eq!(received.len(), 7 + 5);
}

#[tokio::test]
async fn a_link_that_could_not_be_delivered_is_told_to_who_asked_for_it() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let admin = app.admin().await;
    assert_eq!(ask(&ada, PASSWORD, "nobody@example.org").await.status, 202);
    eventually("it is told", async || {
        let page = ada.get("/dashboard").await.text;
        page.contains("The link to <bdi>nobody@example.org</bdi> could not be delivered")
            && page.contains("User unknown")
    })
    .await;
    // The account's own address is as good as before.
    let users = admin.get("/admin/users").await.text;
    assert!(!users.contains("not delivered"), "{users}");
}

#[tokio::test]
async fn a_notice_that_did_not_reach_a_former_address_is_told_to_nobody_who_has_it_later() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    app.add_user("nobody", Role::User).await;
    let id = app
        .database()
        .text("select id::text from users where name = 'nobody'");
    let (path, body) = (
        format!("/api/admin/users/{id}/email"),
        serde_json::json!({ "email": NEW, "verified": true }),
    );
    let put = admin.request(reqwest::Method::PUT, &path).json(&body);
    assert_eq!(put.send().await.unwrap().status(), 200);
    outbox_is_empty(&app).await;
    App::add_user(&app, "nobody", Role::User).await;
    let users = admin.get("/admin/users").await.text;
    assert!(!users.contains("not delivered"), "{users}");
}
