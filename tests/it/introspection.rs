//! Services ask which user a token belongs to (RFC 7662).

use std::num::NonZeroU32;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, oneseat, sql};

async fn introspect(app: &App, (id, secret): &(String, String), form: &[(&str, &str)]) -> Answer {
    let request = app.visitor().request(Method::POST, "/auth/introspect");
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = request
        .basic_auth(id, Some(secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    Answer::of(request).await
}

#[tokio::test]
async fn a_live_token_is_told_with_whose_it_is_and_a_dead_one_is_not() {
    let app = App::start().await;
    let client = app.service("Payroll");
    let ada = app.signed_in("ada").await;
    let token = ada.token.clone().unwrap();
    // No two times are alike, and the session is one that activity has extended.
    app.database().execute(
        "update sessions set created_at = created_at - interval '50 minutes', \
             last_activity = last_activity - interval '20 minutes', expires_at = expires_at - interval '20 minutes'",
    );
    let who = ada.session_passively().await.json();
    let answer = introspect(
        &app,
        &client,
        &[("token", &token), ("token_type_hint", "access_token")],
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("cache-control")),
        (200, "no-store")
    );
    let told = answer.json();
    assert_eq!(told["active"], true);
    assert_eq!(told["sub"], who["user"]["id"]);
    assert_eq!(told["sid"], who["session"]["id"]);
    for (field, value) in [
        ("username", "ada@example.org"),
        ("name", "ada"),
        ("role", "user"),
        ("token_type", "Bearer"),
    ] {
        assert_eq!(told[field], value, "{told}");
    }
    for (field, column) in [("iat", "created_at"), ("exp", "expires_at")] {
        let stored = format!("select floor(extract(epoch from {column})) from sessions");
        assert_eq!(told[field], app.database().number(&stored), "{field}: {told}");
    }

    let digest = "ab".repeat(32);
    ada.logout().await;
    for dead in [token.as_str(), &digest, "", "x", "\0", &"x".repeat(5_000)] {
        let answer = introspect(&app, &client, &[("token", dead)]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (200, r#"{"active":false}"#)
        );
    }
}

#[tokio::test]
async fn asking_is_no_activity_unless_the_service_says_so() {
    let app = App::start().await;
    let client = app.service("Payroll");
    let ada = app.signed_in("ada").await;
    let token = ada.token.unwrap();
    app.database().execute(&sql::backdate_sessions("1 hour"));
    let active = "select count(*) from sessions where last_activity > now() - interval '1 minute'";
    introspect(&app, &client, &[("token", &token)]).await;
    assert_eq!(app.database().number(active), 0);
    for unclear in ["yes", "1", "TRUE", ""] {
        let answer = introspect(&app, &client, &[("token", &token), ("activity", unclear)]).await;
        assert_eq!(answer.problem(), "400 bad_request", "{unclear}");
        assert_eq!(answer.json()["error"], "invalid_request");
        assert_eq!(answer.json()["field"], "activity");
    }
    for twice in ["true", "false", ""] {
        let form = [
            ("token", token.as_str()),
            ("activity", twice),
            ("activity", twice),
        ];
        let answer = introspect(&app, &client, &form).await;
        assert_eq!(answer.problem(), "400 bad_request", "{twice}");
    }
    introspect(&app, &client, &[("token", &token), ("activity", "false")]).await;
    assert_eq!(app.database().number(active), 0);
    introspect(&app, &client, &[("token", &token), ("activity", "true")]).await;
    assert_eq!(app.database().number(active), 1);
}

#[tokio::test]
async fn only_a_service_with_its_own_secret_is_answered() {
    let app = App::start().await;
    let (id, secret) = app.service("Payroll");
    let (other, _) = app.service("Canteen");
    let ada = app.signed_in("ada").await;
    let token = ada.token.clone().unwrap();
    let nobody = uuid::Uuid::new_v4().to_string();
    for wrong in [
        (other, secret.clone()),
        (nobody, secret.clone()),
        (id.clone(), "ab".repeat(32)),
        (id.clone(), token.clone()),
        (id.clone(), String::new()),
        ("Payroll".to_owned(), secret.clone()),
    ] {
        let answer = introspect(&app, &wrong, &[("token", &token)]).await;
        assert_eq!(answer.problem(), "401 invalid_client", "{wrong:?}");
        // The word of OAuth 2.0, which its clients read (RFC 7662 2.3, RFC 6749 5.2).
        assert_eq!(answer.json()["error"], "invalid_client");
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Basic realm="oneseat", charset="UTF-8""#
        );
    }
    // A user's token does not authenticate a service.
    let form = ("content-type", "application/x-www-form-urlencoded");
    let request = ada
        .request(Method::POST, "/auth/introspect")
        .header(form.0, form.1);
    assert_eq!(
        Answer::of(request.body(format!("token={token}"))).await.problem(),
        "401 invalid_client"
    );

    let client = (id, secret);
    for form in [&[][..], &[("token", "a"), ("token", "b")], &[("other", "x")]] {
        let answer = introspect(&app, &client, form).await;
        assert_eq!(answer.problem(), "400 bad_request");
        assert_eq!(answer.json()["error"], "invalid_request");
    }
    let request = app.visitor().request(Method::POST, "/auth/introspect");
    let answer = Answer::of(
        request
            .basic_auth(&client.0, Some(&client.1))
            .json(&json!({ "token": token })),
    )
    .await;
    assert_eq!(answer.problem(), "415 unsupported_media_type");
    assert_eq!(answer.json()["error"], "invalid_request");
}

#[tokio::test]
async fn a_service_may_encode_its_id_and_secret_or_send_them_in_the_form_but_not_both_ways() {
    let app = App::start().await;
    let (id, secret) = app.service("Payroll");
    let token = app.signed_in("ada").await.token.unwrap();
    // As form data (RFC 6749 2.3.1): some clients encode the hyphens, too.
    let encoded = (id.replace('-', "%2D"), secret.clone());
    let answer = introspect(&app, &encoded, &[("token", &token)]).await;
    assert_eq!(answer.json()["active"], true);

    let own = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
    let wrong = "ab".repeat(32);
    for (form, told) in [
        (&[("token", token.as_str()), own[0], own[1]][..], None),
        (
            &[("token", &token), own[0], ("client_secret", &wrong)],
            Some("401 invalid_client"),
        ),
        (&[("token", &token), own[1]], Some("401 invalid_client")),
        (
            &[("token", &token), own[0], own[1], own[1]],
            Some("401 invalid_client"),
        ),
        (&[("token", &token)], Some("401 invalid_client")),
        (&own, Some("400 bad_request")),
    ] {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = app.visitor().request(Method::POST, "/auth/introspect");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = Answer::of(request.body(body)).await;
        match told {
            None => assert_eq!(answer.json()["active"], true),
            Some(problem) => assert_eq!(answer.problem(), problem),
        }
    }
    let both = [("token", token.as_str()), own[1]];
    let client = (id.clone(), secret.clone());
    let answer = introspect(&app, &client, &both).await;
    assert_eq!(answer.problem(), "400 bad_request");
}

#[tokio::test]
async fn services_find_out_where_to_introspect_if_the_server_knows_its_own_address() {
    let path = "/.well-known/oauth-authorization-server";
    let unaware = App::start().await;
    assert_eq!(unaware.visitor().get(path).await.problem(), "404 not_found");
    let app =
        App::start_with(|config| config.http.public_url = Some("https://seat.example.org".to_owned())).await;
    let told = app.visitor().get(path).await.json();
    assert_eq!(told["issuer"], "https://seat.example.org");
    assert_eq!(
        told["introspection_endpoint"],
        "https://seat.example.org/auth/introspect"
    );
    assert_eq!(
        told["introspection_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post"])
    );
}

