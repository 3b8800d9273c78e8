//! Starts and stops the server, with PostgreSQL's own programs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::data_dir::ServerDir;
use super::error::Error;
use super::programs::{Programs, Runner, command};
use crate::db::connection::establish;

/// The superuser of the private cluster; only the owner of the directory and root reach its socket.
pub(super) const ROLE: &str = "oneseat";

/// How long a server may take to start: recovery after a power cut takes time.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop in order. Then it is stopped as by a power cut.
const STOP: Duration = Duration::from_secs(10);

/// The cluster.
pub(super) const CLUSTER: &str = "pgdata";
/// How the names of unfinished clusters, and of what belongs to them, begin.
pub(super) const UNFINISHED: &str = "pgdata.new.";

/// The number in the socket's name.
const PORT: &str = "5432";
/// The number while `pg_upgrade` runs a server, so that nobody else takes it for the usual one.
pub(super) const UPGRADE_PORT: &str = "5433";

/// The server's log.
const LOG: &str = "postgresql.log";

/// These are always set. Paths are relative to the cluster, so that no directory name needs quotes.
const SETTINGS: [(&str, &str); 6] = [
    ("listen_addresses", ""),
    ("unix_socket_directories", "../run"),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "300"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// One cluster's server, running or not.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) dir: ServerDir,
    pub(super) runner: Runner,
    options: String,
}

impl Server {
    pub(super) fn new(dir: ServerDir, runner: Runner, settings: &[(&str, &str)]) -> Self {
        let all = SETTINGS.iter().chain(settings);
        let options = all
            .map(|(name, value)| format!("-c {name}='{value}'"))
            .collect::<Vec<_>>();
        Self {
            dir,
            runner,
            options: options.join(" "),
        }
    }

    /// The connection URI of a database. It uses no password file, and accepts no other user's server.
    pub(super) fn url_of(&self, database: &str) -> String {
        // libpq opens the file by name and follows links, so it is named where only the owner of the data
        // directory writes.
        let data_dir = self.dir.path.parent().unwrap_or(&self.dir.path);
        let passwords = percent_encoded(data_dir.join("no-passwords").as_os_str());
        let host = percent_encoded(self.dir.path.join("run").as_os_str());
        let peer = self.runner.other_user();
        let peer = peer.map_or_else(String::new, |user| format!("&requirepeer={user}"));
        format!("postgresql://{ROLE}@{host}/{database}?passfile={passwords}{peer}")
    }

    /// Whether a server listens at the socket.
    pub(super) fn is_listening(&self) -> bool {
        self.listens_at(PORT)
    }

    fn listens_at(&self, port: &str) -> bool {
        UnixStream::connect(self.dir.path.join(format!("run/.s.PGSQL.{port}"))).is_ok()
    }

    /// Starts the server unless it runs; makes the cluster first if there is none. The caller holds the start
    /// lock.
    pub(super) fn start(&self) -> Result<(), Error> {
        let made_by = self.dir.version()?;
        let programs = Programs::find(made_by, &self.dir.path)?;
        self.remove_unfinished(&programs)?;
        if made_by.is_none() {
            log::info!("making a private PostgreSQL in {}", self.dir.path.display());
            let unfinished = self.make_cluster(&programs, &[])?;
            self.step("mv", command("mv").args([&unfinished, CLUSTER]))?;
        }
        self.start_with(&programs)
    }

