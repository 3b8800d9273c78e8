//! One PostgreSQL for all tests of a run, one database for each test.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryResult, QueryableByName, RunQueryDsl};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use oneseat::db::embedded::Embedded;
use oneseat::db::migrations;

use super::deadline::Deadline;
use super::hostile;

const TEMPLATE: &str = "migrated";

struct Cluster {
    embedded: Embedded,
    /// Waits for this process to end, however it ends, and then stops the server and removes its files.
    _reaper: Child,
}

/// When the pipe at its standard input closes, the servers in this directory are stopped, and it is removed with its contents.
const REAPER: &str = r#"trap '' INT TERM; cat > /dev/null
for pid in "$0"/server/pgdata/postmaster.pid "$0"/*/server/pgdata/postmaster.pid; do
    if [ -e "$pid" ]; then
        kill -QUIT "$(head -n 1 "$pid")"
        while [ -e "$pid" ] && kill -0 "$(head -n 1 "$pid")"; do sleep 0.05; done
    fi
done 2> /dev/null # the file goes when the server does
rm -rf "$0""#;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let dir = tempfile::Builder::new()
            .prefix("oneseat-test-")
            .tempdir_in(place())
            .unwrap()
            .keep();
        let reaper = reap(&dir);
        // Nothing here outlives the run, so nothing needs to reach a disk.
        let mut settings = vec![
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            // Counts statements, for the tests that promise few.
            ("shared_preload_libraries", "pg_stat_statements"),
            // Those of all tests: when there is no room, PostgreSQL forgets some.
            ("pg_stat_statements.max", "100000"),
        ];
        if hostile::is_wanted() {
            settings.extend(hostile::OF_THE_SERVER);
        }
        let embedded = Embedded::open(&dir, &settings).unwrap();
        let mut admin = PgConnection::establish(&embedded.url()).unwrap();
        admin
            .batch_execute(&format!("create database {TEMPLATE}"))
            .unwrap();
        migrations::run(&embedded.url_of(TEMPLATE)).unwrap();
        Cluster {
            embedded,
            _reaper: reaper,
        }
    })
}

/// In memory if there is room: making and dropping a database for each test is hundreds of files.
fn place() -> PathBuf {
    const MEMORY: &str = "/dev/shm";
    const ROOM: u64 = 4 << 30;
    let has_room =
        statvfs(MEMORY).is_ok_and(|space| space.blocks_available() * space.fragment_size() >= ROOM);
    match has_room && access(MEMORY, AccessFlags::W_OK).is_ok() {
        true => MEMORY.into(),
        false => std::env::temp_dir(),
    }
}

/// Starts a process that stops the servers in this directory when this process ends, however it ends.
pub fn reap(dir: &Path) -> Child {
    let mut reaper = Command::new("sh");
    reaper
        .args(["-c", REAPER])
        .arg(dir)
        .stdin(Stdio::piped())
        .process_group(0);
    reaper.spawn().unwrap()
}

/// A migrated, empty database, dropped with the value; or one that a test has made itself.
pub struct Database {
    url: String,
    to_drop: Option<String>,
    /// A connection that nobody uses now: a new one costs more than most of what a test asks.
    idle: Mutex<Option<PgConnection>>,
    /// No test with a database runs without end.
    _deadline: Option<Deadline>,
}

impl Database {
    pub fn fresh() -> Self {
        Self::from(TEMPLATE)
    }

    /// A database without a table.
    pub fn empty() -> Self {
        Self::from("template0")
    }

    /// A database without a table, in a locale in which I has another lower case.
    pub fn turkish() -> Self {
        Self::from("template0 locale_provider icu icu_locale 'tr-TR' locale 'C'")
    }

    fn from(template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poison| poison.into_inner());
        admin(&format!("create database {name} template {template}"));
        if hostile::is_wanted() {
            admin(&hostile::as_defaults_of(&name));
        }
        Self {
            url: cluster().embedded.url_of(&name),
            to_drop: Some(name),
            idle: Mutex::default(),
            _deadline: Some(Deadline::of_this_test()),
        }
    }

    /// A database that the test has made itself; it is not dropped.
    pub fn at(url: String) -> Self {
        Self {
            url,
            to_drop: None,
            idle: Mutex::default(),
            _deadline: None,
        }
    }

    /// Puts another database in its place, under its name. Connections to either are cut. The replaced
    /// database is dropped.
    pub fn replace_with(&self, mut other: Self) {
        let (own, copy) = (self.to_drop.as_ref().unwrap(), other.to_drop.take().unwrap());
        drop((self.take_idle(), other.take_idle()));
        admin(&format!("drop database {own} with (force)"));
        admin(&format!("alter database {copy} rename to {own}"));
    }

    /// A copy of the database's files. There must be no connection to it.
    pub fn copy(&self) -> Self {
        let own = self.to_drop.as_ref().unwrap();
        drop(self.take_idle());
        admin(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{own}'"
        ));
        Self::from(own)
    }

    /// The connection string for libpq.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements and ignores what they return.
    pub fn execute(&self, statements: &str) {
        self.with_connection(|connection| connection.batch_execute(statements))
            .unwrap();
    }

    /// Counts statements from zero on. The counts of other databases stay: their tests run at the same time.
    pub fn count_statements(&self) {
        self.execute(
            "create extension if not exists pg_stat_statements;
             select pg_stat_statements_reset(0, oid, 0) from pg_database where datname = current_database()",
        );
    }

    /// The one number that a query returns.
    pub fn number(&self, query: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            number: i64,
        }
        let query = format!("select ({query})::bigint as number");
        self.with_connection(|connection| diesel::sql_query(query).get_result::<Row>(connection))
            .unwrap()
            .number
    }

    /// The text that this query returns.
    pub fn text(&self, query: &str) -> String {
        #[derive(QueryableByName)]
        struct Value {
            #[diesel(sql_type = diesel::sql_types::Text)]
            value: String,
        }
        let asked = diesel::sql_query(format!("select value from ({query}) as answer(value)"));
        self.with_connection(|connection| asked.get_result::<Value>(connection))
            .unwrap_or_else(|error| panic!("{query}: {error}"))
            .value
    }

    /// An address as the log names it.
    pub fn short_digest(&self, email: &str) -> String {
        self.text(&format!(
            "select left(encode(email_digest('{email}'), 'hex'), 12)"
        ))
    }

    /// Uses a connection like one of [`connect`](Self::connect). Nobody waits for another who does so.
    pub(super) fn with_connection<T>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        // Another server may stand behind the other kind of URL soon.
        let is_kept = self.to_drop.is_some() && !hostile::is_wanted();
        let idle = self.take_idle().filter(|_| is_kept);
        let mut connection = idle.and_then(as_new).unwrap_or_else(|| self.connect());
        let done = work(&mut connection);
        if is_kept && done.is_ok() {
            *self.idle.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(connection);
        }
        done
    }

    fn take_idle(&self) -> Option<PgConnection> {
        self.idle
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
            .take()
    }

    /// A connection of the test, which may do what no other may: remove the last admin.
    pub fn connect(&self) -> PgConnection {
        let mut connection = self.operator();
        connection.batch_execute(MAY_DO_ALL).unwrap();
        connection
    }

    /// A connection of an operator who has set nothing.
    pub fn operator(&self) -> PgConnection {
        let mut connection = PgConnection::establish(&self.url).unwrap();
        hostile::undo(&mut connection).unwrap();
        connection
    }
}

/// The setting of the test's own connections.
const MAY_DO_ALL: &str = "set oneseat.last_admin_may_go = 'on'";

/// The connection without what was set on it. `None`: it was cut meanwhile.
fn as_new(mut connection: PgConnection) -> Option<PgConnection> {
    connection.batch_execute("discard all").ok()?;
    connection
        .batch_execute(&format!("set time zone 'UTC'; {MAY_DO_ALL}"))
        .ok()?;
    Some(connection)
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.take_idle());
        if let Some(name) = &self.to_drop {
            admin(&format!("drop database {name} with (force)"));
        }
    }
}

fn admin(statement: &str) {
    static IDLE: Mutex<Vec<PgConnection>> = Mutex::new(Vec::new());
    let idle = || IDLE.lock().unwrap_or_else(|poison| poison.into_inner());
    let kept = idle().pop();
    let mut admin = kept.unwrap_or_else(|| PgConnection::establish(&cluster().embedded.url()).unwrap());
    match admin.batch_execute(statement) {
        Ok(()) => idle().push(admin),
        // A panic while another unwinds would hide the first.
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{statement}: {error}");
        }
    }
}

/// SQL statements that tests share.
pub mod sql {
    /// Expires every session, as if its time had just run out.
    pub const OVER: &str = "update sessions set expires_at = now() - interval '50 milliseconds'";

    /// Ends every session, as a statement of an operator.
    pub const REVOKED: &str = "with gone as (delete from sessions returning *)
         insert into ended_sessions select id, user_id, token_digest, ip_address, user_agent, last_activity,
             expires_at, created_at, now(), 'revoked' from gone";

    /// Writes the same rows anew, as if a backup had been restored.
    pub const BROUGHT_BACK: &str = "begin; create temp table dump on commit drop as select id, user_id, token_digest, ip_address,
             user_agent, last_activity, expires_at, created_at, idle_timeout, ends_at, written_at from sessions;
         delete from sessions;
         insert into sessions (id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at,
             idle_timeout, ends_at, written_at) select * from dump; commit";

    /// Backdates everything in the table by this much.
    pub fn backdate_sessions(interval: &str) -> String {
        format!(
            "update sessions set created_at = created_at - interval '{interval}', \
             last_activity = last_activity - interval '{interval}', expires_at = expires_at - interval '{interval}', \
             ends_at = ends_at - interval '{interval}'"
        )
    }
}
