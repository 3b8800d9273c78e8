//! Standard input.

use std::io;

use tokio::sync::oneshot;

/// The next line, with its end. A signal is obeyed meanwhile: the thread that reads is waited for by nobody.
///
/// # Errors
/// Those of reading; text that is not UTF-8.
pub(super) async fn line() -> io::Result<String> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        // Nobody waits after a signal.
        let _ = tell.send(read.map(|_| line));
    })?;
    told.await.map_err(io::Error::other)?
}
