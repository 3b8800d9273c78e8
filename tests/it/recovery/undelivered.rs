//! Mails that could not be delivered are shown to admins, who can send them again.

use oneseat::users::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{outbox_is_empty, start};
use crate::support::{Answer, App, Client, MailServer, add_user, eventually};

/// The row of this user in the API's list of users.
async fn row(admin: &Client, name: &str) -> Value {
    let found = admin.get(&format!("/api/admin/users?q={name}")).await.json();
    assert_eq!(found["total"], 1, "{found}");
    found["users"][0].clone()
}

async fn invite(admin: &Client, name: &str) -> String {
    let body = json!({ "email": format!("{name}@example.org"), "name": "Somebody" });
    let answer = admin.post("/api/admin/users", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn send_again(admin: &Client, id: &str) {
    let again = admin.request(Method::POST, &format!("/api/admin/users/{id}/password-link"));
    assert_eq!(Answer::of(again).await.status, 204);
}

/// No mail is due or being sent: each has a pause that is longer than a lease.
async fn outbox_rests(app: &App) {
    let others = "select count(*) from mails where due_at < now() + interval '6 minutes'";
    eventually("all mails rest", async || app.database().number(others) == 0).await;
}

async fn page(admin: &Client) -> String {
    admin.get("/admin/users").await.text
}

#[tokio::test]
async fn an_invitation_that_was_given_up_is_seen_and_sent_again() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    let id = invite(&admin, "once").await;
    eventually("it is given up", async || {
        row(&admin, "once").await["undelivered"].is_object()
    })
    .await;
    let user = row(&admin, "once").await;
    assert_eq!(user["state"], "invited");
    assert_eq!(user["undelivered"]["kind"], "invitation");
    let reason = user["undelivered"]["reason"].as_str().unwrap();
    let address = app.database().short_digest("once@example.org");
    assert_eq!(
        reason,
        format!(
            "permanent error (550): 5.1.1 <[address {address}]>: Recipient address rejected: User unknown"
        )
    );
    assert!(page(&admin).await.contains("Invitation not delivered"));

    send_again(&admin, &id).await;
    assert!(row(&admin, "once").await["undelivered"].is_null());
    assert!(!page(&admin).await.contains("not delivered"));
    let mail = mails.next().await;
    assert_eq!(mail.header("To"), "once@example.org");
    assert!(mail.link().starts_with("/welcome#"));
    outbox_is_empty(&app).await;
    assert!(row(&admin, "once").await["undelivered"].is_null());
}

#[tokio::test]
async fn a_recipient_who_is_refused_without_a_code_is_given_up_after_hours() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    for name in ["bare", "relay"] {
        invite(&admin, name).await;
    }
    let refusals = |name: &str| {
        let of = format!("email_digest = email_digest('{name}@example.org') and attempts > 0");
        app.database().number(&format!(
            "select coalesce(max(refusals), -1) from mails where {of}"
        ))
    };
    let tried_for_hours = |refusals: i64| {
        let set = format!("set refusals = {refusals}, attempts = greatest(attempts, 20), due_at = now()");
        app.database().execute(&format!(
            "update mails {set} where refusals < {refusals} or attempts < 20"
        ));
    };
    eventually("both were tried", async || {
        refusals("bare") >= 0 && refusals("relay") >= 0
    })
    .await;
    // The server has accepted no mail yet, so it may refuse every mail.
    eventually("it was tried for hours", async || {
        tried_for_hours(23);
        app.database().number("select min(attempts) from mails") > 20
    })
    .await;
    outbox_rests(&app).await;
    assert!(row(&admin, "bare").await["undelivered"].is_null());
    assert_eq!(refusals("bare"), 23);
    // The server accepts one to another recipient.
    invite(&admin, "grace").await;
    mails.next().await;
    eventually("it is given up", async || {
        // Repeated, because a try may have been running.
        app.database()
            .execute("update mails set due_at = now() where due_at > now() + interval '6 minutes'");
        row(&admin, "bare").await["undelivered"].is_object()
    })
    .await;
    let address = app.database().short_digest("bare@example.org");
    let reason = row(&admin, "bare").await["undelivered"]["reason"].clone();
    assert_eq!(
        reason,
        format!("permanent error (550): no mailbox [address {address}] here")
    );
    // The other mail keeps waiting, however often it was tried: an error that an operator can correct does
    // not count.
    outbox_rests(&app).await;
    assert_eq!(refusals("relay"), 23);
    assert_eq!(app.database().number("select count(*) from mails"), 1);
    assert!(row(&admin, "relay").await["undelivered"].is_null());
}

