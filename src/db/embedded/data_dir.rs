//! The data directory: its owner, and what root may read in it.
//!
//! Root takes care here: `server/` belongs to another user, who could put a link where a file is expected. So
//! root hands it over once, when it is new and empty. Afterwards only programs of that user change it, and
//! root opens files in it step by step from the directory, following no link. Root changes nothing in it but the
//! names of entries, after an upgrade: if an entry is a link, the link itself is renamed.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::dir::Dir;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::geteuid;
use rustix::fs::{AtFlags, RenameFlags, fstatvfs, renameat_with, statat};
use rustix::io::Errno;

use super::error::Error;
use super::lock::{self, LONGEST_WAIT, Mode as LockMode};
use super::programs::Runner;

/// A Unix socket's address has at most 107 bytes on Linux; the shortest limit elsewhere is 103.
const LONGEST_SOCKET_PATH: usize = 103;

/// Most bytes that are read of a file in `server/`. All files that are read there are shorter.
const LONGEST_FILE: u64 = 4_096;

/// A process holds this file's lock while it starts or stops the server. The file marks a directory as ours.
const START_LOCK: &str = "start.lock";
/// All processes that use the server share this file's lock.
const IN_USE_LOCK: &str = "in-use.lock";

/// A data directory that is ours.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    dir: File,
}

/// The `server/` in a data directory. Its owner runs PostgreSQL.
#[derive(Debug)]
pub(super) struct ServerDir {
    pub(super) path: PathBuf,
    dir: File,
}

impl DataDir {
    /// Makes the directory or takes an empty one, and refuses one that is not ours before changing it.
    /// Returns it with the start lock held, and the directory of the user that runs PostgreSQL.
    pub(super) fn claim(path: &Path, runner: &Runner) -> Result<(Self, File, ServerDir), Error> {
        let words = path.display().to_string();
        let is_plain = !words.contains(|c: char| c.is_control() || ",\"'".contains(c));
        if !is_plain
            || path.join("server/run/.s.PGSQL.5432").as_os_str().as_bytes().len() > LONGEST_SOCKET_PATH
        {
            return Err(Error::PathUnusable(words));
        }
        DirBuilder::new()
            .recursive(true)
            .create(path)
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => ErrorKind::NotADirectory.into(),
                _ => error,
            })
            .map_err(Error::at(path))?;
        let this = Self {
            path: path.to_owned(),
            dir: File::open(path).map_err(Error::at(path))?,
        };
        if this.dir.metadata().map_err(Error::at(path))?.uid() != geteuid().as_raw() {
            return Err(Error::OtherOwner(words));
        }
        if !is_empty(&this.dir).map_err(Error::at(path))? && !has(&this.dir, START_LOCK) {
            return Err(Error::NotOurs(words));
        }
        let start_lock = this.start_lock(LONGEST_WAIT)?;
        // The user that runs PostgreSQL must reach `server/`, and see nothing else.
        let mode = if runner.owner().is_some() { 0o711 } else { 0o700 };
        this.dir
            .set_permissions(Permissions::from_mode(mode))
            .map_err(Error::at(path))?;
        let server = this.server_dir(runner)?;
        Ok((this, start_lock, server))
    }

    /// Waits for the lock for starting or stopping the server, and takes it.
    pub(super) fn start_lock(&self, wait: Duration) -> Result<File, Error> {
        self.locked(START_LOCK, LockMode::Alone, wait)
    }

    /// Takes the lock of the server's users, shared.
    pub(super) fn in_use_lock(&self) -> Result<File, Error> {
        self.locked(IN_USE_LOCK, LockMode::Shared, LONGEST_WAIT)
    }

    /// Takes the lock of the server's users alone. Fails if another program uses the server.
    pub(super) fn alone_lock(&self) -> Result<File, Error> {
        self.locked(IN_USE_LOCK, LockMode::Alone, Duration::ZERO)
            .map_err(|error| match error {
                Error::Held { holders, .. } => Error::InUse {
                    dir: self.path.display().to_string(),
                    holders,
                },
                error => error,
            })
    }

    /// Checks that this directory was claimed once.
    pub(super) fn check_is_ours(path: &Path) -> Result<(), Error> {
        let found = path.join(START_LOCK).try_exists();
        if let Ok(true) = found {
            return Ok(());
        }
        let words = path.display().to_string();
        let is_of_another = path
            .metadata()
            .is_ok_and(|found| found.uid() != geteuid().as_raw());
        Err(match found {
            _ if is_of_another => Error::OtherOwner(words),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Error::Unreadable(words),
            _ => Error::NoData(words),
        })
    }

    fn locked(&self, name: &str, mode: LockMode, wait: Duration) -> Result<File, Error> {
        let path = self.path.join(name);
        let file = self.lock_file(name)?;
        lock::take(&file, &path, mode, wait)?;
        Ok(file)
    }

    /// Opens a lock file. Only its owner can read it, because a process that can read a file can lock it and block
    /// others.
    fn lock_file(&self, name: &str) -> Result<File, Error> {
        let path = self.path.join(name);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        let file = open_at(&self.dir, name, flags).map_err(Error::at(&path))?;
        let found = file.metadata().map_err(Error::at(&path))?;
        if !found.is_file() || found.uid() != geteuid().as_raw() {
            return Err(Error::NotOurs(self.path.display().to_string()));
        }
        // Earlier versions left them readable.
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(Error::at(&path))?;
        Ok(file)
    }

    fn server_dir(&self, runner: &Runner) -> Result<ServerDir, Error> {
        let path = self.path.join("server");
        match mkdirat(&self.dir, "server", Mode::S_IRWXU) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            Err(error) => return Err(Error::at(&path)(error.into())),
        }
        let dir = open_at(&self.dir, "server", OFlag::O_DIRECTORY).map_err(Error::at(&path))?;
        let own = geteuid().as_raw();
        let found = dir.metadata().map_err(Error::at(&path))?.uid();
        match runner.owner() {
            None if found == own => {}
            Some((user, _)) if found == user => {}
            // The directory is new, or left by a start that was killed before it handed the directory over.
            Some((user, group)) if found == own && is_empty(&dir).map_err(Error::at(&path))? => {
                fchown(&dir, Some(user), Some(group)).map_err(Error::at(&path))?;
            }
            _ => return Err(Error::OtherOwner(path.display().to_string())),
        }
        Ok(ServerDir { path, dir })
    }
}

