//! The command line, as an operator types it.

use std::process::Output;

use oneseat::users::Role;
use serde_json::Value;

use crate::support::{App, Database, PASSWORD, oneseat, oneseat_with};

fn run(app: &App, args: &[&str], input: &str) -> (i32, String, String) {
    outcome(oneseat(
        &[args, &["--database-url", app.database().url()]].concat(),
        input,
    ))
}

fn outcome(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn an_added_user_signs_in_with_the_generated_password() {
    let app = App::start().await;
    let (code, out, _) = run(
        &app,
        &["user", "add", "Ada@Example.org", "--name", "Ada", "--verified"],
        "",
    );
    assert_eq!(code, 0);
    let password = out
        .lines()
        .find_map(|line| line.strip_prefix("password, shown once: "))
        .unwrap();
    assert_eq!(
        out,
        format!("added ada@example.org (user)\npassword, shown once: {password}\n")
    );
    assert_eq!(app.visitor().login("ada@example.org", password).await.status, 200);
    let add = [
        "user",
        "add",
        "bob@example.org",
        "--name",
        "Bob",
        "--role",
        "admin",
        "--password-stdin",
    ];
    let (code, out, _) = run(&app, &add, &format!("{PASSWORD}\n"));
    let verify = "not verified yet, so not able to sign in: oneseat user verify bob@example.org";
    assert_eq!(
        (code, out),
        (0, format!("added bob@example.org (admin)\n{verify}\n"))
    );
    assert_eq!(app.visitor().login("bob@example.org", PASSWORD).await.status, 403);
}

#[tokio::test]
async fn a_given_password_is_read_from_standard_input() {
    let app = App::start().await;
    let add = [
        "user",
        "add",
        "ada@example.org",
        "--name",
        "Ada",
        "--role",
        "admin",
        "--verified",
        "--password-stdin",
    ];
    let (code, out, _) = run(&app, &add, &format!("{PASSWORD}\n"));
    assert_eq!(code, 0);
    assert!(!out.contains(PASSWORD));
    let answer = app.visitor().login("ada@example.org", PASSWORD).await;
    assert_eq!(answer.json()["user"]["role"], "admin");
    let (code, _, error) = run(&app, &add, &format!("{PASSWORD}\n"));
    assert_eq!((code, error.lines().count()), (1, 1), "{error}");
    // The end of the line is no part of it, whatever the system that wrote it; everything before that is.
    let set = ["user", "password", "ada@example.org", "--password-stdin"];
    for (given, password) in [
        ("seven brass lanterns\r\n", "seven brass lanterns"),
        ("eight copper kettles\r", "eight copper kettles"),
        ("nine wooden ladders", "nine wooden ladders"),
        ("ten marble stairways\neleven more\n", "ten marble stairways"),
        (" twelve silver spoons \n", " twelve silver spoons "),
    ] {
        let (code, out, error) = run(&app, &set, given);
        assert_eq!(
            (code, out.as_str()),
            (0, "ada@example.org has a new password\n"),
            "{error}"
        );
        let answer = app.visitor().login("ada@example.org", password).await;
        assert_eq!(answer.status, 200, "{given:?}");
    }
}

#[tokio::test]
async fn a_short_password_is_refused_with_the_reason() {
    let app = App::start().await;
    let add = [
        "user",
        "add",
        "ada@example.org",
        "--name",
        "Ada",
        "--password-stdin",
    ];
    let (code, _, error) = run(&app, &add, "short\n");
    assert_eq!(
        (code, error.as_str()),
        (1, "oneseat: password must have at least 15 characters\n")
    );
    assert_eq!(app.database().number("select count(*) from users"), 0);
}

#[tokio::test]
async fn verify_disable_enable_unlock_and_remove_do_what_they_say() {
    let app = App::start().await;
    app.add_unverified_user("ada").await;
    let status = async || {
        app.visitor()
            .login("ada@example.org", PASSWORD)
            .await
            .status
            .as_u16()
    };
    let user = |verb: &str| assert_eq!(run(&app, &["user", verb, "ada@example.org"], "").0, 0, "{verb}");
    assert_eq!(status().await, 403);
    user("verify");
    let ada = app.visitor().sign_in("ada@example.org").await;
    user("disable");
    // Before anybody asks about the session: one that is only refused would live again when she is enabled.
    assert_eq!(app.sessions(), 0);
    assert_eq!(ada.session().await.status, 401);
    assert_eq!(status().await, 403);
    user("enable");
    assert_eq!(status().await, 200);
    for _ in 0..5 {
        app.visitor().login("ada@example.org", "not the password").await;
    }
    assert_eq!(status().await, 403);
    user("unlock");
    assert_eq!(status().await, 200);
    assert_eq!(
        run(&app, &["user", "remove", "ada@example.org", "--yes"], "").0,
        0
    );
    assert_eq!(status().await, 401);
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn names_and_roles_change_at_once_by_address_and_by_id() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let user = async || ada.session().await.json()["user"].clone();
    let id = user().await["id"].as_str().unwrap().to_owned();
    let done = |args: &[&str]| {
        let (code, out, error) = run(&app, args, "");
        assert_eq!(code, 0, "{args:?}: {error}");
        out
    };
    let rename = ["user", "rename", "Ada@Example.org", "--name", "Ada King"];
    assert_eq!(done(&rename), "ada@example.org is now called Ada King\n");
    assert_eq!(user().await["name"], "Ada King");
    assert_eq!(
        done(&["user", "role", &id, "admin"]),
        format!("{id} is an admin\n")
    );
    assert_eq!(ada.get("/api/admin/users").await.status, 200);
    let demote = ["user", "role", "ada@example.org", "user", "--last-admin"];
    assert_eq!(done(&demote), "ada@example.org is a user\n");
    assert_eq!(ada.get("/api/admin/users").await.problem(), "403 forbidden");
    for (wrong, code, words) in [
        (
            &["user", "role", "nobody@example.org", "admin"][..],
            1,
            "no user nobody@example.org",
        ),
        (
            &["user", "rename", "ada@example.org", "--name", " "],
            2,
            "1 to 200 characters",
        ),
        (
            &["user", "role", "ada@example.org", "king"],
            2,
            "must be user or admin",
        ),
        (&["user", "rename", "ada@example.org"], 2, "needs --name NAME"),
    ] {
        let (status, out, error) = run(&app, wrong, "");
        assert_eq!((status, out.as_str()), (code, ""), "{error}");
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_password_made_of_the_users_name_is_refused_as_it_is_in_the_api() {
    let app = App::start().await;
    let add = [
        "user",
        "add",
        "ada@x.org",
        "--name",
        "Ada Quillfeather Brackenbury",
        "--verified",
    ];
    assert_eq!(run(&app, &add, "").0, 0);
    let set = ["user", "password", "ada@x.org", "--password-stdin"];
    let (code, _, err) = run(&app, &set, "quillfeather brackenbury\n");
    assert_eq!(code, 1);
    assert!(err.contains("says little more than your name"), "{err}");
    assert_eq!(run(&app, &set, &format!("{PASSWORD}\n")).0, 0);
    assert_eq!(app.visitor().login("ada@x.org", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_new_password_ends_the_session() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let (code, out, _) = run(&app, &["user", "password", "ada@example.org"], "");
    assert_eq!(code, 0);
    assert_eq!(ada.session().await.status, 401);
    let password = out
        .lines()
        .find_map(|line| line.strip_prefix("password, shown once: "))
        .unwrap();
    assert_eq!(app.visitor().login("ada@example.org", password).await.status, 200);
}

#[tokio::test]
async fn lists_are_tables_and_json() {
    let app = App::start().await;
    app.signed_in("ada").await;
    app.add_user("root", Role::Admin).await;
    let (_, table, _) = run(&app, &["user", "list"], "");
    assert!(
        table.contains("ada@example.org") && table.contains("admin"),
        "{table}"
    );
    let users: Value = serde_json::from_str(&run(&app, &["user", "list", "--json"], "").1).unwrap();
    // The newest first, and no more than asked for.
    assert_eq!(users[0]["email"], "root@example.org");
    assert_eq!(users[1]["email"], "ada@example.org");
    let (_, newest, rest) = run(&app, &["user", "list", "--limit", "1"], "");
    assert!(newest.starts_with("root\troot@example.org\t"), "{newest}");
    assert_eq!(rest, "1 more: --limit 2\n");
    let sessions: Value = serde_json::from_str(&run(&app, &["session", "list", "--json"], "").1).unwrap();
    assert_eq!(sessions[0]["user"]["email"], "ada@example.org");
    let shown: Value =
        serde_json::from_str(&run(&app, &["user", "show", "ada@example.org", "--json"], "").1).unwrap();
    assert_eq!(shown["session"]["id"], sessions[0]["id"]);
    assert_eq!(shown["lockedUntil"], Value::Null);
    let show = ["user", "show", "ada@example.org"];
    assert!(!run(&app, &show, "").1.contains("not delivered"));
    app.database().execute(
        "insert into undelivered_mails values (email_digest('ada@example.org'), 'password_reset', 'it is full')",
    );
    let shown = run(&app, &show, "").1;
    assert!(
        shown.contains("not delivered") && shown.contains("it is full"),
        "{shown}"
    );
}

#[tokio::test]
async fn sessions_end_by_user_by_id_and_all_at_once() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let grace = app.signed_in("grace").await;
    let linus = app.signed_in("linus").await;
    assert_eq!(
        run(&app, &["session", "end", "--user", "ada@example.org"], "").0,
        0
    );
    assert_eq!(ada.session().await.status, 401);
    let id = grace.session().await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(run(&app, &["session", "end", "--id", &id], "").0, 0);
    assert_eq!(grace.session().await.status, 401);
    assert_eq!(linus.session().await.status, 200);
    assert_eq!(
        run(&app, &["session", "end", "--all", "-y"], "").1,
        "ended 1 session\n"
    );
    assert_eq!(linus.session().await.status, 401);
    assert_eq!(
        run(&app, &["session", "end", "--user", "ada@example.org"], "").0,
        1
    );
    assert_eq!(run(&app, &["session", "end"], "").0, 2);
}

#[tokio::test]
async fn sweep_and_migrate_say_what_they_did() {
    let app = App::start_swept().await;
    app.signed_in("ada").await;
    app.database()
        .execute(&crate::support::sql::backdate_sessions("3 hours"));
    let swept = run(&app, &["sweep"], "").1;
    assert_eq!(
        swept,
        "removed 1 expired sessions, 0 old endings, 0 stale login failures and 0 other rows\n"
    );
    assert_eq!(run(&app, &["migrate"], "").1, "up to date\n");
}

#[test]
fn migrate_says_what_it_applied_and_nothing_else() {
    let database = Database::empty();
    let migrate = ["migrate", "--database-url", database.url()];
    let applied = outcome(oneseat(&migrate, ""));
    let versions = "select string_agg('applied ' || version || e'\\n', '' order by version) from __diesel_schema_migrations";
    assert_eq!(applied, (0, database.text(versions), String::new()));
    assert_eq!(
        outcome(oneseat(&migrate, "")),
        (0, "up to date\n".to_owned(), String::new())
    );
}

#[test]
fn a_bad_password_is_told_before_a_database_is_asked() {
    let nowhere = [
        "--password-stdin",
        "--database-url",
        "postgres://127.0.0.1:1/nothing",
    ];
    for (command, given, words) in [
        (
            &["user", "password", "ada@example.org"][..],
            "short\n",
            "password must have at least 15 characters",
        ),
        (
            &["user", "password", "ada.lovelace.of.london@example.org"],
            "ada.lovelace.of.london\n",
            "password is too easy to guess: it says little more than your name, your address or what this service is called",
        ),
        (
            &["user", "add", "ada@example.org", "--name", "Ada"],
            "short\n",
            "password must have at least 15 characters",
        ),
    ] {
        let told = outcome(oneseat(&[command, &nowhere].concat(), given));
        assert_eq!(
            told,
            (1, String::new(), format!("oneseat: {words}\n")),
            "{command:?}"
        );
    }
}

#[test]
fn a_host_that_nobody_knows_is_told_apart_from_a_string_that_cannot_be_read() {
    let unknown = "the host in the connection string has no address that can be found; check how it is written and the \
                   name service (special characters in a password must be percent-encoded)";
    let unreadable = "the connection string cannot be used; write it like postgres://user@host/database, with special \
                      characters percent-encoded";
    for (url, words) in [
        ("postgres://u:canary@no-such-host.invalid/db", unknown),
        ("postgres://u:canary%zz@localhost/db", unreadable),
        ("postgres://u:can/canary@localhost/db", unreadable),
    ] {
        let told = outcome(oneseat(&["user", "list", "--database-url", url], ""));
        assert_eq!(
            told,
            (
                1,
                String::new(),
                format!("oneseat: the database is unavailable: {words}\n")
            ),
            "{url}"
        );
    }
}

#[test]
fn every_bad_setting_is_named_before_anything_starts() {
    let args = [
        "serve",
        "--bind",
        "nowhere",
        "--idle-timeout",
        "soon",
        "--lockout",
        "never",
    ];
    let (code, out, error) = outcome(oneseat(&args, ""));
    assert_eq!((code, out.as_str()), (2, ""));
    for flag in ["--bind", "--idle-timeout", "--lockout"] {
        assert!(error.contains(flag), "{error}");
    }
}

#[test]
fn an_unreachable_database_is_one_line() {
    let url = "postgres://oneseat:canary@127.0.0.1:1/none";
    let (code, _, error) = outcome(oneseat(&["user", "list", "--database-url", url], ""));
    assert_eq!((code, error.lines().count()), (1, 1), "{error}");
    assert!(!error.contains("canary"), "{error}");
}

#[test]
fn help_teaches() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["user", "add", "--help"],
        &["session", "end", "--help"],
    ] {
        let (code, out, _) = outcome(oneseat(args, ""));
        assert_eq!(code, 0);
        assert!(out.contains("Usage:") && out.len() > 400, "{out}");
    }
}

#[tokio::test]
async fn output_that_cannot_be_written_is_an_error_and_not_a_panic() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let into = |output: &str, command: &str| {
        let script = format!("\"$0\" {command} --database-url \"$1\" {output}");
        let shell = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_oneseat"), app.database().url()])
            .output();
        let (code, _, error) = outcome(shell.unwrap());
        assert!(!error.contains("panic"), "{command}: {error}");
        (code, error)
    };
    for command in [
        "user list",
        "user list --json",
        "session list --json",
        "client list --json",
    ] {
        let (code, error) = into("> /dev/full", command);
        let words = "cannot write to standard output: No space left on device";
        assert!(code == 1 && error.contains(words), "{command}: {code} {error}");
    }
    let (code, error) = into(">&-", "user list");
    assert!(code == 1 || error.is_empty(), "{code} {error}");

    // A secret that nobody has seen is of no use: of a service nothing is left, and of a password that is told.
    let (code, error) = into("> /dev/full", "client add Payroll");
    let services = "select count(*) from service_clients";
    assert_eq!((code, app.database().number(services)), (1, 0), "{error}");
    for command in [
        "user password ada@example.org",
        "user add bob@example.org --name Bob",
    ] {
        let (code, error) = into("> /dev/full", command);
        let words = "the new password is set but could not be shown; set another with: oneseat user password";
        assert!(code == 1 && error.contains(words), "{command}: {code} {error}");
    }
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 401);
}

