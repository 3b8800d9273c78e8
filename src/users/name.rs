//! What people are called.

use std::fmt;
use std::str::FromStr;

/// Most code points; the column's check says the same.
const LONGEST: usize = 200;

/// A name for people to read: trimmed, 1 to 200 printable characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// The text cannot be a name, in words for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("name must be 1 to {LONGEST} printable characters")]
pub struct NotAName;

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let name = text.trim();
        if name.is_empty() || text.chars().count() > LONGEST || text.contains(char::is_control) {
            return Err(NotAName);
        }
        Ok(Self(name.to_owned()))
    }
}

impl Name {
    /// As it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
