//! Standard output, which may be closed, full or a pipe that nobody reads.

use std::fmt;
use std::io::{ErrorKind, Write, stdout};

use super::Failure;

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
