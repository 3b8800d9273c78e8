//! Changes of address and of name, over a real SMTP server.

mod by_admins;
mod ends;
mod limits;
mod name;

use oneseat::users::Role;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, Mail, MailServer, PASSWORD, eventually};

const ADA: &str = "ada@example.org";
const NEW: &str = "countess@example.org";

async fn start(mails: &MailServer) -> App {
    App::start_with(|config| mails.configure(config)).await
}

async fn ask(client: &Client, password: &str, email: &str) -> Answer {
    let body = json!({ "currentPassword": password, "email": email });
    client.post("/auth/email/change", &body).await
}

async fn confirm(visitor: &Client, token: &str) -> Answer {
    let body = json!({ "token": token });
    visitor.post("/auth/email/confirm", &body).await
}

/// Requests the change, and returns the mail with the link and the notice.
async fn asked(client: &Client, mails: &MailServer, email: &str) -> (Mail, Mail) {
    let answer = ask(client, PASSWORD, email).await;
    let told = (answer.status.as_u16(), answer.json());
    assert_eq!(told, (202, json!({ "success": true })));
    let (one, two) = (mails.next().await, mails.next().await);
    match one.header("To") == email {
        true => (one, two),
        false => (two, one),
    }
}

/// Every mail of the outbox has been sent, or discarded because no account has the address.
async fn outbox_is_empty(app: &App) {
    eventually("the outbox is empty", async || {
        app.database().number("select count(*) from mails") == 0
    })
    .await;
}

async fn own(client: &Client) -> Value {
    client.session().await.json()["user"].clone()
}

#[tokio::test]
async fn an_address_changes_when_the_link_to_the_new_one_is_confirmed() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let other = app.another_instance_with(|config| mails.configure(config)).await;
    let ada = app.signed_in("ada").await;
    let there = ada.at(other.address);
    let (link, notice) = asked(&ada, &mails, "Countess@Example.org").await;
    assert_eq!(link.header("To"), NEW);
    assert_eq!(link.header("Subject"), "Confirm your new address for oneseat");
    assert!(link.link().starts_with("/email#"), "{link:?}");
    // A name is free text, and the new address may belong to a stranger.
    assert_eq!(link.raw.matches("Hello,").count(), 2, "{link:?}");
    assert_eq!(notice.header("To"), ADA);
    assert_eq!(
        notice.header("Subject"),
        "Another address was asked for at oneseat"
    );
    for words in ["from  127.0.0.1", "Nothing has changed yet", "/forgot"] {
        assert!(notice.raw.contains(words), "{words}: {notice:?}");
    }
    // The old mailbox may belong to another person by now.
    assert!(!notice.raw.contains(NEW), "{notice:?}");

    // A program that only fetches the page of the link does not use it up, and changes nothing.
    assert_eq!(app.visitor().get("/email").await.status, 200);
    let look = json!({ "token": link.token() });
    for _ in 0..2 {
        let told = app.visitor().post("/auth/link", &look).await;
        assert_eq!(told.json(), json!({ "name": "ada", "email": NEW }));
    }
    assert_eq!(app.visitor().login(NEW, PASSWORD).await.status, 401);
    assert_eq!(own(&there).await["email"], ADA);

    let answer = confirm(&other.visitor(), &link.token()).await;
    let told = (answer.status.as_u16(), answer.json());
    assert_eq!(told, (200, json!({ "success": true })));
    // The session goes on, and every instance knows the new address at once.
    assert_eq!(own(&ada).await["email"], NEW);
    assert_eq!(own(&there).await["email"], NEW);
    let verified = there.get("/auth/verify").await;
    assert_eq!(verified.header("remote-user"), NEW);
    let done = mails.next().await;
    assert_eq!(done.header("To"), ADA);
    assert_eq!(done.header("Subject"), "Your address for oneseat was changed");
    for words in ["from  127.0.0.1", "tell an administrator now"] {
        assert!(done.raw.contains(words), "{words}: {done:?}");
    }
    assert!(!done.raw.contains(NEW), "{done:?}");
    for instance in [&app, &other] {
        let refused = instance.visitor().login(ADA, PASSWORD).await;
        assert_eq!(refused.problem(), "401 invalid_credentials");
    }
    assert_eq!(other.visitor().login(NEW, PASSWORD).await.status, 200);
    let again = confirm(&app.visitor(), &link.token()).await;
    assert_eq!(again.problem(), "400 link_invalid");
    outbox_is_empty(&app).await;
    assert!(mails.unread().is_empty());
}

