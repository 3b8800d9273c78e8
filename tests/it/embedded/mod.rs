//! The private PostgreSQL, through the program itself. This folder also tests its isolation and its upgrades.

mod alone;
mod upgrade;
mod versions;
mod years;

use tempfile::TempDir;

use crate::support::{Program, eventually, oneseat, oneseat_with};

fn data_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("oneseat-embedded-")
        .tempdir()
        .unwrap()
}

fn is_running(dir: &TempDir) -> bool {
    dir.path().join("server/pgdata/postmaster.pid").exists()
}

#[tokio::test]
async fn a_first_start_makes_an_admin_and_shows_the_password_once() {
    let dir = data_dir();
    let first = Program::serve(dir.path());
    let password = first.first_password();
    assert!(
        first.greeting.contains("admin@localhost") && first.greeting.contains(&first.address.to_string())
    );
    let answer = first.visitor().login("admin@localhost", &password).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["user"]["role"].as_str()),
        (200, Some("admin"))
    );
    let (stopped, log) = first.terminate();
    assert!(stopped, "{log:?}");
    assert!(!log.iter().any(|line| line.contains(&password)));
    assert!(!is_running(&dir), "the last one out stops the server");

    let second = Program::serve(dir.path());
    assert_eq!(second.greeting, "");
    assert_eq!(
        second.visitor().login("admin@localhost", &password).await.status,
        200
    );
}

#[tokio::test]
async fn told_twice_to_stop_it_waits_for_nobody_and_still_puts_its_server_away() {
    let dir = data_dir();
    let data_dir = dir.path().to_str().unwrap();
    let program = Program::serve_with(
        &[
            "--bind",
            "127.0.0.1:0",
            "--data-dir",
            data_dir,
            "--stop-delay",
            "1h",
        ],
        &[],
    );
    program.ask_to_stop();
    eventually("it has been told", async || {
        program.visitor().get("/readyz").await.status == 503
    })
    .await;
    let (stopped, log) = program.terminate();
    assert!(
        stopped && log.iter().any(|line| line.contains("told twice to stop")),
        "{log:#?}"
    );
    assert!(!is_running(&dir));
}

#[tokio::test]
async fn sessions_outlive_a_restart() {
    let dir = data_dir();
    let first = Program::serve(dir.path());
    let answer = first
        .visitor()
        .login("admin@localhost", &first.first_password())
        .await;
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    first.terminate();
    let second = Program::serve(dir.path());
    assert_eq!(second.visitor().with_token(token).session().await.status, 200);
}

#[tokio::test]
async fn a_killed_program_leaves_nothing_that_the_next_one_trips_over() {
    let dir = data_dir();
    let first = Program::serve(dir.path());
    let password = first.first_password();
    first.kill();
    assert!(is_running(&dir));
    let second = Program::serve(dir.path());
    assert_eq!(
        second.visitor().login("admin@localhost", &password).await.status,
        200
    );
    second.terminate();
    assert!(!is_running(&dir));
}

#[tokio::test]
async fn a_first_start_that_is_killed_is_begun_again() {
    for milliseconds in [50, 200, 500] {
        let dir = data_dir();
        let args = [
            "serve",
            "--bind",
            "127.0.0.1:0",
            "--data-dir",
            dir.path().to_str().unwrap(),
        ];
        let mut first = std::process::Command::new(env!("CARGO_BIN_EXE_oneseat"))
            .args(args)
            .spawn()
            .unwrap();
        // The moment is varied: there is no event to wait for.
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
        first.kill().unwrap();
        first.wait().unwrap();
        let second = Program::serve(dir.path());
        assert_eq!(second.visitor().get("/readyz").await.status, 200);
        assert!(second.terminate().0);
    }
}

