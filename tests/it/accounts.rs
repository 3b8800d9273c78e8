//! Admins change accounts: names, roles and removal.

use oneseat::auth::changes::Changes;
use oneseat::auth::{Authority, LastAdmin};
use oneseat::users::{Email, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, EventStream, MailServer, eventually};

async fn change(admin: &Client, id: &str, changes: &Value) -> Answer {
    Answer::of(
        admin
            .request(Method::PATCH, &format!("/api/admin/users/{id}"))
            .json(changes),
    )
    .await
}

async fn remove(admin: &Client, id: &str) -> Answer {
    Answer::of(admin.request(Method::DELETE, &format!("/api/admin/users/{id}"))).await
}

async fn id_of(client: &Client) -> String {
    client.session().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn introspected(app: &App, (id, secret): &(String, String), token: &str) -> Value {
    let request = app.visitor().request(Method::POST, "/auth/introspect");
    let request = request
        .basic_auth(id, Some(secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"));
    Answer::of(request).await.json()
}

#[tokio::test]
async fn one_account_is_shown_as_the_list_shows_it() {
    let app = App::start().await;
    let (admin, ada) = (app.admin().await, app.signed_in("ada").await);
    let path = format!("/api/admin/users/{}", id_of(&ada).await);
    let shown = admin.get(&path).await;
    assert_eq!(shown.status, 200);
    let listed = admin.get("/api/admin/users?q=ada").await.json();
    assert_eq!(shown.json(), listed["users"][0]);
    assert_eq!(remove(&admin, &id_of(&ada).await).await.status, 204);
    let gone = admin.get(&path).await;
    assert_eq!(gone.problem(), "404 not_found");
    assert!(gone.text.contains("There is no such account"), "{}", gone.text);
}

#[tokio::test]
async fn a_change_with_a_field_that_the_call_does_not_take_changes_nothing() {
    let app = App::start().await;
    let (admin, ada) = (app.admin().await, app.signed_in("ada").await);
    let user = format!("/api/admin/users/{}", id_of(&ada).await);
    let email = format!("{user}/email");
    for (method, path, body) in [
        (
            Method::PATCH,
            &*user,
            json!({ "name": "Q", "email": "z@example.org" }),
        ),
        (Method::PATCH, &user, json!({ "role": "admin", "disabled": true })),
        (
            Method::PUT,
            &email,
            json!({ "email": "z@example.org", "isVerified": true }),
        ),
        (
            Method::POST,
            "/api/admin/users",
            json!({ "email": "z@example.org", "name": "Z", "roles": "admin" }),
        ),
        (
            Method::PATCH,
            "/auth/account",
            json!({ "name": "Q", "role": "admin" }),
        ),
    ] {
        let answer = Answer::of(admin.request(method, path).json(&body)).await;
        assert_eq!(answer.problem(), "400 bad_request", "{path} {body}");
        assert!(answer.text.contains("It takes "), "{}", answer.text);
    }
    let shown = admin.get(&user).await.json();
    assert_eq!(
        [&shown["name"], &shown["role"], &shown["email"]],
        ["ada", "user", "ada@example.org"]
    );
}

#[tokio::test]
async fn the_end_of_a_session_says_whether_the_account_or_the_session_is_missing() {
    let app = App::start().await;
    let (admin, ada) = (app.admin().await, app.signed_in("ada").await);
    let path = format!("/api/admin/users/{}/session", id_of(&ada).await);
    assert_eq!(Answer::of(admin.request(Method::DELETE, &path)).await.status, 204);
    let again = Answer::of(admin.request(Method::DELETE, &path)).await;
    assert_eq!(again.problem(), "404 not_found");
    assert!(again.text.contains("no such live session"), "{}", again.text);
    let nobody = format!("/api/admin/users/{}/session", uuid::Uuid::nil());
    let nobody = Answer::of(admin.request(Method::DELETE, &nobody)).await;
    assert!(
        nobody.text.contains("There is no such account"),
        "{}",
        nobody.text
    );
}

#[tokio::test]
async fn a_list_that_is_asked_for_what_it_does_not_take_shows_nothing() {
    let app = App::start().await;
    let admin = app.admin().await;
    for path in [
        "/api/admin/users?query=ada",
        "/api/admin/sessions?foo=1",
        "/api/admin/sessions?reason=expired",
        "/api/admin/history?q=ada&page=2",
        "/auth/history?limit=3",
    ] {
        let answer = admin.get(path).await;
        assert_eq!(answer.problem(), "400 bad_request", "{path}");
        assert!(answer.text.contains("takes "), "{}", answer.text);
    }
    assert_eq!(
        admin
            .get("/api/admin/history?q=ada&reason=expired&limit=1")
            .await
            .status,
        200
    );
    // A page is reached by links that others write.
    assert_eq!(admin.get("/admin/users?utm_source=mail").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_name_and_role_are_known_everywhere_once_they_are_told() {
    let app = App::start().await;
    let other = app.another_instance().await;
    let payroll = app.service("Payroll");
    let (admin, ada) = (app.admin().await, app.signed_in("ada").await);
    let elsewhere = ada.at(other.address);
    // Both instances remember who Ada is.
    for client in [&ada, &elsewhere] {
        eventually("it remembers", async || client.session().await.status == 200).await;
        assert_eq!(client.get("/api/admin/users").await.problem(), "403 forbidden");
    }
    let changes = json!({ "name": " Ada King ", "role": "admin" });
    let answer = change(&admin, &id_of(&ada).await, &changes).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let listed = admin.get("/api/admin/users?q=ada").await.json();
    assert_eq!(answer.json(), listed["users"][0]);
    assert_eq!(answer.json()["name"], "Ada King");
    assert_eq!(answer.json()["role"], "admin");
    for client in [&elsewhere, &ada] {
        let user = client.session().await.json()["user"].clone();
        assert_eq!(
            (&user["name"], &user["role"]),
            (&json!("Ada King"), &json!("admin"))
        );
        assert_eq!(client.get("/api/admin/users").await.status, 200);
        let verified = client.get("/auth/verify?role=admin").await;
        assert_eq!(verified.header("remote-name"), "Ada King");
        assert_eq!(verified.header("remote-groups"), "admin");
        let sessions = client.get("/api/admin/sessions?q=king").await.json();
        assert_eq!(sessions["sessions"][0]["user"]["role"], "admin");
    }
    let told = introspected(&other, &payroll, ada.token()).await;
    assert_eq!(
        (&told["name"], &told["role"]),
        (&json!("Ada King"), &json!("admin"))
    );

    // The role goes, the session stays.
    let answer = change(&admin, &id_of(&ada).await, &json!({ "role": "user" })).await;
    assert_eq!(answer.json()["name"], "Ada King");
    assert_eq!(answer.json()["signedIn"], true);
    for client in [&elsewhere, &ada] {
        assert_eq!(client.get("/api/admin/users").await.problem(), "403 forbidden");
        assert_eq!(client.get("/admin/users").await.problem(), "403 forbidden");
        assert_eq!(client.session().await.json()["user"]["role"], "user");
        assert_eq!(
            client.get("/auth/verify?role=admin").await.problem(),
            "403 forbidden"
        );
    }
    assert_eq!(introspected(&other, &payroll, ada.token()).await["role"], "user");
}

#[tokio::test]
async fn what_is_no_change_of_an_account_is_refused_and_says_which_field_it_is() {
    let app = App::start().await;
    let (admin, ada) = (app.admin().await, app.signed_in("ada").await);
    let id = id_of(&ada).await;
    for (body, field) in [
        (json!({}), Value::Null),
        (json!({ "email": "eve@example.org" }), Value::Null),
        (json!({ "name": null }), json!("name")),
        (json!({ "name": ["Ada"] }), json!("name")),
        (json!({ "name": "Ada", "role": 1 }), json!("role")),
        (json!({ "name": " " }), json!("name")),
        (json!({ "name": "Ada \u{202e}King" }), json!("name")),
        (json!({ "name": "x".repeat(201) }), json!("name")),
        (json!({ "name": "Ada King", "role": "king" }), json!("role")),
    ] {
        let answer = change(&admin, &id, &body).await;
        assert_eq!(answer.problem(), "400 bad_request", "{body}");
        assert_eq!(answer.json()["field"], field, "{body}");
    }
    let user = ada.session().await.json()["user"].clone();
    assert_eq!((&user["name"], &user["role"]), (&json!("ada"), &json!("user")));
    let nobody = uuid::Uuid::new_v4().to_string();
    let name = json!({ "name": "Nobody" });
    for id in [nobody.as_str(), "7"] {
        assert_eq!(change(&admin, id, &name).await.problem(), "404 not_found", "{id}");
        assert_eq!(remove(&admin, id).await.problem(), "404 not_found", "{id}");
    }
}

#[tokio::test]
async fn an_admin_takes_another_name_and_keeps_the_role() {
    let app = App::start().await;
    let admin = app.admin().await;
    let id = id_of(&admin).await;
    app.add_user("grace", Role::Admin).await;
    let changes = json!({ "name": "Root", "role": "admin" });
    assert_eq!(change(&admin, &id, &changes).await.json()["name"], "Root");
    let changes = json!({ "name": "Nobody", "role": "user" });
    assert_eq!(change(&admin, &id, &changes).await.problem(), "409 own_account");
    assert_eq!(remove(&admin, &id).await.problem(), "409 own_account");
    let user = admin.session().await.json()["user"].clone();
    assert_eq!((&user["name"], &user["role"]), (&json!("Root"), &json!("admin")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_user_is_told_at_once_and_leaves_their_past_without_a_name() {
    let app = App::start().await;
    let other = app.another_instance().await;
    let (admin, ada) = (app.admin().await, app.signed_in("ada").await);
    let mut events = EventStream::open(&ada.at(other.address)).await;
    let removed = remove(&admin, &id_of(&ada).await).await;
    assert_eq!((removed.status.as_u16(), removed.text.as_str()), (204, ""));
    let ended = ada.at(other.address).session().await;
    assert_eq!(ended.problem(), "401 session_ended");
    assert_eq!(ended.json()["reason"], "account_disabled");
    let (event, data) = events.next().await.unwrap();
    assert!(
        event == "ended" && data.contains("account_disabled"),
        "{event} {data}"
    );
    assert_eq!(admin.get("/api/admin/users?q=ada").await.json()["total"], 0);
    let past = admin.get("/api/admin/history").await.json();
    assert_eq!(past["sessions"][0]["reason"], "account_disabled");
    assert_eq!(past["sessions"][0]["user"], Value::Null);
    // The address is free.
    app.signed_in("ada").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_of_somebody_who_becomes_an_admin_opens_again_to_hear_of_everybody() {
    let app = App::start().await;
    let other = app.another_instance().await;
    app.add_user("root", Role::Admin).await;
    let ada = app.signed_in("ada").await;
    let mut events = EventStream::open(&ada.at(other.address)).await;
    let set = async |role| {
        let changes = Changes {
            name: Some("Ada King".parse().unwrap()),
            role: Some(role),
        };
        let ada: Email = "ada@example.org".parse().unwrap();
        app.auth
            .change_user(ada, changes, Authority::Operator, LastAdmin::Stays)
            .await
            .unwrap();
    };
    // A new name alone is no reason.
    set(Role::User).await;
    set(Role::Admin).await;
    assert_eq!(events.next().await, None);
    let mut events = EventStream::open(&ada.at(other.address)).await;
    app.signed_in("grace").await;
    assert_eq!(events.next().await.unwrap().0, "changed");
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test]
async fn an_account_without_a_password_says_whether_its_user_is_invited() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    let admin = app.admin().await;
    let row = json!({ "email": "nora@example.org", "name": "Nora" }).to_string();
    let import = admin
        .request(Method::POST, "/api/admin/users/import")
        .header("content-type", "application/jsonl")
        .body(row);
    assert_eq!(Answer::of(import).await.json()["added"], 1);
    let nora = async || admin.get("/api/admin/users?q=nora").await.json()["users"][0].clone();
    assert_eq!(nora().await["state"], "no_password");
    let page = admin.get("/admin/users").await.text;
    assert!(
        page.contains("No password") && page.contains(">Invite<"),
        "{page}"
    );
    assert!(!page.contains("Invited"), "{page}");
    let id = nora().await["id"].as_str().unwrap().to_owned();
    let invited = admin.request(Method::POST, &format!("/api/admin/users/{id}/password-link"));
    assert_eq!(Answer::of(invited).await.status, 204);
    assert_eq!(nora().await["state"], "invited");
    // Also if the mail has been sent: its link works.
    assert!(mails.next().await.link().starts_with("/welcome#"));
    eventually("the outbox is empty", async || {
        app.database().number("select count(*) from mails") == 0
    })
    .await;
    assert_eq!(nora().await["state"], "invited");
    assert!(admin.get("/admin/users").await.text.contains(">Invite again<"));
    app.database()
        .execute("update one_time_links set expires_at = now() - interval '1 second'");
    assert_eq!(nora().await["state"], "no_password");
    let found = admin.get("/api/admin/users?q=no%20password").await.json();
    assert_eq!(found["total"], 1, "{found}");
    // A mail that was given up recently has to be sent again; after a while it counts as never sent.
    app.database()
        .execute("insert into undelivered_mails values (email_digest('nora@example.org'), 'invitation', 'nobody there')");
    assert_eq!(nora().await["state"], "invited");
    app.database()
        .execute("update undelivered_mails set given_up_at = now() - interval '8 days'");
    assert_eq!(nora().await["state"], "no_password");
}
