//! The rate limit of links and passwords for one origin is that of sign-ins.

use std::num::NonZeroU32;

use oneseat::config::MailPolicy;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, NEW, forgot};
use crate::support::{Answer, App, Client, PASSWORD};

async fn post_from(client: &Client, origin: &str, path: &str, body: &Value) -> Answer {
    let request = client
        .request(Method::POST, path)
        .header("X-Forwarded-For", origin)
        .json(body);
    Answer::of(request).await
}

#[tokio::test]
async fn every_way_to_try_a_password_or_a_link_counts_for_its_origin() {
    let app = App::start_with(|config| {
        config.policy.mail = MailPolicy::Needed;
        config.http.login_rate = NonZeroU32::new(1);
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    let login = json!({ "email": ADA, "password": PASSWORD });
    let signed_in = post_from(&visitor, "192.0.2.1", "/auth/login", &login)
        .await
        .json();
    let ada = visitor.with_token(signed_in["token"].as_str().unwrap());

    let no_link = "ab".repeat(32);
    for (at, (path, body, first)) in [
        ("/auth/password/forgot", json!({ "email": ADA }), 202),
        ("/auth/email/resend", json!({ "email": ADA }), 202),
        (
            "/auth/password/reset",
            json!({ "token": no_link, "password": NEW }),
            400,
        ),
        ("/auth/email/verify", json!({ "token": no_link }), 400),
        (
            "/auth/password/change",
            json!({ "currentPassword": "not mine", "newPassword": NEW }),
            403,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let origin = format!("198.51.100.{at}");
        assert_eq!(
            post_from(&ada, &origin, path, &body).await.status,
            first,
            "{path}"
        );
        let again = post_from(&ada, &origin, path, &body).await;
        assert_eq!(again.problem(), "429 too_many_requests", "{path}");
        let seconds: u32 = again.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        // One counter covers all of them.
        let elsewhere = post_from(&visitor, "192.0.2.1", path, &body).await;
        let refused = if path.ends_with("change") { 401 } else { 429 };
        assert_eq!(elsewhere.status, refused, "{path}");
    }
}

#[tokio::test]
async fn an_address_that_had_its_five_links_gets_five_more_in_the_next_hour() {
    let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
    app.add_user("ada", Role::User).await;
    let mailed = async || {
        assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
        let mails = app.database().number("select count(*) from mails");
        // As if it had been sent.
        app.database().execute("delete from mails");
        mails
    };
    let pass = |minutes: u32| {
        app.database().execute(&format!(
            "update mail_requests set since = since - interval '{minutes} minutes'"
        ));
    };
    for hour in 0..3 {
        // The hour begins with the first request, whenever the others come.
        for n in 1..=7 {
            assert_eq!(mailed().await, i64::from(n <= 5), "hour {hour}, request {n}");
            if n == 1 || n == 6 {
                pass(20);
            }
        }
        pass(18);
        assert_eq!(mailed().await, 0, "hour {hour}");
        pass(2);
    }
}
