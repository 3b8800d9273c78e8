//! The way back in: links by mail over a real SMTP server, passwords changed, people invited.

use std::collections::BTreeSet;

use oneseat::auth::accounts::Invitation;
use oneseat::auth::audit::Actor;
use oneseat::users::{Email, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, EventStream, Mail, MailServer, PASSWORD, eventually, oneseat};

const ADA: &str = "ada@example.org";
const NEW: &str = "nine green bottles on a wall";

async fn start(mails: &MailServer) -> App {
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

/// Every mail of the outbox is sent, or is nobody's.
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
    let answer = reset(&app.visitor(), &mail.token(), NEW).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "success": true }))
    );

    // The older session is over, and told; the lock is lifted; nobody is signed in by it.
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
async fn a_link_works_once() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let other = app.another_instance().await;
    app.add_user("ada", Role::User).await;
    forgot(&app.visitor(), ADA).await;
    let token = mails.next().await.token();
    // At the same time, at two instances.
    let (one, two) = (app.visitor(), other.visitor());
    let answers = tokio::join!(
        reset(&one, &token, NEW),
        reset(&two, &token, "seven seas of rhye and sand")
    );
    let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(reset(&one, &token, NEW).await.problem(), "400 link_invalid");
}

#[tokio::test]
async fn a_later_link_and_a_new_password_end_the_earlier_link() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    forgot(&app.visitor(), ADA).await;
    let first = mails.next().await.token();
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
async fn whoever_asks_for_whomever_is_answered_alike() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.database().execute("create extension pg_stat_statements");
    app.add_user("ada", Role::User).await;
    app.add_unverified_user("grace").await;
    app.add_user("eve", Role::User).await;
    app.auth
        .disable("eve@example.org".parse::<Email>().unwrap(), Actor::Operator)
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
    // The same statements for everybody, so the same time: a request and a row, eight times each.
    let calls = "select count(*) from pg_stat_statements
        where dbid = (select oid from pg_database where datname = current_database()) and calls = 8
        and (query ilike 'insert into \"mails\"%' or query ilike 'insert into mail_requests%')";
    assert_eq!(app.database().number(calls), 2);
    // Only who can use one got a mail.
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

#[tokio::test]
async fn mail_waits_for_its_server_and_nobody_waits_for_mail() {
    let mut mails = MailServer::stopped();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
    eventually("it was tried in vain", async || {
        app.database().number("select max(attempts) from mails") > 0
    })
    .await;
    // Asking again while it waits changes nothing.
    assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
    assert_eq!(app.database().number("select count(*) from mails"), 1);
    // The link lives from when it is sent, not from when it was asked for.
    app.database()
        .execute("update mails set created_at = created_at - interval '2 hours'");
    mails.resume();
    let token = mails.next().await.token();
    assert_eq!(reset(&app.visitor(), &token, NEW).await.status, 200);
}

#[tokio::test]
async fn a_mail_that_nobody_takes_for_days_is_given_up() {
    let mails = MailServer::stopped();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    forgot(&app.visitor(), ADA).await;
    app.database()
        .execute("update mails set created_at = created_at - interval '4 days'; update one_time_links set expires_at = now()");
    eventually("it is swept", async || {
        let _ = app.auth.sweep(|_| ()).await.unwrap();
        app.database().number("select count(*) from mails") == 0
    })
    .await;
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let answer = change(&ada, "not my password", NEW).await;
    assert_eq!(answer.problem(), "403 wrong_password");
    assert_eq!(
        change(&ada, PASSWORD, "too short").await.problem(),
        "400 password_refused"
    );
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(change(&ada, PASSWORD, NEW).await.status, 200);
    assert_eq!(ada.session().await.json()["reason"], "password_changed");
    assert_eq!(
        app.visitor().login(ADA, PASSWORD).await.problem(),
        "401 invalid_credentials"
    );
    assert_eq!(app.visitor().login(ADA, NEW).await.status, 200);
    let told = mails.next().await;
    assert_eq!(told.header("Subject"), "Your password for oneseat was changed");
}

