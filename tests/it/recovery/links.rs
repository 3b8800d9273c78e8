//! A page shows which user a mailed link is for.

use oneseat::auth::address::NewAddress;
use oneseat::auth::{Authority, LastAdmin};
use oneseat::users::{Email, Password, Role};
use reqwest::Method;
use serde_json::json;

use super::{ADA, NEW, forgot, link_to, outbox_is_empty, reset, start};
use crate::support::{Answer, App, Client, MailServer, PASSWORD, RowLock, waiting};

/// The purposes of links.
const PURPOSES: [&str; 4] = ["invitation", "verification", "password_reset", "email_change"];

/// The calls that use a link, with the purposes for which they do.
const USES: [(&str, &[&str]); 3] = [
    ("/auth/password/reset", &["invitation", "password_reset"]),
    ("/auth/email/verify", &["verification"]),
    ("/auth/email/confirm", &["email_change"]),
];

const OTHER: &str = "countess@example.org";

/// A link for this purpose, to the address where its mail goes.
fn link_for(app: &App, purpose: &str) -> String {
    let email = if purpose == "email_change" { OTHER } else { ADA };
    link_to(app, purpose, email)
}

async fn use_link(visitor: &Client, path: &str, token: &str, password: &str) -> Answer {
    let body = match path {
        "/auth/password/reset" => json!({ "token": token, "password": password }),
        _ => json!({ "token": token }),
    };
    visitor.post(path, &body).await
}

