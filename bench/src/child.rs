//! A child process of the benchmark: it leads its own process group, ends when the value is dropped, and has limited time.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::bench::Bench;

/// How long a process may take to shut down.
const PATIENCE: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(10);
/// How many of its last lines an error repeats.
const LAST_LINES: usize = 5;

/// A running child process.
pub struct Child {
    name: String,
    process: Process,
    /// The file that reports its process group to the reaper.
    group: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Child {
    /// Starts a program whose output goes to files.
    pub fn start(bench: &Bench, name: &str, command: &mut Command) -> Result<Self> {
        let stdout = bench.cluster.file(&format!("{name}.out"));
        command.stdout(File::create(&stdout)?);
        Self::start_with_output(bench, name, command, stdout)
    }

    /// Starts a server that writes a line to standard output when it is ready: see [`Child::first_line`].
    pub fn serve(bench: &Bench, name: &str, command: &mut Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        Self::start_with_output(bench, name, command, PathBuf::new())
    }

    fn start_with_output(bench: &Bench, name: &str, command: &mut Command, stdout: PathBuf) -> Result<Self> {
        let stderr = bench.cluster.file(&format!("{name}.err"));
        if command.get_program().is_empty() {
            bail!("{name}: no program");
        }
        let process = command
            .stdin(Stdio::piped())
            .stderr(File::create(&stderr)?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name}: {}", command.get_program().display()))?;
        let group = bench.cluster.groups().join(process.id().to_string());
        let child = Self {
            name: name.to_owned(),
            process,
            group,
            stdout,
            stderr,
        };
        File::create(&child.group)?;
        Ok(child)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line from which `wanted` returns something, and returns that.
    pub fn first_line<T: Send + 'static>(
        &mut self,
        within: Duration,
        wanted: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> Result<T> {
        let stdout = self.process.stdout.take().context("its output goes elsewhere")?;
        let (found, answer): (_, Receiver<T>) = channel();
        // Keep reading after the line, so that the child never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(it) = wanted(&line) {
                    let _ = found.send(it);
                }
            }
        });
        answer
            .recv_timeout(within)
            .map_err(|_| anyhow::anyhow!("{} did not get ready{}", self.name, self.last_words()))
    }

    /// The path of its standard error.
    pub fn stderr(&self) -> &PathBuf {
        &self.stderr
    }

    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_some())
    }

    /// Waits for its end and returns its standard output. Anything but success is an error.
    pub fn finish(mut self, within: Duration) -> Result<String> {
        let Some(status) = self.wait(within)? else {
            bail!("{} took longer than {within:?}{}", self.name, self.last_words());
        };
        if !status.success() {
            bail!("{} failed ({status}){}", self.name, self.last_words());
        }
        Ok(fs::read_to_string(&self.stdout)?)
    }

    fn wait(&mut self, within: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
            std::thread::sleep(GLANCE);
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.stderr).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            return String::new();
        }
        format!(
            ": {}",
            lines[lines.len().saturating_sub(LAST_LINES)..].join(" / ")
        )
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            if !matches!(self.wait(PATIENCE), Ok(Some(_))) {
                self.signal(Signal::SIGKILL);
                let _ = self.process.wait();
            }
        }
        // Processes that it started and left behind; no other process is ever in its group.
        self.signal(Signal::SIGKILL);
        let _ = fs::remove_file(&self.group);
    }
}
