//! Waits for a lock, with a limit and a message.

use std::fs::{File, TryLockError};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::Error;

/// Longer than a stop, or a start after a power cut, may take.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(90);
/// After this time the log names the holders.
const SOON: Duration = Duration::from_secs(2);
/// Locks have no timed wait, so this one is polled.
const PAUSE: Duration = Duration::from_millis(50);

/// How a lock is held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// By one process.
    Alone,
    /// By any number of processes, as long as none has it alone.
    Shared,
}

/// Takes the lock of a file.
///
/// # Errors
/// [`Error::Held`] when others have held it for all of `wait`.
pub(super) fn take(file: &File, path: &Path, mode: Mode, wait: Duration) -> Result<(), Error> {
    let began = Instant::now();
    let mut is_told = false;
    loop {
        let taken = match mode {
            Mode::Alone => file.try_lock(),
            Mode::Shared => file.try_lock_shared(),
        };
        match taken {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(Error::at(path)(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if began.elapsed() >= wait {
            return Err(Error::Held {
                path: path.display().to_string(),
                holders: holders(file, path),
                seconds: wait.as_secs(),
            });
        }
        if began.elapsed() >= SOON && !is_told {
            is_told = true;
            log::warn!(
                "waiting for {}, which holds {}",
                holders(file, path),
                path.display()
            );
        }
        std::thread::sleep(PAUSE);
    }
}

/// Describes the processes that hold a lock of this file. Linux lists for each open file its locks; ordinary
/// users see only their own processes, which are the only ones that can open the file.
fn holders(file: &File, path: &Path) -> String {
    // The path as the system names it, without links: a directory of systemd's own may be one.
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let path = &std::fs::read_link(own).unwrap_or_else(|_| path.to_owned());
    let found: Vec<String> = processes()
        .filter(|process| holds(process, path))
        .filter_map(|process| {
            let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
            let id = process.file_name()?.to_str()?;
            Some(format!("process {id} ({})", name.trim().escape_debug()))
        })
        .collect();
    if found.is_empty() {
        "a process that cannot be seen from here".to_owned()
    } else {
        found.join(", ")
    }
}

fn processes() -> impl Iterator<Item = std::path::PathBuf> {
    entries(Path::new("/proc")).filter(|entry| {
        let name = entry.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn holds(process: &Path, path: &Path) -> bool {
    entries(&process.join("fd")).any(|open| {
        // Compared by name: a further query could hang on a lost file system.
        std::fs::read_link(&open).is_ok_and(|name| name == path)
            && open.file_name().is_some_and(|number| {
                let locks = std::fs::read_to_string(process.join("fdinfo").join(number));
                locks.is_ok_and(|text| text.lines().any(|line| line.starts_with("lock:")))
            })
    })
}

fn entries(dir: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_for_too_long_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let path = link.join("x.lock");
        let held = File::create(&path).unwrap();
        take(&held, &path, Mode::Shared, Duration::ZERO).unwrap();
        let other = File::open(&path).unwrap();
        take(&other, &path, Mode::Shared, Duration::ZERO).unwrap();
        other.unlock().unwrap();
        let waited = take(&other, &path, Mode::Alone, Duration::from_millis(60)).unwrap_err();
        let words = waited.to_string();
        assert!(
            words.contains(&format!("process {} (", std::process::id())),
            "{words}"
        );
        assert!(
            words.contains("x.lock") && !words.contains(", process"),
            "{words}"
        );
        drop(held);
        take(&other, &path, Mode::Alone, Duration::ZERO).unwrap();
    }
}
