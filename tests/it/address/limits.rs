//! How often a user can ask to change the address, and what is shown if the mail does not arrive.

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
async fn an_address_gets_five_links_an_hour_with_and_without_an_account() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("grace", Role::User).await;
    for (email, name) in [(NEW, "one"), ("grace@example.org", "other")] {
        for n in 0..6 {
            let somebody = app.signed_in(&format!("{name}{n}")).await;
            let answer = ask(&somebody, PASSWORD, email).await;
            match n {
                0..5 => assert_eq!(answer.status, 202),
                _ => assert_eq!(answer.problem(), "429 too_many_requests"),
            }
        }
    }
    // Nothing is left of what was refused: no page says that a link is on its way.
    let waits = "select count(*) from one_time_links join users on users.id = user_id where name like '%5'";
    assert_eq!(app.database().number(waits), 0);
    outbox_is_empty(&app).await;
    let received = mails.unread();
    let to = |email| received.iter().filter(move |mail| mail.header("To") == email);
    assert_eq!((to(NEW).count(), to("grace@example.org").count()), (5, 5));
    assert_eq!(
        to("one5@example.org").count() + to("other5@example.org").count(),
        0
    );
}

#[tokio::test]
async fn a_link_that_another_user_asked_for_says_nothing_of_the_account_in_the_list() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("nobody", Role::User).await;
    let ada = app.signed_in("ada").await;
    let admin = app.admin().await;
    let noted = |kind: &str| {
        let rows = format!("select count(*) from undelivered_mails where kind = '{kind}'");
        app.database().number(&rows) == 1
    };
    let listed = async || {
        let users = admin.get("/api/admin/users?q=nobody").await.json();
        users["users"][0]["undelivered"]["kind"].clone()
    };
    assert_eq!(ask(&ada, PASSWORD, "nobody@example.org").await.status, 202);
    eventually("it is noted", async || noted("email_change")).await;
    assert_eq!(listed().await, serde_json::Value::Null);
    let found = admin.get("/api/admin/users?q=not+delivered").await.json();
    assert_eq!(found["total"], 0, "{found}");
    // What an admin is told stays.
    let forgot = serde_json::json!({ "email": "nobody@example.org" });
    app.visitor().post("/auth/password/forgot", &forgot).await;
    eventually("it is noted", async || noted("password_reset")).await;
    assert_eq!(ask(&ada, PASSWORD, "nobody@example.org").await.status, 202);
    outbox_is_empty(&app).await;
    assert_eq!(listed().await, "password_reset");
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
    // A mail of another kind that failed may belong to an account there: whoever asked must not learn of it.
    let note = |kind: &str| {
        let note = format!("update undelivered_mails set kind = '{kind}'");
        app.database().execute(&note);
    };
    note("invitation");
    let page = ada.get("/dashboard").await.text;
    assert!(
        page.contains("nobody@example.org") && !page.contains("could not be delivered"),
        "{page}"
    );
    note("email_change");
    // The account's own address is as good as before.
    let users = admin.get("/admin/users").await.text;
    assert!(!users.contains("not delivered"), "{users}");
    // It says nothing of a later request, whose mail still waits.
    app.database().execute(
        "create function later() returns trigger language plpgsql as $$
             begin new.due_at := now() + interval '1 hour'; return new; end $$;
         create trigger later before insert on mails for each row execute function later()",
    );
    assert_eq!(ask(&ada, PASSWORD, "nobody@example.org").await.status, 202);
    // It waits for as long as the outbox tries to send a mail, which is longer than its link works.
    app.database()
        .execute("update one_time_links set expires_at = expires_at - interval '3 days'");
    let page = ada.get("/dashboard").await.text;
    assert!(
        page.contains("A link is on its way to <bdi>nobody@example.org</bdi>"),
        "{page}"
    );
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
