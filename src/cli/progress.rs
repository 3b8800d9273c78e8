//! The log and the progress bar, which share a terminal.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::LazyLock;

use env_logger::{Builder, Env};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use indicatif_log_bridge::LogWrapper;

use crate::auth::audit::EXPIRED;

/// Knows of every bar, so that a line of the log goes above it and not through it. Draws nothing where standard error is no
/// terminal.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// What is logged unless somebody says otherwise. The HTTP parser calls nonsense from a client an error of ours.
const USUAL: &str = "info,actix_http::h1::dispatcher=off";

/// Writes the log to standard error, from the level on that `RUST_LOG` names; what panics say goes there, too, on one line.
///
/// Without that name a terminal is spared one thing: a line for each session that a sweep removes. A person needs the sum, which
/// is told; a file or a journal gets them all.
pub fn start_log() {
    let filter = if std::io::stderr().is_terminal() {
        format!("{USUAL},{EXPIRED}=warn")
    } else {
        USUAL.to_owned()
    };
    let logger = Builder::from_env(Env::default().default_filter_or(filter)).build();
    let level = logger.filter();
    if LogWrapper::new(BARS.clone(), logger).try_init().is_ok() {
        log::set_max_level(level);
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// One line for a panic: where, on which thread, what it said; and the way there, when `RUST_BACKTRACE` asks for it.
pub(crate) fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload_as_str().unwrap_or("without words");
    let way = way(&Backtrace::capture());
    log::error!("panic of the thread {thread:?} at {place}: {words:?}{way}");
}

/// On one line, like everything in the log.
fn way(backtrace: &Backtrace) -> String {
    match backtrace.status() {
        BacktraceStatus::Captured => format!("; {backtrace:?}"),
        _ => String::new(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured_log;

    #[test]
    fn a_panic_is_told_on_one_line_with_its_thread_and_its_place() {
        captured_log::start();
        let thread = std::thread::Builder::new().name("worker 7".to_owned());
        let log = thread.spawn(|| {
            let panic = std::panic::catch_unwind(|| panic!("on\npurpose"));
            assert!(panic.is_err());
            captured_log::lines()
        });
        let log = log.unwrap().join().unwrap();
        assert_eq!(log.len(), 1, "{log:#?}");
        let start = "ERROR panic of the thread \"worker 7\" at src/cli/progress.rs:";
        assert!(log[0].starts_with(start), "{log:#?}");
        assert!(log[0].contains(r#""on\npurpose""#), "{log:#?}");
    }

    #[test]
    fn the_way_to_a_panic_is_told_on_the_same_line_where_it_is_asked_for() {
        let told = way(&Backtrace::force_capture());
        assert!(
            told.contains("the_way_to_a_panic") && !told.contains('\n'),
            "{told}"
        );
        assert_eq!(way(&Backtrace::disabled()), "");
    }
}
