//! Runs `pg_upgrade`, which copies the old data into a new cluster.

use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::super::error::Error;
use super::super::programs::command;
use super::super::server::{CLUSTER, ROLE, UPGRADE_PORT};
use super::{Progress, Upgrade, UpgradeControl};
use crate::redaction::cleaned;

/// The output of `pg_upgrade`, and the logs of the programs that it runs. It stays after a failure.
const LOG: &str = "upgrade.log";

/// A child's end has no timed wait, so it is polled.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the size of the copy is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long the copy may take to end when it is told to. Then it is killed.
const END: Duration = Duration::from_secs(10);

/// Where `pg_upgrade` works. It leaves a script there that would remove the old data by the name that the new
/// data get.
pub(super) fn work_of(unfinished: &str) -> String {
    format!("{unfinished}.work")
}

impl Upgrade {
    /// Copies the old data into the new cluster.
    pub(super) fn copy(&self, unfinished: &str, size: u64, watch: &UpgradeControl<'_>) -> Result<(), Error> {
        watch.step("copying the data")?;
        let mut copying = self.begin_copy(unfinished)?;
        let status = self.wait_for(&mut copying, unfinished, size, watch)?;
        if status.success() {
            return self.server.step("rm", command("rm").args(["-f", LOG]));
        }
        Err(self.failure(unfinished))
    }

    fn begin_copy(&self, unfinished: &str) -> Result<Child, Error> {
        let script = format!("cd \"$1\" && shift && exec \"$@\" >../{LOG} 2>&1");
        let mut copy = command("sh");
        copy.args(["-c", &script, "sh", &work_of(unfinished)])
            .arg(self.new.bin.join("pg_upgrade"))
            .arg("--old-bindir")
            .arg(&self.old.bin)
            .arg("--new-bindir")
            .arg(&self.new.bin)
            .args(["--old-datadir", &self.path_of(CLUSTER)])
            .args(["--new-datadir", &self.path_of(unfinished)])
            .args(["--old-port", UPGRADE_PORT, "--new-port", UPGRADE_PORT])
            .args(["--socketdir", &self.path_of("run"), "--username", ROLE]);
        let copy = self.server.runner.of(&mut copy);
        copy.map_err(Error::program("pg_upgrade"))?
            .current_dir(&self.server.dir.path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // In a process group of its own, the copy gets no signals from the keys of our terminal, and can be
            // ended with everything that it has begun.
            .process_group(0)
            .spawn()
            .map_err(Error::program("pg_upgrade"))
    }

    fn wait_for(
        &self,
        copying: &mut Child,
        unfinished: &str,
        of: u64,
        watch: &UpgradeControl<'_>,
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
                // Files come and go during the copy: a look that fails does no harm.
                if let Ok(bytes) = self.size_of(unfinished) {
                    (watch.tell)(Progress::Copied { bytes, of });
                }
                looked = Instant::now();
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Why the copy failed. The logs of its programs are removed with the new cluster, so they are copied to the log
    /// first.
    fn failure(&self, unfinished: &str) -> Error {
        let read = |script: &str| {
            let mut shell = command("sh");
            shell.args(["-c", script, "sh", unfinished]);
            let read = self.server.runner.read(shell.current_dir(&self.server.dir.path));
            read.unwrap_or_default()
        };
        let said = read(&format!("cat {LOG}"));
        let all = read(&format!(
            "find \"$1/pg_upgrade_output.d\" \"$1.work\" -type f \\( -name '*.log' -o -name '*.txt' \\) \
                 -exec tail -n 50 {{}} + >>{LOG} 2>/dev/null; cat {LOG}"
        ));
        match missing_library(&all) {
            Some(library) => Error::NoLibrary {
                library,
                version: self.new.version,
            },
            None => Error::program("pg_upgrade")(format!("{} (see {})", reason(&said), self.path_of(LOG))),
        }
    }
}

/// The library of an extension that the old version has, and the new one has not.
fn missing_library(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("could not access file \"$libdir/")?;
    let (name, _) = rest.split_once('"')?;
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_plain.then(|| name.to_owned())
}

/// What `pg_upgrade` says below the check that failed. If it names no check, its first words.
fn reason(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let is_fatal = |line: &&str| line.trim_end().ends_with("fatal") || line.trim() == "*failure*";
    let begin = lines.iter().rposition(is_fatal).map_or(0, |at| at + 1);
    let below: Vec<&str> = lines[begin..]
        .iter()
        .map(|line| line.trim())
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty() && *line != "Failure, exiting")
        .collect();
    match below.is_empty() {
        true => "it gave no reason".to_owned(),
        false => cleaned(&below.join(" ")),
    }
}

/// Ends the copy with everything that it has begun, except for servers: those have groups of their own.
fn end(copying: &mut Child) {
    let group = i32::try_from(copying.id()).ok().map(Pid::from_raw);
    let send = |signal: Signal| group.map(|group| killpg(group, signal));
    let deadline = Instant::now() + END;
    let _ = send(Signal::SIGTERM);
    while let Ok(None) = copying.try_wait() {
        if Instant::now() >= deadline {
            let _ = send(Signal::SIGKILL);
            break;
        }
        std::thread::sleep(PAUSE);
    }
    let _ = copying.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pg_upgrade_says_below_a_failed_check_is_the_reason() {
        let said = "Performing Consistency Checks\n-----------------------------\n\
            Checking cluster versions                                     ok\n\
            Checking for presence of required libraries                   fatal\n\n\
            Your installation references loadable libraries that are missing from the\nnew installation.\n\
            Failure, exiting\n";
        assert_eq!(
            reason(said),
            "Your installation references loadable libraries that are missing from the new installation."
        );
        let said = "\ncheck for \"pg_resetwal\" failed: cannot execute\nFailure, exiting\n";
        assert!(reason(said).contains("cannot execute"), "{}", reason(said));
        assert_eq!(reason(""), "it gave no reason");
    }

    #[test]
    fn a_library_that_the_new_version_lacks_is_named() {
        let said = "ERROR:  could not access file \"$libdir/pg_trgm\": No such file or directory";
        assert_eq!(missing_library(said).as_deref(), Some("pg_trgm"));
        assert_eq!(
            missing_library("could not access file \"$libdir/../x y\": no"),
            None
        );
    }
}
