//! Standard output, which may be closed, full or a pipe that nobody reads. It carries answers and nothing else.

use std::fmt;
use std::io::{ErrorKind, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Failure, log};

/// Whether words that are no answer are left out.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Leaves out words that are no answer.
pub(super) fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// Says something to a person that is no answer: on standard error.
pub(super) fn note(text: &str) {
    if !IS_QUIET.load(Ordering::Relaxed) {
        log::note(text);
    }
}

/// Prints one line.
pub(super) fn line(text: impl fmt::Display) -> Result<(), Failure> {
    self::text(format!("{text}\n").as_bytes())
}

/// Prints a text as it is.
pub(super) fn text(text: &[u8]) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // As with `oneseat user list | head`: the reader has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Unread),
        Err(error) => Err(Failure::failed(format!(
            "cannot write to standard output: {error}"
        ))),
    }
}
