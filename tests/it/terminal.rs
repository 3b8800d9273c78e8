//! The command line at a terminal and in a pipe.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};

use console::measure_text_width;
use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oneseat::users::Role;

use crate::support::{App, begun, eventually, oneseat, oneseat_with, watch_command};

/// `oneseat` on a terminal that `script` gives it, so many columns wide.
pub(crate) fn at_terminal(columns: u16, args: &[&str], environment: &[(&str, &str)]) -> Child {
    at_terminal_but(columns, args, "", environment)
}

/// Like [`at_terminal`], with a redirection such as `2> FILE`.
fn at_terminal_but(columns: u16, args: &[&str], but: &str, environment: &[(&str, &str)]) -> Child {
    let words: Vec<_> = args.iter().map(|word| format!("'{word}'")).collect();
    let command = format!(
        "stty cols {columns} rows 24; exec {} {} {but}",
        env!("CARGO_BIN_EXE_oneseat"),
        words.join(" ")
    );
    let child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env_remove("DATABASE_URL")
        .env_remove("RUST_LOG")
        // What a tester's machine says about colours: `CI` alone brings them to a dumb terminal.
        .env_remove("CI")
        .env_remove("CLICOLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    watch_command(&child);
    child
}

/// The exit status, and everything that the terminal shows, when this is typed.
fn shown(columns: u16, app: &App, args: &[&str], typed: &str) -> (i32, String) {
    let args = [args, &["--database-url", app.database().url()]].concat();
    let mut child = at_terminal(columns, &args, &[]);
    child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
    // The input stays open until the end: if it closed, `script` would close the program's input, too.
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code().unwrap(), left_on_screen(&text))
}

/// The text without what was erased: on a slow machine a progress line appears.
fn left_on_screen(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            line.rsplit("\u{1b}[2K")
                .next()
                .unwrap_or_default()
                .replace('\r', "")
        })
        .collect()
}

fn piped(app: &App, args: &[&str]) -> (i32, String, String) {
    let args = [args, &["--database-url", app.database().url()]].concat();
    outcome(oneseat(&args, ""))
}

