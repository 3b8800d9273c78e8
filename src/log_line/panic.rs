//! Panics in the log.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

/// Logs a panic on one line: its thread, place and message, and the backtrace if `RUST_BACKTRACE` asks for
/// it.
pub(crate) fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload_as_str().unwrap_or("without words");
    let way = way(&Backtrace::capture());
    log::error!("panic of the thread {thread:?} at {place}: {words:?}{way}");
}

/// The backtrace on one line, like everything in the log.
fn way(backtrace: &Backtrace) -> String {
    match backtrace.status() {
        BacktraceStatus::Captured => format!("; {backtrace:?}"),
        _ => String::new(),
    }
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
        let start = "ERROR panic of the thread \"worker 7\" at src/log_line/panic.rs:";
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
