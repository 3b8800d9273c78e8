//! Invitations, and what admins see and do.

use oneseat::auth::Authority;
use oneseat::auth::accounts::Invitation;
use oneseat::users::{Email, Password, Role};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, NEW, outbox_is_empty, reset, start};
use crate::support::{Answer, Mail, MailServer, PASSWORD, oneseat};

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
    assert_eq!(mail.header("Subject"), "root invites you to oneseat");
    let words = "Hello Grace Hopper,\n\nroot invites you to oneseat.";
    assert!(mail.raw.contains(words), "{mail:?}");
    assert!(mail.link().starts_with("/welcome#"));

    // Asked for again, the earlier link is of no use.
    outbox_is_empty(&app).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let again = format!("/api/admin/users/{id}/password-link");
    assert_eq!(Answer::of(admin.request(Method::POST, &again)).await.status, 204);
    let second = mails.next().await;
    assert_eq!(
        reset(&app.visitor(), &mail.token(), NEW).await.problem(),
        "400 link_invalid"
    );
    assert_eq!(reset(&app.visitor(), &second.token(), NEW).await.status, 200);
    // Nobody needs to be told of the password that they have just chosen for the first time.
    outbox_is_empty(&app).await;
    assert!(mails.unread().is_empty());
    assert_eq!(app.visitor().login("grace@example.org", NEW).await.status, 200);
    assert_eq!(
        admin.post("/api/admin/users", &grace).await.problem(),
        "409 email_taken"
    );
}

#[tokio::test]
async fn an_invitation_that_waits_names_who_invited_last_and_is_of_no_use_after_a_password() {
    let mut mails = MailServer::stopped();
    let app = start(&mails).await;
    let root = app.admin().await;
    app.add_user("second", Role::Admin).await;
    let second = app.visitor().sign_in("second@example.org").await;
    let mut ids = Vec::new();
    for name in ["grace", "eve"] {
        let body = json!({ "email": format!("{name}@example.org"), "name": name });
        let answer = root.post("/api/admin/users", &body).await;
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
        let again = format!("/api/admin/users/{}/password-link", ids.last().unwrap());
        let again = Answer::of(second.request(Method::POST, &again)).await;
        assert_eq!(again.status, 204);
    }
    let password = Password::chosen(NEW, &[]).unwrap();
    let eve: Email = "eve@example.org".parse().unwrap();
    app.auth.set_password(eve, password).await.unwrap();
    mails.resume();
    app.database().execute("update mails set due_at = now()");
    let mail = mails.next().await;
    assert_eq!(mail.header("To"), "grace@example.org");
    assert_eq!(mail.header("Subject"), "second invites you to oneseat");
    outbox_is_empty(&app).await;
    assert!(mails.unread().is_empty());
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
    let mail = mails.next().await;
    assert_eq!(mail.header("To"), "grace@example.org");
    assert_eq!(mail.header("Subject"), "Your invitation to oneseat");
    assert!(
        mail.raw.contains("Hello Grace,\n\nYou are invited to oneseat."),
        "{mail:?}"
    );
    let account = Invitation {
        name: "Grace".parse().unwrap(),
        email: "grace@example.org".parse().unwrap(),
        role: Role::User,
    };
    assert!(app.auth.invite(account, Authority::Operator).await.is_err());
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
    // Not 403: the admin's own account is not the one that is disabled.
    let refused = act("password-link").await;
    assert_eq!(refused.problem(), "409 account_disabled");
    let told = refused.json()["detail"].clone();
    assert!(told.as_str().unwrap().contains("Enable"), "{told}");
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
        "409 own_account"
    );
}

#[tokio::test]
async fn what_people_are_called_starts_no_line_and_no_tag_of_a_mail() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    let grace = json!({ "email": "grace@example.org", "name": "<b>Grace</b> & Co" });
    assert_eq!(admin.post("/api/admin/users", &grace).await.status, 201);
    let Mail { raw, .. } = mails.next().await;
    assert!(raw.contains("Hello <b>Grace</b> & Co,"), "{raw}");
    assert!(
        raw.contains("<p>Hello <bdi>&#60;b&#62;Grace&#60;/b&#62; &#38; Co</bdi>,</p>"),
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

#[tokio::test]
async fn nobody_is_invited_to_where_no_mail_can_go() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    for email in [
        "grace..hopper@x.org",
        "grace@",
        "<grace@x.org>",
        "grace@[192.0.2.1]",
        "gr\u{200b}ace@x.org",
    ] {
        let grace = json!({ "email": email, "name": "Grace" });
        let answer = admin.post("/api/admin/users", &grace).await;
        assert_eq!(answer.problem(), "400 bad_request", "{email}");
        for how in ["invite", "add"] {
            let url = app.database().url();
            let output = oneseat(
                &["user", how, email, "--name", "Grace", "--database-url", url],
                "",
            );
            assert_eq!(output.status.code(), Some(2), "{output:?}");
        }
    }
    // This one needs a mail server that takes letters beyond ASCII, whoever sends the mail.
    let url = app.database().url();
    let invite = |more: &[&str]| {
        let args = [
            "user",
            "invite",
            "gr\u{e4}fin@example.org",
            "--name",
            "Grace",
            "--database-url",
            url,
        ];
        oneseat(&[&args[..], more].concat(), "")
    };
    let output = invite(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(app.database().number("select count(*) from users"), 1);
    let output = invite(&["--smtp-utf8", "on"]);
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_mail_has_long_paragraphs_and_short_lines() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    for (name, paragraph) in [
        (
            "Grace",
            "root invites you to oneseat. Your account is ready. All that it needs is a password that only you know. You have seven days to choose one:\n",
        ),
        (
            &"W".repeat(200),
            "The link works once. If you did not expect this, ignore it: nothing happens until a password is chosen.\n",
        ),
        (&"王".repeat(200), ""),
    ] {
        app.database()
            .execute("delete from users where email = 'grace@example.org'");
        let grace = json!({ "email": "grace@example.org", "name": name });
        assert_eq!(admin.post("/api/admin/users", &grace).await.status, 201);
        let mail = mails.next().await;
        // RFC 5322 2.1.1 recommends 78, without the end of the line, and RFC 2045 6.7 and 6.8 ask for 76.
        let longest = mail.wire.lines().map(str::len).max().unwrap();
        assert!(longest <= 78, "{longest}: {}", mail.wire);
        assert!(mail.raw.contains(paragraph), "{}", mail.raw);
    }
}