#[tokio::test]
async fn who_does_not_know_the_password_or_names_no_other_address_is_told_the_field() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let too_long = "x".repeat(2_000);
    for (password, email, problem, field) in [
        ("not my password", NEW, "403 wrong_password", Value::Null),
        (&too_long, NEW, "400 bad_request", json!("currentPassword")),
        (PASSWORD, "no address", "400 bad_request", json!("email")),
        (
            PASSWORD,
            "count\u{200b}ess@x.org",
            "400 bad_request",
            json!("email"),
        ),
        (
            PASSWORD,
            "gr\u{e4}fin@example.org",
            "400 bad_request",
            json!("email"),
        ),
        (PASSWORD, " ADA@example.org", "400 bad_request", json!("email")),
    ] {
        let answer = ask(&ada, password, email).await;
        assert_eq!(answer.problem(), problem, "{email}");
        assert_eq!(answer.json()["field"], field, "{answer:?}");
    }
    assert_eq!(app.database().number("select count(*) from one_time_links"), 0);
    for _ in 0..4 {
        ask(&ada, "not my password", NEW).await;
    }
    // Wrong guesses lock the address, as at a sign-in, and the lock holds for the right password, too.
    assert_eq!(ask(&ada, PASSWORD, NEW).await.problem(), "403 account_locked");
    assert_eq!(
        app.visitor().login(ADA, PASSWORD).await.problem(),
        "403 account_locked"
    );
    assert_eq!(ada.session().await.status, 200);
    outbox_is_empty(&app).await;
    assert!(mails.unread().is_empty());
}

#[tokio::test]
async fn who_asks_for_an_address_that_is_taken_learns_nothing_and_its_user_is_told() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("grace", Role::User).await;
    let ada = app.signed_in("ada").await;
    let mut seen = Vec::new();
    for email in [NEW, "grace@example.org"] {
        app.database().count_statements();
        let answer = ask(&ada, PASSWORD, email).await;
        let statements = "select count(*) from pg_stat_statements
            where dbid = (select oid from pg_database where datname = current_database()) and query ilike 'insert%'";
        seen.push((answer.status, answer.text, app.database().number(statements)));
        outbox_is_empty(&app).await;
        let waits = "select count(*) from one_time_links where purpose = 'email_change'
            and expires_at between now() + interval '7 hours' and now() + interval '8 hours'";
        assert_eq!(app.database().number(waits), 1);
        let page = ada.get("/dashboard").await.text;
        let words = format!("A link is on its way to <bdi>{email}</bdi>");
        assert!(page.contains(&words), "{page}");
    }
    assert_eq!(seen[0], seen[1]);
    let received = mails.unread();
    let to_grace: Vec<_> = received
        .iter()
        .filter(|mail| mail.header("To") == "grace@example.org")
        .collect();
    assert_eq!(to_grace.len(), 1, "{received:?}");
    let told = to_grace[0];
    assert_eq!(
        told.header("Subject"),
        "Your address has an account at oneseat already"
    );
    assert!(
        told.raw.contains("Hello grace,") && !told.raw.contains("#"),
        "{told:?}"
    );
    // The link that went to the free address has had its day.
    let link = received.iter().find(|mail| mail.header("To") == NEW).unwrap();
    let late = confirm(&app.visitor(), &link.token()).await;
    assert_eq!(late.problem(), "400 link_invalid");
}

#[tokio::test]
async fn a_disabled_user_of_the_address_is_told_like_any_other() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("grace", Role::User).await;
    app.database()
        .execute("update users set disabled_at = now() where name = 'grace'");
    let ada = app.signed_in("ada").await;
    let (told, _) = asked(&ada, &mails, "grace@example.org").await;
    assert_eq!(
        told.header("Subject"),
        "Your address has an account at oneseat already"
    );
}

#[tokio::test]
async fn an_address_that_another_account_has_got_meanwhile_is_told_to_who_confirms() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let (link, _) = asked(&ada, &mails, NEW).await;
    app.add_user("countess", Role::User).await;
    let answer = confirm(&app.visitor(), &link.token()).await;
    assert_eq!(answer.problem(), "409 email_taken");
    assert_eq!(own(&ada).await["email"], ADA);
    outbox_is_empty(&app).await;
    assert!(mails.unread().is_empty());
    // It works when the address is free again: nothing of it was done.
    app.database()
        .execute(&format!("delete from users where email = '{NEW}'"));
    assert_eq!(confirm(&app.visitor(), &link.token()).await.status, 200);
}

#[tokio::test]
async fn without_mail_an_administrator_has_to_help() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let answer = ask(&ada, PASSWORD, NEW).await;
    assert_eq!(answer.problem(), "404 no_mail");
    assert!(answer.text.contains("ask an administrator"), "{answer:?}");
    let page = ada.get("/dashboard").await.text;
    assert!(
        page.contains("please ask an administrator") && !page.contains("change-email"),
        "{page}"
    );
    let counted = "select (select count(*) from mails) + (select count(*) from one_time_links)";
    assert_eq!(app.database().number(counted), 0);
}
