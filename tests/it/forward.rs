//! Forward authentication: as a proxy asks.

use crate::support::{App, sql};

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
    // A demand that is misspelt lets nobody through.
    for misspelt in [
        "roles=admin",
        "Role=admin",
        "role=user&group=admin",
        "role=user&role=admin",
    ] {
        let answer = ada.get(&format!("/auth/verify?{misspelt}")).await.problem();
        assert_eq!(answer, "400 bad_request", "{misspelt}");
    }
    assert_eq!(
        ada.get("/auth/verify?role=king").await.problem(),
        "400 bad_request"
    );
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
    assert_eq!(ada.get("/auth/verify").await.status, 200);
    let active = "select count(*) from sessions where last_activity > now() - interval '1 minute'";
    assert_eq!(app.database().number(active), 1);
}
