//! A page shows which user a mailed link is for.

use reqwest::Method;
use serde_json::json;

use super::{ADA, NEW, reset, start};
use crate::support::{Answer, App, MailServer};

async fn look(app: &App, token: &str) -> Answer {
    app.visitor().post("/auth/link", &json!({ "token": token })).await
}

async fn link(app: &App, mails: &MailServer) -> String {
    let forgot = app.visitor().request(Method::POST, "/auth/password/forgot");
    assert_eq!(
        Answer::of(forgot.json(&json!({ "email": ADA }))).await.status,
        202
    );
    mails.next().await.token()
}

#[tokio::test]
async fn a_link_names_its_account_and_is_not_used_up_by_that() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.signed_in("ada").await;
    let token = link(&app, &mails).await;
    for _ in 0..2 {
        let told = look(&app, &token).await;
        assert_eq!(told.status, 200, "{told:?}");
        assert_eq!(told.json(), json!({ "name": "ada", "email": ADA }));
        assert_eq!(told.header("cache-control"), "no-store");
    }
    assert_eq!(reset(&app.visitor(), &token, NEW).await.status, 200);
    let used = look(&app, &token).await;
    assert_eq!(used.problem(), "400 link_invalid");
    assert!(used.text.contains("used already"), "{}", used.text);
    let unknown = look(&app, &"0".repeat(64)).await;
    assert_eq!(unknown.problem(), "400 link_invalid");
    assert!(unknown.text.contains("used already"), "{}", unknown.text);
}

#[tokio::test]
async fn a_link_that_is_not_whole_is_not_called_used() {
    let app = App::start().await;
    let whole = "0".repeat(64);
    for part in ["", "x", &whole[..63], &format!("{whole}0"), &format!("{whole}.")] {
        for path in ["/auth/link", "/auth/email/verify", "/auth/email/confirm"] {
            let answer = app.visitor().post(path, &json!({ "token": part })).await;
            assert_eq!(answer.problem(), "400 link_invalid");
            assert!(answer.text.contains("This link is incomplete"), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_link_that_is_too_old_says_so_and_stays_dead() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.signed_in("ada").await;
    let token = link(&app, &mails).await;
    app.database()
        .execute("update one_time_links set expires_at = now()");
    let old = look(&app, &token).await;
    assert_eq!(old.problem(), "400 link_invalid");
    assert!(old.text.contains("too old"), "{}", old.text);
    // What was reported stays true, even if the clock changes.
    assert_eq!(app.database().number("select count(*) from one_time_links"), 0);
    assert_eq!(
        reset(&app.visitor(), &token, NEW).await.problem(),
        "400 link_invalid"
    );
}
