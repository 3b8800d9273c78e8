//! Standard output, which may be closed, full or a pipe that nobody reads.

use std::fmt;
use std::io::{ErrorKind, Write, stdout};

use super::Failure;

/// Prints one line.
pub(super) fn line(text: impl fmt::Display) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // As with `oneseat user list | head`: whoever read it has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Unread),
        Err(error) => Err(Failure::failed(format!(
            "cannot write to standard output: {error}"
        ))),
    }
}
