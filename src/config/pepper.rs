//! The secret with which another system hashed its passwords.

use std::fmt;

use clap::Args;
use zeroize::Zeroizing;

use super::reader::Reader;

/// The most bytes of a pepper. More would be of no use: bcrypt reads 72 bytes of password and pepper together.
const LONGEST: usize = 1_024;

/// How passwords from other systems are checked. Taken by `serve`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Users from other systems")]
pub struct PepperSettings {
    /// File with the pepper that Devise was configured with, for imported hashes that begin with {devise}
    #[arg(long, env = "ONESEAT_PASSWORD_PEPPER_FILE", value_name = "FILE")]
    pub password_pepper_file: Option<String>,
}

/// A secret that another system appended to each password before it hashed it: 1 to 1,024 bytes.
#[derive(Clone)]
pub struct Pepper(Zeroizing<Vec<u8>>);

impl Pepper {
    /// A pepper of the bytes of this text.
    ///
    /// # Errors
    /// When there are none, or too many.
    pub fn new(text: &str) -> Result<Self, String> {
        match text.len() {
            0 => Err("is empty".to_owned()),
            1..=LONGEST => Ok(Self(Zeroizing::new(text.as_bytes().to_vec()))),
            _ => Err(format!("holds more than {LONGEST} bytes")),
        }
    }

    /// What is appended to a password.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the file, and leaves out the line break at its end.
    pub(super) fn read(reader: &mut Reader, settings: &PepperSettings) -> Option<Option<Self>> {
        reader.read_given("--password-pepper-file", &settings.password_pepper_file, |file| {
            let text = std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
            let text = Zeroizing::new(text);
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Self::new(line.strip_suffix('\r').unwrap_or(line))
        })
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn a_pepper_is_the_line_in_its_file_and_is_shown_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper");
        let with = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let file = format!("--password-pepper-file={}", path.display());
            read(&["--database-url", "postgres://", &file])
        };
        let (_, config) = with(" made up, with a blank \r\n").unwrap();
        assert!(!format!("{config:?}").contains("made up"));
        assert_eq!(config.pepper.unwrap().as_bytes(), b" made up, with a blank ");
        for bad in ["", "\n", &"x".repeat(1_025)] {
            let words = with(bad).unwrap_err().to_string();
            assert!(words.starts_with("--password-pepper-file"), "{words}");
        }
        assert!(read(&["--password-pepper-file", "/nowhere/at/all"]).is_err());
    }
}
