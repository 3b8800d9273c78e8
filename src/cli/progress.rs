//! The progress bar, which shares a terminal with the log.

use std::fmt::Display;
use std::io::Read;
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// All progress bars, so that a line of the log goes above them and not through them. Draws nothing if
/// standard error is no terminal, or one that cannot go back in a line (`TERM=dumb`).
pub(super) static BARS: LazyLock<MultiProgress> = LazyLock::new(|| {
    let bars = MultiProgress::new();
    if std::env::var_os("TERM").is_none_or(|kind| kind.is_empty() || kind == "dumb") {
        bars.set_draw_target(ProgressDrawTarget::hidden());
    }
    bars
});

/// How often a bar moves while nothing is told.
const TICK: Duration = Duration::from_millis(200);

/// How long something may take before a terminal is told about it.
const A_WHILE: Duration = Duration::from_secs(1);

/// Waits for `work`. If it takes a while, a bar shows `words`.
pub(super) async fn told_after_a_while<T>(words: &'static str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(A_WHILE, &mut work).await {
        return done;
    }
    let bar = steps();
    bar.set_message(words);
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// A bar for steps, each of which is told in words.
pub(super) fn steps() -> ProgressBar {
    let bar = BARS.add(ProgressBar::no_length());
    let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
    bar.enable_steady_tick(TICK);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A bar for reading so many bytes, if that is known. Wraps what is read.
pub(super) fn reading<R: Read>(input: R, bytes: Option<u64>) -> (ProgressBar, indicatif::ProgressBarIter<R>) {
    let (bar, template) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{wide_bar} {bytes} of {total_bytes}, {eta} left",
        ),
        None => (ProgressBar::no_length(), "{spinner} {bytes}, {elapsed}"),
    };
    let style = ProgressStyle::with_template(template);
    let bar = BARS.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
    (bar.clone(), bar.wrap_read(input))
}

/// A bar for work on about this many rows. They are counted only if the bar is visible. If they cannot be
/// counted, it tells how many are done: the work does not depend on it.
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
            log::debug!("the rows could not be counted: {error}");
            (ProgressBar::no_length(), "{spinner} {human_pos} rows, {per_sec}")
        }
    };
    let style = ProgressStyle::with_template(template);
    BARS.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
}
