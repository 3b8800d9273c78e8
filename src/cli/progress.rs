//! The log and the progress bar, which share a terminal.

use std::sync::LazyLock;

use env_logger::{Builder, Env};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use indicatif_log_bridge::LogWrapper;

/// Knows of every bar, so that a line of the log goes above it and not through it. Draws nothing where standard error is no
/// terminal.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes the log to standard error, from the level on that `RUST_LOG` names; what panics say goes there, too, on one line.
pub fn start_log() {
    let logger = Builder::from_env(Env::default().default_filter_or("info")).build();
    let level = logger.filter();
    if LogWrapper::new(BARS.clone(), logger).try_init().is_ok() {
        log::set_max_level(level);
    }
    std::panic::set_hook(Box::new(|panic| {
        let words = panic.payload_as_str().unwrap_or("without words");
        match panic.location() {
            Some(place) => log::error!("panic at {place}: {words:?}"),
            None => log::error!("panic: {words:?}"),
        }
    }));
}

/// A bar for work of so many rows.
pub(super) fn bar(rows: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} rows, {per_sec}, {eta} left");
    BARS.add(ProgressBar::new(rows).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
}
