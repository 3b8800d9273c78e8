//! The directory: whose it is, and the locks in it.
//!
//! Root works here with care: `server/` belongs to another user, who could put a link where a file is expected. So it is
//! handed over once, when it is made and empty, and root neither writes nor follows anything in it afterwards.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::error::Error;
use super::programs::Runner;

/// The longest address of a Unix socket on Linux is 107 bytes; the shortest limit elsewhere is 103.
const LONGEST_SOCKET_PATH: usize = 103;

/// A directory that is known to be ours.
#[derive(Clone, Debug)]
pub(super) struct DataDir(PathBuf);

impl DataDir {
    /// Makes the directory or takes an empty one, and refuses whatever is somebody else's before anything in it is
    /// changed. Returns it with the start lock held.
    pub(super) fn claim(path: &Path, runner: &Runner) -> Result<(Self, File), Error> {
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
            .map_err(Error::at(path))?;
        if fs::metadata(path).map_err(Error::at(path))?.uid() != geteuid().as_raw() {
            return Err(Error::OtherOwner(words));
        }
        let is_empty = fs::read_dir(path).map_err(Error::at(path))?.next().is_none();
        if !is_empty && !path.join("start.lock").exists() {
            return Err(Error::NotOurs(words));
        }
        let this = Self(path.to_owned());
        // Its file is what marks a directory as ours, so it is made first.
        let start_lock = this.lock_file("start.lock")?;
        start_lock.lock().map_err(Error::at(path))?;
        // Who runs PostgreSQL has to get to `server/`, and needs to see nothing else.
        let mode = if runner.owner().is_some() { 0o711 } else { 0o700 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::at(path))?;
        this.make_server_dir(runner)?;
        Ok((this, start_lock))
    }

    fn make_server_dir(&self, runner: &Runner) -> Result<(), Error> {
        let server = self.server();
        match DirBuilder::new().mode(0o700).create(&server) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            made => made.map_err(Error::at(&server))?,
        }
        if let Some((user, group)) = runner.owner() {
            chown(&server, Some(user), Some(group)).map_err(Error::at(&server))?;
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn server(&self) -> PathBuf {
        self.0.join("server")
    }

    pub(super) fn lock_file(&self, name: &str) -> Result<File, Error> {
        let path = self.0.join(name);
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::at(&path))
    }
}
