//! Standard input.

use std::io;

use tokio::sync::oneshot;

/// Reads the next line, with its line break, on a thread that nobody waits for: a signal is obeyed meanwhile.
///
/// # Errors
/// When the line cannot be read, or is not UTF-8.
pub(super) async fn line() -> io::Result<String> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        // After a signal nobody waits for the line.
        let _ = tell.send(read.map(|_| line));
    })?;
    told.await.map_err(io::Error::other)?
}