fn outcome(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Names that are long, wide, or run from right to left.
fn name_people(app: &App, rows: &[(&str, &str)]) {
    for (name, email) in rows {
        let (code, _, error) = piped(app, &["user", "add", email, "--name", name, "--verified"]);
        assert_eq!(code, 0, "{error}");
    }
}

const LONG: &str = "Ada Lovelace of London and elsewhere, countess and first of all programmers";
const HEBREW: &str = "שלום עולם";

#[tokio::test]
async fn a_list_fits_the_terminal_with_the_names_first() {
    let app = App::start().await;
    name_people(
        &app,
        &[(LONG, "ada@example.org"), ("山田太郎", "yamada@example.org")],
    );
    for columns in [24, 40, 60, 200] {
        let (code, text) = shown(columns, &app, &["user", "list"], "");
        assert_eq!(code, 0, "{text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("NAME"), "{text}");
        for line in lines {
            assert!(
                measure_text_width(line) <= usize::from(columns),
                "{columns}: {line}"
            );
        }
        assert_eq!(text.contains(LONG), columns == 200, "{columns}: {text}");
        assert_eq!(text.contains('…'), columns != 200, "{columns}: {text}");
    }
}

#[tokio::test]
async fn times_are_relative_on_a_terminal_and_exact_in_a_pipe() {
    let app = App::start().await;
    // Where nobody is signed in there is nobody to end.
    let nobody = "nobody is signed in\n".to_owned();
    assert_eq!(shown(200, &app, &["session", "list"], ""), (0, nobody.clone()));
    assert_eq!(piped(&app, &["session", "list"]), (0, String::new(), nobody));
    app.signed_in("ada").await;
    app.database()
        .execute("update sessions set created_at = created_at - interval '4 minutes', last_activity = last_activity - interval '4 minutes'");
    let (_, text) = shown(200, &app, &["session", "list"], "");
    assert!(text.contains("4 min ago") && text.contains("in 2 h"), "{text}");
    // No id is needed, which a narrow terminal does not show.
    let (_, text) = shown(80, &app, &["session", "list"], "");
    assert!(
        text.ends_with("to end one of them: oneseat session end --user EMAIL\n"),
        "{text}"
    );
    let (_, text, _) = piped(&app, &["session", "list"]);
    let row: Vec<_> = text.strip_suffix('\n').unwrap().split('\t').collect();
    assert_eq!(row.len(), 8, "{text}");
    assert_eq!(row[1], "ada@example.org");
    for at in [row[3], row[4], row[6]] {
        assert!(
            at.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(at).is_ok(),
            "{at}"
        );
    }
    let id = app.database().text("select id::text from sessions");
    assert_eq!(row[7], id);
}

#[tokio::test]
async fn another_program_gets_values_in_full_and_nothing_else() {
    let app = App::start().await;
    let (code, out, error) = piped(&app, &["user", "list"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(error.starts_with("no users yet"), "{error}");
    let (_, out, error) = piped(&app, &["user", "list", "--log-format", "json"]);
    let note: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert!(out.is_empty() && note["message"].as_str().unwrap().starts_with("no users yet"));
    name_people(&app, &[(LONG, "ada@example.org"), (HEBREW, "zoe@example.org")]);
    let (_, out, error) = piped(&app, &["user", "list"]);
    let rows = [
        format!("{HEBREW}\tzoe@example.org\tuser\tactive"),
        format!("{LONG}\tada@example.org\tuser\tactive"),
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), rows);
    assert_eq!(error, "");
    let (_, text) = shown(100, &app, &["user", "list"], "");
    assert!(text.contains(&format!("\u{2068}{HEBREW}\u{2069}")), "{text}");
}

#[tokio::test]
async fn people_read_the_letters_of_a_domain_and_programs_its_ascii() {
    let app = App::start().await;
    let shown_as = |given: &str| {
        let email = format!("ada@{given}");
        name_people(&app, &[("Ada", &email)]);
        let stored = app.database().text("select email from users");
        let since = app.database().text(
            "select to_char(date_trunc('second', created_at) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') from users",
        );
        let (_, facts, _) = piped(&app, &["user", "show", &email]);
        assert_eq!(
            facts,
            format!(
                "name\tAda\nemail\t{stored}\nrole\tuser\nstate\tactive\nlocked\tno\nadded\t{since}\nseat\tnot signed in\n"
            )
        );
        let (_, table) = shown(200, &app, &["user", "list"], "");
        let (_, facts) = shown(200, &app, &["user", "show", &email], "");
        let (code, question) = shown(200, &app, &["user", "remove", &email], "y\n");
        assert_eq!(
            (code, app.database().number("select count(*) from users")),
            (0, 0)
        );
        let read = facts
            .lines()
            .find_map(|line| line.strip_prefix("email   "))
            .unwrap();
        let read = read.trim().to_owned();
        assert!(table.contains(&format!(" {read} ")), "{table}");
        let asked = format!("Remove the account of Ada, {read} (user)? It cannot be brought back. [y/N] ");
        assert!(question.contains(&asked), "{question}");
        (stored, read)
    };
    // Han, Hiragana and Latin are written together; Cyrillic and Latin are not (UTS 39 5.2).
    let stored = "ada@xn--tokyo-653dw88r.jp".to_owned();
    assert_eq!(shown_as("例えtokyo.jp"), (stored, "ada@例えtokyo.jp".to_owned()));
    let (stored, read) = shown_as("аpple.com");
    assert_eq!((stored.starts_with("ada@xn--"), &read), (true, &stored));
}

#[tokio::test]
async fn an_invitation_that_no_server_takes_is_told_on_a_terminal() {
    let app = App::start().await;
    let (code, text) = shown(
        200,
        &app,
        &["user", "invite", "ada@example.org", "--name", "Ada"],
        "",
    );
    let waits = "no server has taken the mail yet: it waits until a `oneseat serve` runs that sends mail (--smtp-url)";
    assert_eq!(
        (code, text),
        (0, format!("invited ada@example.org (user); {waits}\n"))
    );
    // Another program does not wait for it.
    let (code, text, _) = piped(
        &app,
        &[
            "user",
            "invite",
            "bob@example.org",
            "--name",
            "Bob",
            "--role",
            "admin",
        ],
    );
    let sends = "a `oneseat serve` that sends mail (--smtp-url) sends it";
    assert_eq!(
        (code, text),
        (0, format!("invited bob@example.org (admin); {sends}\n"))
    );
}

#[tokio::test]
async fn lists_search_and_say_how_many_more_there_are() {
    let app = App::start().await;
    for name in ["ada", "grace", "linus", "lina"] {
        app.signed_in(name).await;
    }
    for list in [["user", "list"], ["session", "list"]] {
        let (_, out, note) = piped(&app, &[&list[..], &["--limit", "1"]].concat());
        assert_eq!((out.lines().count(), note.as_str()), (1, "3 more: --limit 4\n"));
        let (_, out, note) = piped(&app, &[&list[..], &["--limit", "1", "--search", "lin"]].concat());
        assert_eq!((out.lines().count(), note.as_str()), (1, "1 more: --limit 2\n"));
        let (_, out, note) = piped(&app, &[&list[..], &["--limit", "1", "--quiet"]].concat());
        assert_eq!((out.lines().count(), note.as_str()), (1, ""));
        let (_, out, note) = piped(&app, &[&list[..], &["--search", "grace"]].concat());
        assert_eq!((out.lines().count(), note.as_str()), (1, ""));
        assert!(out.contains("grace@example.org"), "{out}");
        let (_, found, _) = piped(&app, &[&list[..], &["--search", "GRÄÇE"]].concat());
        assert_eq!(found, out);
        let (_, out, note) = piped(&app, &[&list[..], &["--search", "nobody"]].concat());
        assert_eq!((out.as_str(), note.as_str()), ("", "nothing is found\n"));
        let (_, out, _) = piped(&app, &[&list[..], &["--limit", "2", "--json"]].concat());
        let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_is_lost_for_good_is_asked_for_on_a_terminal() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let grace = app.signed_in("grace").await;
    let end = ["session", "end", "--all"];
    let (code, text) = shown(80, &app, &end, "n\n");
    assert!(
        text.contains("End all 2 sessions?") && text.contains("nothing was changed"),
        "{text}"
    );
    assert_eq!((code, app.sessions()), (1, 2), "{text}");
    let (code, text) = shown(80, &app, &end, "y\n");
    assert_eq!((code, app.sessions()), (0, 0), "{text}");
    assert_eq!(
        (ada.session().await.status, grace.session().await.status),
        (401.try_into().unwrap(), 401.try_into().unwrap())
    );

    let remove = ["user", "remove", "ada@example.org"];
    let users = || app.database().number("select count(*) from users");
    let (code, text) = shown(80, &app, &remove, "\n");
    assert!(text.contains("Remove the account of"), "{text}");
    assert_eq!((code, users()), (1, 2), "{text}");
    assert_eq!((shown(80, &app, &remove, "yes\n").0, users()), (0, 1));

    let clients = || app.database().number("select count(*) from service_clients");
    assert_eq!(piped(&app, &["client", "add", "Payroll"]).0, 0);
    let remove = ["client", "remove", "Payroll"];
    assert_eq!((shown(80, &app, &remove, "no\n").0, clients()), (1, 1));
    let (code, text) = shown(80, &app, &[&remove[..], &["--yes"]].concat(), "");
    assert!(!text.contains("[y/N]"), "{text}");
    assert_eq!((code, clients()), (0, 0));
}

#[tokio::test]
async fn without_a_terminal_what_is_lost_for_good_needs_a_word_more() {
    let app = App::start().await;
    app.signed_in("ada").await;
    for command in [
        &["session", "end", "--all"][..],
        &["user", "remove", "ada@example.org"],
        &["client", "remove", "Payroll"],
    ] {
        let (code, out, error) = piped(&app, command);
        assert_eq!((code, out.as_str(), error.lines().count()), (2, "", 1), "{error}");
        assert!(error.contains("write --yes"), "{error}");
    }
    assert_eq!(app.sessions(), 1);
    // Nor is anybody asked where the question would not be seen.
    let said = tempfile::NamedTempFile::new().unwrap();
    let end = ["session", "end", "--all", "--database-url", app.database().url()];
    let but = format!("2> {}", said.path().display());
    let mut child = at_terminal_but(80, &end, &but, &[]);
    let mut typing = child.stdin.take().unwrap();
    typing.write_all(b"y\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(2));
    drop(typing);
    let said = std::fs::read_to_string(said.path()).unwrap();
    assert!(said.contains("write --yes") && !said.contains("[y/N]"), "{said}");
    assert_eq!(app.sessions(), 1);
}

#[tokio::test]
async fn a_reader_who_has_read_enough_is_no_error() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let url = app.database().url();
    for command in [
        &["user", "list", "--database-url", url][..],
        &["user", "list", "--json", "--database-url", url],
        &["user", "show", "ada@example.org", "--database-url", url],
        &["session", "end", "--all", "--yes", "--database-url", url],
        &["migrate", "--database-url", url],
        &["sweep", "--database-url", url],
        &["man"],
        &["completions", "bash"],
        &["client", "add", "Payroll", "--database-url", url],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        // Nobody reads any more when the first word is written.
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_oneseat"))
            .args(command)
            .env("RUST_LOG", "error")
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let (code, _, error) = outcome(output);
        assert_eq!((code, error.as_str()), (141, ""), "{command:?}");
    }
    // Nobody has seen its secret.
    assert_eq!(app.database().number("select count(*) from service_clients"), 0);
}

#[tokio::test]
async fn a_terminal_gets_answers_without_the_log_and_without_colours_where_none_are_wanted() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let (_, text) = shown(80, &app, &["user", "disable", "ada@example.org"], "");
    assert_eq!(text, "ada@example.org is disabled\n");
    let args = [
        "user",
        "password",
        "ada@example.org",
        "--database-url",
        app.database().url(),
    ];
    let logged = |environment: &[(&str, &str)]| {
        let environment = [&[("RUST_LOG", "info")], environment].concat();
        let mut text = String::new();
        let mut child = at_terminal(80, &args, &environment);
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(
            child.wait().unwrap().success() && text.contains(" oneseat::security] "),
            "{text}"
        );
        text
    };
    let green = "\u{1b}[32m";
    assert!(logged(&[]).contains(green));
    assert!(!logged(&[("NO_COLOR", "1")]).contains(green));
    assert!(!logged(&[("TERM", "dumb")]).contains('\u{1b}'));
    let quiet = [&args[..], &["--quiet"]].concat();
    let (code, _, error) = outcome(oneseat_with(&quiet, &[("RUST_LOG", "info")], ""));
    assert_eq!((code, error.as_str()), (0, ""));
}

#[test]
fn ctrl_c_at_a_question_stops_the_private_database_too() {
    let dir = tempfile::Builder::new()
        .prefix("oneseat-interrupted-")
        .tempdir()
        .unwrap();
    let data = dir.path().to_str().unwrap();
    let add = [
        "user",
        "add",
        "ada@example.org",
        "--name",
        "Ada",
        "--data-dir",
        data,
    ];
    assert!(oneseat(&add, "").status.success());
    let remove = ["user", "remove", "ada@example.org", "--data-dir", data];
    let mut child = at_terminal(80, &remove, &[]);
    let (mut output, mut seen) = (child.stdout.take().unwrap(), Vec::new());
    while !String::from_utf8_lossy(&seen).contains("[y/N]") {
        let mut byte = [0];
        assert_eq!(
            output.read(&mut byte).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(!dir.path().join("server/pgdata/postmaster.pid").exists());
    let (_, out, _) = outcome(oneseat(&["user", "list", "--data-dir", data], ""));
    assert_eq!(out.lines().count(), 1, "{out}");
}

/// A command that ends all sessions, and waits for the connection that has locked them.
async fn waiting_command(app: &App) -> (Child, PgConnection) {
    let url = app.database().url();
    let mut holder = app.database().connect();
    holder
        .batch_execute("begin; lock table sessions in access exclusive mode")
        .unwrap();
    let child = begun(&["session", "end", "--all", "--yes", "--database-url", url], &[]);
    let waiting = "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())";
    eventually("it waits", async || app.database().number(waiting) > 0).await;
    (child, holder)
}

fn interrupt(child: &Child) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
}

#[tokio::test]
async fn a_command_that_is_interrupted_while_it_waits_ends_in_order() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let (child, holder) = waiting_command(&app).await;
    interrupt(&child);
    drop(holder);
    let (code, out, error) = outcome(child.wait_with_output().unwrap());
    assert_eq!((code, out.as_str()), (130, ""), "{error}");
}

#[tokio::test]
async fn a_command_that_is_interrupted_twice_waits_for_no_statement() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let (mut child, _holder) = waiting_command(&app).await;
    // One signal after the other, for as long as it is there: it does not say when it listens to the second.
    eventually("it has ended", async || {
        interrupt(&child);
        child.try_wait().unwrap().is_some()
    })
    .await;
    let (code, out, error) = outcome(child.wait_with_output().unwrap());
    assert_eq!((code, out.as_str()), (130, ""), "{error}");
}

#[tokio::test]
async fn a_terminal_shows_a_hundred_rows_unless_more_are_asked_for() {
    let app = App::start().await;
    app.database().execute(
        "insert into users (name, email) select 'u', n || '@example.org' from generate_series(1, 101) as n",
    );
    let list = ["user", "list"];
    let (_, text) = shown(100, &app, &list, "");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[101]), (102, "1 more: --limit 101"), "{text}");
    for all in ["101", "all"] {
        let (_, text) = shown(100, &app, &[&list[..], &["--limit", all]].concat(), "");
        assert_eq!(text.lines().count(), 102, "{text}");
    }
    let (_, json) = shown(100, &app, &[&list[..], &["--json"]].concat(), "");
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 101);
    let (_, out, note) = piped(&app, &list);
    assert_eq!((out.lines().count(), note.as_str()), (101, ""));
}

