//! The outbox: one row at a time, at one instance at a time, holding up nobody.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use diesel::connection::SimpleConnection;
use oneseat::config::MailPolicy;
use oneseat::mail::{Kind, outbox};
use oneseat::users::Role;

use super::{ADA, NEW, forgot, outbox_is_empty, reset, start};
use crate::support::{App, Client, MailServer, PASSWORD, Program, eventually};

#[tokio::test]
async fn mail_waits_for_its_server_and_nobody_waits_for_mail() {
    let mut mails = MailServer::stopped();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
    eventually("it was tried in vain", async || {
        app.database().number("select count(last_reason) from mails") == 1
    })
    .await;
    assert_eq!(
        app.database().text("select last_reason from mails"),
        "Connection error: Connection refused (os error 111)"
    );
    // A second request while the mail waits changes nothing.
    assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
    assert_eq!(app.database().number("select count(*) from mails"), 1);
    // The link's lifetime begins when the mail is sent, not when it is requested.
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
    eventually("it was tried in vain", async || {
        app.database().number("select count(last_reason) from mails") == 1
    })
    .await;
    app.database()
        .execute("update mails set created_at = created_at - interval '4 days'; update one_time_links set expires_at = now()");
    eventually("it is swept", async || {
        let _ = app.auth.sweep(|_| ()).await.unwrap();
        app.database().number("select count(*) from mails") == 0
    })
    .await;
    let noted = "select count(*) from undelivered_mails where kind = 'password_reset' and email_digest = email_digest('ada@example.org')";
    assert_eq!(app.database().number(noted), 1);
}

/// Whether the delivery waits for the row of a user.
fn waits_for_a_user(app: &App) -> bool {
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock' and query ilike '%from \"users\"%for update%'";
    app.database().number(waiting) == 1
}

#[tokio::test]
async fn a_mail_that_cannot_be_written_now_keeps_nobody_waiting() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    app.add_user("grace", Role::User).await;
    let mut holder = app.database().connect();
    holder
        .batch_execute("begin; update users set name = name where email = 'ada@example.org'")
        .unwrap();
    forgot(&app.visitor(), ADA).await;
    eventually("the delivery waits for the row", async || waits_for_a_user(&app)).await;
    // A second request is answered as fast as any other, and so is the transaction that holds the row.
    assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
    assert_eq!(forgot(&app.visitor(), "grace@example.org").await.status, 202);
    holder
        .batch_execute(
            "savepoint row; insert into mails (kind, email_digest) values ('password_reset', sha256('ada@example.org'))
             on conflict (email_digest, kind) where kind in ('invitation', 'verification', 'password_reset')
             do update set created_at = now(); rollback to savepoint row",
        )
        .unwrap();
    assert!(waits_for_a_user(&app), "somebody waited for the delivery");
    assert_eq!(mails.next().await.header("To"), "grace@example.org");
    holder.batch_execute("commit").unwrap();
    assert_eq!(mails.next().await.header("To"), ADA);
    outbox_is_empty(&app).await;
}

#[tokio::test]
async fn a_mail_that_is_of_no_use_and_is_asked_for_meanwhile_is_tried_again_soon() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    app.database().execute("update users set disabled_at = now()");
    let mut holder = app.database().connect();
    holder
        .batch_execute("begin; select from users for update")
        .unwrap();
    forgot(&app.visitor(), ADA).await;
    eventually("the delivery waits for the row", async || waits_for_a_user(&app)).await;
    assert_eq!(forgot(&app.visitor(), ADA).await.status, 202);
    holder.batch_execute("rollback").unwrap();
    // Its lease would have been five minutes.
    let soon = "select count(*) from mails where due_at < now() + interval '1 minute'";
    eventually("it is put back", async || app.database().number(soon) == 1).await;
    app.database()
        .execute("update users set disabled_at = null; update mails set due_at = now()");
    assert_eq!(mails.next().await.header("To"), ADA);
    outbox_is_empty(&app).await;
}

#[tokio::test]
async fn a_count_of_attempts_that_is_full_holds_up_no_mail() {
    let mails = MailServer::start();
    let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
    for name in ["ada", "grace"] {
        app.add_user(name, Role::User).await;
        forgot(&app.visitor(), &format!("{name}@example.org")).await;
    }
    app.database()
        .execute("update mails set attempts = 2147483647 where email_digest = sha256('ada@example.org')");
    let _other = app.another_instance_with(|config| mails.configure(config)).await;
    for _ in 0..2 {
        mails.next().await;
    }
    outbox_is_empty(&app).await;
}

#[tokio::test]
async fn a_mail_whose_sender_died_is_sent_when_its_lease_has_ended() {
    let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
    app.add_user("ada", Role::User).await;
    app.add_user("grace", Role::User).await;
    forgot(&app.visitor(), ADA).await;
    let conn = &mut oneseat::db::connect(app.database().url()).unwrap();
    let taken = outbox::claim(conn).unwrap().unwrap();
    assert_eq!((taken.kind, taken.attempts), (Kind::PasswordReset, 1));
    assert!(outbox::claim(conn).unwrap().is_none(), "taken twice");

    let mails = MailServer::start();
    let _other = app.another_instance_with(|config| mails.configure(config)).await;
    forgot(&app.visitor(), "grace@example.org").await;
    assert_eq!(mails.next().await.header("To"), "grace@example.org");
    assert!(mails.unread().is_empty());
    let leased = "select count(*) from mails where due_at between now() + interval '4 minutes' and now() + interval '5 minutes'";
    eventually(
        "hers is taken out, and the other one is still leased",
        async || app.database().number(leased) == 1,
    )
    .await;
    app.database()
        .execute("update mails set due_at = due_at - interval '5 minutes'");
    assert_eq!(mails.next().await.header("To"), ADA);
    outbox_is_empty(&app).await;
}

