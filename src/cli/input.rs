//! Standard input.

use std::io::{self, IsTerminal, Write, stderr, stdin};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

/// Reads a line that is a secret. A terminal asks for it twice, and does not show it. `None`: the two lines differ.
///
/// # Errors
/// As [`line()`].
pub(super) async fn secret(question: &str) -> io::Result<Option<String>> {
    let Some(_silence) = Silence::begin()? else {
        return line().await.map(Some);
    };
    write!(stderr(), "{question} (it is not shown): ")?;
    let secret = line().await?;
    write!(stderr(), "Once more: ")?;
    let is_confirmed = line().await? == secret;
    Ok(is_confirmed.then_some(secret))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    /// `None` where standard input is no terminal.
    fn begin() -> io::Result<Option<Self>> {
        if !stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(stdin())?;
        let mut silent = before.clone();
        silent.local_flags -= LocalFlags::ECHO;
        // The end of the line is shown, so that the next words begin a line.
        silent.local_flags |= LocalFlags::ECHONL;
        tcsetattr(stdin(), SetArg::TCSANOW, &silent)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Reads the next line, with its line break, on a thread that nobody waits for: a signal is obeyed meanwhile.
///
/// # Errors
/// When the line cannot be read, or is not UTF-8.
pub(super) async fn line() -> io::Result<String> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line);
        // After a signal nobody waits for the line.
        let _ = tell.send(read.map(|_| line));
    })?;
    told.await.map_err(io::Error::other)?
}