#[test]
fn the_first_start_ends_with_one_box_and_later_ones_have_none() {
    let dir = tempfile::Builder::new()
        .prefix("oneseat-first-")
        .tempdir()
        .unwrap();
    let serve = [
        "serve",
        "--bind",
        "127.0.0.1:0",
        "--data-dir",
        dir.path().to_str().unwrap(),
    ];
    let until = |words: &str| {
        let mut child = at_terminal(80, &serve, &[]);
        let (mut output, mut seen) = (child.stdout.take().unwrap(), Vec::new());
        while !String::from_utf8_lossy(&seen).contains(words) {
            let mut byte = [0];
            assert_eq!(
                output.read(&mut byte).unwrap(),
                1,
                "{}",
                String::from_utf8_lossy(&seen)
            );
            seen.push(byte[0]);
        }
        child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
        output.read_to_end(&mut seen).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        String::from_utf8(seen).unwrap().replace('\r', "")
    };
    let text = until("┘");
    let (before, from_box) = text.split_once('┌').unwrap();
    assert!(before.contains("serving on http://"), "{text}");
    let (inside, after) = from_box.split_once('┘').unwrap();
    for words in [
        "open      http://127.0.0.1:",
        "sign in   admin@localhost",
        "password  ",
        "Ctrl-C stops it",
    ] {
        assert!(inside.contains(words), "{text}");
    }
    let after: Vec<_> = after
        .lines()
        .filter(|line| !line.trim().is_empty() && *line != "^C")
        .collect();
    assert!(after.iter().all(|line| line.contains("stopped")), "{text}");
    let again = until("serving on http://");
    assert!(!again.contains('┌') && !again.contains("password"), "{again}");
}

