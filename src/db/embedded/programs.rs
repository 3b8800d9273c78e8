//! Finds PostgreSQL's server programs, and runs them as a user they accept, in a clean environment: the
//! operator's variables may be secret, or meant for another server.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{User, geteuid};

use super::error::Error;
use crate::redaction::cleaned;

/// The oldest version that the migrations work with (`gen_random_uuid`).
const OLDEST: u32 = 13;

/// The variables that a program needs to be found and loaded. The user `postgres` can read them.
const KEPT: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// A command with no other environment than [`KEPT`].
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C");
    for name in KEPT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// One installation of PostgreSQL's server programs.
#[derive(Debug)]
pub(super) struct Programs {
    bin: PathBuf,
}

impl Programs {
    /// The newest installation, or that of the version that made the cluster.
    pub(super) fn find(made_by: Option<&str>, dir: &Path) -> Result<Self, Error> {
        let mut found: Vec<(u32, PathBuf)> = candidates()
            .into_iter()
            .filter_map(|bin| Some((major_version(&bin)?, bin)))
            .filter(|(version, _)| *version >= OLDEST)
            .collect();
        // The sort is stable: among equals, the first candidate wins.
        found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        match made_by.map(str::trim) {
            None => found.into_iter().next().ok_or(Error::NoPrograms),
            Some(version) => found
                .into_iter()
                .find(|(found, _)| found.to_string() == version)
                .ok_or_else(|| Error::OtherVersion {
                    dir: dir.display().to_string(),
                    version: version.chars().take(10).flat_map(char::escape_debug).collect(),
                }),
        }
        .map(|(_, bin)| Self { bin })
    }

    pub(super) fn command(&self, program: &str) -> Command {
        command(self.bin.join(program))
    }
}

/// Directories with server programs: Debian and Homebrew leave them off the PATH.
fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(output) = command("pg_config").arg("--bindir").output() {
        dirs.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for (parent, child) in [
        ("/usr/lib/postgresql", "bin"),
        ("/opt/homebrew/opt", "bin"),
        ("/usr/local/opt", "bin"),
    ] {
        let Ok(entries) = fs::read_dir(parent) else {
            continue;
        };
        dirs.extend(entries.flatten().map(|entry| entry.path().join(child)));
    }
    dirs.retain(|dir| {
        ["initdb", "pg_ctl", "postgres"]
            .iter()
            .all(|program| dir.join(program).is_file())
    });
    dirs
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15.
fn major_version(bin: &Path) -> Option<u32> {
    let output = command(bin.join("postgres")).arg("--version").output().ok()?;
    let words = String::from_utf8(output.stdout).ok()?;
    let version = words.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The user that runs PostgreSQL's programs: they refuse root, so for root it is `postgres`.
#[derive(Debug)]
pub(super) struct Runner {
    owner: Option<(u32, u32)>,
}

/// The user that PostgreSQL's packages create.
const USER: &str = "postgres";

impl Runner {
    pub(super) fn of_this_process() -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self { owner: None });
        }
        match User::from_name(USER) {
            Ok(Some(user)) => Ok(Self {
                owner: Some((user.uid.as_raw(), user.gid.as_raw())),
            }),
            _ => Err(Error::NoUser),
        }
    }

    /// The user and group that must own the data, if not this process's own.
    pub(super) fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// The name of that user, if it is not this process's own.
    pub(super) fn other_user(&self) -> Option<&'static str> {
        self.owner.map(|_| USER)
    }

    /// Runs a program to its end. On failure returns its last words.
    pub(super) fn run(&self, command: &mut Command) -> Result<(), String> {
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        // The server inherits open files: it must get no terminal and no pipe.
        let output = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().rfind(|line| !line.trim().is_empty());
        Err(cleaned(last.unwrap_or("it gave no reason")))
    }
}
