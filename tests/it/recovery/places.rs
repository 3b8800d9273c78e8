//! A user is mailed when the seat is taken from a new place.

use oneseat::config::MailPolicy;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use super::{ADA, forgot, start};
use crate::support::{Answer, App, MailServer, PASSWORD};

/// Signs in with this browser.
async fn sign_in_with(app: &App, user_agent: &str) {
    let body = json!({ "email": ADA, "password": PASSWORD });
    let request = app.visitor().request(Method::POST, "/auth/login");
    let answer = Answer::of(request.header("user-agent", user_agent).json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_seat_taken_from_a_new_place_is_told_once_an_hour() {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    // The first place causes no mail, nor does the same place after a browser update.
    sign_in_with(&app, FIREFOX).await;
    // A place is forgotten when it was not seen for long, and not long after it was seen first.
    app.database()
        .execute("update known_origins set last_seen = now() - interval '179 days'");
    sign_in_with(&app, &FIREFOX.replace("144", "145")).await;
    let seen_today = "select count(*) from known_origins where last_seen > now() - interval '1 day'";
    assert_eq!(app.database().number(seen_today), 1);
    assert_eq!(app.database().number("select count(*) from mails"), 0);
    sign_in_with(&app, "curl/8.5.0").await;
    let told = mails.next().await;
    assert_eq!(told.header("Subject"), "New sign-in to oneseat");
    assert!(
        told.raw.contains("curl 8") && told.raw.contains("127.0.0.1"),
        "{told:?}"
    );
    // Another new place within the hour causes no mail; in the next hour it does.
    sign_in_with(&app, "Wget/1.21").await;
    assert_eq!(app.database().number("select count(*) from mails"), 0);
    app.database()
        .execute("update known_origins set told_at = told_at - interval '1 hour'");
    sign_in_with(&app, "python-requests/2.31").await;
    assert!(mails.next().await.raw.contains("Python Requests 2"));
}

#[tokio::test]
async fn nobody_is_told_where_that_is_off_and_all_else_is_mailed() {
    let mails = MailServer::start();
    let app = App::start_with(|config| {
        mails.configure(config);
        config.policy.mail = MailPolicy::Needed;
    })
    .await;
    app.add_user("ada", Role::User).await;
    for browser in ["curl/8.5.0", "Wget/1.21", "python-requests/2.31"] {
        sign_in_with(&app, browser).await;
    }
    let written = "select (select count(*) from mails) + (select count(*) from known_origins)";
    assert_eq!(app.database().number(written), 0);
    assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
    assert!(mails.next().await.link().starts_with("/reset#"));
    assert!(mails.unread().is_empty());
}
