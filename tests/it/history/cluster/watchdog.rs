//! A stand-in for a watchdog, where the kernel has none: the node is ended at once when Patroni has not
//! reported in time.
//!
//! Patroni's own test driver writes to a pipe what it would write to `/dev/watchdog`. The node is not
//! restarted as a machine would be: its processes are killed.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// The pause between two checks.
const LOOK: Duration = Duration::from_millis(100);

/// The watchdog of one node. It ends with this value.
pub struct Watchdog {
    is_on: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

impl Watchdog {
    /// Makes a pipe at this path, and watches it. `end_node` ends the processes of the node.
    pub fn start(pipe: &Path, end_node: impl Fn() + Send + 'static) -> Self {
        nix::unistd::mkfifo(pipe, Mode::S_IRWXU).unwrap();
        std::fs::set_permissions(pipe, Permissions::from_mode(0o666)).unwrap();
        let device = OpenOptions::new()
            .read(true)
            // Otherwise the pipe would end whenever Patroni closes its side.
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(pipe)
            .unwrap();
        let watchdog = Self {
            is_on: Arc::new(AtomicBool::new(true)),
            is_over: Arc::default(),
        };
        let (is_on, is_over) = (watchdog.is_on.clone(), watchdog.is_over.clone());
        thread::spawn(move || watch(device, &is_on, &is_over, end_node));
        watchdog
    }

    /// Switched off, it is as if the machine had none.
    pub fn switch(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::SeqCst);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

fn watch(mut device: File, is_on: &AtomicBool, is_over: &AtomicBool, end_node: impl Fn()) {
    let (mut timeout, mut reported) = (Duration::from_secs(15), None);
    while !is_over.load(Ordering::SeqCst) {
        let mut said = Vec::new();
        // Returns "would block" where a blocking read would wait for more.
        let _ = device.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        if let Some((_, number)) = said.rsplit_once("Ctimeout=")
            && let Some(Ok(seconds)) = number.lines().next().map(str::parse)
        {
            timeout = Duration::from_secs(seconds);
        }
        if !said.is_empty() {
            // `V`: Patroni is not the leader any more, and needs no watching.
            reported = (!said.ends_with('V')).then(Instant::now);
        }
        if reported.is_some_and(|reported| reported.elapsed() > timeout) {
            reported = None;
            if is_on.load(Ordering::SeqCst) {
                end_node();
            }
        }
        thread::sleep(LOOK);
    }
}