#[test]
fn a_password_in_a_broken_connection_string_is_not_repeated() {
    for (url, status, lines) in [
        ("postgres://u:canary%zz@localhost/db", 1, 1),
        ("postgres://u:can/canary@localhost/db", 1, 1),
        // No connection strings at all: wrong usage.
        ("mysql://u:canary@h/d", 2, 1),
        ("canary", 2, 1),
    ] {
        let (code, out, error) = outcome(oneseat(&["user", "list", "--database-url", url], ""));
        assert_eq!(
            (code, out.as_str(), error.lines().count()),
            (status, "", lines),
            "{error}"
        );
        assert!(!error.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn what_an_operator_does_is_in_the_security_log() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    app.add_user("root", Role::Admin).await;
    let user = app
        .database()
        .text("select 'user=' || id from users where name = 'ada'");
    let ada = "countess@example.org";
    let address = format!("address={}", app.database().short_digest(ada));
    for (args, event) in [
        (
            &["user", "rename", "ada@example.org", "--name", "Ada"][..],
            format!("user_updated {user} attribute=name"),
        ),
        (
            &[
                "user",
                "address",
                "ada@example.org",
                ada,
                "--verified",
                "--no-mail",
            ],
            format!("user_updated {user} attribute=email"),
        ),
        (
            &["user", "role", ada, "admin"],
            format!("authz_change {user} was=user role=admin"),
        ),
        (
            &["user", "role", ada, "user"],
            format!("authz_change {user} was=admin role=user"),
        ),
        (&["user", "disable", ada], format!("user_disabled {user}")),
        (&["user", "enable", ada], format!("user_enabled {user}")),
        (&["user", "unlock", ada], format!("authn_login_unlock {address}")),
        (&["user", "verify", ada], format!("user_verified {user}")),
        (
            &["user", "password", ada],
            format!("authn_password_change {user}"),
        ),
        (&["user", "remove", ada, "--yes"], format!("user_deleted {user}")),
        (
            &["client", "add", "Payroll"],
            "service_client_created name=Payroll".to_owned(),
        ),
        (
            &["client", "remove", "Payroll", "--yes"],
            "service_client_deleted name=Payroll".to_owned(),
        ),
    ] {
        if args.contains(&"enable") {
            app.visitor().login(ada, "not the password").await;
            app.database()
                .execute("update users set email_verified = false where name = 'Ada'");
        }
        let (_, _, log) = run(&app, args, "");
        let told = log
            .lines()
            .filter_map(|line| line.split_once("oneseat::security] "));
        let told: Vec<_> = told.map(|(_, words)| words).collect();
        assert_eq!(told, [format!("{event} by=operator")], "{args:?}: {log}");
    }
    app.signed_in("grace").await;
    app.database()
        .execute(&crate::support::sql::backdate_sessions("3 hours"));
    // However many they are: the audit log leaves none out.
    app.database().execute(
        "insert into users (name, email) select 'u', n || '@example.org' from generate_series(1, 29) as n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(email::bytea), '192.0.2.1', now(), now() - interval '1 second', now()
             from users where name = 'u'",
    );
    let (_, _, log) = run(&app, &["sweep"], "");
    let ends = log
        .lines()
        .filter(|line| line.contains("reason=expired") && line.contains("by=time"));
    assert_eq!(ends.count(), 30, "{log}");
}

#[test]
fn a_variable_that_is_no_setting_is_told() {
    let database = Database::fresh();
    let migrate = ["migrate", "--database-url", database.url()];
    let migrated = oneseat_with(
        &migrate,
        &[("ONESEAT_IDEL_TIMEOUT", "5m"), ("ONESEAT_IDLE_TIMEOUT", "5m")],
        "",
    );
    let said = String::from_utf8(migrated.stderr).unwrap();
    assert!(migrated.status.success(), "{said}");
    assert!(said.contains("ONESEAT_IDEL_TIMEOUT is no setting"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_password_that_is_no_text_is_refused_in_words() {
    let database = Database::fresh();
    let script = format!(
        "printf '\\377' | {} user add ada@example.org --name Ada --password-stdin --database-url '{}'",
        env!("CARGO_BIN_EXE_oneseat"),
        database.url()
    );
    let refused = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("is not UTF-8") && said.lines().count() == 1,
        "{said}"
    );
}
