//! The log as unit tests see it: the lines of their own thread.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

use crate::log_line::{log_panic, words};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Captured;

impl Log for Captured {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(format!("{} {}", record.level(), words(record))));
    }

    fn flush(&self) {}
}

/// Starts to capture. Panics are logged as in the program.
pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Captured).unwrap();
        log::set_max_level(LevelFilter::Info);
        // The message of a failing test is still shown.
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            default(panic);
            log_panic(panic);
        }));
    });
}

/// The lines of this thread since the last call.
pub(crate) fn lines() -> Vec<String> {
    LINES.take()
}
