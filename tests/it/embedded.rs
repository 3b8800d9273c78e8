//! The private PostgreSQL, through the program itself.

use tempfile::TempDir;

use crate::support::{Program, oneseat};

fn data_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("oneseat-embedded-")
        .tempdir()
        .unwrap()
}

fn is_running(dir: &TempDir) -> bool {
    dir.path().join("pgdata/postmaster.pid").exists()
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
async fn a_killed_first_start_is_begun_again() {
    let dir = data_dir();
    // What a start leaves that is killed while it makes the cluster.
    std::fs::write(dir.path().join("start.lock"), "").unwrap();
    std::fs::create_dir(dir.path().join("pgdata.new")).unwrap();
    std::fs::write(dir.path().join("pgdata.new/PG_VERSION"), "").unwrap();
    let program = Program::serve(dir.path());
    assert_eq!(program.visitor().get("/readyz").await.status, 200);
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
