//! A PostgreSQL with a clock that the test sets; no other process sees that clock.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{User, chown, geteuid};
use oneseat::db::migrations;
use tempfile::TempDir;

use super::database::Database;
use super::deadline::Deadline;

/// A migrated database, stopped and removed with the value.
pub struct Clocked {
    bin: PathBuf,
    dir: TempDir,
    _deadline: Deadline,
}

impl Clocked {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("oneseat-clock-")
            .tempdir()
            .unwrap();
        if let Some(postgres) = postgres() {
            chown(dir.path(), Some(postgres.uid), Some(postgres.gid)).unwrap();
        }
        let clocked = Self {
            bin: programs(),
            dir,
            _deadline: Deadline::of_this_test(),
        };
        clocked.set("+0");
        clocked.run(
            "initdb",
            &[
                "--pgdata=data",
                "--auth=trust",
                "--username=oneseat",
                "--encoding=UTF8",
                "--no-sync",
            ],
        );
        let socket = format!(
            "-c listen_addresses='' -c fsync=off -k {}",
            clocked.dir.path().display()
        );
        clocked.run(
            "pg_ctl",
            &[
                "--pgdata=data",
                "--wait",
                "--silent",
                "--log=log",
                "--options",
                &socket,
                "start",
            ],
        );
        migrations::run(&clocked.url()).unwrap();
        clocked
    }

    pub fn url(&self) -> String {
        format!(
            "postgresql:///postgres?user=oneseat&host={}",
            self.dir.path().display()
        )
    }

    pub fn database(&self) -> Database {
        Database::at(self.url())
    }

    /// Sets its clock from now on: `-1s`, `-5m`, `+0`.
    pub fn set(&self, offset: &str) {
        // The file is replaced as a whole, because it may be read at the same time.
        let new = self.dir.path().join("clock.new");
        fs::write(&new, format!("{offset}\n")).unwrap();
        fs::rename(new, self.dir.path().join("clock")).unwrap();
    }

    fn run(&self, program: &str, args: &[&str]) {
        let mut command = Command::new(self.bin.join(program));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME_TIMESTAMP_FILE", self.dir.path().join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        if let Some(postgres) = postgres() {
            command.uid(postgres.uid.as_raw()).gid(postgres.gid.as_raw());
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
    }
}

impl Drop for Clocked {
    fn drop(&mut self) {
        self.run(
            "pg_ctl",
            &["--pgdata=data", "--wait", "--silent", "--mode=immediate", "stop"],
        );
    }
}

/// The user that root has to become to run PostgreSQL's programs.
fn postgres() -> Option<User> {
    geteuid().is_root().then(|| {
        User::from_name("postgres")
            .unwrap()
            .expect("there is no user postgres")
    })
}

fn programs() -> PathBuf {
    let output = Command::new("pg_config").arg("--bindir").output().unwrap();
    let bin = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    assert!(bin.join("initdb").exists(), "{}", bin.display());
    bin
}

/// The library that has to be preloaded for another clock.
pub fn libfaketime() -> String {
    let found = fs::read_dir("/usr/lib").unwrap().flatten().find_map(|entry| {
        let library: PathBuf = Path::new(&entry.path()).join("faketime/libfaketimeMT.so.1");
        library.exists().then_some(library)
    });
    let library = found.expect("libfaketime is missing: script/test installs it");
    library.to_str().unwrap().to_owned()
}
