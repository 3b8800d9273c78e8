//! Processes that stand still for a while and then go on as if nothing had been: a paused virtual machine, a stalled disk.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Processes that stand still until this is dropped.
pub struct Frozen(Vec<Pid>);

impl Frozen {
    /// A process with its children. It is stopped first, so that no child comes while they are looked for.
    pub fn with_children(pid: u32) -> Self {
        kill(pid_of(pid), Signal::SIGSTOP).unwrap();
        let mut frozen = Self(vec![pid_of(pid)]);
        for child in children(pid) {
            // One that has ended meanwhile needs no stopping.
            if kill(pid_of(child), Signal::SIGSTOP).is_ok() {
                frozen.0.push(pid_of(child));
            }
        }
        frozen
    }

    /// Lets them stand still for so long.
    pub async fn for_a_while(self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // The parent last: it must not take its children for dead.
        for pid in self.0.iter().rev() {
            let _ = kill(*pid, Signal::SIGCONT);
        }
    }
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap())
}

/// Whose parent it is, by /proc/PID/stat: the second field, a name in parentheses, may hold anything.
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
