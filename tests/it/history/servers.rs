//! The PostgreSQL of a run: a primary, a standby that takes over, and one address that leads to the primary.
//!
//! ```text
//! DIR/
//!   primary      a link to the directory of the server to which the address leads
//!   server0/     a private PostgreSQL, the first primary
//!   server1/     its standby, and a primary after the first promotion; and so on
//! ```

use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oneseat::db::embedded::Embedded;
use tempfile::TempDir;

use crate::support::{Database, eventually, reap};

/// Settings for a cluster that need not survive a power cut, but must keep what PostgreSQL acknowledged when
/// PostgreSQL crashes.
const SETTINGS: [(&str, &str); 2] = [
    ("fsync", "off"),
    // How soon a standby reconnects to a primary that was restarted: until then, every commit waits.
    ("wal_retrieve_retry_interval", "100ms"),
];

/// How a primary ends before its standby is promoted.
#[derive(Clone, Copy, Debug)]
pub enum LastHour {
    /// Immediately, in the middle of its work.
    Crash,
    /// By a clean stop: the standby has received everything, acknowledged or not.
    Stop,
}

/// Fields are dropped in this order: a primary that is stopped cleanly then waits for no client.
pub struct Servers {
    standby: Option<Standby>,
    primary: Embedded,
    /// The directory of the primary.
    place: PathBuf,
    /// How many servers there have been.
    count: usize,
    url: String,
    dir: TempDir,
    /// Removes everything if a run is interrupted and drops nothing.
    _reaper: Child,
}

impl Servers {
    /// A primary alone, with an empty database.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("oneseat-history-")
            .tempdir()
            .unwrap();
        // The user that runs PostgreSQL needs to traverse this directory.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        let place = dir.path().join("server0");
        let primary = Embedded::open(&place, &SETTINGS).unwrap();
        let url = primary.url().replace("%2Fserver0%2F", "%2Fprimary%2F");
        let servers = Self {
            standby: None,
            primary,
            place,
            count: 1,
            url,
            _reaper: reap(dir.path()),
            dir,
        };
        servers.lead_to(&servers.place);
        servers
    }

    /// The URL of the database, at whatever server the address leads to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A directory for files of the test, removed with this value.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn database(&self) -> Database {
        Database::at(self.url.clone())
    }

    /// The first process of the primary.
    pub fn postmaster(&self) -> Pid {
        postmaster(&self.place).expect("the primary runs")
    }

    /// Stops the primary cleanly.
    pub fn stop(&self) {
        self.primary.stop().unwrap();
    }

    /// Stops the primary at once. When this returns, none of its processes is left.
    pub async fn crash(&self) {
        kill(self.postmaster(), Signal::SIGQUIT).unwrap();
        eventually("the primary is gone", async || postmaster(&self.place).is_none()).await;
    }

    /// Starts the primary again. What it had acknowledged is still there.
    pub fn revive(&self) {
        self.primary.revive().unwrap();
    }

    /// Copies the primary into a standby, and makes every commit wait for it from then on.
    pub async fn add_standby(&mut self) {
        let place = self.dir.path().join(format!("server{}", self.count));
        self.count += 1;
        let database = self.database();
        // Only once the standby follows: until then, each commit would wait for it.
        let settings = database.text(
            "select string_agg(format('-c %s=''%s''', name, setting), ' ')
             from pg_settings where source = 'command line'",
        );
        let bin = fs::read_link(format!("/proc/{}/exe", self.postmaster())).unwrap();
        let standby = Standby {
            bin: bin.parent().unwrap().to_owned(),
            place,
            settings,
        };
        standby.copy(&self.place, &self.primary.url_of("postgres"));
        standby.start();
        self.standby = Some(standby);
        let follows = "select count(*) from pg_stat_replication where state = 'streaming'";
        eventually("the standby follows", async || database.number(follows) == 1).await;
        database.execute("alter system set synchronous_standby_names = '*'");
        database.execute("select pg_reload_conf()");
        let is_waited_for = "select count(*) from pg_stat_replication where sync_state = 'sync'";
        eventually("it is waited for", async || database.number(is_waited_for) == 1).await;
        // Commits wait when the checkpointer has read the settings, and it does so before each checkpoint. The first may have begun.
        database.execute("checkpoint");
        database.execute("checkpoint");
    }

    /// Ends the primary, promotes the standby, and leads the address there; after the promotion, or already
    /// before it.
    pub async fn promote(&mut self, last_hour: LastHour, is_led_before: bool, pause: Duration) {
        self.wait_for_standby().await;
        match last_hour {
            LastHour::Crash => self.crash().await,
            LastHour::Stop => self.stop(),
        }
        if is_led_before {
            self.lead_to(&self.standby().place);
        }
        tokio::time::sleep(pause).await;
        self.take_over();
    }

    /// From now on the standby receives nothing, and every commit waits.
    pub fn stop_standby(&self) {
        self.standby().stop();
    }

    /// Lets the standby receive again.
    pub fn start_standby(&self) {
        self.standby().start();
    }

    /// From now on the standby receives nothing, and no commit waits for it.
    pub fn leave_standby_behind(&self) {
        let database = self.database();
        database.execute("alter system reset synchronous_standby_names");
        database.execute("select pg_reload_conf()");
        self.standby().stop();
    }

    /// The primary crashes, and the standby is promoted although it lacks commits.
    pub async fn promote_what_was_left_behind(&mut self) {
        self.crash().await;
        self.standby().start();
        self.take_over();
    }

    fn take_over(&mut self) {
        // Nothing else keeps two servers from answering.
        assert_eq!(postmaster(&self.place), None, "the deposed primary is dead");
        let standby = self.standby.take().expect("there is a standby");
        standby.promote();
        self.lead_to(&standby.place);
        self.primary = Embedded::open(&standby.place, &SETTINGS).unwrap();
        let deposed = std::mem::replace(&mut self.place, standby.place.clone());
        // From here on, dropping the other value stops it.
        std::mem::forget(standby);
        fs::remove_dir_all(deposed).unwrap();
    }

    fn standby(&self) -> &Standby {
        self.standby.as_ref().expect("there is a standby")
    }

    /// Waits until the standby has what the primary had when this was called. After a crash, a primary shows
    /// changes that had not reached the standby; it must not be promoted before it has them.
    pub async fn wait_for_standby(&self) {
        let database = self.database();
        let position = database.text("select pg_current_wal_flush_lsn()::text");
        let has_it = format!(
            "select count(*) from pg_stat_replication where sync_state = 'sync' and flush_lsn >= '{position}'"
        );
        eventually("the standby has everything", async || {
            database.number(&has_it) == 1
        })
        .await;
    }

    fn lead_to(&self, place: &Path) {
        let link = self.dir.path().join("primary");
        let new = link.with_extension("new");
        symlink(place, &new).unwrap();
        fs::rename(new, link).unwrap();
    }
}

