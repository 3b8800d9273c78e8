//! A PgBouncer between servers and PostgreSQL: Debian's, or the one that `ONESEAT_PGBOUNCER` names.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use super::Database;

/// Exceeded by no pooler, even on a busy machine.
const SLOWEST_START: Duration = Duration::from_secs(60);

/// A running PgBouncer, ended with the value.
pub struct Pooler {
    process: Option<Child>,
    url: String,
    dir: TempDir,
}

impl Pooler {
    /// A pooler in this mode in front of the server of a database, with so many connections to it.
    pub fn start(database: &Database, mode: &str, connections: usize) -> Self {
        Self::start_in(&std::env::temp_dir(), database, mode, connections)
    }

    /// A pooler like `start`'s, with its files in a directory below this one.
    pub fn start_in(place: &Path, database: &Database, mode: &str, connections: usize) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("oneseat-pooler-")
            .tempdir_in(place)
            .unwrap();
        let (start, rest) = database.url().split_once('@').unwrap();
        let (host, rest) = rest.split_once('/').unwrap();
        let socket = percent_encoding::percent_decode_str(host).decode_utf8().unwrap();
        let role = start.rsplit_once('/').unwrap().1;
        let here = dir.path().display();
        let settings = format!(
            "[databases]\n* = host={socket} port=5432\n\
             [pgbouncer]\nunix_socket_dir = {here}\nlisten_port = 5432\nlisten_addr =\n\
             auth_type = trust\nauth_file = {here}/users\nadmin_users = {role}\npool_mode = {mode}\n\
             default_pool_size = {connections}\nmax_client_conn = 500\n\
             # A connection that PostgreSQL has closed is tried again at once, not in 15 seconds.\n\
             server_login_retry = 0.1\nlogfile = {here}/log\n"
        );
        fs::write(dir.path().join("settings"), settings).unwrap();
        fs::write(dir.path().join("users"), format!("\"{role}\" \"\"\n")).unwrap();
        fs::write(dir.path().join("log"), "").unwrap();
        let host: String = percent_encoding::utf8_percent_encode(
            dir.path().to_str().unwrap(),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .collect();
        // If PostgreSQL runs as another user, so does the pooler.
        let url = format!("{start}@{host}/{rest}");
        let mut pooler = Self {
            process: None,
            url,
            dir,
        };
        pooler.begin();
        pooler
    }

    /// Starts it and waits until it answers.
    pub fn begin(&mut self) {
        let program = std::env::var_os("ONESEAT_PGBOUNCER").map_or_else(|| "pgbouncer".into(), PathBuf::from);
        let mut command = Command::new(program);
        command.arg("--quiet").arg(self.dir.path().join("settings"));
        if geteuid().is_root() {
            // It refuses to run as root.
            let owner = User::from_name("postgres")
                .unwrap()
                .expect("PostgreSQL has a user");
            let (uid, gid) = (owner.uid.as_raw(), owner.gid.as_raw());
            for file in ["", "settings", "users", "log"] {
                chown(self.dir.path().join(file), Some(uid), Some(gid)).unwrap();
            }
            command.uid(uid).gid(gid);
        }
        fs::set_permissions(self.dir.path(), Permissions::from_mode(0o711)).unwrap();
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PgBouncer is missing: script/install test installs it");
        self.process = Some(process);
        let deadline = Instant::now() + SLOWEST_START;
        while UnixStream::connect(self.dir.path().join(".s.PGSQL.5432")).is_err() {
            assert!(Instant::now() < deadline, "it does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once, with every connection.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = Pid::from_raw(i32::try_from(process.id()).unwrap());
            let _ = kill(pid, Signal::SIGKILL);
            let _ = process.wait();
            let _ = fs::remove_file(self.dir.path().join(".s.PGSQL.5432"));
        }
    }

    /// The connection string for libpq, through the pooler.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a command of the pooler's own, such as `RECONNECT`.
    pub fn command(&self, words: &str) {
        let (start, _) = self.url.rsplit_once('/').unwrap();
        let told = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--command", words])
            .arg(format!("--dbname={start}/pgbouncer"))
            .output()
            .unwrap();
        assert!(told.status.success(), "{told:?}");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.kill();
    }
}