    /// Starts the server with these programs unless it runs. There must be a cluster.
    pub(super) fn start_with(&self, programs: &Programs) -> Result<(), Error> {
        let deadline = Instant::now() + START;
        // A server that a killed process left may be up, starting or stopping: ask until it is up or down.
        while establish(&self.url_of("postgres")).is_err() {
            self.stop_left_by_upgrade(programs);
            if !self.is_running(programs) {
                return self.start_cluster(programs, CLUSTER);
            }
            if Instant::now() > deadline {
                return Err(self.failed("postgres", "it runs and does not answer"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Starts the server of one of the clusters.
    pub(super) fn start_cluster(&self, programs: &Programs, cluster: &str) -> Result<(), Error> {
        let mut start = programs.command("pg_ctl");
        start.args(["-D", cluster, "-l", LOG, "-o", &self.options]);
        start.args(["-s", "-w", "-t", &START.as_secs().to_string(), "start"]);
        self.step("pg_ctl", &mut start)
    }

    /// Stops the server, even while it is in use.
    pub(super) fn stop(&self) -> Result<(), Error> {
        let programs = Programs::find(self.dir.version()?, &self.dir.path)?;
        self.stop_cluster(&programs, CLUSTER, "fast", STOP)
            .or_else(|_| self.stop_cluster(&programs, CLUSTER, "immediate", STOP))
    }

    /// Stops the server of one of the clusters.
    pub(super) fn stop_cluster(
        &self,
        programs: &Programs,
        cluster: &str,
        mode: &str,
        limit: Duration,
    ) -> Result<(), Error> {
        let mut stop = programs.command("pg_ctl");
        stop.args(["-D", cluster, "-s", "-w", "-t", &limit.as_secs().to_string()]);
        self.run(stop.args(["-m", mode, "stop"]))
            .map_err(Error::program("pg_ctl"))
    }

    /// Ends and removes what an interrupted upgrade or first start has left. The caller holds the start lock, so
    /// nobody works on it.
    pub(super) fn remove_unfinished(&self, programs: &Programs) -> Result<(), Error> {
        self.stop_left_by_upgrade(programs);
        if !self.dir.has_any(UNFINISHED)? {
            return Ok(());
        }
        let remove = format!(
            "for dir in {UNFINISHED}*; do \
                 if [ -e \"$dir/postmaster.pid\" ]; then \"$0\" -D \"$dir\" -s -w -m immediate stop || true; fi; \
             done; rm -rf {UNFINISHED}* || true"
        );
        let mut shell = command("sh");
        shell.args(["-c", &remove]).arg(programs.bin.join("pg_ctl"));
        self.step("rm", &mut shell)
    }

    /// `pg_upgrade` runs the server of the cluster, too, away from the usual socket. The caller holds the start
    /// lock, so no `pg_upgrade` runs any more.
    fn stop_left_by_upgrade(&self, programs: &Programs) {
        if self.listens_at(UPGRADE_PORT) {
            let _ = self.stop_cluster(programs, CLUSTER, "fast", START);
        }
    }

    /// `pg_ctl status` accepts any process with the recorded id; after a power cut that may be another
    /// program.
    fn is_running(&self, programs: &Programs) -> bool {
        let mut status = programs.command("pg_ctl");
        if self.run(status.args(["-D", "pgdata", "status"])).is_err() {
            return false;
        }
        let Some(pid) = self.dir.server_process() else {
            return true;
        };
        let is_another = command("ps")
            .args(["-o", "comm=", "-p", &pid.to_string()])
            .output()
            .is_ok_and(|ps| ps.status.success() && !String::from_utf8_lossy(&ps.stdout).contains("postgres"));
        if is_another {
            let _ = self.run(command("rm").args(["-f", "pgdata/postmaster.pid"]));
        }
        !is_another
    }

    /// Makes a cluster under a name of its own, which is returned. A killed start may have left its `initdb`
    /// running, and only the rename makes a cluster ours.
    pub(super) fn make_cluster(&self, programs: &Programs, more: &[&str]) -> Result<String, Error> {
        self.step("mkdir", command("mkdir").args(["-p", "-m", "700", "run"]))?;
        let unfinished = format!("{UNFINISHED}{}", uuid::Uuid::new_v4().simple());
        let mut initdb = programs.command("initdb");
        initdb.args(["-D", &unfinished, "-U", ROLE, "--encoding=UTF8", "--no-locale"]);
        // Only the owner and root can reach the socket's directory.
        initdb
            .args(["--auth-local=trust", "--auth-host=reject"])
            .args(more);
        self.step("initdb", &mut initdb)?;
        Ok(unfinished)
    }

    /// Runs a program in the server's directory.
    pub(super) fn step(&self, program: &'static str, command: &mut Command) -> Result<(), Error> {
        self.run(command).map_err(|words| self.failed(program, &words))
    }

    fn run(&self, command: &mut Command) -> Result<(), String> {
        self.runner.run(command.current_dir(&self.dir.path))
    }

    fn failed(&self, program: &'static str, words: &str) -> Error {
        let hint = match self.dir.has(LOG) {
            true => format!(" (see {})", self.dir.path.join(LOG).display()),
            false => String::new(),
        };
        Error::program(program)(format!("{words}{hint}"))
    }
}

/// RFC 3986 2.3: what is not unreserved is percent-encoded.
fn percent_encoded(text: &OsStr) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    percent_encode(text.as_bytes(), RESERVED).to_string()
}