/// A server in a directory like that of an [`Embedded`], which takes over the directory after the promotion.
/// Stopped immediately when it is dropped.
struct Standby {
    /// The programs of the primary.
    bin: PathBuf,
    place: PathBuf,
    /// The settings with which the primary was started.
    settings: String,
}

impl Standby {
    /// Makes the directory, and copies the cluster of that primary into it.
    fn copy(&self, primary: &Path, url: &str) {
        let server = self.place.join("server");
        DirBuilder::new().mode(0o711).create(&self.place).unwrap();
        File::create(self.place.join("start.lock")).unwrap();
        let owner = fs::metadata(primary.join("server")).unwrap();
        for dir in [&server, &server.join("run")] {
            DirBuilder::new().mode(0o700).create(dir).unwrap();
            chown(dir, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        self.run(
            "pg_basebackup",
            &[
                "--pgdata=pgdata",
                &format!("--dbname={url}"),
                "--checkpoint=fast",
                "--no-sync",
                // The primary keeps what the standby has not received.
                "--create-slot",
                "--slot=standby",
                "--write-recovery-conf",
            ],
        );
    }

    fn start(&self) {
        let settings = &self.settings;
        let args = ["-D", "pgdata", "-l", "postgresql.log", "-s", "-w", "-o", settings];
        self.run("pg_ctl", &[&args[..], &["start"]].concat());
    }

    /// Stops the server immediately.
    fn stop(&self) {
        if let Some(postmaster) = postmaster(&self.place) {
            let _ = kill(postmaster, Signal::SIGQUIT);
        }
        while postmaster(&self.place).is_some_and(|postmaster| kill(postmaster, None).is_ok()) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn promote(&self) {
        self.run("pg_ctl", &["-D", "pgdata", "-s", "-w", "promote"]);
    }

    /// A command that runs as the user that runs PostgreSQL, without the `PG...` variables of this process.
    fn run(&self, program: &str, args: &[&str]) {
        let server = self.place.join("server");
        let owner = fs::metadata(&server).unwrap();
        let words = self.place.join("words");
        let mut command = Command::new(self.bin.join(program));
        command
            .args(args)
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir(server)
            .uid(owner.uid())
            .gid(owner.gid())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A server that is started here keeps it open: a pipe would have no end.
            .stderr(File::create(&words).unwrap());
        let status = command.status().unwrap();
        let words = fs::read_to_string(words).unwrap();
        assert!(status.success(), "{program} {args:?}: {words}");
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The process id of the postmaster in that directory, while there is one.
fn postmaster(place: &Path) -> Option<Pid> {
    let words = fs::read_to_string(place.join("server/pgdata/postmaster.pid")).ok()?;
    Some(Pid::from_raw(words.lines().next()?.parse().ok()?))
}