#[tokio::test]
async fn guessing_the_current_password_locks_the_address_and_ends_no_session() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    for _ in 0..5 {
        assert_eq!(
            change(&ada, "not my password", NEW).await.problem(),
            "403 wrong_password"
        );
    }
    assert_eq!(change(&ada, PASSWORD, NEW).await.problem(), "403 account_locked");
    assert_eq!(
        app.visitor().login(ADA, PASSWORD).await.problem(),
        "403 account_locked"
    );
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test]
async fn a_session_that_ends_meanwhile_changes_no_password() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let (changing, ending) = (ada.clone(), app.visitor());
    let (answer, newer) = tokio::join!(change(&changing, PASSWORD, NEW), ending.sign_in(ADA));
    // One of them was first: the change ended the new seat with the old one, or the new seat kept the change out.
    match answer.status.as_u16() {
        200 => assert_eq!(app.visitor().login(ADA, NEW).await.status, 200),
        _ => {
            assert_eq!(answer.problem(), "401 token_invalid");
            assert_eq!(newer.session().await.status, 200);
        }
    }
}

#[tokio::test]
async fn somebody_invited_chooses_a_password_and_signs_in() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    let grace = json!({ "email": "Grace@example.org", "name": "Grace Hopper" });
    let answer = admin.post("/api/admin/users", &grace).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["email"], "grace@example.org");
    let mail = mails.next().await;
    assert_eq!(mail.header("Subject"), "You are invited to oneseat");
    assert!(mail.raw.contains("Hello Grace Hopper"), "{mail:?}");
    assert!(mail.link().starts_with("/welcome#"));

    // Asked for again, the earlier link is of no use.
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let again = format!("/api/admin/users/{id}/password-link");
    assert_eq!(Answer::of(admin.request(Method::POST, &again)).await.status, 204);
    let second = mails.next().await;
    assert_eq!(
        reset(&app.visitor(), &mail.token(), NEW).await.problem(),
        "400 link_invalid"
    );
    assert_eq!(reset(&app.visitor(), &second.token(), NEW).await.status, 200);
    assert_eq!(app.visitor().login("grace@example.org", NEW).await.status, 200);
    assert_eq!(
        admin.post("/api/admin/users", &grace).await.problem(),
        "409 email_taken"
    );
}

#[tokio::test]
async fn an_operator_invites_and_a_running_server_sends_the_mail() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let args = [
        "user",
        "invite",
        "grace@example.org",
        "--name",
        "Grace",
        "--database-url",
        app.database().url(),
    ];
    let output = oneseat(&args, "");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(mails.next().await.header("To"), "grace@example.org");
    let account = Invitation {
        name: "Grace".parse().unwrap(),
        email: "grace@example.org".parse().unwrap(),
        role: Role::User,
    };
    assert!(app.auth.invite(account, Actor::Operator).await.is_err());
}

#[tokio::test]
async fn an_admin_sees_accounts_and_disables_and_enables_them() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    app.add_unverified_user("grace").await;
    let admin = app.admin().await;
    let state = async |name: &str| -> (Value, Value) {
        let found = admin.get(&format!("/api/admin/users?q={name}%40")).await.json();
        assert_eq!(found["total"], 1, "{found}");
        (
            found["users"][0]["state"].clone(),
            found["users"][0]["signedIn"].clone(),
        )
    };
    assert_eq!(state("ada").await, (json!("active"), json!(true)));
    assert_eq!(state("grace").await, (json!("unverified"), json!(false)));

    let users = admin.get("/api/admin/users?limit=2").await.json();
    assert_eq!(
        (users["total"].clone(), users["users"].as_array().unwrap().len()),
        (json!(3), 2)
    );
    let next = users["next"].as_str().unwrap();
    let rest = admin
        .get(&format!("/api/admin/users?limit=2&after={next}"))
        .await
        .json();
    assert_eq!(rest["users"][0]["email"], ADA);
    assert!(!rest.to_string().contains("argon2"));

    let id = rest["users"][0]["id"].as_str().unwrap().to_owned();
    let act = async |verb: &str| {
        Answer::of(admin.request(Method::POST, &format!("/api/admin/users/{id}/{verb}"))).await
    };
    assert_eq!(act("disable").await.status, 204);
    assert_eq!(ada.session().await.json()["reason"], "account_disabled");
    assert_eq!(state("ada").await.0, json!("disabled"));
    assert_eq!(act("enable").await.status, 204);
    assert_eq!(app.visitor().login(ADA, PASSWORD).await.status, 200);
    assert_eq!(act("password-link").await.status, 204);
    assert!(mails.next().await.link().starts_with("/reset#"));

    let own = admin.session().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = format!("/api/admin/users/{own}/disable");
    assert_eq!(
        Answer::of(admin.request(Method::POST, &own)).await.problem(),
        "400 bad_request"
    );
}

