//! An open page of an admin renews its lists, whatever changes their contents: commands, imports, locks and
//! mails.

use oneseat::users::Role;
use reqwest::Method;
use serde_json::json;

use crate::recovery::start;
use crate::support::{Answer, App, EventStream, MailServer, PASSWORD, oneseat};

/// Runs a command, and waits until the page is told to renew itself.
async fn renews(app: &App, events: &mut EventStream, args: &[&str], input: &str) {
    events.quiet().await;
    let done = oneseat(&[args, &["--database-url", app.database().url()]].concat(), input);
    assert!(done.status.success(), "{args:?}: {done:?}");
    assert_eq!(events.next().await.unwrap().0, "changed", "{args:?}");
}

#[tokio::test]
async fn every_command_that_changes_a_list_renews_it_in_open_pages() {
    let app = App::start().await;
    let mut events = EventStream::open(&app.admin().await).await;
    app.add_user("bob", Role::User).await;
    for _ in 0..5 {
        app.visitor().login("bob@example.org", "not the password").await;
    }
    let import = "email,name\nivo@example.org,Ivo\n";
    for (args, input) in [
        (&["user", "add", "ada@example.org", "--name", "Ada"][..], ""),
        (&["user", "invite", "eva@example.org", "--name", "Eva"], ""),
        (&["user", "import", "-", "--format", "csv"], import),
        (&["user", "unlock", "bob@example.org"], ""),
        (&["user", "verify", "ada@example.org"], ""),
        (&["user", "password", "ivo@example.org"], ""),
        (&["user", "disable", "bob@example.org"], ""),
        (&["user", "enable", "bob@example.org"], ""),
        (&["user", "remove", "eva@example.org", "--yes"], ""),
    ] {
        renews(&app, &mut events, args, input).await;
    }
    app.visitor().sign_in("bob@example.org").await;
    renews(
        &app,
        &mut events,
        &["session", "end", "--user", "bob@example.org"],
        "",
    )
    .await;
    // A rehearsal and an import of what is there already change nothing, so there is nothing to tell.
    app.database().execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'told'; end $$;
         create trigger refuse before insert on feed for each row execute function refuse();",
    );
    let url = app.database().url();
    for args in [&["--dry-run"][..], &[]] {
        let import_again = [
            &["user", "import", "-", "--format", "csv", "--database-url", url],
            args,
        ];
        assert!(oneseat(&import_again.concat(), import).status.success());
    }
}

#[tokio::test]
async fn what_another_admin_does_a_lock_and_what_becomes_of_a_mail_renew_open_pages() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let admin = app.admin().await;
    app.add_user("bob", Role::User).await;
    let mut events = EventStream::open(&admin).await;
    events.quiet().await;
    // The mail server knows no such recipient: the invitation is given up.
    let invitation = json!({ "email": "once@example.org", "name": "Somebody" });
    assert_eq!(admin.post("/api/admin/users", &invitation).await.status, 201);
    assert_eq!(events.next().await.unwrap().0, "changed");
    let given_up = "select count(*) from undelivered_mails";
    while app.database().number(given_up) == 0 {
        assert_eq!(events.next().await.unwrap().0, "changed");
    }
    events.quiet().await;
    // Sent again, it is not one that was given up.
    let id = app
        .database()
        .text("select id::text from users where name = 'Somebody'");
    let again = admin.request(Method::POST, &format!("/api/admin/users/{id}/password-link"));
    assert_eq!(Answer::of(again).await.status, 204);
    assert_eq!(events.next().await.unwrap().0, "changed");
    events.quiet().await;
    for _ in 0..5 {
        app.visitor().login("bob@example.org", "not the password").await;
    }
    assert_eq!(app.visitor().login("bob@example.org", PASSWORD).await.status, 403);
    assert_eq!(events.next().await.unwrap().0, "changed");
}