#[tokio::test]
async fn wrong_secrets_of_its_network_keep_neither_a_service_nor_anybody_out() {
    let app = App::start_with(|config| config.http.login_rate = NonZeroU32::new(2)).await;
    let client = app.service("Payroll");
    let ada = app.signed_in("ada").await;
    let token = ada.token.unwrap();
    let (other, _) = app.service("Canteen");
    for _ in 0..20 {
        let wrong = (other.clone(), "ab".repeat(32));
        let answer = introspect(&app, &wrong, &[("token", &token)]).await;
        assert_eq!(answer.problem(), "401 invalid_client");
        let answer = introspect(&app, &client, &[("token", &token)]).await;
        assert_eq!(answer.json()["active"], true);
    }
    app.visitor().sign_in("ada@example.org").await;
}

#[tokio::test]
async fn an_operator_adds_lists_and_removes_services() {
    let app = App::start().await;
    let client = app.service("Payroll");
    let token = app.signed_in("ada").await.token.unwrap();
    let url = app.database().url();
    let again = oneseat(&["client", "add", "Payroll", "--database-url", url], "");
    assert_eq!(again.status.code(), Some(1));
    let list = oneseat(&["client", "list", "--json", "--database-url", url], "");
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list[0]["name"], "Payroll");
    assert_eq!(list[0]["id"], client.0);
    assert!(!list.to_string().contains(&client.1));
    let known = format!(
        "select count(*) from service_clients s where s::text like '%{}%'",
        client.1
    );
    assert_eq!(app.database().number(&known), 0);

    assert_eq!(introspect(&app, &client, &[("token", &token)]).await.status, 200);
    assert!(
        oneseat(
            &["client", "remove", "Payroll", "--yes", "--database-url", url],
            ""
        )
        .status
        .success()
    );
    assert_eq!(
        introspect(&app, &client, &[("token", &token)]).await.problem(),
        "401 invalid_client"
    );
    assert_eq!(
        oneseat(
            &["client", "remove", "Payroll", "--yes", "--database-url", url],
            ""
        )
        .status
        .code(),
        Some(1)
    );
}
