//! Runs `pg_upgrade`, which copies the old data into a new cluster.

use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;

use super::super::error::Error;
use super::super::programs::command;
use super::super::server::{CLUSTER, ROLE, UPGRADE_PORT};
use super::{Progress, Upgrade, Watch};
use crate::redaction::cleaned;

/// What `pg_upgrade` says, and the logs of what it runs. It stays after a failure.
const LOG: &str = "upgrade.log";

/// A child's end has no timed wait, so it is polled.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the size of the copy is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where `pg_upgrade` works. It leaves a script there that would remove the old data by the name that the new
/// data get.
pub(super) fn work_of(unfinished: &str) -> String {
    format!("{unfinished}.work")
}

impl Upgrade {
    /// Copies the old data into the new cluster.
    pub(super) fn copy(&self, unfinished: &str, size: u64, watch: &Watch<'_>) -> Result<(), Error> {
        watch.step("copying the data")?;
        let mut copying = self.begin_copy(unfinished)?;
        let status = self.wait_for(&mut copying, unfinished, size, watch)?;
        if status.success() {
            return self.server.step("rm", command("rm").args(["-f", LOG]));
        }
        let words = self.last_words(unfinished);
        Err(Error::program("pg_upgrade")(format!(
            "{words} (see {})",
            self.path_of(LOG)
        )))
    }

    fn begin_copy(&self, unfinished: &str) -> Result<Child, Error> {
        let mut copy = command("sh");
        copy.args([
            "-c",
            "cd \"$1\" && shift && exec \"$@\" >../upgrade.log 2>&1",
            "sh",
        ])
        .arg(work_of(unfinished))
        .arg(self.new.bin.join("pg_upgrade"))
        .arg("--old-bindir")
        .arg(&self.old.bin)
        .arg("--new-bindir")
        .arg(&self.new.bin)
        .args(["--old-datadir", &self.path_of(CLUSTER)])
        .args(["--new-datadir", &self.path_of(unfinished)])
        .args(["--old-port", UPGRADE_PORT, "--new-port", UPGRADE_PORT])
        .args(["--socketdir", &self.path_of("run"), "--username", ROLE]);
        // Should this process be killed, the copy still holds the lock: nobody starts the old data under it.
        let lock = self
            .start_lock
            .try_clone()
            .map_err(Error::program("pg_upgrade"))?;
        self.server
            .runner
            .of(&mut copy)
            .current_dir(&self.server.dir.path)
            .stdin(Stdio::from(lock))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Keys of our terminal are ours. What the copy has begun ends with it.
            .process_group(0)
            .spawn()
            .map_err(Error::program("pg_upgrade"))
    }

    fn wait_for(
        &self,
        copying: &mut Child,
        unfinished: &str,
        of: u64,
        watch: &Watch<'_>,
    ) -> Result<ExitStatus, Error> {
        let mut looked = Instant::now();
        loop {
            if let Some(status) = copying.try_wait().map_err(Error::program("pg_upgrade"))? {
                return Ok(status);
            }
            if let Err(stopped) = watch.goes_on() {
                end(copying);
                return Err(stopped);
            }
            if looked.elapsed() >= LOOK {
                // Files come and go under it: a look that fails is no harm.
                if let Ok(bytes) = self.size_of(unfinished) {
                    (watch.tell)(Progress::Copied { bytes, of });
                }
                looked = Instant::now();
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Why it failed. What its programs have written would go with the new cluster, so it goes to the log first.
    fn last_words(&self, unfinished: &str) -> String {
        let work = work_of(unfinished);
        let keep = "find \"$1\" \"$2/pg_upgrade_output.d\" -type f \\( -name '*.log' -o -name '*.txt' \\) \
             -exec tail -n 50 {} + >>upgrade.log 2>/dev/null; true";
        let said = "cat upgrade.log";
        let read = |script: &str| {
            let mut shell = command("sh");
            shell.args(["-c", script, "sh", &work, unfinished]);
            self.server.runner.read(shell.current_dir(&self.server.dir.path))
        };
        let words = read(said).unwrap_or_default();
        let _ = read(keep);
        let is_a_reason = |line: &&str| {
            let line = line.trim();
            let is_noise = ["Failure, exiting", "*failure*", "Consult the last few lines"];
            !line.is_empty()
                && !line.ends_with(" ok")
                && !is_noise.iter().any(|noise| line.starts_with(noise))
        };
        cleaned(words.lines().rfind(is_a_reason).unwrap_or("it gave no reason"))
    }
}

/// Ends the copy with everything that it has begun, except for servers: those have groups of their own.
fn end(copying: &mut Child) {
    if let Ok(id) = i32::try_from(copying.id()) {
        let _ = killpg(Pid::from_raw(id), Signal::SIGTERM);
    }
    let _ = copying.wait();
}
