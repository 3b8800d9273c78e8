//! Whether standard error is systemd's journal, and how it learns the priority of a line (sd-daemon(3)).

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::{env, io};

use log::Level;

/// Where systemd names the file that it connected to the journal: its device and its inode (systemd.exec(5)).
const VARIABLE: &str = "JOURNAL_STREAM";

/// Whether standard error goes to the journal. The variable alone does not say so: a program that was started
/// with another standard error has inherited it.
pub(super) fn is_standard_error() -> bool {
    let own = || -> io::Result<_> {
        let file = File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()?;
        Ok((file.dev(), file.ino()))
    };
    let named = env::var(VARIABLE).ok().and_then(|text| file(&text));
    named.is_some_and(|named| own().is_ok_and(|own| own == named))
}

/// The device and the inode of `DEVICE:INODE`.
fn file(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

/// The prefix of each line: its priority, which the journal removes.
pub(super) fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}