/// Signs in with this browser.
async fn sign_in_with(app: &App, user_agent: &str) {
    let body = json!({ "email": ADA, "password": PASSWORD });
    let request = app.visitor().request(Method::POST, "/auth/login");
    let answer = Answer::of(request.header("user-agent", user_agent).json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_seat_taken_from_a_new_place_is_told_once_an_hour() {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    // The first place is no news, nor is the same one again after an update.
    sign_in_with(&app, FIREFOX).await;
    sign_in_with(&app, &FIREFOX.replace("144", "145")).await;
    assert_eq!(app.database().number("select count(*) from mails"), 0);
    sign_in_with(&app, "curl/8.5.0").await;
    let told = mails.next().await;
    assert_eq!(told.header("Subject"), "Your seat was taken from somewhere new");
    assert!(
        told.raw.contains("curl 8") && told.raw.contains("127.0.0.1"),
        "{told:?}"
    );
    // Another within the hour is not told, the next hour it is.
    sign_in_with(&app, "Wget/1.21").await;
    assert_eq!(app.database().number("select count(*) from mails"), 0);
    app.database()
        .execute("update known_origins set told_at = told_at - interval '1 hour'");
    sign_in_with(&app, "python-requests/2.31").await;
    assert!(mails.next().await.raw.contains("Python Requests 2"));
}

#[tokio::test]
async fn without_mail_nobody_is_promised_one() {
    let app = App::start().await;
    let admin = app.admin().await;
    assert_eq!(forgot(&app.visitor(), ADA).await.problem(), "404 no_mail");
    let grace = json!({ "email": "grace@example.org", "name": "Grace" });
    assert_eq!(
        admin.post("/api/admin/users", &grace).await.problem(),
        "404 no_mail"
    );
    assert_eq!(app.database().number("select count(*) from users"), 1);
    let page = app.visitor().get("/forgot").await.text;
    assert!(
        page.contains("sends no mail") && !page.contains("id=\"forgot\""),
        "{page}"
    );
    // A password is changed all the same.
    let ada = app.signed_in("ada").await;
    assert_eq!(change(&ada, PASSWORD, NEW).await.status, 200);
    assert_eq!(app.database().number("select count(*) from mails"), 0);
}

#[tokio::test]
async fn what_people_are_called_starts_no_line_and_no_tag_of_a_mail() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    let grace = json!({ "email": "grace@example.org", "name": "<b>Grace</b> & Co" });
    assert_eq!(admin.post("/api/admin/users", &grace).await.status, 201);
    let Mail { raw } = mails.next().await;
    assert!(raw.contains("Hello <b>Grace</b> & Co,"), "{raw}");
    assert!(
        raw.contains("<p>Hello &#60;b&#62;Grace&#60;/b&#62; &#38; Co,</p>"),
        "{raw}"
    );
    for name in ["Grace\r\nBcc: eve@example.org", ""] {
        let grace = json!({ "email": "eve@example.org", "name": name });
        assert_eq!(
            admin.post("/api/admin/users", &grace).await.problem(),
            "400 bad_request"
        );
    }
}
