//! Starting and stopping the server, through PostgreSQL's own programs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::error::Error;
use super::programs::{Programs, Runner};
use crate::db::connection::establish;

/// The superuser of the private cluster; only the owner of the directory and root reach its socket.
const ROLE: &str = "oneseat";

/// How long a server may take to start: recovery after a power cut takes its time.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop in order, in seconds, before it is stopped the way a power cut would.
const STOP_SECONDS: &str = "10";

/// Always given; paths are relative to the cluster, so that no name of a directory has to be quoted.
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
    dir: PathBuf,
    runner: Runner,
    options: String,
}

impl Server {
    pub(super) fn new(dir: PathBuf, runner: Runner, settings: &[(&str, &str)]) -> Self {
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

    /// The connection URI of a database.
    pub(super) fn url_of(&self, database: &str) -> String {
        let host = percent_encoded(self.dir.join("run").as_os_str());
        format!("postgresql://{ROLE}@{host}/{database}")
    }

    /// Does anybody listen at the socket?
    pub(super) fn is_listening(&self) -> bool {
        UnixStream::connect(self.dir.join("run/.s.PGSQL.5432")).is_ok()
    }

    /// Starts the server unless it runs; makes the cluster first if there is none. The caller holds the start lock.
    pub(super) fn start(&self) -> Result<(), Error> {
        let programs = Programs::find(&self.dir.join("pgdata"))?;
        if !self.dir.join("pgdata").exists() {
            self.initialise(&programs)?;
        }
        let deadline = Instant::now() + START;
        // A server that a killed process left behind may be up, starting or on its way down: ask until it is
        // one or the other.
        while establish(&self.url_of("postgres")).is_err() {
            if !self.is_running(&programs) {
                let mut start = programs.command("pg_ctl");
                start.args(["-D", "pgdata", "-l", "postgresql.log", "-o", &self.options]);
                start.args(["-s", "-w", "-t", &START.as_secs().to_string(), "start"]);
                return self
                    .run(&mut start)
                    .map_err(|words| self.failed("pg_ctl", &words));
            }
            if Instant::now() > deadline {
                return Err(self.failed("postgres", "it runs and does not answer"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops the server, whoever uses it.
    pub(super) fn stop(&self) -> Result<(), Error> {
        let programs = Programs::find(&self.dir.join("pgdata"))?;
        let stop = |mode| {
            let mut stop = programs.command("pg_ctl");
            stop.args(["-D", "pgdata", "-s", "-w", "-t", STOP_SECONDS, "-m", mode, "stop"]);
            self.run(&mut stop)
        };
        stop("fast")
            .or_else(|_| stop("immediate"))
            .map_err(Error::program("pg_ctl"))
    }

    /// `pg_ctl status` believes any process with the recorded id; after a power cut that may be another program.
    fn is_running(&self, programs: &Programs) -> bool {
        let mut status = programs.command("pg_ctl");
        if self.run(status.args(["-D", "pgdata", "status"])).is_err() {
            return false;
        }
        let pid_file = self.dir.join("pgdata/postmaster.pid");
        let pid = fs::read_to_string(&pid_file)
            .ok()
            .and_then(|text| text.lines().next()?.parse::<u32>().ok());
        let Some(pid) = pid else { return true };
        let is_another = Command::new("ps")
            .args(["-o", "comm=", "-p", &pid.to_string()])
            .output()
            .is_ok_and(|ps| ps.status.success() && !String::from_utf8_lossy(&ps.stdout).contains("postgres"));
        if is_another {
            let _ = fs::remove_file(&pid_file);
        }
        !is_another
    }

    fn initialise(&self, programs: &Programs) -> Result<(), Error> {
        // An earlier start that was killed may have left its `initdb` at work: each works under a name of its own, and
        // the rename is what makes a cluster whole.
        for entry in fs::read_dir(&self.dir).map_err(Error::at(&self.dir))?.flatten() {
            if entry.file_name().as_bytes().starts_with(b"pgdata.new.") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let unfinished = format!("pgdata.new.{}", uuid::Uuid::new_v4().simple());
        let mut initdb = programs.command("initdb");
        initdb.args(["-D", &unfinished, "-U", ROLE, "--encoding=UTF8", "--no-locale"]);
        // Nobody but the owner and root can reach the socket's directory.
        initdb.args(["--auth-local=trust", "--auth-host=reject"]);
        let mut run = Command::new("mkdir");
        run.args(["-p", "-m", "700", "run"]);
        self.run(&mut run).map_err(|words| self.failed("mkdir", &words))?;
        self.run(&mut initdb)
            .map_err(|words| self.failed("initdb", &words))?;
        let pgdata = self.dir.join("pgdata");
        fs::rename(self.dir.join(unfinished), &pgdata).map_err(Error::at(&pgdata))
    }

    fn run(&self, command: &mut Command) -> Result<(), String> {
        self.runner.run(command.current_dir(&self.dir))
    }

    fn failed(&self, program: &'static str, words: &str) -> Error {
        let log = self.dir.join("postgresql.log");
        let hint = if log.exists() {
            format!(" (see {})", log.display())
        } else {
            String::new()
        };
        Error::program(program)(format!("{words}{hint}"))
    }
}

/// RFC 3986 2.3: what is not unreserved is percent-encoded.
fn percent_encoded(text: &OsStr) -> String {
    let encode = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.as_bytes().iter().map(encode).collect()
}
