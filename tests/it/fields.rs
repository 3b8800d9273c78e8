//! A refusal because of one field of the body, or one parameter of the query, names it: for every call.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client};

/// The methods and paths of calls, with what is said of each.
fn calls(description: &Value) -> impl Iterator<Item = (Method, String, &Value)> {
    let paths = description["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, call)| (method.to_uppercase().parse().unwrap(), path.clone(), call))
    })
}

/// The names of the fields of a call's JSON body, and those that must be there.
fn fields(description: &Value, call: &Value) -> Option<(Vec<String>, Vec<String>)> {
    let schema = &call["requestBody"]["content"]["application/json"]["schema"];
    // A body that may be left out is one of two.
    let reference = schema["oneOf"]
        .as_array()
        .and_then(|schemas| schemas.last())
        .unwrap_or(schema)["$ref"]
        .as_str()?;
    let schema = description.pointer(reference.strip_prefix('#').unwrap()).unwrap();
    let names = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let required = schema["required"].as_array().into_iter().flatten();
    Some((
        names,
        required.map(|name| name.as_str().unwrap().to_owned()).collect(),
    ))
}

async fn send(client: &Client, method: &Method, path: &str, body: &Value) -> Answer {
    Answer::of(client.request(method.clone(), path).json(body)).await
}

