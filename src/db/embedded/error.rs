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
    /// The data need a newer version than any that is installed.
    #[error(
        "{dir} was made by PostgreSQL {version}, whose server programs are not here; install postgresql-{version} \
         (older programs cannot read the data)"
    )]
    OtherVersion {
        /// The cluster.
        dir: String,
        /// Its major version.
        version: u32,
    },
    /// The operating system was upgraded, and the data were not.
    #[error(
        "{dir} was made by PostgreSQL {version}, and no other programs can read it, not even those of {newest}, \
         which are here; install postgresql-{version} beside them, then run `oneseat database upgrade` \
         (if the system has no such package any more, the PostgreSQL project has)"
    )]
    OlderData {
        /// The cluster.
        dir: String,
        /// Its major version.
        version: u32,
        /// The newest that is installed.
        newest: u32,
    },
    /// The file that names the version has something else in it.
    #[error("{0} names no version of PostgreSQL; restore the data from a backup")]
    NoVersion(String),
    /// The directory given for an upgrade has no programs of the version that made the data.
    #[error("{bin} has no server programs of PostgreSQL {version}; name their directory with --old-bin-dir")]
    OtherPrograms {
        /// The directory.
        bin: String,
        /// The version that made the data.
        version: u32,
    },
    /// An installed version lacks a program that an upgrade needs.
    #[error(
        "an upgrade needs {program} of PostgreSQL {version}, which is not in {bin}; install the package that has it \
         (Debian, Ubuntu: postgresql-{version}; Fedora: postgresql-upgrade)"
    )]
    NoProgram {
        /// The name of the program.
        program: &'static str,
        /// The version of PostgreSQL that lacks it.
        version: u32,
        /// Where it should be.
        bin: String,
    },
    /// The new version lacks an extension. Some systems have the extensions in a package of their own.
    #[error(
        "the data use {library}, which is not in the PostgreSQL {version} that is here; install the package that has it \
         (Debian, Ubuntu: postgresql-{version}; Fedora: postgresql-contrib; Alpine: postgresql{version}-contrib)"
    )]
    NoLibrary {
        /// The extension.
        library: String,
        /// The version that lacks it.
        version: u32,
    },
    /// A command needs existing data, and there are none.
    #[error(
        "there is no private PostgreSQL in {0}; name its directory with --data-dir or ONESEAT_DATA_DIR, or a server of \
         yours with DATABASE_URL (the first `oneseat serve` or `oneseat user add` makes a private one)"
    )]
    NoData(String),
    /// Other programs use the server.
    #[error("{dir} is in use by {holders}; stop that first, then upgrade")]
    InUse {
        /// The data directory.
        dir: String,
        /// The programs.
        holders: String,
    },
    /// The name under which the old data would be kept is taken.
    #[error(
        "{0} is left from an earlier upgrade; remove it or move it away (rm -r), if nothing in it is needed any more"
    )]
    InTheWay(String),
    /// The disk is too full for a copy.
    #[error(
        "an upgrade copies the data, which takes {needed} MB in {dir}, and {free} MB are free there; make room first"
    )]
    NoSpace {
        /// The server's directory.
        dir: String,
        /// The bytes that the copy needs, in millions.
        needed: u64,
        /// The bytes that are free, in millions.
        free: u64,
    },
    /// The file system cannot exchange two directories. Some network file systems cannot.
    #[error(
        "the file system of {dir} cannot let two directories change places ({error}), so an interruption could \
         lose the data; copy the data directory to a local disk, upgrade it there with --data-dir, and copy it back"
    )]
    NoExchange {
        /// The server's directory.
        dir: String,
        /// The error.
        error: io::Error,
    },
    /// The new data are not the same as the old ones.
    #[error(
        "the new data are not the old ones ({new} instead of {old}); please report this \
         (the old data stay in use; their schema may have been updated)"
    )]
    Differs {
        /// The rows of the old data.
        old: String,
        /// The rows of the new data.
        new: String,
    },
    /// Somebody stopped an upgrade.
    #[error(
        "the upgrade was told to stop; the old data stay in use, and their sessions live on \
         (their schema may have been updated)"
    )]
    Stopped,
    /// An upgrade failed after it had ended the sessions of the old data, or while it did so.
    #[error("{0}; the old data stay in use, and everybody may have to sign in again")]
    SignedOut(Box<Error>),
    /// The data have changed places, but the old ones could not be renamed to the name under which they are kept.
    #[error(
        "the new data are in place, but to name the old ones failed ({error}); they are in {old}: \
         move that directory elsewhere before oneseat starts, which may remove it"
    )]
    OldDataUnnamed {
        /// Where the old data are.
        old: String,
        /// The error.
        error: io::Error,
    },
    /// The schema could not be updated before an upgrade.
    #[error(transparent)]
    Migrations(#[from] crate::db::migrations::Error),
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
    /// A directory on the way to it may not be entered.
    #[error(
        "{0} cannot be looked into by this user; run oneseat as the user that it belongs to, or let this one enter \
         every directory above it (chmod o+x)"
    )]
    Unreadable(String),
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
