//! One temporary PostgreSQL for a run, with durable settings as in production.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl};
use oneseat::db::embedded::Embedded;

/// The settings that differ from PostgreSQL's defaults: memory for the data, enough connections, no checkpoint in the
/// middle of a load, and statements that are counted only where an experiment turns it on.
pub const SETTINGS: [(&str, &str); 8] = [
    ("shared_buffers", "2GB"),
    ("max_connections", "400"),
    ("maintenance_work_mem", "512MB"),
    ("max_wal_size", "8GB"),
    ("shared_preload_libraries", "pg_stat_statements"),
    ("pg_stat_statements.track", "none"),
    ("compute_query_id", "off"),
    // A plan that may not read whole tables looks expensive, so that PostgreSQL would compile it each time it runs.
    ("jit", "off"),
];

/// The settings that [`Embedded`] always adds. With [`SLOW_FLUSH`] the server is started without it, and needs them
/// all the same.
const OWN_SETTINGS: [(&str, &str); 3] = [
    ("listen_addresses", ""),
    ("unix_socket_directories", "../run"),
    ("unix_socket_permissions", "0700"),
];

const SLOW_FLUSH: &str = include_str!("slow_flush.c");

/// Ends every process of the run, PostgreSQL included, and removes the files, when the pipe at its standard input
/// closes: however the benchmark ends.
const REAPER: &str = r#"trap '' INT TERM HUP; cat > /dev/null
for group in "$0"/groups/*; do
    [ -e "$group" ] && kill -KILL "-${group##*/}" 2> /dev/null
done
if [ -e "$0/pg/server/pgdata/postmaster.pid" ]; then
    kill -QUIT "$(head -n 1 "$0/pg/server/pgdata/postmaster.pid")"
    while [ -e "$0/pg/server/pgdata/postmaster.pid" ]; do sleep 0.05; done
fi
rm -rf "$0""#;

/// Longer than any statement of the benchmark.
const BOUNDS: &str = "set statement_timeout = '30min'";

/// The PostgreSQL of a run. Dropping it stops the server and removes its files.
pub struct Cluster {
    // The fields are dropped in this order: PostgreSQL stops, then the files are removed.
    embedded: Embedded,
    reaper: Reaper,
}

struct Reaper {
    dir: PathBuf,
    process: Child,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

impl Cluster {
    pub fn start() -> Result<Self> {
        let reaper = Reaper::start()?;
        let embedded = Embedded::open(&reaper.dir.join("pg"), &SETTINGS)?;
        Ok(Self { embedded, reaper })
    }

    /// Starts a PostgreSQL whose flushes take five milliseconds longer.
    pub fn with_slow_flushes() -> Result<Self> {
        let cluster = Self::start()?;
        let (source, library) = (cluster.file("slow_flush.c"), cluster.file("slow_flush.so"));
        fs::write(&source, SLOW_FLUSH)?;
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source]);
        succeed(compile.arg("-ldl"))?;
        cluster.embedded.stop()?;
        let server = cluster.reaper.dir.join("pg/server");
        let owner = fs::metadata(server.join("pgdata"))?;
        let options: Vec<String> = OWN_SETTINGS
            .iter()
            .chain(&SETTINGS)
            .map(|(name, value)| format!("-c {name}='{value}'"))
            .collect();
        let mut start = Command::new(server_program("pg_ctl"));
        start
            .args(["-D", "pgdata", "-l", "postgresql.log", "-s", "-w", "-o"])
            .args([&options.join(" "), "start"])
            .current_dir(&server)
            .env("LD_PRELOAD", &library)
            .stdin(Stdio::null())
            .uid(owner.uid())
            .gid(owner.gid());
        succeed(&mut start)?;
        Ok(cluster)
    }

    /// The path of a file of this run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.reaper.dir.join("files").join(name)
    }

    /// Where a child reports its process group, for as long as it lives.
    pub fn groups(&self) -> PathBuf {
        self.reaper.dir.join("groups")
    }

    pub fn url(&self, database: &str) -> String {
        self.embedded.url_of(database)
    }

    /// The process that all others of this PostgreSQL descend from.
    pub fn postmaster(&self) -> Result<u32> {
        let path = self.reaper.dir.join("pg/server/pgdata/postmaster.pid");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let pid = text.lines().next().context("postmaster.pid is empty")?;
        Ok(pid.trim().parse()?)
    }

    pub fn create(&self, database: &str) -> Result<()> {
        self.execute("postgres", &format!("create database {database}"))
    }

    /// Copies a database of oneseat's, and marks the copy as the home of its sessions: otherwise they would end as
    /// restored.
    pub fn copy(&self, original: &str, copy: &str) -> Result<()> {
        // Connections of stopped servers may end only now.
        self.execute(
            "postgres",
            &format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{original}'"),
        )?;
        self.execute("postgres", &format!("create database {copy} template {original}"))?;
        self.execute(
            copy,
            "update sessions_home set database = (select oid from pg_database where datname = current_database())",
        )?;
        self.settle(copy)
    }

    /// Finishes PostgreSQL's background work.
    pub fn settle(&self, database: &str) -> Result<()> {
        self.execute(database, "vacuum analyze")?;
        self.execute(database, "checkpoint")
    }

    /// Runs statements and forgets what they return.
    pub fn execute(&self, database: &str, statements: &str) -> Result<()> {
        let mut connection = self.connect(database)?;
        connection
            .batch_execute(statements)
            .with_context(|| statements.chars().take(80).collect::<String>())
    }

    /// The texts that a query returns as `word`.
    pub fn words(&self, database: &str, query: &str) -> Result<Vec<String>> {
        let rows: Vec<Word> = diesel::sql_query(query).load(&mut self.connect(database)?)?;
        Ok(rows.into_iter().map(|row| row.word).collect())
    }

    fn connect(&self, database: &str) -> Result<PgConnection> {
        let mut connection = PgConnection::establish(&self.url(database))?;
        connection.batch_execute(BOUNDS)?;
        Ok(connection)
    }
}

/// A program of PostgreSQL's. Debian keeps them off the PATH, and puts wrappers of some on it.
pub fn server_program(name: &str) -> PathBuf {
    let dirs = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = dirs
        .map(|dir| dir.path().join("bin").join(name))
        .filter(|path| path.is_file())
        .collect();
    found.sort_unstable();
    found.pop().unwrap_or_else(|| Path::new(name).to_owned())
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.status().with_context(|| name.clone())?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

impl Reaper {
    fn start() -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("oneseat-bench-")
            // The user that runs PostgreSQL must be able to enter.
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir()?
            .keep();
        let process = Self::watch(&dir)?;
        for name in ["files", "groups"] {
            fs::create_dir(dir.join(name))?;
        }
        Ok(Self { dir, process })
    }

    fn watch(dir: &Path) -> Result<Child> {
        let mut reaper = Command::new("sh");
        reaper
            .args(["-c", REAPER])
            .arg(dir)
            .stdin(Stdio::piped())
            .process_group(0);
        Ok(reaper.spawn()?)
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
