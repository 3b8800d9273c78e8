//! What ends a change of address before it is confirmed, and what a changed address ends.

use diesel::connection::SimpleConnection;
use oneseat::auth::{Authority, LastAdmin};
use oneseat::users::{Email, Role};
use reqwest::Method;
use serde_json::json;

use super::{ADA, NEW, ask, asked, confirm, outbox_is_empty, own, start};
use crate::support::{Answer, App, Client, MailServer, PASSWORD, eventually};

const OTHER: &str = "lovelace@example.org";

async fn withdraw(client: &Client) -> Answer {
    Answer::of(client.request(Method::DELETE, "/auth/email/change")).await
}

/// Withdraws the request in one of the ways.
async fn end(app: &App, mails: &MailServer, ada: &Client, how: &str) {
    let email: Email = ADA.parse().unwrap();
    match how {
        "another request" => assert_eq!(ask(ada, PASSWORD, OTHER).await.status, 202),
        "withdrawal" => assert_eq!(withdraw(ada).await.json()["email"], ADA),
        "a new password" => {
            let body = json!({ "currentPassword": PASSWORD, "newPassword": "nine green bottles on a wall" });
            assert_eq!(ada.post("/auth/password/change", &body).await.status, 200);
        }
        "disabling" => {
            let done = app.auth.disable(email, Authority::Operator, LastAdmin::MayGo);
            done.await.unwrap();
        }
        "a reset by the mailed link" => {
            let (visitor, forgot) = (app.visitor(), json!({ "email": ADA }));
            assert_eq!(visitor.post("/auth/password/forgot", &forgot).await.status, 202);
            let token = mails.next().await.token();
            let body = json!({ "token": token, "password": "nine green bottles on a wall" });
            assert_eq!(visitor.post("/auth/password/reset", &body).await.status, 200);
        }
        "removal" => {
            let done = app.auth.remove_user(email, Authority::Operator, LastAdmin::MayGo);
            done.await.unwrap();
        }
        "time" => app
            .database()
            .execute("update one_time_links set expires_at = now()"),
        _ => panic!("{how}"),
    }
}

const WAYS: [&str; 7] = [
    "another request",
    "withdrawal",
    "a new password",
    "a reset by the mailed link",
    "disabling",
    "removal",
    "time",
];

#[tokio::test]
async fn a_link_to_a_new_address_works_no_more_after_each_of_these() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    for how in WAYS {
        app.database()
            .execute("delete from users; delete from mail_requests");
        let ada = app.signed_in("ada").await;
        let (link, _) = asked(&ada, &mails, NEW).await;
        let user = app.database().text("select id::text from users").parse().unwrap();
        let pending = async || {
            app.auth
                .pending_email(user)
                .await
                .unwrap()
                .map(|pending| pending.email)
        };
        assert_eq!(pending().await.as_deref(), Some(NEW));
        end(&app, &mails, &ada, how).await;
        let asked_last = (how == "another request").then_some(OTHER);
        assert_eq!(pending().await.as_deref(), asked_last, "{how}");
        let answer = confirm(&app.visitor(), &link.token()).await;
        assert_eq!(answer.problem(), "400 link_invalid", "{how}");
        let moved = format!("select count(*) from users where email = '{NEW}'");
        assert_eq!(app.database().number(&moved), 0, "{how}");
        outbox_is_empty(&app).await;
        mails.unread();
    }
}

#[tokio::test]
async fn a_link_that_waits_for_its_mail_server_ends_in_the_same_ways() {
    let mut mails = MailServer::stopped();
    let app = start(&mails).await;
    let needs_no_mail = |how: &&str| !matches!(*how, "time" | "a reset by the mailed link");
    for (n, how) in WAYS.into_iter().filter(needs_no_mail).enumerate() {
        let ada = app.signed_in("ada").await;
        assert_eq!(ask(&ada, PASSWORD, NEW).await.status, 202);
        end(&app, &mails, &ada, how).await;
        if ["another request", "withdrawal"].contains(&how) {
            // What waits is counted, and shown to operators.
            let waits = format!("select count(*) from mails where address = '{NEW}'");
            assert_eq!(app.database().number(&waits), 0, "{how}");
        }
        // Another address, so that the next request is for an account of its own.
        app.database().execute(&format!(
            "update users set email = 'former{n}@example.org' where email = '{ADA}'; delete from mail_requests"
        ));
    }
    mails.resume();
    app.database().execute("update mails set due_at = now()");
    outbox_is_empty(&app).await;
    let links: Vec<_> = mails
        .unread()
        .into_iter()
        .filter(|mail| mail.header("Subject").starts_with("Confirm your new address"))
        .collect();
    // The one that took the place of an earlier one.
    assert_eq!(links.len(), 1, "{links:?}");
    assert_eq!(links[0].header("To"), OTHER);
}

