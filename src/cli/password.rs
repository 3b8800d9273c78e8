//! Where a new password comes from.

use super::{Failure, output};
use crate::users::Password;

/// A password to set, and whether anybody knows it yet.
pub(super) struct NewPassword {
    pub(super) value: Password,
    is_generated: bool,
}

impl NewPassword {
    /// Shows it once, if nobody has seen it yet.
    pub(super) fn print_if_generated(&self) -> Result<(), Failure> {
        if !self.is_generated {
            return Ok(());
        }
        output::line(format_args!("password, shown once: {}", self.value.reveal())).map_err(|_| {
            Failure::failed(
                "the new password is set but could not be shown; set another with: oneseat user password",
            )
        })
    }
}

/// One line of standard input, or a new random password. `about` is what is known of whose it will be.
pub(super) fn read_or_generate(from_stdin: bool, about: &[&str]) -> Result<NewPassword, Failure> {
    if !from_stdin {
        let value = Password::generate().map_err(Failure::failed)?;
        return Ok(NewPassword {
            value,
            is_generated: true,
        });
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Failure::failed)?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let value = Password::chosen(line, about).map_err(Failure::failed)?;
    Ok(NewPassword {
        value,
        is_generated: false,
    })
}
