//! `oneseat database upgrade`, as far as one version of PostgreSQL suffices. `years` has the rest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::versions::of_the_servers_owner;
use super::{data_dir, is_running};
use crate::support::{Program, oneseat, oneseat_with};

/// Runs `oneseat database upgrade` with these arguments, too.
fn upgrade(dir: &TempDir, more: &[&str]) -> Output {
    let path = dir.path().to_str().unwrap();
    oneseat(&[&["database", "upgrade", "--data-dir", path], more].concat(), "")
}

/// The one line with which it fails.
fn refusal(output: &Output) -> String {
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(
        (output.status.code(), words.lines().count()),
        (Some(1), 1),
        "{words}"
    );
    assert!(output.stdout.is_empty());
    words
}

/// A directory with data, whose server is stopped.
fn with_data() -> TempDir {
    let dir = data_dir();
    let path = dir.path().to_str().unwrap();
    assert!(oneseat(&["migrate", "--data-dir", path], "").status.success());
    dir
}

/// Marks the data as made by another version while this closure runs.
fn as_if_made_by(version: &str, dir: &TempDir, act: impl FnOnce()) {
    let file = dir.path().join("server/pgdata/PG_VERSION");
    let made_by = fs::read_to_string(&file).unwrap();
    fs::write(&file, version).unwrap();
    act();
    fs::write(&file, made_by).unwrap();
}

fn entries(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn starts(dir: &TempDir) -> bool {
    let list = oneseat(&["user", "list", "--data-dir", dir.path().to_str().unwrap()], "");
    list.status.success() && !is_running(dir)
}

#[test]
fn where_the_data_are_of_the_newest_version_nothing_is_done() {
    let dir = with_data();
    let before = entries(&dir.path().join("server"));
    let output = upgrade(&dir, &[]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{words}");
    assert!(words.starts_with("up to date: PostgreSQL "), "{words}");
    assert_eq!(entries(&dir.path().join("server")), before);
    assert!(starts(&dir));
}

#[test]
fn where_there_are_no_data_it_makes_none() {
    let dir = data_dir();
    let missing = dir.path().join("nowhere");
    let output = oneseat(
        &["database", "upgrade", "--data-dir", missing.to_str().unwrap()],
        "",
    );
    assert!(refusal(&output).contains("there is no private PostgreSQL in"));
    assert!(!missing.exists());
    assert!(refusal(&upgrade(&dir, &[])).contains("--data-dir"));
    assert_eq!(entries(dir.path()), [""; 0]);
}

#[test]
fn a_database_of_the_operators_is_not_its_business() {
    for environment in [
        ("DATABASE_URL", "postgres://db.example.org/oneseat"),
        ("DATABASE_URL", ""),
    ] {
        let output = oneseat_with(&["database", "upgrade"], &[environment], "");
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains("DATABASE_URL"), "{words}");
    }
}

#[tokio::test]
async fn it_refuses_while_a_server_uses_the_data_and_names_it() {
    let dir = data_dir();
    let program = Program::serve(dir.path());
    let words = refusal(&upgrade(&dir, &[]));
    assert!(words.contains("is in use by process"), "{words}");
    assert!(words.contains(&program.pid().to_string()), "{words}");
    assert_eq!(program.visitor().get("/readyz").await.status, 200);
}

#[test]
fn data_of_another_version_say_what_to_do_at_a_start_and_at_an_upgrade() {
    let dir = with_data();
    let list = ["user", "list", "--data-dir", dir.path().to_str().unwrap()];
    let both = |parts: &[&str]| {
        for words in [refusal(&oneseat(&list, "")), refusal(&upgrade(&dir, &[]))] {
            for part in parts {
                assert!(words.contains(part), "{part}: {words}");
            }
        }
    };
    // The operating system was upgraded. PostgreSQL 12 is older than all that are looked for.
    as_if_made_by("12\n", &dir, || {
        both(&[
            "made by PostgreSQL 12",
            "install postgresql-12",
            "`oneseat database upgrade`",
        ]);
    });
    // The data come from a newer system.
    as_if_made_by("99\n", &dir, || {
        both(&["made by PostgreSQL 99", "install postgresql-99"])
    });
    as_if_made_by("nonsense\n", &dir, || both(&["PG_VERSION names no version"]));
    assert!(starts(&dir));
}

#[test]
fn old_programs_are_those_of_the_old_version_and_whole() {
    let dir = with_data();
    let place = data_dir();
    let bin = place.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let named = ["--old-bin-dir", bin.to_str().unwrap()];
    as_if_made_by("12\n", &dir, || {
        let words = refusal(&upgrade(&dir, &named));
        assert!(words.contains("no server programs of PostgreSQL 12"), "{words}");
        for program in ["initdb", "pg_ctl", "postgres"] {
            std::os::unix::fs::symlink(bin_dir().join(program), bin.join(program)).unwrap();
        }
        // They are of another version.
        let words = refusal(&upgrade(&dir, &named));
        assert!(words.contains("--old-bin-dir"), "{words}");
    });
    assert!(starts(&dir));
}

#[test]
fn what_an_interrupted_upgrade_has_left_is_ended_and_removed_by_the_next_start() {
    let dir = with_data();
    let server = dir.path().join("server");
    // As `pg_upgrade` leaves them: its server of the old data, at a socket of its own, and the new data.
    let run = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-euc", script]).arg(bin_dir().join("pg_ctl"));
        let ran = of_the_servers_owner(&mut shell).current_dir(&server).status();
        assert!(ran.unwrap().success());
    };
    run("\"$0\" -D pgdata -s -w -l upgrade.log -o \"-p 5433 -c listen_addresses='' -c unix_socket_directories=../run\" start </dev/null
         mkdir -p pgdata.new.1.work pgdata.new.1/base && echo 99 >pgdata.new.1/PG_VERSION");
    assert!(server.join("run/.s.PGSQL.5433").exists());
    assert!(starts(&dir));
    assert!(!server.join("run/.s.PGSQL.5433").exists());
    let left: Vec<_> = entries(&server)
        .into_iter()
        .filter(|name| name.contains("new"))
        .collect();
    assert_eq!(left, [""; 0]);
}

/// The directory of the server programs.
fn bin_dir() -> PathBuf {
    let output = Command::new("pg_config").arg("--bindir").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().into()
}