/// Makes the account what it was before any link was used.
fn forget_links(app: &App) {
    app.database().execute(&format!(
        "delete from one_time_links; update users set email = '{ADA}', email_verified = false"
    ));
}

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
async fn a_link_does_what_it_is_for_and_nothing_else() {
    let app = App::start().await;
    app.add_unverified_user("ada").await;
    let links = || app.database().number("select count(*) from one_time_links");
    let state = || app.database().text("select json_agg(u)::text from users as u");
    for (path, purposes) in USES {
        for purpose in PURPOSES {
            forget_links(&app);
            let (token, before) = (link_for(&app, purpose), state());
            let answer = use_link(&app.visitor(), path, &token, NEW).await;
            if purposes.contains(&purpose) {
                assert_eq!(answer.status, 200, "{purpose} at {path}: {answer:?}");
                assert_eq!(links(), 0, "{purpose} at {path}");
                // No instance would send the notice: it would wait for days, and then count as not delivered.
                let notices = "select count(*) from mails where kind = 'password_changed'";
                assert_eq!(app.database().number(notices), 0, "{purpose} at {path}");
                continue;
            }
            assert_eq!(answer.problem(), "400 link_invalid", "{purpose} at {path}");
            assert_eq!((links(), state()), (1, before), "{purpose} at {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_works_once() {
    let app = App::start().await;
    let other = app.another_instance().await;
    app.add_unverified_user("ada").await;
    for (path, purposes) in USES {
        for purpose in purposes {
            forget_links(&app);
            let token = link_for(&app, purpose);
            // Both have found the link, and wait for its user.
            let row = RowLock::on(&app, "users");
            let used = |instance: &App, password: &'static str| {
                let (visitor, token) = (instance.visitor(), token.clone());
                tokio::spawn(async move { use_link(&visitor, path, &token, password).await })
            };
            let first = used(&app, NEW);
            waiting(&app, 1).await;
            let second = used(&other, "seven seas of rhye and sand");
            waiting(&app, 2).await;
            row.let_go();
            assert_eq!(first.await.unwrap().status, 200, "{purpose}");
            let second = second.await.unwrap();
            assert_eq!(second.problem(), "400 link_invalid", "{purpose}");
            let again = use_link(&app.visitor(), path, &token, NEW).await;
            assert_eq!(again.problem(), "400 link_invalid", "{purpose}");
        }
    }
    app.database()
        .execute(&format!("update users set email = '{ADA}'"));
    assert_eq!(app.visitor().login(ADA, NEW).await.status, 200);
}

#[tokio::test]
async fn each_link_has_the_time_that_its_mail_says_also_after_an_earlier_one() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    app.add_unverified_user("grace").await;
    let admin = app.admin().await;
    let eve = json!({ "email": "eve@example.org", "name": "Eve" });
    assert_eq!(admin.post("/api/admin/users", &eve).await.status, 201);
    mails.next().await;
    outbox_is_empty(&app).await;
    let eve = app
        .database()
        .text("select id::text from users where name = 'Eve'");
    let una = app.signed_in("una").await;
    for (purpose, least, most, subject, words) in [
        (
            "password_reset",
            "29 minutes",
            "30 minutes",
            "Choose a new password for oneseat",
            "You have half an hour to choose one:",
        ),
        (
            "verification",
            "23 hours 59 minutes",
            "1 day",
            "Confirm your address for oneseat",
            "You have a day for it:",
        ),
        (
            "invitation",
            "6 days 23 hours 59 minutes",
            "7 days",
            "root invites you to oneseat",
            "You have seven days to choose one:",
        ),
        (
            "email_change",
            "7 hours 59 minutes",
            "8 hours",
            "Confirm your new address for oneseat",
            "You have eight hours for it:",
        ),
    ] {
        for _ in 0..2 {
            match purpose {
                "password_reset" => assert_eq!(forgot(&app.visitor(), ADA).await.status, 202),
                "verification" => {
                    let grace = json!({ "email": "grace@example.org" });
                    let again = app.visitor().post("/auth/email/resend", &grace).await;
                    assert_eq!(again.status, 202);
                }
                "email_change" => {
                    let body = json!({ "currentPassword": PASSWORD, "email": OTHER });
                    assert_eq!(una.post("/auth/email/change", &body).await.status, 202);
                }
                _ => {
                    let path = format!("/api/admin/users/{eve}/password-link");
                    let again = Answer::of(admin.request(Method::POST, &path)).await;
                    assert_eq!(again.status, 204);
                }
            }
            let mut received = vec![mails.next().await];
            if purpose == "email_change" {
                // The address that una has is told, too.
                received.push(mails.next().await);
            }
            outbox_is_empty(&app).await;
            received.retain(|mail| mail.header("Subject") == subject);
            assert_eq!(received.len(), 1, "{purpose}");
            // The text says it, and so does the HTML.
            assert_eq!(received[0].raw.matches(words).count(), 2, "{:?}", received[0]);
            let lasts = format!(
                "select count(*) from one_time_links where purpose = '{purpose}'
                 and expires_at - now() between interval '{least}' and interval '{most}'"
            );
            assert_eq!(app.database().number(&lasts), 1, "{purpose}");
            app.database()
                .execute("update one_time_links set expires_at = now() + interval '1 second'");
        }
    }
    // So do the pages on which links are asked for.
    for (page, words) in [
        (app.visitor().get("/forgot").await, "It works for half an hour."),
        (app.visitor().get("/verify").await, "It works for a day."),
    ] {
        assert!(page.text.contains(words), "{}", page.text);
    }
    let body = json!({ "currentPassword": PASSWORD, "email": OTHER });
    assert_eq!(una.post("/auth/email/change", &body).await.status, 202);
    let page = una.get("/dashboard").await.text;
    assert!(page.contains("The link works for eight hours."), "{page}");
}

#[tokio::test]
async fn what_ends_a_link_ends_it_for_good() {
    let app = App::start().await;
    let ada = || ADA.parse::<Email>().unwrap();
    let (by, may_go) = (|| Authority::Operator, LastAdmin::MayGo);
    let moved = async |from: &str, to: &str| {
        let new = NewAddress {
            email: to.parse().unwrap(),
            is_verified: true,
            is_mailed: false,
        };
        let from: Email = from.parse().unwrap();
        app.auth.set_email(from, new, by(), may_go).await.unwrap();
    };
    let all = &PURPOSES[..];
    for (what, ended) in [
        ("disabled and enabled again", all),
        ("at another address and back again", all),
        ("removed and made anew", all),
        ("given a password by an operator", all),
        ("verified by an operator", &["verification"]),
        ("given its own address as a verified one", &["verification"]),
        ("enabled as before", &[]),
    ] {
        app.database().execute("delete from users");
        app.add_unverified_user("ada").await;
        let tokens = PURPOSES.map(|purpose| link_for(&app, purpose));
        match what {
            "disabled and enabled again" => {
                app.auth.disable(ada(), by(), may_go).await.unwrap();
                app.auth.enable(ada(), by()).await.unwrap();
            }
            "at another address and back again" => {
                moved(ADA, OTHER).await;
                moved(OTHER, ADA).await;
            }
            "removed and made anew" => {
                app.auth.remove_user(ada(), by(), may_go).await.unwrap();
                app.add_unverified_user("ada").await;
            }
            "given a password by an operator" => {
                let password = Password::chosen(NEW, &[]).unwrap();
                app.auth.set_password(ada(), password).await.unwrap();
            }
            "given its own address as a verified one" => moved(ADA, ADA).await,
            "verified by an operator" => app.auth.verify_email(ada()).await.unwrap(),
            _ => app.auth.enable(ada(), by()).await.unwrap(),
        }
        // Those that ended are gone, and not only of no use.
        let kept = app.database().text(
            "select coalesce(string_agg(purpose::text, ' ' order by purpose::text), '') from one_time_links",
        );
        let mut live: Vec<&str> = PURPOSES
            .into_iter()
            .filter(|purpose| !ended.contains(purpose))
            .collect();
        live.sort_unstable();
        assert_eq!(kept, live.join(" "), "{what}");
        for (purpose, token) in PURPOSES.iter().zip(&tokens) {
            let right = if ended.contains(purpose) { 400 } else { 200 };
            assert_eq!(look(&app, token).await.status, right, "{purpose}: {what}");
        }
    }
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
