//! Each mail, word for word.

use oneseat::users::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, NEW, start};
use crate::support::{Answer, App, Client, Mail, MailServer};

const COUNTESS: &str = "countess@example.org";

/// What it says to whom, without what differs each time: the link's token, the time, and where this is served.
fn told(mail: &Mail, times: &[String]) -> [String; 3] {
    let (text, signature) = mail.text().split_once("\n\n-- \n").unwrap();
    let (name, url) = signature.split_once('\n').unwrap();
    assert_eq!(name, "oneseat");
    let mut text = text.replace(url, "URL");
    if let Some((before, token)) = text.split_once('#') {
        let end = token.find('\n').unwrap();
        text = format!("{before}#TOKEN{}", &token[end..]);
    }
    for time in times {
        text = text.replace(time, "TIME");
    }
    [mail.header("To"), mail.header("Subject"), &text].map(str::to_owned)
}

/// The minutes since this moment, in words.
fn minutes_since(app: &App, moment: &str) -> Vec<String> {
    let minutes = app.database().text(&format!(
        "select string_agg(to_char(minute at time zone 'UTC', 'FMDD FMMonth YYYY, HH24:MI \"UTC\"'), '|')
         from generate_series(date_trunc('minute', timestamptz '{moment}'), now(), interval '1 minute') as minute"
    ));
    minutes.split('|').map(str::to_owned).collect()
}

/// Posts with this browser.
async fn post(client: &Client, agent: &str, path: &str, body: &Value) -> Answer {
    let request = client.request(Method::POST, path).header("user-agent", agent);
    Answer::of(request.json(body)).await
}

