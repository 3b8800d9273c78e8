//! There is always an admin who can sign in.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use oneseat::auth::{Authority, Error, LastAdmin};
use oneseat::users::{Email, Role};
use reqwest::Method;
use serde_json::json;

use super::{ROOT, id_of, second_admin};
use crate::support::{Answer, App, Client, oneseat};

const GRACE: &str = "grace@example.org";

const ADMINS: &str = "select count(*) from users where role = 'admin' and disabled_at is null";

/// An admin who removes another in some way, while something else happens.
fn disabling(by: &Client, id: &str) -> tokio::task::JoinHandle<String> {
    let request = by.request(Method::POST, &format!("/api/admin/users/{id}/disable"));
    tokio::spawn(async move {
        let answer = Answer::of(request).await;
        match answer.status.as_u16() {
            204 => "204".to_owned(),
            _ => answer.problem(),
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_admins_who_disable_each_other_one_stays() {
    let app = App::start().await;
    let other = app.another_instance().await;
    for round in 0..25 {
        app.database().execute("delete from users");
        let (root, grace) = (app.admin().await, second_admin(&app).await.at(other.address));
        let (of_root, of_grace) = (id_of(&root).await, id_of(&grace).await);
        let (one, two) = (disabling(&root, &of_grace), disabling(&grace, &of_root));
        let mut answers = [one.await.unwrap(), two.await.unwrap()];
        answers.sort_unstable();
        assert_eq!(answers, ["204", "401 session_ended"], "round {round}");
        assert_eq!(app.database().number(ADMINS), 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_admin_who_can_sign_in_is_lost_by_nobody_and_in_no_race() {
    let app = App::start().await;
    let other = app.another_instance().await;
    for round in 0..20 {
        app.database().execute("delete from users");
        let root = app.admin().await;
        let grace = second_admin(&app).await;
        // An operator removes one, and the other is disabled: by another operator, or by the one who is being removed.
        let remover = app.auth.clone();
        let remove = async move {
            remover
                .remove_user(
                    ROOT.parse::<Email>().unwrap(),
                    Authority::Operator,
                    LastAdmin::Stays,
                )
                .await
        };
        let remove = tokio::spawn(remove);
        let (disabled, refused) = if round % 2 == 0 {
            let of_grace = id_of(&grace).await;
            let answer = disabling(&root.at(other.address), &of_grace).await.unwrap();
            (answer == "204", answer == "401 session_ended")
        } else {
            let grace = GRACE.parse::<Email>().unwrap();
            let outcome = other
                .auth
                .disable(grace, Authority::Operator, LastAdmin::Stays)
                .await;
            (outcome.is_ok(), matches!(outcome, Err(Error::LastAdmin)))
        };
        match remove.await.unwrap() {
            Ok(()) => assert!(refused, "round {round}"),
            Err(error) => assert!(
                disabled && matches!(error, Error::LastAdmin),
                "round {round}: {error}"
            ),
        }
        assert_eq!(app.database().number(ADMINS), 1, "round {round}");
    }
}

/// Two admins, and an operator with a connection to the database.
async fn two_admins() -> (App, PgConnection) {
    let app = App::start().await;
    app.add_user("root", Role::Admin).await;
    app.add_user("grace", Role::Admin).await;
    let operator = app.database().operator();
    (app, operator)
}

#[tokio::test]
async fn not_even_plain_sql_loses_the_last_admin_by_accident() {
    let (app, mut operator) = two_admins().await;
    operator
        .batch_execute("update users set disabled_at = now() where email like 'grace%'")
        .unwrap();
    for statement in [
        "update users set role = 'user' where email like 'root%'",
        "update users set disabled_at = now()",
        "update users set email_verified = false",
        "update users set password_hash = null",
        "update users set password_hash = ''",
        "update users set password_hash = '!'",
        "update users set password_hash = 'x' where role = 'admin'",
        "update users set password_hash = '$6$c4WoMPo3SXsafkva$HHa6uXQZWr7oboPiC2bTr7q1BB8I2s0BRqC'",
        "delete from users",
        "truncate users cascade",
        // Another table with the same name and an admin in it changes nothing.
        "create temp table users as select * from users; delete from public.users",
        "set search_path = pg_temp; delete from public.users",
    ] {
        let refused = operator.batch_execute(statement).unwrap_err().to_string();
        assert!(refused.contains("last admin"), "{statement}: {refused}");
    }
    // The role may pass on within one transaction, in any order; and a transaction that says so may remove
    // the last admin.
    operator
        .batch_execute(
            "reset search_path;
             begin; update users set role = 'user' where email like 'root%';
             update users set disabled_at = null where email like 'grace%'; commit;
             begin; set local oneseat.last_admin_may_go = 'on'; delete from users; commit",
        )
        .unwrap();
    assert_eq!(app.database().number("select count(*) from users"), 0);
    // If there was no admin before, nothing is refused.
    operator.batch_execute("truncate users cascade").unwrap();
}

#[tokio::test]
async fn an_address_that_nobody_can_sign_in_with_is_refused_by_the_database() {
    let (app, mut operator) = two_admins().await;
    for address in [
        "Root@Example.org",
        "RENÉE@x.org",
        " root@example.org",
        "root@x.org\n",
        "ro\tot@x",
        "root",
        "@x",
        "root@",
    ] {
        let statement = format!("update users set email = '{address}' where email like 'root%'");
        let refused = operator.batch_execute(&statement).unwrap_err().to_string();
        assert!(
            refused.contains("users_email_in_normal_form"),
            "{address}: {refused}"
        );
    }
    // Every account that the program counts as such an admin satisfies the database, too.
    for text in [
        "\u{130}@x",
        "\u{1e9e}@x",
        "ΑΣ@x",
        "\u{212b}@x",
        "I\u{307}@x",
        "ǅ@x",
        "Ꭰ@x",
        "a@b@[192.0.2.1]",
    ] {
        let email: Email = text.parse().unwrap();
        app.database().execute(&format!(
            "update users set email = '{email}' where email not like 'grace%'"
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_view_of_the_others_loses_no_admin() {
    let (app, mut first) = two_admins().await;
    for isolation in ["repeatable read", "serializable"] {
        for second_isolation in ["read committed", isolation] {
            let mut second = app.database().operator();
            let begin = |isolation: &str, email: &str| {
                format!(
                    "begin isolation level {isolation}; select from users;
                     update users set disabled_at = now() where email = '{email}'"
                )
            };
            first.batch_execute(&begin(isolation, ROOT)).unwrap();
            second.batch_execute(&begin(second_isolation, GRACE)).unwrap();
            // Each transaction still sees the other user as an admin, and one of them waits for the other.
            let first_to_end = std::thread::spawn(move || {
                let outcome = first.batch_execute("commit");
                (first, outcome)
            });
            let outcomes = [second.batch_execute("commit"), {
                let (connection, outcome) = first_to_end.join().unwrap();
                first = connection;
                outcome
            }];
            let lost = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(lost, 1, "{isolation}, {second_isolation}: {outcomes:?}");
            assert_eq!(
                app.database().number(ADMINS),
                1,
                "{isolation}, {second_isolation}"
            );
            app.database().execute("update users set disabled_at = null");
        }
    }
}

#[tokio::test]
async fn the_last_admin_is_told_to_stay_by_the_api_too() {
    let app = App::start().await;
    let root = app.admin().await;
    let own = format!("/api/admin/users/{}", id_of(&root).await);
    let ends = |client: &Client| {
        [
            client.request(Method::POST, &format!("{own}/disable")),
            client
                .request(Method::PATCH, &own)
                .json(&json!({ "role": "user" })),
            client.request(Method::DELETE, &own),
        ]
    };
    for end in ends(&root) {
        assert_eq!(Answer::of(end).await.problem(), "409 own_account");
    }
    // Another admin who is signed in, but whom the database no longer counts as able to sign in: then the
    // first is the last.
    let grace = second_admin(&app).await;
    app.database()
        .execute("update users set email_verified = false where email like 'grace%'");
    for end in ends(&grace) {
        assert_eq!(Answer::of(end).await.problem(), "409 last_admin");
    }
    assert_eq!(root.get("/api/admin/sessions").await.status, 200);
}

#[tokio::test]
async fn the_command_line_needs_a_word_more_for_the_last_admin() {
    let app = App::start().await;
    app.add_user("root", Role::Admin).await;
    let run = |args: &[&str]| {
        let output = oneseat(&[args, &["--database-url", app.database().url()]].concat(), "");
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let last_admin: &[&str] = &["--last-admin"];
    for (act, rest, left) in [
        ("disable", &[][..], 0),
        ("enable", &[], 1),
        ("role", &["user"], 0),
        ("role", &["admin"], 1),
        ("remove", &["--yes"], 0),
    ] {
        let line = [&["user", act, ROOT], rest].concat();
        if left == 0 {
            let (done, words) = run(&line);
            assert!(!done && words.trim().lines().count() == 1, "{act}: {words}");
            assert!(
                words.contains("last admin") && words.contains("--last-admin"),
                "{act}: {words}"
            );
            assert_eq!(app.database().number(ADMINS), 1, "{act}");
            assert!(run(&[&line, last_admin].concat()).0, "{act}");
        } else {
            assert!(run(&line).0, "{act}");
        }
        assert_eq!(app.database().number(ADMINS), left, "{act}");
    }
}