#[tokio::test]
async fn a_mail_that_arrives_ends_what_was_said_of_an_earlier_one() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    app.database().execute(
        "insert into undelivered_mails (email_digest, kind, reason)
         values (email_digest('root@example.org'), 'verification', 'it was full')",
    );
    assert_eq!(row(&admin, "root").await["undelivered"]["reason"], "it was full");
    let body = json!({ "email": "root@example.org" });
    assert_eq!(
        app.visitor().post("/auth/password/forgot", &body).await.status,
        202
    );
    let id = mails.next().await.header("Message-ID").to_owned();
    assert!(id.ends_with("@example.org>"), "{id}");
    outbox_is_empty(&app).await;
    assert!(row(&admin, "root").await["undelivered"].is_null());
}

#[tokio::test]
async fn an_account_that_is_mailed_anew_or_has_an_address_anew_is_not_listed_for_what_failed_before() {
    let app = start(&MailServer::stopped()).await;
    let admin = app.admin().await;
    for name in ["again", "moving"] {
        app.add_user(name, Role::User).await;
    }
    let noted = "insert into undelivered_mails (email_digest, kind, reason)
         select email_digest(name || '@example.org'), kind, 'no such mailbox'
             from unnest(array['again', 'added', 'imported', 'invited', 'invited.by.file', 'moved', 'asked', 'asked.by.file'],
                 array['password_reset', 'invitation', 'password_reset', 'invitation', 'invitation', 'verification', 'email_change',
                     'email_change'])
                 as noted (name, kind)";
    app.database().execute(noted);
    let notes = "select coalesce(string_agg(distinct kind, ' ') || ' ' || count(*), 'none') as value from undelivered_mails";
    assert_eq!(
        app.database().text(notes),
        "email_change invitation password_reset verification 8"
    );
    assert_eq!(
        row(&admin, "again").await["undelivered"]["kind"],
        "password_reset"
    );

    let id_of = |name: &str| {
        app.database()
            .text(&format!("select id::text from users where name = '{name}'"))
    };
    send_again(&admin, &id_of("again")).await;
    invite(&admin, "invited").await;
    for name in ["added", "asked"] {
        add_user(app.database().url(), &format!("{name}@example.org"), "user");
    }
    for (name, query) in [
        ("imported", ""),
        ("invited.by.file", "?invite=true"),
        ("asked.by.file", ""),
    ] {
        let import = admin.request(Method::POST, &format!("/api/admin/users/import{query}"));
        let line = json!({ "email": format!("{name}@example.org"), "name": name }).to_string();
        let import = import.header("content-type", "application/jsonl").body(line);
        assert_eq!(Answer::of(import).await.json()["added"], 1, "{name}");
    }
    let move_it = admin.request(
        Method::PUT,
        &format!("/api/admin/users/{}/email", id_of("moving")),
    );
    let moved = json!({ "email": "moved@example.org", "verified": true });
    assert_eq!(Answer::of(move_it.json(&moved)).await.status, 200);

    for (name, state) in [
        ("again@", "active"),
        ("added@", "active"),
        // Nothing was sent to it.
        ("imported@", "no_password"),
        ("invited@", "invited"),
        ("invited.by.file@", "invited"),
        ("moved@", "active"),
    ] {
        let row = row(&admin, name).await;
        assert_eq!(
            (&row["undelivered"], &row["state"]),
            (&Value::Null, &json!(state)),
            "{name}"
        );
    }
    let found = admin.get("/api/admin/users?q=not+delivered").await.json();
    assert_eq!(found["total"], 0, "{found}");
    // These are of users who have asked for the address.
    assert_eq!(app.database().text(notes), "email_change 2");
}
