//! What held when a password was checked must hold when it is acted on: the two are different transactions.

use oneseat::config::{MailPolicy, TakeoverPolicy};
use oneseat::users::Role;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Answer, App, Client, PASSWORD, RowLock, waiting};

const ADA: &str = "ada@example.org";

/// Locks the address as wrong passwords do.
const LOCK: &str = "insert into login_failures (email_digest, failed_attempts, locked_until)
    values (email_digest('ada@example.org'), 5, now() + interval '15 minutes')";

/// What a user does with the current password, for which it is checked.
fn changes(current: &str) -> [(&'static str, Value); 2] {
    [
        (
            "/auth/password/change",
            json!({ "currentPassword": current, "newPassword": "nine green bottles on a wall" }),
        ),
        (
            "/auth/email/change",
            json!({ "currentPassword": current, "email": "countess@example.org" }),
        ),
    ]
}

/// A server that takes changes of address, and sends no mail.
async fn start() -> App {
    App::start_with(|config| config.policy.mail = MailPolicy::Needed).await
}

fn posted(client: &Client, path: &'static str, body: Value) -> JoinHandle<Answer> {
    let client = client.clone();
    tokio::spawn(async move { client.post(path, &body).await })
}

fn login(app: &App) -> JoinHandle<Answer> {
    let visitor = app.visitor();
    tokio::spawn(async move { visitor.login(ADA, PASSWORD).await })
}

/// The hash of Ada's password, and what is asked for or mailed.
fn state(app: &App) -> String {
    app.database().text(
        "select concat((select string_agg(password_hash, ' ') from users), (select count(*) from one_time_links),
             (select count(*) from mails), (select count(*) from mail_requests))",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_locked_meanwhile_changes_neither_password_nor_address() {
    let app = start().await;
    let ada = app.signed_in("ada").await;
    let before = state(&app);
    for (path, body) in changes(PASSWORD) {
        let row = RowLock::on(&app, "users");
        let change = posted(&ada, path, body);
        waiting(&app, 1).await;
        let row = row.let_one_pass(&app, "users").await;
        // The password is right, and the address is not locked yet.
        app.database().execute(LOCK);
        row.let_go();
        assert_eq!(change.await.unwrap().problem(), "403 account_locked", "{path}");
        assert_eq!(state(&app), before, "{path}");
        app.database().execute("delete from login_failures");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_replaced_meanwhile_asks_for_no_address_and_counts_no_guess() {
    let app = start().await;
    app.add_user("ada", Role::User).await;
    let before = state(&app);
    for (path, body) in changes(PASSWORD).into_iter().chain(changes("not her password")) {
        let ada = app.visitor().sign_in(ADA).await;
        // Her row goes to the look-up of the change, and then to the sign-in, before anything is checked.
        let row = RowLock::on(&app, "users");
        let change = posted(&ada, path, body);
        waiting(&app, 1).await;
        let login = login(&app);
        waiting(&app, 2).await;
        row.let_go();
        assert_eq!(change.await.unwrap().problem(), "401 session_ended", "{path}");
        assert_eq!(login.await.unwrap().status, 200, "{path}");
        assert_eq!(state(&app), before, "{path}");
        let counted = "select count(*) from login_failures";
        assert_eq!(app.database().number(counted), 0, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_locked_meanwhile_does_not_learn_that_the_seat_is_taken() {
    let app = App::start_with(|config| config.policy.takeover = TakeoverPolicy::Ask).await;
    let holder = app.signed_in("ada").await;
    let row = RowLock::on(&app, "users");
    let login = login(&app);
    waiting(&app, 1).await;
    app.database().execute(LOCK);
    row.let_go();
    assert_eq!(login.await.unwrap().problem(), "403 account_locked");
    assert_eq!(holder.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_is_disabled_or_unverified_meanwhile_does_not_sign_in() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    for (change, problem) in [
        ("email_verified = false", "403 email_unverified"),
        (
            "email_verified = true, disabled_at = now()",
            "403 account_disabled",
        ),
    ] {
        let mut row = RowLock::on(&app, "users");
        row.execute(&format!("update users set {change}"));
        let login = login(&app);
        waiting(&app, 1).await;
        row.let_go();
        assert_eq!(login.await.unwrap().problem(), problem);
        assert_eq!(app.sessions(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sign_ins_that_both_replace_a_weaker_hash_succeed() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    app.weaken_hashes();
    let row = RowLock::on(&app, "users");
    let logins = [login(&app), login(&app)];
    waiting(&app, 2).await;
    row.let_go();
    // One of them finds another hash than it has checked.
    for login in logins {
        let answer = login.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(app.sessions(), 1);
}
