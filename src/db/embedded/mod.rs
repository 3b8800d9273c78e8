//! A private PostgreSQL for people who have none: same server, same guarantees, nothing to set up.
//!
//! ```text
//! DATA_DIR/            mode 0700, owned by whoever runs PostgreSQL
//!   pgdata/            the cluster; made under another name and renamed when it is whole
//!   run/               the Unix socket: there is no TCP port
//!   postgresql.log
//!   start.lock         held while somebody starts or stops the server
//!   in-use.lock        held, shared, by every process that uses it: the last one out stops the server
//! ```
//!
//! A process that is killed leaves the server running and its locks released; the next one finds the server and
//! uses it.

mod programs;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::RunQueryDsl;

use super::connection::establish;
use programs::{Programs, Runner};

/// The superuser of the private cluster; only the owner of the directory and root reach its socket.
const ROLE: &str = "oneseat";
const DATABASE: &str = "oneseat";

/// How long a server may take to start: recovery after a power cut takes its time.
const START: Duration = Duration::from_secs(60);

/// The longest address of a Unix socket on Linux is 107 bytes; the shortest limit elsewhere is 103.
const LONGEST_SOCKET_PATH: usize = 103;

/// Why the private PostgreSQL could not be used, each with its remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No PostgreSQL on this machine.
    #[error(
        "no PostgreSQL server programs found; install the package postgresql \
         (Debian, Ubuntu: apt-get install postgresql) or set DATABASE_URL"
    )]
    NoPrograms,
    /// The data are of a major version that is not installed (any more).
    #[error(
        "{dir} was made by PostgreSQL {version}, whose server programs are not here; \
         install postgresql-{version}"
    )]
    OtherVersion {
        /// The data directory.
        dir: String,
        /// Its major version.
        version: String,
    },
    /// Running as root, without the user that PostgreSQL's packages create.
    #[error(
        "PostgreSQL refuses to run as root and there is no user `postgres`; run oneseat as an ordinary user"
    )]
    NoUser,
    /// Somebody else's directory.
    #[error("{0} is not empty and holds no oneseat data; name an empty or a new directory with --data-dir")]
    NotOurs(String),
    /// Unix sockets have short names.
    #[error("{0} is too long a path for a Unix socket; name a shorter directory with --data-dir")]
    PathTooLong(String),
    /// The file system said no.
    #[error("cannot use {path}: {error}; name another directory with --data-dir")]
    Io {
        /// What could not be used.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed: {words}")]
    Program {
        /// Which.
        program: &'static str,
        /// Its last words.
        words: String,
    },
}

/// A running private PostgreSQL, in use by this process until dropped.
#[derive(Debug)]
pub struct Embedded {
    dir: PathBuf,
    runner: Runner,
    in_use: File,
}

impl Embedded {
    /// Makes the cluster if there is none, starts the server unless it runs, and holds it in use.
    /// `settings` go into `postgresql.conf` beside the program's own.
    ///
    /// # Errors
    /// See [`Error`]; each leaves nothing behind that the next start would trip over.
    pub fn open(dir: &Path, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let runner = Runner::of_this_process()?;
        let start_lock = claim(dir, &runner)?;
        start_lock.lock().map_err(at(dir))?;
        let in_use = lock_file(&dir.join("in-use.lock"))?;
        in_use.lock_shared().map_err(at(dir))?;

        let this = Self {
            dir: dir.to_owned(),
            runner,
            in_use,
        };
        this.start(settings)?;
        this.create_database()?;
        Ok(this)
    }

