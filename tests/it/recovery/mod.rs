//! Ways back in: mailed links over a real SMTP server, changes of passwords, invitations.

mod fairness;
mod letters;
mod limits;
mod links;
mod outbox;
mod passwords;
mod pauses;
mod people;
mod places;
mod terminal;
mod undelivered;
mod words;

use std::collections::BTreeSet;

use oneseat::auth::{Authority, LastAdmin};
use oneseat::token::Token;
use oneseat::users::{Email, Role};
use serde_json::json;

use crate::support::{Answer, App, Client, Database, EventStream, MailServer, PASSWORD, eventually};

const ADA: &str = "ada@example.org";
const NEW: &str = "nine green bottles on a wall";

pub async fn start(mails: &MailServer) -> App {
    App::start_with(|config| mails.configure(config)).await
}

async fn forgot(visitor: &Client, email: &str) -> Answer {
    visitor
        .post("/auth/password/forgot", &json!({ "email": email }))
        .await
}

async fn reset(visitor: &Client, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "password": password });
    visitor.post("/auth/password/reset", &body).await
}

async fn change(client: &Client, current: &str, new: &str) -> Answer {
    let body = json!({ "currentPassword": current, "newPassword": new });
    client.post("/auth/password/change", &body).await
}

/// A link for this purpose to the only user, as if it had been mailed to this address. Returns its token.
fn link_to(app: &App, purpose: &str, email: &str) -> String {
    link_in(app.database(), purpose, email)
}

/// Like [`link_to`], in this database.
pub fn link_in(database: &Database, purpose: &str, email: &str) -> String {
    let token = Token::generate().unwrap().reveal();
    database.execute(&format!(
        "insert into one_time_links (user_id, purpose, token_digest, email, expires_at)
             select id, '{purpose}', sha256('\\x{token}'), '{email}', now() + interval '20 minutes' from users
         on conflict (user_id, purpose) do update set token_digest = excluded.token_digest"
    ));
    token
}

/// Every mail of the outbox has been sent, or discarded because no account has the address.
async fn outbox_is_empty(app: &App) {
    eventually("the outbox is empty", async || {
        app.database().number("select count(*) from mails") == 0
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_the_mailed_link() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let mut stream = EventStream::open(&ada).await;
    for _ in 0..5 {
        app.visitor().login(ADA, "not the password").await;
    }
    assert_eq!(
        app.visitor().login(ADA, PASSWORD).await.problem(),
        "403 account_locked"
    );

    assert_eq!(forgot(&app.visitor(), " ADA@example.org ").await.status, 202);
    let mail = mails.next().await;
    assert_eq!(mail.header("To"), ADA);
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.link().starts_with("/reset#"), "{mail:?}");
    // Using the link shows that the address is the user's.
    app.database().execute("update users set email_verified = false");
    let answer = reset(&app.visitor(), &mail.token(), NEW).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "success": true }))
    );

    // The older session has ended with a reason; the lock is lifted; nobody is signed in by the reset.
    let (event, data) = stream.next().await.unwrap();
    assert!(
        event == "ended" && data.contains("password_changed"),
        "{event} {data}"
    );
    assert_eq!(ada.session().await.json()["reason"], "password_changed");
    assert_eq!(app.sessions(), 0);
    assert_eq!(
        app.visitor().login(ADA, PASSWORD).await.problem(),
        "401 invalid_credentials"
    );
    assert_eq!(app.visitor().login(ADA, NEW).await.status, 200);
    let told = mails.next().await;
    assert_eq!(told.header("Subject"), "Your password for oneseat was changed");
    assert_eq!(told.header("To"), ADA);
}

#[tokio::test]
async fn a_later_link_and_a_new_password_end_the_earlier_link() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    forgot(&app.visitor(), ADA).await;
    let first = mails.next().await.token();
    outbox_is_empty(&app).await;
    forgot(&app.visitor(), ADA).await;
    let second = mails.next().await.token();
    assert_eq!(
        reset(&app.visitor(), &first, NEW).await.problem(),
        "400 link_invalid"
    );
    assert_eq!(change(&ada, PASSWORD, NEW).await.status, 200);
    assert_eq!(
        reset(&app.visitor(), &second, PASSWORD).await.problem(),
        "400 link_invalid"
    );
    assert_eq!(app.database().number("select count(*) from one_time_links"), 0);
}

