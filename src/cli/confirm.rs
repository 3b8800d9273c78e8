//! The question before a change that no other command can undo.

use std::io::{IsTerminal, Write, stderr, stdin};

use clap::Args;

use super::{Failure, input};

/// Whether to ask. Standard error has the question, so that standard output has only answers.
#[derive(Args, Debug)]
pub(super) struct Confirmation {
    /// Do not ask; without a terminal, where nobody can be asked, nothing is done otherwise
    #[arg(short, long)]
    yes: bool,
}

impl Confirmation {
    /// Checks that somebody can be asked, or need not be. `command` is the command as it is typed.
    ///
    /// # Errors
    /// [`Failure::WrongUsage`].
    pub(super) fn is_possible(&self, command: &str) -> Result<(), Failure> {
        if self.yes || (stdin().is_terminal() && stderr().is_terminal()) {
            return Ok(());
        }
        Err(Failure::WrongUsage(format!(
            "`{command}` asks first, and without a terminal nobody can be asked: write --yes"
        )))
    }

    /// Asks, and waits for the answer. Everything but a yes is a no.
    ///
    /// # Errors
    /// After a no.
    pub(super) async fn ask(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let asked = write!(stderr(), "{question} [y/N] ");
        asked.map_err(Failure::failed)?;
        let answer = input::line().await.map_err(Failure::failed)?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::failed("nothing was changed")),
        }
    }
}