#[tokio::test]
async fn links_to_the_old_address_end_with_it_and_what_it_was_owed_still_reaches_it() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let forgot = json!({ "email": ADA });
    assert_eq!(
        app.visitor().post("/auth/password/forgot", &forgot).await.status,
        202
    );
    let reset = mails.next().await.token();
    let (link, _) = asked(&ada, &mails, NEW).await;
    // A link and a warning wait while the address changes.
    app.database().execute(
        "create function later() returns trigger language plpgsql as $$
             begin new.due_at := now() + interval '1 hour'; return new; end $$;
         create trigger later before insert on mails for each row execute function later()",
    );
    assert_eq!(
        app.visitor().post("/auth/password/forgot", &forgot).await.status,
        202
    );
    let place = app
        .visitor()
        .request(Method::POST, "/auth/login")
        .header("User-Agent", "curl/8.5.0")
        .json(&json!({ "email": ADA, "password": PASSWORD }));
    assert_eq!(Answer::of(place).await.status, 200);
    assert_eq!(confirm(&app.visitor(), &link.token()).await.status, 200);
    let body = json!({ "token": reset, "password": "nine green bottles on a wall" });
    let late = app.visitor().post("/auth/password/reset", &body).await;
    assert_eq!(late.problem(), "400 link_invalid");
    let waiting = |kind: &str| {
        let rows = format!(
            "select count(*) from mails where kind = '{kind}' and address = '{ADA}' and about is not null"
        );
        app.database().number(&rows)
    };
    assert_eq!((waiting("new_sign_in"), waiting("email_changed")), (1, 1));
    let links = "select count(*) from mails where kind = 'password_reset'";
    assert_eq!(app.database().number(links), 0);
    app.database().execute("update mails set due_at = now()");
    outbox_is_empty(&app).await;
    let mut received: Vec<_> = mails
        .unread()
        .iter()
        .map(|mail| (mail.header("To").to_owned(), mail.header("Subject").to_owned()))
        .collect();
    received.sort();
    let to_ada = ["New sign-in to oneseat", "Your address for oneseat was changed"];
    assert_eq!(
        received,
        to_ada.map(|subject| (ADA.to_owned(), subject.to_owned()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_that_is_being_written_while_the_address_changes_goes_to_the_old_one() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    let mut change = app.database().connect();
    change
        .batch_execute(&format!("begin; update users set email = '{NEW}'"))
        .unwrap();
    app.database().execute(&format!(
        "insert into mails (kind, email_digest) values ('password_changed', email_digest('{ADA}'))"
    ));
    eventually("the mail waits for the row", async || {
        let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
            and datname = current_database()";
        app.database().number(waits) == 1
    })
    .await;
    // As every change of an address does.
    change
        .batch_execute(&format!(
            "update mails set about = (select id from users), address = '{ADA}', created_at = now(); commit"
        ))
        .unwrap();
    assert_eq!(mails.next().await.header("To"), ADA);
    outbox_is_empty(&app).await;
    assert!(mails.unread().is_empty());
}

#[tokio::test]
async fn who_withdraws_what_is_done_already_is_told_the_address() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let (link, _) = asked(&ada, &mails, NEW).await;
    assert_eq!(confirm(&app.visitor(), &link.token()).await.status, 200);
    let answer = withdraw(&ada).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["email"]),
        (200, &json!(NEW))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_with_the_old_address_that_is_under_way_is_refused() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let mut change = app.database().connect();
    change
        .batch_execute(&format!("begin; update users set email = '{NEW}'"))
        .unwrap();
    let visitor = app.visitor();
    let login = tokio::spawn(async move { visitor.login(ADA, PASSWORD).await });
    eventually("the sign-in waits for the row", async || {
        let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
            and datname = current_database()";
        app.database().number(waits) == 1
    })
    .await;
    change.batch_execute("commit").unwrap();
    assert_eq!(login.await.unwrap().problem(), "401 invalid_credentials");
    assert_eq!(app.sessions(), 0);
    assert_eq!(app.visitor().login(NEW, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn what_strangers_have_tried_with_either_address_keeps_nobody_out_of_the_new_one() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let (link, _) = asked(&ada, &mails, NEW).await;
    for email in [ADA, NEW] {
        for _ in 0..5 {
            app.visitor().login(email, "not the password").await;
        }
    }
    assert_eq!(
        app.visitor().login(NEW, PASSWORD).await.problem(),
        "403 account_locked"
    );
    assert_eq!(confirm(&app.visitor(), &link.token()).await.status, 200);
    assert_eq!(own(&ada).await["email"], NEW);
    assert_eq!(app.visitor().login(NEW, PASSWORD).await.status, 200);
    // The old address has no account now, and looks like any such address.
    assert_eq!(
        app.visitor().login(ADA, PASSWORD).await.problem(),
        "403 account_locked"
    );
}