#[tokio::test]
async fn a_link_ends_by_time_with_another_address_and_with_the_account() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    for spoil in [
        "update one_time_links set expires_at = now()",
        "update users set email = 'countess@example.org'; delete from mail_requests",
        "update users set email = 'ada@example.org', disabled_at = now()",
    ] {
        forgot(&app.visitor(), ADA).await;
        let token = mails.next().await.token();
        app.database().execute(spoil);
        assert_eq!(
            reset(&app.visitor(), &token, NEW).await.problem(),
            "400 link_invalid",
            "{spoil}"
        );
        app.database()
            .execute("update users set email = 'ada@example.org', disabled_at = null");
        // It was called invalid, and stays so.
        assert_eq!(
            reset(&app.visitor(), &token, NEW).await.problem(),
            "400 link_invalid",
            "{spoil}"
        );
    }
    assert_eq!(app.visitor().login(ADA, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_link_is_for_its_purpose_and_what_is_none_is_refused_before_anything_is_hashed() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_unverified_user("ada").await;
    let resend = json!({ "email": ADA });
    assert_eq!(
        app.visitor().post("/auth/email/resend", &resend).await.status,
        202
    );
    let token = mails.next().await.token();
    assert_eq!(
        reset(&app.visitor(), &token, NEW).await.problem(),
        "400 link_invalid"
    );
    let login_token = "ab".repeat(32);
    for wrong in ["", "x", &login_token, &token.to_uppercase(), &format!("{token}0")] {
        assert_eq!(
            reset(&app.visitor(), wrong, NEW).await.problem(),
            "400 link_invalid",
            "{wrong}"
        );
        let verify = json!({ "token": wrong });
        assert_eq!(
            app.visitor().post("/auth/email/verify", &verify).await.problem(),
            "400 link_invalid"
        );
    }
    // It was not used up by any of that.
    let verify = json!({ "token": token });
    assert_eq!(
        app.visitor().post("/auth/email/verify", &verify).await.status,
        200
    );
    assert_eq!(
        app.visitor().post("/auth/email/verify", &verify).await.problem(),
        "400 link_invalid"
    );
    assert_eq!(app.visitor().login(ADA, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_refused_password_leaves_the_link_as_it_was() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    forgot(&app.visitor(), ADA).await;
    let token = mails.next().await.token();
    for (password, why) in [
        ("too short", "at least 15"),
        ("aaaaaaaaaaaaaaaaaaaaaaa", "guess"),
        ("ada ada@example.org oneseat", "guess"),
        (&"x".repeat(129), "longer than 128"),
    ] {
        let answer = reset(&app.visitor(), &token, password).await;
        assert_eq!(answer.problem(), "400 password_refused");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why) && !detail.contains(password), "{detail}");
    }
    assert_eq!(reset(&app.visitor(), &token, NEW).await.status, 200);
}

#[tokio::test]
async fn a_request_for_a_link_is_answered_alike_for_every_address() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.database().count_statements();
    app.add_user("ada", Role::User).await;
    app.add_unverified_user("grace").await;
    app.add_user("eve", Role::User).await;
    app.auth
        .disable(
            "eve@example.org".parse::<Email>().unwrap(),
            Authority::Operator,
            LastAdmin::MayGo,
        )
        .await
        .unwrap();
    for path in ["/auth/password/forgot", "/auth/email/resend"] {
        let mut answers = Vec::new();
        for name in ["ada", "grace", "eve", "nobody"] {
            let email = json!({ "email": format!("{name}@example.org") });
            let answer = app.visitor().post(path, &email).await;
            let headers: BTreeSet<_> = answer.headers.keys().map(ToString::to_string).collect();
            answers.push((answer.status.as_u16(), answer.text.clone(), headers));
        }
        assert_eq!(answers[0].0, 202);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    outbox_is_empty(&app).await;
    // The same statements run for every address, so the time is the same: a request and a row, eight times
    // each.
    let calls = "select count(*) from pg_stat_statements
        where dbid = (select oid from pg_database where datname = current_database()) and calls = 8
        and (query ilike 'insert into mails %' or query ilike 'insert into mail_requests%')";
    assert_eq!(app.database().number(calls), 2);
    // Only an address with an account got a mail.
    let to: Vec<String> = mails
        .unread()
        .iter()
        .map(|mail| mail.header("To").to_owned())
        .collect();
    assert_eq!(to.len(), 3, "{to:?}");
    assert_eq!(to.iter().filter(|to| *to == "grace@example.org").count(), 2);
    assert!(to.contains(&ADA.to_owned()));
}

#[tokio::test]
async fn an_address_gets_five_links_an_hour() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    for _ in 0..8 {
        assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
        outbox_is_empty(&app).await;
    }
    assert_eq!(mails.unread().len(), 5);
    app.database()
        .execute("update mail_requests set since = since - interval '1 hour'");
    forgot(&app.visitor(), ADA).await;
    mails.next().await;
}

#[tokio::test]
async fn the_database_knows_neither_tokens_nor_who_asked() {
    let mut mails = MailServer::stopped();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    forgot(&app.visitor(), ADA).await;
    forgot(&app.visitor(), "a-password-in-the-wrong-field@x").await;
    let clear = "select count(*) from (select m::text as row from mails m union all select r::text from mail_requests r) t
        where row like '%@%'";
    assert_eq!(app.database().number(clear), 0);
    mails.resume();
    let token = mails.next().await.token();
    let known = format!(
        "select count(*) from (select l::text as row from one_time_links l union all select m::text from mails m) t
         where row like '%{token}%'"
    );
    assert_eq!(app.database().number(&known), 0);
    assert_eq!(app.database().number("select count(*) from one_time_links"), 1);
}
