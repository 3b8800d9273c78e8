//! How often one origin may try to sign in.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, App, Client, PASSWORD, eventually};

async fn login(client: &Client, forwarded: &str) -> Answer {
    let request = client
        .request(Method::POST, "/auth/login")
        .header("X-Forwarded-For", forwarded)
        .json(&json!({ "email": "ada@example.org", "password": PASSWORD }));
    Answer::of(request).await
}

#[tokio::test]
async fn an_origin_that_signs_in_too_often_waits_and_nobody_else_does() {
    let app = App::start_with(|config| {
        config.http.login_rate = NonZeroU32::new(3);
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    for last in 1..=3 {
        assert_eq!(login(&visitor, &format!("2001:db8::{last}")).await.status, 200);
    }
    // The same /64; what stands left of it is made up; bodies are not even looked at.
    for forwarded in ["2001:db8::4", "192.0.2.9, 2001:db8::5", "garbage, 2001:db8::6"] {
        let answer = login(&visitor, forwarded).await;
        assert_eq!(answer.problem(), "429 too_many_requests");
        let seconds: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    let answer = visitor
        .request(Method::POST, "/auth/login")
        .header("X-Forwarded-For", "2001:db8::7");
    assert_eq!(
        Answer::of(answer.body("not json")).await.problem(),
        "429 too_many_requests"
    );
    assert_eq!(login(&visitor, "2001:db8:0:1::1").await.status, 200);
    assert_eq!(login(&visitor, "192.0.2.1").await.status, 200);
    // Users who are already signed in are not affected.
    let token = login(&visitor, "192.0.2.2").await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    for _ in 0..10 {
        assert_eq!(visitor.with_token(&token).session().await.status, 200);
    }
}

#[tokio::test]
async fn without_a_trusted_proxy_no_header_makes_another_origin() {
    let app = App::start_with(|config| config.http.login_rate = NonZeroU32::new(2)).await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    for last in 1..=2 {
        assert_eq!(login(&visitor, &format!("192.0.2.{last}")).await.status, 200);
    }
    assert_eq!(
        login(&visitor, "192.0.2.3").await.problem(),
        "429 too_many_requests"
    );
}

/// More at a time than the hashing queue has places.
const CROWD: u32 = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_with_many_networks_keeps_nobody_else_from_signing_in() {
    let app = App::start_with(|config| {
        config.http.login_rate = NonZeroU32::new(60);
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let others: Vec<String> = (0..13).map(|n| format!("user{n}")).collect();
    for name in &others {
        app.add_user(name, Role::User).await;
    }
    let answered = Arc::new(AtomicUsize::new(0));
    let try_as = |email: String, password: &'static str, from: String| {
        let request = app
            .visitor()
            .request(Method::POST, "/auth/login")
            .header("X-Forwarded-For", from)
            .json(&json!({ "email": email, "password": password }));
        let answered = answered.clone();
        tokio::spawn(async move {
            let status = Answer::of(request).await.status.as_u16();
            answered.fetch_add(1, Ordering::Relaxed);
            status
        })
    };
    // One /48, with another network for each try. Each is within its rate, and so is each /56, with 16 of them.
    let crowd: Vec<_> = (0..CROWD)
        .map(|n| {
            try_as(
                format!("{n}@example.org"),
                "wrong, and long enough",
                format!("2001:db8:1:{:x}::1", n << 4),
            )
        })
        .collect();
    eventually("they are being served", async || {
        answered.load(Ordering::Relaxed) > 0
    })
    .await;
    let others: Vec<_> = (0..)
        .zip(&others)
        .map(|(n, name)| try_as(format!("{name}@example.org"), PASSWORD, format!("198.51.{n}.1")))
        .collect();
    for other in others {
        assert_eq!(other.await.unwrap(), 200);
    }
    for one in crowd {
        let status = one.await.unwrap();
        // They wait for each other.
        assert!([401, 503].contains(&status), "{status}");
    }
}
