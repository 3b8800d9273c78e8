//! Signals in the middle of a short command, and the end of a server that has stopped.

use std::future::Future;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Failure;
use super::progress::BARS;
use super::serve::stop_signal;
use crate::app::background::write_sums;

/// Exit status after a signal, as shells have it for Ctrl-C.
pub(super) const STATUS: u8 = 130;

/// Does the work until it is done or a signal comes. What is committed stays, PostgreSQL undoes the rest, and a
/// private PostgreSQL is left as after any command. A statement that has begun is waited for; a second signal ends
/// that wait, too.
pub(super) async fn until_told_to_stop(
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let stop = stop_signal(1)?;
    tokio::select! {
        done = work => done,
        () = stop => {
            exit_at_the_next_signal();
            // If the terminal is gone, so are the bars.
            let _ = BARS.clear();
            if stderr().is_terminal() {
                // The terminal has written ^C there.
                let _ = writeln!(stderr());
            }
            Err(Failure::Interrupted)
        }
    }
}

/// How long a server that has stopped may wait for statements that have begun: longer than any that gets an answer.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Ends the program, with this status, at the next signal or after [`LAST_WAIT`], if it has not ended by then. The runtime
/// waits without end for its threads, and one that waits for a database that never answers does not come back. `tell` says
/// why the program failed.
pub(super) fn end_soon(status: u8, tell: impl FnOnce() + Send + 'static) {
    at_the_next_signal_or_after(LAST_WAIT, move || {
        log::warn!("ended without waiting any longer for the database");
        write_sums();
        tell();
        std::process::exit(status.into());
    });
}

fn exit_at_the_next_signal() {
    at_the_next_signal_or_after(Duration::MAX, || std::process::exit(STATUS.into()));
}

/// On a thread of its own: the others may wait for what never comes. Without signals, only the time counts.
fn at_the_next_signal_or_after(limit: Duration, end: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                match stop_signal(1) {
                    Ok(signal) => drop(timeout(limit, signal).await),
                    Err(_) => sleep(limit).await,
                }
            }),
            Err(_) => std::thread::sleep(limit),
        }
        end();
    });
}