#[test]
fn a_command_line_that_cannot_be_used_is_one_sentence_with_the_remedy() {
    for (line, remedy) in [
        ("users", "write `oneseat user`"),
        ("sessions", "write `oneseat session`"),
        ("start", "write `oneseat serve`"),
        ("run", "write `oneseat serve`"),
        ("nonsense", "`oneseat --help` lists all"),
        ("serve --port 8080", "--bind 127.0.0.1:8080"),
        ("serve --host ::1", "--bind 127.0.0.1:8080"),
        ("serve --bind", "--bind needs a value: see `oneseat serve --help`"),
        (
            "serve --takeover",
            "--takeover needs a value: write replace or ask",
        ),
        (
            "serve --page-grace -5s",
            "--page-grace cannot be `-5s`: it reads like a flag",
        ),
        (
            "serve --max-lifetime 1m",
            "--max-lifetime `1m` must not be shorter than --idle-timeout `2h`",
        ),
        ("serve --insecure-http=yes", "--insecure-http takes no value"),
        (
            "serve --sign-in-mail perhaps",
            "--sign-in-mail `perhaps`: must be on or off",
        ),
        ("man nope", "write one of serve, migrate, sweep,"),
        ("man user nope", "`oneseat user nope`: write one of add, invite,"),
        ("serve --bind nowhere", "write it like 127.0.0.1:8080"),
        ("user create", "write `oneseat user add EMAIL --name NAME`"),
        ("user demote a@b.org", "write `oneseat user role EMAIL user`"),
        ("user role a@b.org boss", "must be user or admin"),
        ("user lst", "write `oneseat user list`"),
        ("user list ada", "write --search ada"),
        ("user list --lmit 5", "write --limit"),
        ("user list --limit 0", "write a number from 1 on, or all"),
        ("user list --json=1", "see `oneseat user list --help`"),
        (
            "user add a@b.org",
            "needs --name NAME: see `oneseat user add --help`",
        ),
        ("user add ada --name Ada", "name@example.org"),
        ("user add a@b.org --name A --role king", "must be user or admin"),
        ("user add a@b.org --name A --password x", "write --password-stdin"),
        ("user verify --email a@b.org", "without a flag"),
        ("user remove a@b.org --force", "write --yes"),
        ("session end", "needs --user EMAIL or --id ID or --all"),
        ("session end a@b.org", "write --user EMAIL, --id ID or --all"),
        ("session end --id 12", "`oneseat session list --json`"),
        (
            "session end --all --user a@b.org",
            "cannot stand beside --user EMAIL",
        ),
        ("session revoke", "write `oneseat session end --user EMAIL`"),
        ("completions tcsh", "bash, elvish, fish, powershell, zsh"),
        ("--versoin", "write --version"),
        ("--log-format xml migrate", "write human or json"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let (code, out, error) = outcome(oneseat(&words, ""));
        assert_eq!(
            (code, out.as_str(), error.lines().count()),
            (2, "", 1),
            "{line}: {error}"
        );
        assert!(
            error.starts_with("oneseat: ") && error.contains(remedy),
            "{line}: {error}"
        );
    }
}
