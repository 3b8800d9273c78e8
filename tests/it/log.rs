//! The log of the program, and the request ids in it.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use oneseat::users::Email;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, Database, Program, oneseat_with};

#[tokio::test]
async fn collectors_get_one_object_a_line_with_the_request_that_it_tells_of() {
    let (program, _dir) = Program::alone(&["--log-format", "json"]);
    let failed = program
        .visitor()
        .login("nobody@example.org", "not\n\"the\" password")
        .await;
    assert_eq!(failed.problem(), "401 invalid_credentials");
    let (stopped, log) = program.terminate();
    assert!(stopped);

    let lines: Vec<Value> = log
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(
            chrono::DateTime::parse_from_rfc3339(time).is_ok() && time.ends_with('Z'),
            "{time}"
        );
        for name in ["level", "target", "message"] {
            assert!(line[name].is_string(), "{name} is not in {line}");
        }
    }
    let told = lines
        .iter()
        .find(|line| line["message"] == "authn_login_fail")
        .unwrap();
    let expected = json!({
        "time": told["time"],
        "level": "WARN",
        "target": "oneseat::security",
        "message": "authn_login_fail",
        "address": "nobody@example.org".parse::<Email>().unwrap().short_digest(),
        "reason": "invalid credentials",
        "from": "127.0.0.1",
        "agent": "",
        "requestId": failed.header("x-request-id"),
    });
    assert_eq!(told, &expected);
    // A line that no request caused has no id.
    assert!(lines.last().unwrap().get("requestId").is_none());
}

#[tokio::test]
async fn lines_for_people_name_the_request_too() {
    let dir = tempfile::Builder::new().prefix("oneseat-log-").tempdir().unwrap();
    let program = Program::serve(dir.path());
    let failed = program
        .visitor()
        .login("nobody@example.org", "not a password")
        .await;
    let id = format!("requestId={}", failed.header("x-request-id"));
    let (_, log) = program.terminate();
    let line = log.iter().find(|line| line.contains("authn_login_fail")).unwrap();
    assert!(line.ends_with(&id), "{line}");
}

#[tokio::test]
async fn a_request_is_named_by_a_trusted_proxy_and_by_nobody_else() {
    let trusting =
        App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    let careful = trusting.another_instance().await;
    let asked = async |app: &App, name: &str| {
        let request = app.visitor().request(reqwest::Method::GET, "/auth/session");
        let answer = Answer::of(request.header("X-Request-Id", name)).await;
        assert_eq!(answer.problem(), "401 token_missing");
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(asked(&trusting, "edge-7/00af").await, "edge-7/00af");
    assert_ne!(asked(&trusting, "not one word").await, "not one word");
    assert_ne!(asked(&careful, "edge-7/00af").await, "edge-7/00af");
    // Of two ids one is the client's, and oneseat cannot know which.
    let request = trusting.visitor().request(reqwest::Method::GET, "/healthz");
    let twice = request
        .header("X-Request-Id", "edge-7")
        .header("X-Request-Id", "chosen");
    let name = Answer::of(twice).await.header("x-request-id").to_owned();
    assert!(!["edge-7", "chosen"].contains(&name.as_str()), "{name}");
    // Success is logged with an id as well, and no id is given twice.
    let healthy = async || {
        trusting
            .visitor()
            .get("/healthz")
            .await
            .header("x-request-id")
            .to_owned()
    };
    assert_ne!(healthy().await, healthy().await);
}

#[tokio::test]
async fn of_a_warning_that_repeats_some_lines_are_written_and_the_others_counted() {
    const TIMES: u64 = 20;
    let database = Database::fresh();
    let serve = [
        "--log-format=json",
        "--bind=127.0.0.1:0",
        "--metrics-bind=127.0.0.1:0",
        "--database-url",
        database.url(),
    ];
    let program = Program::serve_with(&serve, &[]);
    let metrics = Client::new(program.metrics_address.unwrap());
    database.execute("alter table sessions rename to gone");
    for _ in 0..TIMES {
        assert_eq!(metrics.get("/metrics").await.status, 200);
    }
    let (_, log) = program.terminate();
    let words = "not every metric could be measured: unavailable: the database is unavailable: relation \"sessions\" does not exist";
    let lines = log
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (sums, written): (Vec<_>, Vec<_>) = lines
        .filter(|line| line["message"] == words)
        .partition(|line| line.get("count").is_some());
    // On a slow machine there may be a sum before the last one.
    let counted: u64 = sums.iter().map(|sum| sum["count"].as_u64().unwrap()).sum();
    assert_eq!(counted + u64::try_from(written.len()).unwrap(), TIMES, "{log:#?}");
    assert!(counted > 0 && written.len() >= 5, "{log:#?}");
    for line in written.iter().chain(&sums) {
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["target"], "oneseat::app::metrics_exporter");
    }
    for sum in &sums {
        let [first, last, told] = ["first", "last", "time"].map(|name| {
            let time = sum[name].as_str().unwrap();
            assert!(time.ends_with('Z'), "{time}");
            chrono::DateTime::parse_from_rfc3339(time).unwrap()
        });
        assert!(first <= last && last <= told, "{sum}");
    }
}

