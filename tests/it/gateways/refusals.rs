//! A refusal by oneseat reaches the client unchanged, through every gateway.

use std::num::NonZeroU32;

use oneseat::users::Role;

use super::front::visitor;
use super::upstream::Upstream;
use super::{Gateway, Task};
use crate::outage::throw_away;
use crate::support::{Answer, App, Client, Database, eventually};

/// An application behind each gateway, and the gateways.
async fn guarded(app: &App, task: impl Fn(&Upstream) -> Task) -> (Upstream, Vec<Gateway>) {
    let application = Upstream::application();
    let gateways = Gateway::of_all_kinds(task(&application), app.address).await;
    (application, gateways)
}

/// Waits until oneseat notices that its database is gone: for one lease it answers from memory.
async fn is_gone(client: &Client) {
    eventually("the database is missed", async || {
        client.session().await.status == 503
    })
    .await;
}

fn assert_unavailable(gateway: &Gateway, answer: &Answer) {
    assert_eq!(answer.problem(), "503 unavailable", "{:?}", gateway.kind);
    let pause = answer.header("retry-after").parse::<u32>();
    assert!(pause.is_ok(), "{:?}: {answer:?}", gateway.kind);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_an_application_sees_why_it_is_refused_and_when_to_come_again() {
    let (_dir, embedded) = throw_away();
    let app = App::start_on_with(Database::at(embedded.url()), |config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let (application, gateways) = guarded(&app, |it| Task::Guard(it.address)).await;
    let (for_admins, admins_gateways) = guarded(&app, |it| Task::GuardForAdmins(it.address)).await;
    let ended = app.signed_in("ada").await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    for gateway in &gateways {
        let kind = gateway.kind;
        let answer = app.visitor().at(gateway.address).get("/").await;
        assert_eq!(answer.problem(), "401 token_missing", "{kind:?}");
        let answer = ended.at(gateway.address).get("/").await;
        assert_eq!(answer.problem(), "401 session_ended", "{kind:?}");
        assert_eq!(answer.json()["reason"], "replaced", "{kind:?}: {answer:?}");
        assert_eq!(ada.at(gateway.address).get("/").await.status, 200, "{kind:?}");
        application.only_request();
    }
    for gateway in &admins_gateways {
        let answer = ada.at(gateway.address).get("/").await;
        assert_eq!(answer.problem(), "403 forbidden", "{:?}", gateway.kind);
    }

    embedded.stop().unwrap();
    is_gone(&ada).await;
    for gateway in gateways.iter().chain(&admins_gateways) {
        assert_unavailable(gateway, &ada.at(gateway.address).get("/").await);
        let answer = app.visitor().at(gateway.address).get("/").await;
        assert_eq!(answer.problem(), "401 token_missing", "{:?}", gateway.kind);
    }
    assert!(application.requests().is_empty() && for_admins.requests().is_empty());

    embedded.revive().unwrap();
    for gateway in &gateways {
        eventually("the application is there again", async || {
            ada.at(gateway.address).get("/").await.status == 200
        })
        .await;
        let answer = ended.at(gateway.address).get("/").await;
        assert_eq!(answer.problem(), "401 session_ended", "{:?}", gateway.kind);
    }
    drop(app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_oneseat_sees_why_it_is_refused_and_when_to_come_again() {
    let (_dir, embedded) = throw_away();
    let app = App::start_on_with(Database::at(embedded.url()), |config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.http.login_rate = NonZeroU32::new(1);
    })
    .await;
    app.add_user("eve", Role::User).await;
    let ada = app.signed_in("ada").await;
    let gateways = Gateway::of_all_kinds(Task::Front, app.address).await;
    let through = |gateway: &Gateway, client: &Client| visitor(gateway).with_token(client.token());
    for gateway in &gateways {
        let kind = gateway.kind;
        assert_eq!(
            visitor(gateway).session().await.problem(),
            "401 token_missing",
            "{kind:?}"
        );
        let answer = through(gateway, &ada).get("/api/admin/users").await;
        assert_eq!(answer.problem(), "403 forbidden", "{kind:?}");
    }
    // One attempt a minute; the address of all of them is the same.
    let first = visitor(&gateways[0])
        .login("eve@example.org", "not the password")
        .await;
    assert_eq!(first.problem(), "401 invalid_credentials");
    for gateway in &gateways {
        let answer = visitor(gateway)
            .login("eve@example.org", "not the password")
            .await;
        assert_eq!(answer.problem(), "429 too_many_requests", "{:?}", gateway.kind);
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
    }
    embedded.stop().unwrap();
    is_gone(&ada).await;
    for gateway in &gateways {
        assert_unavailable(gateway, &through(gateway, &ada).session().await);
    }
    embedded.revive().unwrap();
    for gateway in &gateways {
        eventually("oneseat answers again", async || {
            through(gateway, &ada).session().await.status == 200
        })
        .await;
    }
    drop(app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_keeps_its_body_whatever_it_is() {
    let application = Upstream::application();
    for (status, answered) in [
        ("400 Bad Request", 400),
        ("429 Too Many Requests", 429),
        ("503 Service Unavailable", 503),
    ] {
        let body = format!(r#"{{"type":"about:blank","status":{answered},"detail":"n\u00e9e"}}"#);
        let oneseat = Upstream::saying(&format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nOneseat-Problem: {body}\r\nRetry-After: 7\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ));
        for gateway in Gateway::of_all_kinds(Task::Guard(application.address), oneseat.address).await {
            let somebody = Client::new(gateway.address).with_token("ab".repeat(32));
            let answer = somebody.get("/").await;
            assert_eq!(answer.status, answered, "{:?}", gateway.kind);
            assert_eq!(answer.text, body, "{:?}", gateway.kind);
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{:?}",
                gateway.kind
            );
            if answered > 400 {
                assert_eq!(answer.header("retry-after"), "7", "{:?}", gateway.kind);
            }
            // Asked once: a second answer might be another one.
            oneseat.only_request();
        }
    }
    assert!(application.requests().is_empty());
}