impl ServerDir {
    /// Whether an entry with this name exists. A link counts, too.
    pub(super) fn has(&self, name: &str) -> bool {
        statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).err() != Some(Errno::NOENT)
    }

    /// The major version of PostgreSQL that made the cluster. `None`: there is no cluster.
    pub(super) fn version(&self) -> Result<Option<u32>, Error> {
        let Some(cluster) = self.cluster()? else {
            return Ok(None);
        };
        let file = self.path.join("pgdata/PG_VERSION");
        let version = self.read(&cluster, "PG_VERSION")?.trim().parse();
        version
            .map(Some)
            .map_err(|_| Error::NoVersion(file.display().to_string()))
    }

    /// Whether an entry exists whose name begins like this.
    pub(super) fn has_any(&self, beginning: &str) -> Result<bool, Error> {
        let names = names(&self.dir).map_err(Error::at(&self.path))?;
        Ok(names.iter().any(|name| name.starts_with(beginning.as_bytes())))
    }

    /// Lets two entries change places, in one step.
    pub(super) fn exchange(&self, one: &str, other: &str) -> io::Result<()> {
        Ok(renameat_with(
            &self.dir,
            one,
            &self.dir,
            other,
            RenameFlags::EXCHANGE,
        )?)
    }

    /// Gives an entry a name that no other has.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat_with(
            &self.dir,
            from,
            &self.dir,
            to,
            RenameFlags::NOREPLACE,
        )?)
    }

    /// Writes the names of its entries to the disk, so that they survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.dir.sync_all()
    }

    /// The space that is left on its disk, in bytes.
    pub(super) fn free_space(&self) -> io::Result<u64> {
        let disk = fstatvfs(&self.dir)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// The id of the server's process, as the cluster records it.
    pub(super) fn server_process(&self) -> Option<u32> {
        let cluster = self.cluster().ok()??;
        let text = self.read(&cluster, "postmaster.pid").ok()?;
        text.lines().next()?.parse().ok()
    }

    fn cluster(&self) -> Result<Option<File>, Error> {
        match open_at(&self.dir, "pgdata", OFlag::O_DIRECTORY) {
            Ok(cluster) => Ok(Some(cluster)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::at(&self.path.join("pgdata"))(error)),
        }
    }

    /// Reads a short file that has the same owner as the directory.
    fn read(&self, cluster: &File, name: &str) -> Result<String, Error> {
        let read = || {
            let file = open_at(cluster, name, OFlag::O_RDONLY)?;
            if !file.metadata()?.is_file() || file.metadata()?.uid() != self.dir.metadata()?.uid() {
                return Err(io::Error::other("it is not PostgreSQL's own"));
            }
            let mut text = String::new();
            file.take(LONGEST_FILE).read_to_string(&mut text)?;
            Ok(text)
        };
        read().map_err(Error::at(&self.path.join("pgdata").join(name)))
    }
}

/// Opens an entry of the directory, unless it is a link; does not wait for a pipe.
fn open_at(dir: &impl AsFd, name: &str, flags: OFlag) -> io::Result<File> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    Ok(openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?.into())
}

fn has(dir: &File, name: &str) -> bool {
    open_at(dir, name, OFlag::O_RDONLY).is_ok()
}

fn is_empty(dir: &File) -> io::Result<bool> {
    names(dir).map(|names| names.is_empty())
}

fn names(dir: &File) -> io::Result<Vec<Vec<u8>>> {
    // A new descriptor, which reads from the beginning.
    let mut dir = Dir::from_fd(open_at(dir, ".", OFlag::O_DIRECTORY)?.into())?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        names.push(entry?.file_name().to_bytes().to_vec());
    }
    names.retain(|name| ![&b"."[..], b".."].contains(&name.as_slice()));
    Ok(names)
}
