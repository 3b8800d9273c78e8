//! Forward authentication: the requests of a proxy.

use reqwest::Method;

use crate::support::{Answer, App, Client, sql};

#[tokio::test]
async fn the_answer_says_who_it_is() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database()
        .execute("update users set name = 'Ada Lovelace, née Byron'");
    let answer = ada.get("/auth/verify").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("cache-control"), "no-store");
    for (name, value) in [
        ("remote-user", "ada@example.org"),
        ("remote-email", "ada@example.org"),
        ("remote-name", "Ada Lovelace, née Byron"),
        ("remote-groups", "user"),
    ] {
        assert_eq!(answer.headers[name].as_bytes(), value.as_bytes(), "{name}");
    }
    assert_eq!(
        ada.get("/auth/verify?role=admin").await.problem(),
        "403 forbidden"
    );
    assert_eq!(ada.get("/auth/verify?role=user").await.status, 200);
    // A misspelt parameter lets no request through.
    for misspelt in [
        "roles=admin",
        "Role=admin",
        "role=user&group=admin",
        "role=user&role=admin",
        "role=",
    ] {
        let answer = ada.get(&format!("/auth/verify?{misspelt}")).await.problem();
        assert_eq!(answer, "400 bad_request", "{misspelt}");
    }
    assert_eq!(
        ada.get("/auth/verify?role=king").await.problem(),
        "400 bad_request"
    );
    // For proxies that drop the body of a refusal. Browsers whose headers they pass on get JSON, too.
    for (client, path) in [
        (&ada, "/auth/verify?role=admin"),
        (&ada, "/auth/verify?role="),
        (&app.visitor(), "/auth/verify"),
    ] {
        let refused = verified_at(client, path, &[("Accept", "text/html")]).await;
        refused.problem();
        assert_eq!(refused.header("oneseat-problem"), refused.text, "{path}");
    }
    let admin = app.admin().await;
    assert_eq!(
        admin.get("/auth/verify?role=admin").await.header("remote-groups"),
        "admin"
    );
    assert_eq!(
        app.visitor().get("/auth/verify?role=king").await.problem(),
        "401 token_missing"
    );
}

#[tokio::test]
async fn being_let_through_is_activity() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("1 hour"));
    let active = "select count(*) from sessions where last_activity > now() - interval '1 minute'";
    let by_itself = verified(&ada, &[("Oneseat-Passive", "true")]).await;
    assert_eq!(by_itself.status, 200);
    assert_eq!(app.database().number(active), 0);
    assert_eq!(ada.get("/auth/verify").await.status, 200);
    assert_eq!(app.database().number(active), 1);
}

/// The answer of `/auth/verify` to a request with these headers.
async fn verified(client: &Client, headers: &[(&str, &str)]) -> Answer {
    verified_at(client, "/auth/verify", headers).await
}

async fn verified_at(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

#[tokio::test]
async fn a_request_that_says_what_only_its_proxy_may_say_is_not_let_through() {
    let app = App::start().await;
    let (ada, visitor) = (app.signed_in("ada").await, app.visitor());
    for claim in [
        ("Remote-User", "root@example.org"),
        ("Remote_User", "ada@example.org"),
        ("remote.groups", "user"),
        ("REMOTE-GROUPS", "admin"),
        ("Connection", "close, Remote-Groups"),
        ("X_Forwarded_For", "192.0.2.1"),
        ("X-Real.IP", "192.0.2.1"),
        ("x_request-id", "chosen"),
    ] {
        let answer = verified(&ada, &[claim]).await;
        assert_eq!(answer.problem(), "400 bad_request", "{claim:?}");
        assert!(!answer.headers.contains_key("remote-user"), "{claim:?}");
        assert_eq!(verified(&visitor, &[claim]).await.problem(), "401 token_missing");
    }
    // A proxy that asks twice passes on the headers of the first answer.
    let first = verified(&ada, &[]).await;
    let answered = ["remote-user", "remote-email", "remote-name", "remote-groups"];
    let answered = answered.map(|name| (name, first.header(name)));
    assert_eq!(verified(&ada, &answered).await.status, 200);
}