#[tokio::test]
async fn first_starts_at_the_same_time_make_one_cluster_and_one_admin() {
    let dir = data_dir();
    let programs: Vec<Program> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| Program::serve(dir.path())))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_eq!(
        programs
            .iter()
            .filter(|program| program.greeting.contains("password"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_server_that_dies_is_started_again() {
    let dir = data_dir();
    let program = Program::serve(dir.path());
    let pid = || {
        let file = std::fs::read_to_string(dir.path().join("server/pgdata/postmaster.pid")).ok()?;
        file.lines().next()?.parse::<i32>().ok()
    };
    let first = pid().unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(first),
        nix::sys::signal::Signal::SIGQUIT,
    )
    .unwrap();
    eventually("another server runs", async || {
        pid().is_some_and(|pid| pid != first)
    })
    .await;
    let visitor = program.visitor();
    eventually("it answers", async || visitor.get("/readyz").await.status == 200).await;
}

#[test]
fn a_command_about_what_is_there_makes_no_database_in_a_mistyped_directory() {
    let dir = data_dir();
    let place = dir.path().join("mistyped");
    for line in [
        "user list",
        "user show a@b.org",
        "user password a@b.org",
        "user verify a@b.org",
        "user unlock a@b.org",
        "user disable a@b.org",
        "user enable a@b.org",
        "user remove a@b.org --yes",
        "session list",
        "session end --all --yes",
        "client list",
        "client remove Payroll --yes",
        "sweep",
        "database upgrade",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let output = oneseat_with(&words, &[("ONESEAT_DATA_DIR", place.to_str().unwrap())], "");
        let error = String::from_utf8(output.stderr).unwrap();
        let words = format!(
            "oneseat: there is no private PostgreSQL in {}; name its directory",
            place.display()
        );
        assert!(error.starts_with(&words), "{line}: {error}");
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(1), 0),
            "{line}"
        );
        assert!(!place.exists(), "{line}");
    }
}

#[test]
fn a_start_that_fails_says_why_and_leaves_the_data_alone() {
    let dir = data_dir();
    let path = dir.path().to_str().unwrap();
    assert!(oneseat(&["migrate", "--data-dir", path], "").status.success());
    let version = dir.path().join("server/pgdata/PG_VERSION");
    let made_by = std::fs::read_to_string(&version).unwrap();
    std::fs::write(&version, "9\n").unwrap();
    let refused = oneseat(&["user", "list", "--data-dir", path], "");
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        error.contains("postgresql-9") && error.lines().count() == 1,
        "{error}"
    );
    std::fs::write(&version, made_by).unwrap();
    assert!(
        oneseat(&["user", "list", "--data-dir", path], "")
            .status
            .success()
    );
}

#[test]
fn a_port_in_use_is_found_before_anything_is_made() {
    let dir = data_dir();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let refused = oneseat(
        &[
            "serve",
            "--bind",
            &bind,
            "--data-dir",
            dir.path().to_str().unwrap(),
        ],
        "",
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--bind"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn another_users_directory_is_refused_before_anything_is_changed() {
    // Only root can make one.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = data_dir();
    std::os::unix::fs::chown(dir.path(), Some(65534), None).unwrap();
    let refused = oneseat(&["user", "list", "--data-dir", dir.path().to_str().unwrap()], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("belongs to another user")
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn two_programs_share_one_server_and_the_last_one_stops_it() {
    let dir = data_dir();
    let first = Program::serve(dir.path());
    let second = Program::serve(dir.path());
    let answer = first
        .visitor()
        .login("admin@localhost", &first.first_password())
        .await;
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    first.terminate();
    assert!(is_running(&dir));
    assert_eq!(second.visitor().with_token(token).session().await.status, 200);
    second.terminate();
    assert!(!is_running(&dir));
}

#[tokio::test]
async fn commands_work_beside_a_server_and_without_one() {
    let dir = data_dir();
    let path = dir.path().to_str().unwrap();
    let program = Program::serve(dir.path());
    let add = [
        "user",
        "add",
        "ada@example.org",
        "--name",
        "Ada",
        "--verified",
        "--data-dir",
        path,
    ];
    assert!(oneseat(&add, "").status.success());
    assert_eq!(program.visitor().get("/readyz").await.status, 200);
    program.terminate();
    let list = oneseat(&["user", "list", "--data-dir", path], "");
    assert!(
        String::from_utf8(list.stdout)
            .unwrap()
            .contains("ada@example.org")
    );
    assert!(!is_running(&dir));
}

#[test]
fn somebody_elses_directory_is_refused() {
    let dir = data_dir();
    std::fs::write(dir.path().join("thesis.txt"), "important").unwrap();
    let refused = oneseat(&["user", "list", "--data-dir", dir.path().to_str().unwrap()], "");
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(
        error.contains("--data-dir") && error.lines().count() == 1,
        "{error}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_with_too_long_a_name_is_refused() {
    let dir = data_dir();
    let long = dir.path().join("x".repeat(100));
    let refused = oneseat(&["user", "list", "--data-dir", long.to_str().unwrap()], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(!long.exists());
}
