//! Where a new password comes from.

use std::fmt;
use std::io::ErrorKind;

use super::{Failure, input, output};
use crate::users::Password;

/// A password to set, and whether it was generated.
pub(super) struct NewPassword {
    pub(super) value: Password,
    is_generated: bool,
}

impl NewPassword {
    /// Prints what was done, and the password, this once, if it was generated. Both at once: if they cannot be printed,
    /// nobody knows the password, and the error has to say so.
    pub(super) fn print_with(&self, done: impl fmt::Display) -> Result<(), Failure> {
        if !self.is_generated {
            return output::line(done);
        }
        let shown = format_args!("{done}\npassword, shown once: {}", self.value.reveal());
        output::line(shown).map_err(|_| {
            Failure::failed(
                "the new password is set but could not be shown; set another with: oneseat user password",
            )
        })
    }
}

/// The password that was given, if any, before its user is known.
pub(super) struct Given(Option<String>);

/// Reads one line of standard input if `from_stdin`; at a terminal it asks twice, and shows nothing of it. Otherwise a
/// random password is made later.
pub(super) async fn read(from_stdin: bool) -> Result<Given, Failure> {
    if !from_stdin {
        return Ok(Given(None));
    }
    let line = input::secret("New password").await.map_err(|error| {
        Failure::failed(match error.kind() {
            ErrorKind::InvalidData => {
                "the password on standard input is not UTF-8; convert it, as with iconv".to_owned()
            }
            _ => format!("the password cannot be read from standard input: {error}"),
        })
    })?;
    let line =
        line.ok_or_else(|| Failure::failed("these are two different passwords; nothing was changed"))?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Ok(Given(Some(line.to_owned())))
}

impl Given {
    /// Checks the given password, or generates one. `about` is what is known of its user.
    pub(super) fn password(&self, about: &[&str]) -> Result<NewPassword, Failure> {
        let value = match &self.0 {
            Some(line) => Password::chosen(line, about).map_err(Failure::failed)?,
            None => Password::generate().map_err(Failure::failed)?,
        };
        Ok(NewPassword {
            value,
            is_generated: self.0.is_none(),
        })
    }
}
