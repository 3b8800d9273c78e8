//! Ctrl-C and other signals in the middle of a short command.

use std::future::Future;
use std::io::{IsTerminal, Write, stderr};

use super::Failure;
use super::progress::BARS;
use super::serve::stop_signal;

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

fn exit_at_the_next_signal() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let asked_again = runtime.map(|runtime| {
            runtime.block_on(async {
                match stop_signal(1) {
                    Ok(signal) => signal.await,
                    // Without signals, only the end of its work ends the program.
                    Err(_) => std::future::pending().await,
                }
            });
        });
        if asked_again.is_ok() {
            std::process::exit(STATUS.into());
        }
    });
}