    /// The connection URI of the program's own database.
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// The same for another database of this cluster.
    pub fn url_of(&self, database: &str) -> String {
        let socket = self.dir.join("run");
        // RFC 3986 2.3: what is not unreserved is percent-encoded.
        let host: String = socket
            .as_os_str()
            .as_bytes()
            .iter()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(*byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect();
        format!("postgresql://{ROLE}@{host}/{database}")
    }

    /// Stops the server at once and whoever uses it, as a power cut would, but in order.
    ///
    /// # Errors
    /// What `pg_ctl` says.
    pub fn stop(&self) -> Result<(), Error> {
        let programs = Programs::find(&self.pgdata())?;
        self.runner
            .run(
                programs
                    .command("pg_ctl")
                    .args(["-D"])
                    .arg(self.pgdata())
                    .args(["-s", "-w", "-m", "fast", "stop"]),
            )
            .map_err(program("pg_ctl"))
    }

    /// Starts the server again after [`stop`](Self::stop).
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(&self, settings: &[(&str, &str)]) -> Result<(), Error> {
        let pgdata = self.pgdata();
        let programs = Programs::find(&pgdata)?;
        if !pgdata.exists() {
            self.initialise(&programs)?;
        }
        let deadline = Instant::now() + START;
        // A server that a killed process left behind may be up, starting or on its way down: ask until it is
        // one or the other.
        loop {
            if establish(&self.url_of("postgres")).is_ok() {
                return Ok(());
            }
            if !self.is_running(&programs) {
                write_configuration(&pgdata, settings).map_err(at(&pgdata))?;
                return self
                    .runner
                    .run(
                        programs
                            .command("pg_ctl")
                            .arg("-D")
                            .arg(&pgdata)
                            .arg("-l")
                            .arg(self.dir.join("postgresql.log"))
                            .args(["-s", "-w", "-t", &START.as_secs().to_string(), "start"]),
                    )
                    .map_err(|words| Error::Program {
                        program: "pg_ctl",
                        words: format!("{words} (see {}/postgresql.log)", self.dir.display()),
                    });
            }
            if Instant::now() > deadline {
                return Err(Error::Program {
                    program: "postgres",
                    words: format!("no answer (see {}/postgresql.log)", self.dir.display()),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn pgdata(&self) -> PathBuf {
        self.dir.join("pgdata")
    }

    fn is_running(&self, programs: &Programs) -> bool {
        let mut status = programs.command("pg_ctl");
        self.runner
            .run(status.arg("-D").arg(self.pgdata()).arg("status"))
            .is_ok()
    }

    fn initialise(&self, programs: &Programs) -> Result<(), Error> {
        // Left by an initialisation that was killed; the rename below is what makes a cluster whole.
        let unfinished = self.dir.join("pgdata.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
        }
        self.runner
            .run(
                programs
                    .command("initdb")
                    .arg("-D")
                    .arg(&unfinished)
                    .args(["-U", ROLE, "--encoding=UTF8", "--no-locale", "--no-instructions"])
                    // Nobody but the owner and root can reach the socket's directory.
                    .args(["--auth-local=trust", "--auth-host=reject"]),
            )
            .map_err(program("initdb"))?;
        fs::rename(&unfinished, self.pgdata()).map_err(at(&self.pgdata()))
    }

    fn create_database(&self) -> Result<(), Error> {
        let mut connection = establish(&self.url_of("postgres")).map_err(|error| Error::Program {
            program: "postgres",
            words: error.to_string(),
        })?;
        match diesel::sql_query(format!("create database {DATABASE}")).execute(&mut connection) {
            Ok(_) => Ok(()),
            Err(error) if error.to_string().contains("already exists") => Ok(()),
            Err(error) => Err(Error::Program {
                program: "create database",
                words: error.to_string(),
            }),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Under the start lock nobody comes in; with the lock to ourselves nobody is left.
        let Ok(start_lock) = lock_file(&self.dir.join("start.lock")) else {
            return;
        };
        let alone =
            start_lock.lock().is_ok() && self.in_use.unlock().is_ok() && self.in_use.try_lock().is_ok();
        if alone && let Err(error) = self.stop() {
            log::warn!("the private PostgreSQL did not stop: {error}");
        }
    }
}

/// Makes the directory private to whoever runs PostgreSQL, and refuses somebody else's. Returns the start
/// lock, not yet locked: its file is what marks a directory as ours, so it is made first.
fn claim(dir: &Path, runner: &Runner) -> Result<File, Error> {
    if dir.join("run/.s.PGSQL.5432.lock").as_os_str().len() > LONGEST_SOCKET_PATH {
        return Err(Error::PathTooLong(dir.display().to_string()));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(dir)
        .map_err(at(dir))?;
    let is_empty = fs::read_dir(dir).map_err(at(dir))?.next().is_none();
    if !is_empty && !dir.join("start.lock").exists() {
        return Err(Error::NotOurs(dir.display().to_string()));
    }
    let start_lock = lock_file(&dir.join("start.lock"))?;
    let run = dir.join("run");
    if !run.exists() {
        fs::create_dir(&run).map_err(at(&run))?;
    }
    for dir in [dir, &run] {
        if let Some((user, group)) = runner.owner()
            && fs::metadata(dir).map_err(at(dir))?.uid() != user
        {
            chown(dir, Some(user), Some(group)).map_err(at(dir))?;
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(at(dir))?;
    }
    Ok(start_lock)
}

/// Everything PostgreSQL is told, written anew at each start so that a moved directory works.
fn write_configuration(pgdata: &Path, settings: &[(&str, &str)]) -> io::Result<()> {
    let mut text = String::from(
        "# Written by oneseat at each start.\n\
         listen_addresses = ''\n\
         # Relative to this directory.\n\
         unix_socket_directories = '../run'\n\
         unix_socket_permissions = 0700\n\
         max_connections = 300\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n",
    );
    for (name, value) in settings {
        text.push_str(&format!("{name} = {value}\n"));
    }
    fs::write(pgdata.join("postgresql.conf"), text)
}

fn lock_file(path: &Path) -> Result<File, Error> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::Io { path, error }
}

fn program(program: &'static str) -> impl FnOnce(String) -> Error {
    move |words| Error::Program { program, words }
}
