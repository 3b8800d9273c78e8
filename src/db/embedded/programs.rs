//! Finds PostgreSQL's server programs, and runs them as a user they accept, in a clean environment: the
//! operator's variables may be secret, or meant for another server.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
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
    /// Its major version.
    pub(super) version: u32,
    pub(super) bin: PathBuf,
}

impl Programs {
    /// The newest installation, or that of the version that made the cluster.
    pub(super) fn find(made_by: Option<u32>, dir: &Path) -> Result<Self, Error> {
        let mut found = Self::all();
        let Some(version) = made_by else {
            return found.into_iter().next().ok_or(Error::NoPrograms);
        };
        let newest = found.first().map(|programs| programs.version);
        let at = found.iter().position(|programs| programs.version == version);
        at.map(|at| found.swap_remove(at)).ok_or_else(|| {
            let dir = dir.display().to_string();
            match newest {
                Some(newest) if newest > version => Error::OlderData { dir, version, newest },
                _ => Error::OtherVersion { dir, version },
            }
        })
    }

    /// All installations, newest first.
    pub(super) fn all() -> Vec<Self> {
        let mut found: Vec<Self> = candidates().iter().filter_map(|bin| Self::at(bin)).collect();
        found.retain(|programs| programs.version >= OLDEST);
        // The sort is stable: among equals, the first candidate wins.
        found.sort_by_key(|programs| std::cmp::Reverse(programs.version));
        found
    }

    /// The installation in this directory.
    pub(super) fn at(bin: &Path) -> Option<Self> {
        let version = major_version(bin)?;
        let bin = bin.to_owned();
        has_server_programs(&bin).then_some(Self { version, bin })
    }

    /// An installation of the same version that has these programs: packages of some systems leave some out, and
    /// some directories have links to a few only.
    pub(super) fn with(self, programs: &[&'static str]) -> Result<Self, Error> {
        let missing = |bin: &Path| programs.iter().find(|program| !bin.join(program).is_file());
        let Some(program) = missing(&self.bin) else {
            return Ok(self);
        };
        let is_complete = |other: &Self| other.version == self.version && missing(&other.bin).is_none();
        Self::all()
            .into_iter()
            .find(is_complete)
            .ok_or_else(|| Error::NoProgram {
                program,
                version: self.version,
                bin: self.bin.display().to_string(),
            })
    }

    pub(super) fn command(&self, program: &str) -> Command {
        command(self.bin.join(program))
    }
}

/// Directories with server programs: Debian, Homebrew, Fedora (for upgrades) and the PostgreSQL project's own
/// packages leave them off the PATH.
fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(output) = command("pg_config").arg("--bindir").output() {
        dirs.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for (parent, beginning) in [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", ""),
        ("/usr/local/opt", ""),
        ("/usr/lib64/pgsql", ""),
        ("/usr", "pgsql-"),
        ("/opt", "pgsql-"),
    ] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning));
        dirs.extend(named.map(|entry| entry.path().join("bin")));
    }
    dirs.retain(|dir| has_server_programs(dir));
    dirs
}

fn has_server_programs(bin: &Path) -> bool {
    let programs = ["initdb", "pg_ctl", "postgres"];
    programs.iter().all(|program| bin.join(program).is_file())
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
    lock: Option<File>,
}

/// The user that PostgreSQL's packages create.
const USER: &str = "postgres";

impl Runner {
    pub(super) fn of_this_process() -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self {
                owner: None,
                lock: None,
            });
        }
        match User::from_name(USER) {
            Ok(Some(user)) => Ok(Self {
                owner: Some((user.uid.as_raw(), user.gid.as_raw())),
                lock: None,
            }),
            _ => Err(Error::NoUser),
        }
    }

    /// Has each program hold this lock, too, for as long as it runs: should this process be killed, the next one
    /// waits for what it has begun.
    pub(super) fn holding(self, lock: File) -> Self {
        Self {
            lock: Some(lock),
            ..self
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
        // The server inherits open files: it must get no terminal and no pipe.
        self.finished(command.stdout(Stdio::null())).map(drop)
    }

    /// Runs a program to its end, and returns what it wrote. On failure returns its last words.
    pub(super) fn read(&self, command: &mut Command) -> Result<String, String> {
        self.finished(command.stdout(Stdio::piped()))
    }

    /// Sets the command up to run as the user that runs PostgreSQL, with nothing to read.
    pub(super) fn of<'a>(&self, command: &'a mut Command) -> io::Result<&'a mut Command> {
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        // The lock is passed on as standard input, because other open files are closed. It is an empty file, so
        // there is nothing to read. A server gets another standard input, and so does not hold the lock.
        Ok(command.stdin(match &self.lock {
            Some(lock) => Stdio::from(lock.try_clone()?),
            None => Stdio::null(),
        }))
    }

    fn finished(&self, command: &mut Command) -> Result<String, String> {
        let output = self
            .of(command)
            .and_then(|command| command.stderr(Stdio::piped()).output())
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().rfind(|line| !line.trim().is_empty());
        Err(cleaned(last.unwrap_or("it gave no reason")))
    }
}
