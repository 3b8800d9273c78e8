//! The outbox is shared fairly among those who ask for links.

use oneseat::auth::post::Delivery;
use oneseat::config::MailPolicy;
use oneseat::mail::Carrier;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use super::ADA;
use crate::support::{Answer, App, MailServer};

/// An instance that puts mails into the outbox and sends none.
async fn without_a_sender() -> App {
    App::start_with(|config| {
        config.policy.mail = MailPolicy::Needed;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await
}

async fn ask(app: &App, email: &str, from: &str) {
    let request = app
        .visitor()
        .request(Method::POST, "/auth/password/forgot")
        .header("X-Forwarded-For", from)
        .json(&json!({ "email": email }));
    assert_eq!(Answer::of(request).await.status, 202);
}

#[tokio::test]
async fn who_asks_for_many_links_keeps_nobody_else_waiting() {
    let app = without_a_sender().await;
    app.add_user("ada", Role::User).await;
    for n in 0..40 {
        let name = format!("user{n}");
        app.add_user(&name, Role::User).await;
        // One customer of IPv6, from a network of its own each time.
        ask(
            &app,
            &format!("{name}@example.org"),
            &format!("2001:db8:7:{n:x}::1"),
        )
        .await;
    }
    ask(&app, ADA, "192.0.2.1").await;
    let mails = MailServer::start();
    let carrier = Carrier::smtp(&mails.url(), "seat@example.org").unwrap();
    let mut before = 0;
    loop {
        let delivery = app.auth.deliver_next(&carrier, "http://127.0.0.1").await.unwrap();
        assert_eq!(delivery, Delivery::Sent);
        if mails.next().await.header("To") == ADA {
            break;
        }
        before += 1;
    }
    assert!(before <= 1, "{before} mails went first");
}

#[tokio::test]
async fn asks_for_addresses_that_nobody_has_leave_at_once() {
    let app = without_a_sender().await;
    app.add_user("ada", Role::User).await;
    app.database().execute(
        "insert into mails (kind, email_digest, asked_from, turn)
             select 'password_reset', sha256(n::text::bytea), '2001:db8::', n from generate_series(1, 3000) as n",
    );
    ask(&app, ADA, "2001:db8::1").await;
    let mails = MailServer::start();
    let carrier = Carrier::smtp(&mails.url(), "seat@example.org").unwrap();
    app.auth
        .deliver_all(&carrier, "http://127.0.0.1", || false)
        .await
        .unwrap();
    assert_eq!(mails.next().await.header("To"), ADA);
    assert_eq!(app.database().number("select count(*) from mails"), 0);
    // None of them took its turn.
    let tried = "select coalesce(sum(calls), 0) from pg_stat_statements
         where dbid = (select oid from pg_database where datname = current_database()) and query like 'update mails set attempts%'";
    app.database()
        .execute("create extension if not exists pg_stat_statements");
    assert!(app.database().number(tried) <= 3);
}
