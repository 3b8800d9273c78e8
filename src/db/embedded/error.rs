//! The errors of the private PostgreSQL, each with its remedy.

use std::fmt;
use std::io;
use std::path::Path;

/// An error of the private PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine has no PostgreSQL.
    #[error(
        "no PostgreSQL server programs found; install the package postgresql \
         (Debian, Ubuntu: apt-get install postgresql) or set DATABASE_URL"
    )]
    NoPrograms,
    /// The data need a major version that is not installed (any more).
    #[error(
        "{dir} was made by PostgreSQL {version}, whose server programs are not here; install postgresql-{version}"
    )]
    OtherVersion {
        /// The cluster.
        dir: String,
        /// Its major version.
        version: String,
    },
    /// The program runs as root, without the user that PostgreSQL's packages create.
    #[error(
        "PostgreSQL refuses to run as root and there is no user `postgres`; run oneseat as an ordinary user"
    )]
    NoUser,
    /// The directory contains other files.
    #[error("{0} is not empty and holds no oneseat data; name an empty or a new directory with --data-dir")]
    NotOurs(String),
    /// Another user owns the directory.
    #[error(
        "{0} belongs to another user; run oneseat as that user or name another directory with --data-dir"
    )]
    OtherOwner(String),
    /// Paths of Unix sockets are short, and libpq reads a comma as a list.
    #[error(
        "{0:?} cannot hold a Unix socket; name a directory of at most 80 bytes, \
         without commas, quotes or control characters, with --data-dir"
    )]
    PathUnusable(String),
    /// The file system reported an error.
    #[error("cannot use {path}: {error}; name another directory with --data-dir")]
    Io {
        /// The path.
        path: String,
        /// The error.
        error: io::Error,
    },
    /// Another process does not release a lock.
    #[error(
        "{path} has been held for {seconds} seconds by {holders}; end that, or name another directory with --data-dir"
    )]
    Held {
        /// The locked file.
        path: String,
        /// The holders.
        holders: String,
        /// The length of the wait.
        seconds: u64,
    },
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed: {words}")]
    Program {
        /// The program.
        program: &'static str,
        /// Its last words.
        words: String,
    },
}

impl Error {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.display().to_string();
        move |error| Self::Io { path, error }
    }

    pub(super) fn program<E: fmt::Display>(program: &'static str) -> impl FnOnce(E) -> Self {
        move |words| Self::Program {
            program,
            words: words.to_string(),
        }
    }
}
