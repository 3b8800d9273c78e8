//! A start that fails ends the program, and a start is reported only once the server answers.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use oneseat::app::App;

use crate::support::{self, Database, config, database_config, oneseat, oneseat_with};

/// Starts with this limit of open files and a hundred connections, and ends the program if it serves. Returns
/// whether it served, with its output.
fn serve_with_files(files: u32, database: &Database) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("notify");
    let systemd = UnixDatagram::bind(&place).unwrap();
    let script =
        format!("ulimit -n {files}; exec \"$0\" serve --bind 127.0.0.1:0 --workers 2 --max-connections 100");
    let mut program = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_oneseat")])
        .env("DATABASE_URL", database.url())
        .env("NOTIFY_SOCKET", &place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    support::watch_command(&program);
    // Whichever comes first: it is ready, or it has ended.
    systemd.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let is_ready = loop {
        if systemd.recv(&mut [0; 64]).is_ok() {
            break true;
        }
        if program.try_wait().unwrap().is_some() {
            break false;
        }
    };
    if is_ready {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(program.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }
    let output = program.wait_with_output().unwrap();
    assert_eq!(output.status.success(), is_ready, "{output:?}");
    (is_ready, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn with_too_few_files_it_ends_in_words_and_with_few_it_serves_fewer() {
    let database = Database::fresh();
    for files in [9, 12, 16, 20, 24, 32, 48, 64, 76] {
        let (is_ready, words) = serve_with_files(files, &database);
        assert!(!is_ready, "{files}: {words}");
        let last = words.lines().last().unwrap_or_default();
        assert!(last.starts_with("oneseat: "), "{files}: {words}");
    }
    let (is_ready, words) = serve_with_files(90, &database);
    assert!(is_ready && words.contains("so there will be"), "{words}");
    let (is_ready, words) = serve_with_files(180, &database);
    assert!(is_ready && !words.contains("files may be open"), "{words}");
}

#[tokio::test]
async fn a_server_whose_threads_cannot_start_ends_and_is_never_ready() {
    let database = Database::fresh();
    // No start from the command line gets so far: origins are read before.
    let mut config = config();
    config.http.cors_origins = vec!["https://not an origin".to_owned()];
    let database = database_config(database.url());
    let failed = tokio::task::spawn_blocking(move || {
        actix_web::rt::System::new().block_on(async {
            let app = App::build(database, config).await.unwrap();
            app.run_until(async { panic!("it waits to be stopped") }).await
        })
    });
    let error = failed.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("the server cannot serve"), "{error}");
}

#[tokio::test]
async fn a_server_whose_places_are_all_taken_at_once_is_ready() {
    let before = support::App::start().await;
    let ada = before.signed_in("ada").await;
    let database = database_config(before.database().url());
    let mut config = config();
    (config.http.workers, config.http.max_connections) = (1, 2);
    let ask = format!(
        "GET /auth/session/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        ada.token()
    );
    let ready = tokio::task::spawn_blocking(move || {
        actix_web::rt::System::new().block_on(async {
            let app = App::build(database, config).await.unwrap();
            // Pages that were there before a restart, sooner than anybody else.
            let streams = [(); 2].map(|()| {
                let mut stream = TcpStream::connect(app.address()).unwrap();
                stream.write_all(ask.as_bytes()).unwrap();
                stream
            });
            let served = app.run_until(async {}).await;
            drop(streams);
            served
        })
    });
    ready.await.unwrap().unwrap();
}

#[test]
fn an_address_in_use_is_told_with_the_flag_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (flag, args) in [
        ("--bind", ["--bind", &taken, "--metrics-bind", "127.0.0.1:0"]),
        (
            "--metrics-bind",
            ["--bind", "127.0.0.1:0", "--metrics-bind", &taken],
        ),
    ] {
        let args = [&["serve", "--database-url", "postgres://nowhere"], &args[..]].concat();
        let refused = oneseat(&args, "");
        let words = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{words}");
        assert!(words.contains(&format!("with {flag}\n")), "{words}");
    }
}

#[test]
fn a_variable_that_is_set_to_nothing_counts_as_not_set() {
    let help = String::from_utf8(oneseat(&["serve", "--help"], "").stdout).unwrap();
    let named = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ']']).next());
    let names_a_database = |name: &&str| *name == "ONESEAT_DATA_DIR" || !name.starts_with("ONESEAT_");
    let settings: Vec<&str> = named.filter(|name| !names_a_database(name)).collect();
    assert!(settings.len() > 30, "{settings:?}");
    for nothing in ["", " "] {
        let environment: Vec<(&str, &str)> = settings.iter().map(|name| (*name, nothing)).collect();
        let serve = ["serve", "--bind", "nowhere", "--database-url", "postgres://"];
        let output = oneseat_with(&serve, &environment, "");
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "oneseat: this setting cannot be used: --bind `nowhere`: not an address and port; write it like 127.0.0.1:8080\n"
        );
        let output = oneseat_with(&["user", "list", "--limit", "0"], &environment, "");
        assert!(String::from_utf8(output.stderr).unwrap().contains("--limit"));
    }
    // A missing value must not lead to a new, empty database.
    for (name, flag) in [
        ("DATABASE_URL", "--database-url"),
        ("DATABASE_URL_FILE", "--database-url-file"),
        ("ONESEAT_DATA_DIR", "--data-dir"),
    ] {
        let output = oneseat_with(&["user", "list"], &[(name, "")], "");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(&format!("{flag} is empty")), "{told}");
    }
    // Help names the variables nevertheless.
    let output = oneseat_with(&["serve", "--help"], &[("ONESEAT_TAKEOVER", "")], "");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("ONESEAT_TAKEOVER")
    );
}