#[tokio::test]
async fn two_instances_send_each_mail_once() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let _other = app.another_instance_with(|config| mails.configure(config)).await;
    app.database().execute(
        "insert into users (name, email) select 'u', n || '@example.org' from generate_series(1, 40) n;
         insert into mails (kind, email_digest) select 'invitation', email_digest(email) from users",
    );
    outbox_is_empty(&app).await;
    let mut to: Vec<String> = mails
        .unread()
        .iter()
        .map(|mail| mail.header("To").to_owned())
        .collect();
    assert_eq!(to.len(), 40, "{to:?}");
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 40, "{to:?}");
}

#[tokio::test]
async fn who_asks_again_for_what_waited_for_days_is_sent_it() {
    let mut mails = MailServer::stopped();
    let app = start(&mails).await;
    app.add_user("ada", Role::User).await;
    forgot(&app.visitor(), ADA).await;
    app.database()
        .execute("update mails set created_at = created_at - interval '4 days'");
    forgot(&app.visitor(), ADA).await;
    app.auth.sweep(|_| ()).await.unwrap();
    mails.resume();
    assert!(mails.next().await.link().starts_with("/reset#"));
}

/// The program itself, which sends the mails in the outbox of this database.
fn sender(app: &App, smtp_url: &str) -> Program {
    let args = [
        "--bind",
        "127.0.0.1:0",
        "--metrics-bind",
        "127.0.0.1:0",
        "--database-url",
        app.database().url(),
        "--smtp-url",
        smtp_url,
        "--mail-from",
        "seat@example.org",
        "--public-url",
        "http://localhost",
    ];
    Program::serve_with(&args, &[])
}

/// An SMTP server that accepts connections and says nothing. It reports each connection.
fn silent_server() -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (told, connections) = channel();
    std::thread::spawn(move || {
        listener
            .incoming()
            .map_while(Result::ok)
            .try_for_each(|stream| told.send(stream))
    });
    (url, connections)
}

#[tokio::test]
async fn a_server_that_never_answers_keeps_neither_people_nor_a_stop_waiting() {
    let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
    app.add_user("ada", Role::User).await;
    let (url, connections) = silent_server();
    let program = sender(&app, &url);
    let visitor = program.visitor();
    assert_eq!(forgot(&visitor, ADA).await.status, 202);
    let mut _silent = None;
    eventually("the server is spoken to", async || {
        _silent = connections.try_recv().ok();
        _silent.is_some()
    })
    .await;
    // Meanwhile everything else works.
    assert_eq!(visitor.login(ADA, PASSWORD).await.status, 200);
    assert_eq!(forgot(&visitor, "grace@example.org").await.status, 202);

    // It would never stop if it waited for an answer.
    let (stopped, log) = program.terminate();
    assert!(stopped, "{log:#?}");
    assert!(
        log.iter().any(|line| line.contains("still being sent")),
        "{log:#?}"
    );
    let leased = "select count(*) from mails where attempts = 1 and due_at > now()";
    assert_eq!(app.database().number(leased), 1);
    assert_eq!(
        app.database()
            .number("select count(*) from mails where attempts = 0"),
        1
    );

    let mails = MailServer::start();
    let _next = app.another_instance_with(|config| mails.configure(config)).await;
    app.database()
        .execute("update mails set due_at = due_at - interval '5 minutes'");
    assert_eq!(
        reset(&app.visitor(), &mails.next().await.token(), NEW)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn what_nobody_will_ever_get_is_given_up_and_what_an_operator_can_mend_waits() {
    let app = App::start_with(|config| config.policy.mail = MailPolicy::Needed).await;
    for name in ["nobody", "relay", "ada", "eve"] {
        app.add_user(name, Role::User).await;
        forgot(&app.visitor(), &format!("{name}@example.org")).await;
    }
    // No message is made for it.
    app.add_user("box", Role::User).await;
    app.database()
        .execute("update users set email = 'box@[192.0.2.1]' where email like 'box@%'");
    forgot(&app.visitor(), "box@[192.0.2.1]").await;
    // As if it had waited for days.
    app.database().execute(
        "update mails set created_at = created_at - interval '4 days'
             where email_digest = email_digest('eve@example.org')",
    );
    app.auth.sweep(|_| ()).await.unwrap();
    let mails = MailServer::start();
    let program = sender(&app, &mails.url());
    assert_eq!(mails.next().await.header("To"), ADA);
    eventually("the others were tried", async || {
        app.database().number("select count(*) from mails") == 1
    })
    .await;
    let waits = "select count(*) from mails join users on email_digest(email) = email_digest
        where email like 'relay@%' and attempts > 0";
    assert_eq!(app.database().number(waits), 1);
    let metrics = Client::new(program.metrics_address.unwrap());
    eventually("each is counted", async || {
        let told = metrics.get("/metrics").await.text;
        [
            "outcome=\"sent\"} 1",
            "outcome=\"given_up\"} 2",
            "outcome=\"postponed\"}",
        ]
        .iter()
        .all(|labels| told.contains(labels))
    })
    .await;
}
