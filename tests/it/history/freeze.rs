//! Freezes processes for a while, as a paused virtual machine or a stalled disk does.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Processes that are frozen until this is dropped.
pub struct Frozen(Vec<Pid>);

impl Frozen {
    /// Freezes a process with its children. It is stopped first, so that it starts no child while its
    /// children are listed.
    pub fn with_children(pid: u32) -> Self {
        kill(pid_of(pid), Signal::SIGSTOP).unwrap();
        let mut frozen = Self(vec![pid_of(pid)]);
        for child in children(pid) {
            // A process that has ended meanwhile need not be stopped.
            if kill(pid_of(child), Signal::SIGSTOP).is_ok() {
                frozen.0.push(pid_of(child));
            }
        }
        frozen
    }

    /// Keeps them frozen for so long.
    pub async fn for_a_while(self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // The parent continues last: it must not take its children for dead.
        for pid in self.0.iter().rev() {
            let _ = kill(*pid, Signal::SIGCONT);
        }
    }
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap())
}

/// The parent of a process, from /proc/PID/stat: the second field, a name in parentheses, may contain
/// anything.
pub fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split_whitespace().nth(1)) == Some(&parent.to_string())
    })
    .collect()
}
