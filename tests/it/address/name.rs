//! Users change their own name.

use std::num::NonZeroU32;

use reqwest::Method;
use serde_json::{Value, json};

use super::own;
use crate::support::{Answer, App, Client};

async fn rename(client: &Client, body: &Value) -> Answer {
    Answer::of(client.request(Method::PATCH, "/auth/account").json(body)).await
}

#[tokio::test]
async fn a_user_changes_their_own_name_and_every_instance_knows_at_once() {
    let app = App::start().await;
    let other = app.another_instance().await;
    let ada = app.signed_in("ada").await;
    let there = ada.at(other.address);
    // Both remember the token.
    assert_eq!((own(&ada).await, own(&there).await).0["name"], "ada");
    let with_role = json!({ "name": "Ada Lovelace", "role": "admin" });
    assert_eq!(rename(&ada, &with_role).await.problem(), "400 bad_request");
    let answer = rename(&ada, &json!({ "name": " Ada Lovelace, née Byron " })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let name = "Ada Lovelace, née Byron";
    assert_eq!(answer.json()["name"], name);
    for client in [&ada, &there] {
        assert_eq!(own(client).await["name"], name);
        assert_eq!(own(client).await["role"], "user");
        let forwarded = client.get("/auth/verify").await;
        assert_eq!(forwarded.headers["remote-name"].as_bytes(), name.as_bytes());
        assert!(client.get("/dashboard").await.text.contains(name));
    }
    let admin = app.admin().await;
    let found = admin.get("/api/admin/users?q=byron").await.json();
    assert_eq!(found["total"], 1, "{found}");
}

#[tokio::test]
async fn what_is_no_name_is_refused_with_its_field() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let long = "x".repeat(201);
    // The last has a joiner between a letter and a rocket, which nothing joins.
    for name in ["", " ", "Ada\u{202e}", &long, "A\u{200d}\u{1f680}"] {
        let answer = rename(&ada, &json!({ "name": name })).await;
        assert_eq!(answer.problem(), "400 bad_request", "{name:?}");
        assert_eq!(answer.json()["field"], "name");
    }
    assert_eq!(rename(&ada, &json!({})).await.problem(), "400 bad_request");
    assert_eq!(own(&ada).await["name"], "ada");
}

#[tokio::test]
async fn a_name_has_the_joiners_that_its_writing_needs() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    for name in [
        // A vowel sign on a half form.
        "क्\u{200d}\u{93f}",
        // Two letters that do not join, the first with its vowel.
        "ن\u{64e}\u{200c}ما",
        // A woman with a colour of skin, who is an astronaut.
        "\u{1f469}\u{1f3fd}\u{200d}\u{1f680}",
    ] {
        let answer = rename(&ada, &json!({ "name": name })).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["name"]),
            (200, &json!(name))
        );
        assert_eq!(own(&ada).await["name"], name);
    }
}

#[tokio::test]
async fn a_network_changes_names_no_more_often_than_it_signs_in() {
    let app = App::start_with(|config| config.http.login_rate = NonZeroU32::new(3)).await;
    let ada = app.signed_in("ada").await;
    for name in ["Ada", "Countess"] {
        assert_eq!(rename(&ada, &json!({ "name": name })).await.status, 200);
    }
    let answer = rename(&ada, &json!({ "name": "Ada" })).await;
    assert_eq!(answer.problem(), "429 too_many_requests");
    assert_eq!(own(&ada).await["name"], "Countess");
}