#[tokio::test]
async fn each_mail_says_word_for_word_what_happened_and_what_to_do() {
    const CURL: &str = "curl/8.5.0";
    let mails = MailServer::start();
    let app = start(&mails).await;
    let (root, visitor) = (app.admin().await, app.visitor());
    app.add_user("ada", Role::User).await;
    app.add_unverified_user("eva").await;
    let began = app.database().text("select now()::text");
    let mut letters = Vec::new();

    let grace = json!({ "email": "grace@example.org", "name": "Grace" });
    assert_eq!(root.post("/api/admin/users", &grace).await.status, 201);
    letters.push(mails.next().await);
    let eva = json!({ "email": "eva@example.org" });
    post(&visitor, CURL, "/auth/email/resend", &eva).await;
    letters.push(mails.next().await);
    post(&visitor, CURL, "/auth/password/forgot", &json!({ "email": ADA })).await;
    let reset = mails.next().await;
    let body = json!({ "token": reset.token(), "password": NEW });
    letters.push(reset);
    post(&visitor, CURL, "/auth/password/reset", &body).await;
    letters.push(mails.next().await);
    let login = json!({ "email": ADA, "password": NEW });
    post(&visitor, CURL, "/auth/login", &login).await;
    let ada = post(&visitor, "Wget/1.21.4", "/auth/login", &login).await;
    letters.push(mails.next().await);
    let ada = visitor.with_token(ada.json()["token"].as_str().unwrap());
    for email in ["eva@example.org", COUNTESS] {
        let ask = json!({ "currentPassword": NEW, "email": email });
        assert_eq!(post(&ada, CURL, "/auth/email/change", &ask).await.status, 202);
        let mut asked = [mails.next().await, mails.next().await];
        asked.sort_by_key(|mail| mail.header("To") == ADA);
        letters.extend(asked);
    }
    let confirm = json!({ "token": letters[7].token() });
    post(&visitor, CURL, "/auth/email/confirm", &confirm).await;
    letters.push(mails.next().await);
    let id = ada.session().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let back = root.request(Method::PUT, &format!("/api/admin/users/{id}/email"));
    let back = back.json(&json!({ "email": ADA, "verified": true }));
    assert_eq!(Answer::of(back).await.status, 200);
    letters.push(mails.next().await);
    let times = minutes_since(&app, &began);

    let place = "    from  127.0.0.1\n    with  curl 8\n";
    let asked = format!(
        "Hello ada,\n\nSomebody, probably you, asked on TIME for another address for your account at oneseat, and knew your \
         password. It was asked for\n\n{place}\nNothing has changed yet: the new address has to be confirmed first. If that \
         was you, all is well. If it was not, choose a new password now. That stops the change, and signs out every \
         device:\n\nURL/forgot"
    );
    let asked = (ADA, "Another address was asked for at oneseat", asked.as_str());
    let expected = [
        (
            "grace@example.org",
            "root invites you to oneseat",
            "Hello Grace,\n\nroot invites you to oneseat. Your account is ready. All that it needs is a password that only \
             you know. You have seven days to choose one:\n\nURL/welcome#TOKEN\n\nThe link works once. If you did not \
             expect this, ignore it: nothing happens until a password is chosen.",
        ),
        (
            "eva@example.org",
            "Confirm your address for oneseat",
            "Hello eva,\n\nPlease confirm that this address is yours, so that you can sign in to oneseat. You have a day for \
             it:\n\nURL/verify#TOKEN\n\nThe link works once. If you did not expect this, ignore it: nothing happens until \
             the link is used.",
        ),
        (
            ADA,
            "Choose a new password for oneseat",
            "Hello ada,\n\nSomebody, probably you, asked for a new password for oneseat. You have half an hour to choose \
             one:\n\nURL/reset#TOKEN\n\nThe link works once. The new password signs you out wherever you are signed in. \
             If you did not ask for it, ignore this mail: your password stays as it is.",
        ),
        (
            ADA,
            "Your password for oneseat was changed",
            &format!(
                "Hello ada,\n\nYour password for oneseat was changed on TIME, and you were signed out everywhere. It was \
                 changed\n\n{place}\nIf that was you, all is well. If it was not, take your account back now by asking for \
                 a new password:\n\nURL/forgot"
            ),
        ),
        (
            ADA,
            "New sign-in to oneseat",
            "Hello ada,\n\nSomebody signed in to oneseat as you on TIME, from an address or with a browser that is \
             new:\n\n    from  127.0.0.1\n    with  Wget 1\n\nIf that was you, all is well. If it was not, ask for a new \
             password now. Choosing it signs out every device:\n\nURL/forgot",
        ),
        (
            "eva@example.org",
            "Your address has an account at oneseat already",
            "Hello eva,\n\nSomebody who is signed in to oneseat asked to use this address for their account. It is the \
             address of your account already, so nothing has changed, and they were not told that you have one.\n\nIf that \
             was you, you have two accounts: sign in with this address, or ask an administrator which one to keep. If it \
             was not, there is nothing that you need to do.",
        ),
        asked,
        (
            COUNTESS,
            "Confirm your new address for oneseat",
            "Hello,\n\nPlease confirm that this address is yours. From then on you sign in to oneseat with it, and no longer \
             with the old one. You have eight hours for it:\n\nURL/email#TOKEN\n\nThe link works once. If you did not \
             expect this, ignore it: nothing happens until the link is used.",
        ),
        asked,
        (
            ADA,
            "Your address for oneseat was changed",
            &format!(
                "Hello ada,\n\nYour account at oneseat has another address since TIME. You can no longer sign in with this \
                 one, and it gets no more mails about your account. The change was confirmed\n\n{place}\nIf that was you, \
                 all is well. If it was not, tell an administrator now: they can give your account its address back."
            ),
        ),
        (
            COUNTESS,
            "Your address for oneseat was changed",
            "Hello ada,\n\nYour account at oneseat has another address since TIME. You can no longer sign in with this one, \
             and it gets no more mails about your account. An administrator changed it.\n\nIf you do not know why, ask \
             them: they can give your account its address back.",
        ),
    ];
    for (letter, (to, subject, text)) in letters.iter().zip(expected) {
        assert_eq!(told(letter, &times), [to, subject, text]);
    }
    assert_eq!(letters.len(), 11);
    super::outbox_is_empty(&app).await;
    assert!(mails.unread().is_empty());
}
