//! The log and the progress bar, which share a terminal.

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::LazyLock;

use env_logger::{Builder, Env};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use indicatif_log_bridge::LogWrapper;

use crate::auth::audit::EXPIRED;

/// Knows of every bar, so that a line of the log goes above it and not through it. Draws nothing where standard error is no
/// terminal.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes the log to standard error, from the level on that `RUST_LOG` names; what panics say goes there, too, on one line.
///
/// Without that name a terminal is spared one thing: a line for each session that a sweep removes. A person needs the sum, which
/// is told; a file or a journal gets them all.
pub fn start_log() {
    let filter = if std::io::stderr().is_terminal() {
        format!("info,{EXPIRED}=warn")
    } else {
        "info".to_owned()
    };
    let logger = Builder::from_env(Env::default().default_filter_or(filter)).build();
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

/// A bar for work of about so many rows. They are counted only where somebody sees the bar, and where they cannot be counted it
/// tells how many are done: the work does not depend on it.
pub(super) async fn bar(rows: impl Future<Output = Result<u64, impl Display>>) -> ProgressBar {
    if BARS.is_hidden() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match rows.await {
        Ok(rows) => (
            ProgressBar::new(rows),
            "{wide_bar} {human_pos} of {human_len} rows, {per_sec}, {eta} left",
        ),
        Err(error) => {
            log::debug!("nobody knows how many rows there are: {error}");
            (ProgressBar::no_length(), "{spinner} {human_pos} rows, {per_sec}")
        }
    };
    let style = ProgressStyle::with_template(template);
    BARS.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
}