#[tokio::test]
async fn a_value_of_the_wrong_type_and_a_missing_one_are_named_by_every_call() {
    let app = App::start().await;
    let admin = app.admin().await;
    let own = admin.session().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let description = admin.get("/openapi.json").await.json();
    let mut tried = 0;
    for (method, path, call) in calls(&description) {
        let Some((names, required)) = fields(&description, call) else {
            continue;
        };
        let path = path.replace("{id}", &own);
        for name in names {
            let answer = send(&admin, &method, &path, &json!({ (name.as_str()): [1] })).await;
            assert_eq!(answer.problem(), "400 bad_request", "{path} {name}: {answer:?}");
            assert_eq!(answer.json()["field"], name, "{path}: {answer:?}");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(
                detail.starts_with(&format!("The field {name} must be "))
                    || detail == format!("The field {name} has a value of the wrong type"),
                "{detail}"
            );
            tried += 1;
        }
        if !required.is_empty() {
            let answer = send(&admin, &method, &path, &json!({})).await;
            let field = answer.json()["field"].as_str().unwrap_or_default().to_owned();
            assert!(required.contains(&field), "{path}: {answer:?}");
        }
    }
    assert!(tried >= 10, "{tried}");
    for (body, field, detail) in [
        (
            json!({ "reason": "foo" }),
            "reason",
            "The field reason must be signed_out or page_closed",
        ),
        (
            json!({ "reason": "canary, expected `x`" }),
            "reason",
            "The field reason must be signed_out or page_closed",
        ),
        (
            json!({ "tentative": "yes" }),
            "tentative",
            "The field tentative must be a boolean",
        ),
    ] {
        let answer = admin.post("/auth/logout", &body).await;
        assert_eq!(
            (answer.json()["field"].as_str(), answer.json()["detail"].as_str()),
            (Some(field), Some(detail))
        );
    }
    // A body that is not JSON is not the fault of one field.
    let broken = admin
        .request(Method::POST, "/auth/logout")
        .header("content-type", "application/json")
        .body(r#"{"reason":nul}"#);
    let broken = Answer::of(broken).await.json();
    assert!(
        broken["field"].is_null()
            && broken["detail"]
                .as_str()
                .unwrap()
                .starts_with("The body is not JSON"),
        "{broken}"
    );
    let twice = admin
        .request(Method::POST, "/auth/logout")
        .header("content-type", "application/json")
        .body(r#"{"tentative":true,"tentative":true}"#);
    assert_eq!(Answer::of(twice).await.json()["field"], "tentative");
}

#[tokio::test]
async fn a_parameter_of_the_query_that_cannot_be_used_is_named_by_every_call() {
    let app = App::start().await;
    let admin = app.admin().await;
    let description = admin.get("/openapi.json").await.json();
    let mut tried = 0;
    for (method, path, call) in calls(&description) {
        for parameter in call["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] != "query" {
                continue;
            }
            for wrong in [format!("{name}=a&{name}=b"), format!("{name}=%ff")] {
                let request = admin.request(method.clone(), &format!("{path}?{wrong}"));
                let answer = Answer::of(request.header("content-type", "application/jsonl")).await;
                assert_eq!(answer.problem(), "400 bad_request", "{path}?{wrong}: {answer:?}");
                assert_eq!(answer.json()["field"], name, "{path}?{wrong}: {answer:?}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 20, "{tried}");
    for (query, field) in [
        (format!("q={}", "a".repeat(2_000)), "q"),
        ("q=a%00b".to_owned(), "q"),
        ("limit=0".to_owned(), "limit"),
        ("after=abc".to_owned(), "after"),
        ("reason=foo".to_owned(), "reason"),
    ] {
        let answer = admin.get(&format!("/api/admin/history?{query}")).await;
        assert_eq!(answer.problem(), "400 bad_request", "{query}");
        assert_eq!(answer.json()["field"], field, "{query}");
    }
    let answer = admin.request(Method::DELETE, "/api/admin/sessions?q=");
    assert_eq!(Answer::of(answer).await.json()["field"], "q");
    let takes = "The query takes once, true or false, and nothing else";
    let not_utf_8 = "The query is not UTF-8 where it is percent-encoded";
    let (word, longer) = ("a".repeat(20), "a".repeat(21));
    for (query, words, field) in [
        ("once=1", "once must be true or false", json!("once")),
        ("once=true&once=true", takes, json!("once")),
        // What is not known is the caller's own text, and so is what is long or no word.
        ("twice=true", takes, Value::Null),
        (format!("{word}=%ff").as_str(), not_utf_8, json!(word)),
        (format!("{longer}=%ff").as_str(), not_utf_8, Value::Null),
        ("on-ce=%ff", not_utf_8, Value::Null),
    ] {
        let answer = admin.get(&format!("/auth/session/events?{query}")).await;
        assert_eq!(answer.problem(), "400 bad_request", "{query}");
        let problem = answer.json();
        assert_eq!(
            (&problem["detail"], &problem["field"]),
            (&json!(words), &field),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_value_that_is_refused_is_named() {
    let app = App::start().await;
    let admin = app.admin().await;
    let long = "x".repeat(5_000);
    for (path, body, field) in [
        ("/auth/login", json!({ "email": "ada", "password": "x" }), "email"),
        (
            "/auth/login",
            json!({ "email": "a@b.org", "password": long }),
            "password",
        ),
        (
            "/auth/password/change",
            json!({ "currentPassword": long, "newPassword": "x" }),
            "currentPassword",
        ),
        (
            "/auth/password/change",
            json!({ "currentPassword": "x", "newPassword": "short" }),
            "newPassword",
        ),
        (
            "/auth/password/reset",
            json!({ "token": "x", "password": "x" }),
            "token",
        ),
        ("/auth/email/verify", json!({ "token": "x" }), "token"),
        ("/auth/link", json!({ "token": "x" }), "token"),
        ("/auth/password/forgot", json!({ "email": "ada" }), "email"),
        (
            "/api/admin/users",
            json!({ "email": "ada", "name": "Ada" }),
            "email",
        ),
        (
            "/api/admin/users",
            json!({ "email": "a@b.org", "name": "" }),
            "name",
        ),
        (
            "/api/admin/users",
            json!({ "email": "a@b.org", "name": "Ada", "role": "king" }),
            "role",
        ),
    ] {
        let answer = admin.post(path, &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["field"]),
            (400, &json!(field)),
            "{path}: {answer:?}"
        );
    }
    let answer = admin.get("/auth/verify?role=king").await;
    assert_eq!(answer.json()["field"], "role", "{answer:?}");
}
