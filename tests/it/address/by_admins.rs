//! Admins and operators change the address of another user.

use oneseat::auth::Authority;
use oneseat::auth::accounts::Invitation;
use oneseat::users::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, NEW, outbox_is_empty, own, start};
use crate::support::{Answer, App, Client, MailServer, PASSWORD, RowLock, oneseat, waiting};

fn id_of(app: &App, email: &str) -> String {
    app.database()
        .text(&format!("select id::text from users where email = '{email}'"))
}

async fn put(admin: &Client, id: &str, body: &Value) -> Answer {
    let request = admin.request(Method::PUT, &format!("/api/admin/users/{id}/email"));
    Answer::of(request.json(body)).await
}

#[tokio::test]
async fn an_admin_changes_an_address_at_once_and_its_user_verifies_it() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let other = app.another_instance_with(|config| mails.configure(config)).await;
    let ada = app.signed_in("ada").await;
    let admin = app.admin().await;
    assert_eq!(own(&ada.at(other.address)).await["email"], ADA);
    let answer = put(
        &admin,
        &id_of(&app, ADA),
        &json!({ "email": "Countess@example.org" }),
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["email"]),
        (200, &json!(NEW))
    );
    // The session goes on, and every instance knows the new address.
    assert_eq!(own(&ada).await["email"], NEW);
    assert_eq!(own(&ada.at(other.address)).await["email"], NEW);
    let row = admin.get("/api/admin/users?q=countess").await.json()["users"][0].clone();
    assert_eq!(answer.json(), row);
    let (one, two) = (mails.next().await, mails.next().await);
    let (notice, link) = if one.header("To") == ADA {
        (one, two)
    } else {
        (two, one)
    };
    assert_eq!(notice.header("Subject"), "Your address for oneseat was changed");
    assert!(notice.raw.contains("An administrator changed it."), "{notice:?}");
    assert_eq!(link.header("To"), NEW);
    assert!(link.link().starts_with("/verify#"), "{link:?}");
    let old = app.visitor().login(ADA, PASSWORD).await;
    assert_eq!(old.problem(), "401 invalid_credentials");
    let new = app.visitor().login(NEW, PASSWORD).await;
    assert_eq!(new.problem(), "403 email_unverified");
    let verify = json!({ "token": link.token() });
    assert_eq!(
        app.visitor().post("/auth/email/verify", &verify).await.status,
        200
    );
    assert_eq!(app.visitor().login(NEW, PASSWORD).await.status, 200);
    outbox_is_empty(&app).await;
    assert!(mails.unread().is_empty());
}

#[tokio::test]
async fn an_address_that_is_known_to_be_the_users_is_not_locked_by_what_strangers_tried_with_it() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let admin = app.admin().await;
    let id = id_of(&app, ADA);
    for (email, is_verified) in [(NEW, false), ("lovelace@example.org", true)] {
        app.database().execute(&format!(
            "insert into login_failures (email_digest, failed_attempts, locked_until)
             values (email_digest('{email}'), 5, now() + interval '1 hour')"
        ));
        let body = json!({ "email": email, "verified": is_verified });
        assert_eq!(put(&admin, &id, &body).await.status, 200);
        let answer = app.visitor().login(email, PASSWORD).await;
        match is_verified {
            true => assert_eq!(answer.status, 200, "{answer:?}"),
            false => assert_eq!(answer.problem(), "403 account_locked"),
        }
    }
}

#[tokio::test]
async fn a_change_of_address_and_a_delivery_to_it_do_not_wait_for_each_other() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    let (admin, id) = (app.admin().await, id_of(&app, ADA));
    app.database().execute(&format!(
        "insert into mails (kind, email_digest, due_at) values ('verification', email_digest('{NEW}'), now() + interval '1 hour');
         insert into undelivered_mails values (email_digest('{NEW}'), 'verification', 'it is full', now())"
    ));
    // As a delivery does it: first the mail, then what is noted of others to its address.
    let mut delivery = RowLock::on(&app, "mails");
    let changing = tokio::spawn(async move { put(&admin, &id, &json!({ "email": NEW })).await });
    waiting(&app, 1).await;
    delivery.execute("delete from mails; delete from undelivered_mails");
    delivery.let_go();
    assert_eq!(changing.await.unwrap().json()["email"], NEW);
}

#[tokio::test]
async fn what_an_admin_cannot_change_is_told() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    let admin = app.admin().await;
    let (ada, root) = (id_of(&app, ADA), id_of(&app, "root@example.org"));
    let nobody = uuid::Uuid::new_v4().to_string();
    for (id, email, problem, field) in [
        (&ada, "root@example.org", "409 email_taken", json!("email")),
        (&ada, "no address", "400 bad_request", json!("email")),
        (&ada, "gr\u{e4}fin@example.org", "400 bad_request", json!("email")),
        (&root, NEW, "409 own_account", Value::Null),
        (&nobody, NEW, "404 not_found", Value::Null),
    ] {
        let answer = put(&admin, id, &json!({ "email": email })).await;
        assert_eq!(answer.problem(), problem, "{email}");
        assert_eq!(answer.json()["field"], field, "{answer:?}");
    }
    // A change to the present address does nothing.
    assert_eq!(put(&admin, &ada, &json!({ "email": ADA })).await.status, 200);
    assert_eq!(app.visitor().login(ADA, PASSWORD).await.status, 200);
    assert_eq!(app.database().number("select count(*) from mails"), 0);
}

