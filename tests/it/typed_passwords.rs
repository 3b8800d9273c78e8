//! A password that an operator types at a terminal.

use std::io::{Read, Write};

use oneseat::users::Role;

use crate::support::{App, PASSWORD, oneseat};
use crate::terminal::at_terminal;

const NEW: &str = "nine green bottles on a wall";

/// Sets Ada's password by what is typed after each question. The exit status, and everything that the terminal shows.
fn set(app: &App, answers: [&str; 2]) -> (Option<i32>, String) {
    let database = app.database().url();
    let set = [
        "user",
        "password",
        "ada@example.org",
        "--password-stdin",
        "--database-url",
        database,
    ];
    let mut child = at_terminal(80, &set, &[]);
    let (mut output, mut seen) = (child.stdout.take().unwrap(), Vec::new());
    for (question, answer) in ["not shown): ", "Once more: "].into_iter().zip(answers) {
        while !String::from_utf8_lossy(&seen).ends_with(question) {
            let mut byte = [0];
            assert_eq!(
                output.read(&mut byte).unwrap(),
                1,
                "{}",
                String::from_utf8_lossy(&seen)
            );
            seen.push(byte[0]);
        }
        child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(answer.as_bytes())
            .unwrap();
    }
    output.read_to_end(&mut seen).unwrap();
    (child.wait().unwrap().code(), String::from_utf8(seen).unwrap())
}

#[tokio::test]
async fn a_password_that_is_typed_is_asked_for_twice_and_not_shown() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let typed = format!("{NEW}\n");
    let (code, text) = set(&app, [&typed, &typed]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("ada@example.org has a new password"), "{text}");
    assert!(!text.contains("bottles"), "{text}");
    assert_eq!(app.visitor().login("ada@example.org", NEW).await.status, 200);
}

#[tokio::test]
async fn a_typing_error_changes_no_password_and_an_interruption_ends_in_order() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let (code, text) = set(&app, [&format!("{NEW}\n"), &format!("{NEW}!\n")]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("two different passwords; nothing was changed"),
        "{text}"
    );
    let (code, text) = set(&app, [&format!("{NEW}\n"), "\x03"]);
    assert_eq!(code, Some(130), "{text}");
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn every_command_about_an_account_takes_its_id() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let id = ada.session().await.json()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (command, told) in [
        (vec!["user", "show", &id], "ada@example.org"),
        (vec!["user", "verify", &id], "is verified"),
        (vec!["user", "unlock", &id], "had no failed sign-ins"),
        (
            vec!["user", "rename", &id, "--name", "Ada King"],
            "is now called Ada King",
        ),
        (vec!["user", "role", &id, "user"], "is a user"),
        (vec!["user", "disable", &id], "is disabled"),
        (vec!["user", "enable", &id], "is enabled"),
        (vec!["user", "password", &id], "has a new password"),
        (
            vec!["user", "address", &id, "ada@example.org"],
            "has this address already; nothing was changed",
        ),
        (
            vec!["user", "address", &id, "ada@example.com"],
            "has the address ada@example.com now",
        ),
        (vec!["user", "remove", &id, "--yes"], "is removed"),
    ] {
        let command = [command, vec!["--database-url", app.database().url()]].concat();
        let output = oneseat(&command, "");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains(told),
            "{command:?}: {output:?}"
        );
    }
}