/// Nobody listens there.
const NOWHERE: &str = "postgres://127.0.0.1:1/nothing";

#[test]
fn whatever_goes_wrong_a_collector_gets_one_object_for_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let database = Database::fresh();
    let json = ("ONESEAT_LOG_FORMAT", "json");
    for (args, environment, status, words) in [
        // Settings that cannot be used, two of them; no database; a port that is taken.
        (
            &[
                "serve",
                "--log-format",
                "json",
                "--bind",
                "nowhere",
                "--login-rate",
                "many",
            ][..],
            &[][..],
            2,
            &["these settings cannot be used", "--bind", "--login-rate"][..],
        ),
        (
            &["serve", "--bind", "127.0.0.1:0", "--database-url", NOWHERE],
            &[json],
            1,
            &["connection to server"],
        ),
        (
            &["serve", "--bind", &taken, "--database-url", database.url()],
            &[json],
            1,
            &["cannot listen on", "--bind"],
        ),
        // A command line that cannot be parsed.
        (&["serve", "--log-format=json", "--blind"], &[], 2, &["--blind"]),
        (&["srve"], &[json], 2, &["srve"]),
        (&[], &[json], 2, &["`oneseat` needs a command"]),
        // Short commands.
        (
            &["user", "list", "--database-url", NOWHERE],
            &[json],
            1,
            &["connection to server"],
        ),
        (
            &[
                "user",
                "show",
                "nobody@example.org",
                "--database-url",
                database.url(),
            ],
            &[json],
            1,
            &["there is no user"],
        ),
    ] {
        let output = oneseat_with(args, environment, "");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {told}");
        let last = told.lines().last().unwrap();
        for line in told.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{args:?}: {told}");
        }
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(
            (&last["level"], &last["target"]),
            (&"ERROR".into(), &"oneseat".into())
        );
        let message = last["message"].as_str().unwrap();
        assert!(
            words.iter().all(|word| message.contains(word)),
            "{args:?}: {message}"
        );
    }
}

#[test]
fn people_get_words_unless_they_ask_for_json() {
    for (args, words) in [
        (
            &["srve"][..],
            "oneseat: there is no command `oneseat srve`: write `oneseat serve`",
        ),
        (
            &["serve", "--login-rate", "many"],
            "oneseat: this setting cannot be used: --login-rate",
        ),
        (&["user", "list", "--database-url", NOWHERE], "oneseat: "),
        // What is asked for in vain.
        (
            &["serve", "--log-format", "xml"],
            "oneseat: --log-format FORMAT cannot be `xml`: write human or json",
        ),
    ] {
        let told = String::from_utf8(oneseat_with(args, &[], "").stderr).unwrap();
        assert!(told.starts_with(words), "{args:?}: {told}");
    }
    let help = oneseat_with(&["--help"], &[("ONESEAT_LOG_FORMAT", "json")], "");
    assert!(help.status.success() && help.stderr.is_empty());
    assert!(String::from_utf8(help.stdout).unwrap().contains("Usage: oneseat"));
}

/// The program's standard error when it is this socket.
fn at_a_socket(args: &[&str], stream: impl Fn(u64, u64) -> String) -> String {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let file = File::from(theirs.try_clone().unwrap()).metadata().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_oneseat"));
    program
        .args(args)
        .env_remove("RUST_LOG")
        .env("JOURNAL_STREAM", stream(file.dev(), file.ino()))
        .env("ONESEAT_IDEL_TIMEOUT", "5m")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(theirs);
    assert!(!program.status().unwrap().success());
    // The program has ended, and this has the last copy.
    drop(program);
    let mut said = String::new();
    ours.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn the_journal_gets_the_priority_of_each_line_and_nobody_else_does() {
    let args = [
        "user",
        "list",
        "--database-url",
        "postgres://nobody@127.0.0.1:1/none",
    ];
    let it = |device, inode| format!("{device}:{inode}");
    let said = at_a_socket(&args, it);
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].starts_with("<4>[WARN  oneseat::cli] ONESEAT_IDEL_TIMEOUT"),
        "{said}"
    );
    assert!(lines.last().unwrap().starts_with("<3>oneseat: "), "{said}");
    assert!(lines.iter().all(|line| line.starts_with('<')), "{said}");
    // A sentence with points is several lines: each has its priority.
    let bad = at_a_socket(&["serve", "--bind", "x", "--lockout", "y"], it);
    assert_eq!(
        bad.lines().filter(|line| line.starts_with("<3>")).count(),
        3,
        "{bad}"
    );

    let json = at_a_socket(&[&args[..], &["--log-format", "json"]].concat(), it);
    for line in json.lines() {
        let (priority, object) = line.split_at(3);
        let object: Value = serde_json::from_str(object).unwrap();
        let of_level = if object["level"] == "ERROR" { "<3>" } else { "<4>" };
        assert_eq!(priority, of_level, "{json}");
    }
    // Inherited from a parent whose standard error was another.
    let elsewhere = at_a_socket(&args, |device, inode| format!("{device}:{}", inode + 1));
    assert!(
        elsewhere.starts_with('[') && !elsewhere.contains("\n<"),
        "{elsewhere}"
    );
}