#[tokio::test]
async fn an_admin_may_know_that_an_address_is_its_users() {
    let app = App::start().await;
    app.add_unverified_user("ada").await;
    let admin = app.admin().await;
    let id = id_of(&app, ADA);
    // Wrong passwords that others tried for the address before do not count then.
    for _ in 0..5 {
        app.visitor().login(NEW, "not the password").await;
    }
    let body = json!({ "email": NEW, "verified": true });
    assert_eq!(put(&admin, &id, &body).await.status, 200);
    assert_eq!(app.visitor().login(NEW, PASSWORD).await.status, 200);
    assert_eq!(app.database().number("select count(*) from mails"), 0);
}

#[tokio::test]
async fn a_disabled_user_gets_no_link_to_another_address() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    let admin = app.admin().await;
    let id = id_of(&app, ADA);
    app.database()
        .execute("update users set disabled_at = now() where name = 'ada'");
    assert_eq!(put(&admin, &id, &json!({ "email": NEW })).await.status, 200);
    let links = "select count(*) from mails where kind = 'verification'";
    assert_eq!(app.database().number(links), 0);
    assert_eq!(mails.next().await.header("To"), ADA);
}

#[tokio::test]
async fn somebody_invited_at_a_wrong_address_is_invited_at_the_right_one() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    let invitation = Invitation {
        name: "Ada".parse().unwrap(),
        email: ADA.parse().unwrap(),
        role: Role::User,
    };
    app.auth.invite(invitation, Authority::Operator).await.unwrap();
    let wrong = mails.next().await;
    assert_eq!(
        put(&admin, &id_of(&app, ADA), &json!({ "email": NEW }))
            .await
            .status,
        200
    );
    let (one, two) = (mails.next().await, mails.next().await);
    let right = if one.header("To") == NEW { one } else { two };
    assert!(right.link().starts_with("/welcome#"), "{right:?}");
    let choose = async |token: String| {
        let body = json!({ "token": token, "password": "nine green bottles on a wall" });
        app.visitor().post("/auth/password/reset", &body).await
    };
    assert_eq!(choose(wrong.token()).await.problem(), "400 link_invalid");
    assert_eq!(choose(right.token()).await.status, 200);
    let login = app.visitor().login(NEW, "nine green bottles on a wall").await;
    assert_eq!(login.status, 200);
}

#[tokio::test]
async fn the_last_admin_who_can_sign_in_keeps_a_verified_address() {
    let app = App::start().await;
    app.add_user("root", Role::Admin).await;
    let change = |args: &[&str]| {
        let command = ["user", "address", "root@example.org", NEW];
        let database = ["--database-url", app.database().url()];
        let output = oneseat(&[&command, args, &database].concat(), "");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout) + &text(output.stderr),
        )
    };
    let (code, words) = change(&["--no-mail"]);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("last admin"), "{words}");
    let (code, words) = change(&["--no-mail", "--verified"]);
    assert_eq!(code, 0, "{words}");
    let answer = format!("root@example.org has the address {NEW} now\n[");
    assert!(words.starts_with(&answer), "no word of a mail: {words}");
    // The log names what was changed, and never the value.
    let line = words.lines().find(|line| line.contains("user_updated")).unwrap();
    assert!(line.ends_with("attribute=email by=operator"), "{line}");
    assert_eq!(app.visitor().login(NEW, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_operator_changes_an_address_and_a_running_server_sends_the_mails() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    let (id, url) = (id_of(&app, ADA), app.database().url());
    let output = oneseat(&["user", "address", &id, NEW, "--database-url", url], "");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "{id} has the address {NEW} now\n\
             the mails about it are sent by a running `oneseat serve`\n\
             not verified yet, so not able to sign in again: oneseat user verify {NEW}\n"
        )
    );
    let mut to = [mails.next().await, mails.next().await].map(|mail| mail.header("To").to_owned());
    to.sort();
    assert_eq!(to, [ADA, NEW]);
    assert_eq!(own(&ada).await["email"], NEW);
    app.add_user("grace", Role::User).await;
    let taken = oneseat(
        &["user", "address", "grace@example.org", NEW, "--database-url", url],
        "",
    );
    assert_eq!(taken.status.code(), Some(1));
    let words = String::from_utf8(taken.stderr).unwrap();
    assert!(
        words.contains("there is a user countess@example.org already"),
        "{words}"
    );
}
