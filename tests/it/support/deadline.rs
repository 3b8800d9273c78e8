//! A test that hangs ends the run and is named. Without this, a run would hang until somebody looked.

use std::collections::HashMap;
use std::io::{Write, stderr};
use std::process::Child;
use std::sync::{LazyLock, Mutex, MutexGuard, Once};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Longer than any test takes on a busy machine; long searches by `script/soak` say how long they take.
const LONGEST: Duration = Duration::from_mins(15);

/// Longer than any command of a test takes, even on a busy machine.
const LONGEST_COMMAND: Duration = Duration::from_secs(180);

/// The tests that run, by a number for each of their databases.
static RUNNING: LazyLock<Mutex<HashMap<u64, Running>>> = LazyLock::new(Mutex::default);

struct Running {
    test: String,
    since: Instant,
}

/// As long as it lives, its test must end within [`LONGEST`].
pub struct Deadline(u64);

impl Deadline {
    /// The deadline of the test of this thread.
    pub fn of_this_test() -> Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            thread::spawn(watch);
        });
        let mut running = running();
        let number = running.keys().max().map_or(0, |last| last + 1);
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let since = Instant::now();
        running.insert(number, Running { test, since });
        Self(number)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        running().remove(&self.0);
    }
}

fn watch() {
    if std::env::var_os("ONESEAT_SOAK").is_some() {
        return;
    }
    loop {
        thread::sleep(Duration::from_secs(5));
        if let Some(hung) = running()
            .values()
            .find(|running| running.since.elapsed() > LONGEST)
        {
            say(&format!(
                "{} has not ended after {LONGEST:?}: the run ends here",
                hung.test
            ));
            std::process::exit(101);
        }
    }
}

fn running() -> MutexGuard<'static, HashMap<u64, Running>> {
    RUNNING.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// Kills a command that does not end. Then nobody waits longer for its end or its output.
pub fn watch_command(command: &Child) {
    let Ok(process) = pidfd_open(Pid::from_child(command), PidfdFlags::empty()) else {
        return;
    };
    let id = command.id();
    let longest = Timespec::try_from(LONGEST_COMMAND).unwrap();
    thread::spawn(move || {
        // The descriptor becomes readable when the command ends.
        let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&longest));
        if ended == Ok(0) && pidfd_send_signal(process, Signal::KILL).is_ok() {
            say(&format!(
                "process {id} is killed: it has not ended within {LONGEST_COMMAND:?}"
            ));
        }
    });
}

/// What a test prints is shown only when it has failed, and a test that hangs has not.
fn say(words: &str) {
    let _ = writeln!(stderr(), "{words}");
}
