//! Names of users and services.

use std::fmt;
use std::str::FromStr;

use crate::unseen::{is_mark, is_unseen};

/// The most code points; the column's check says the same.
const LONGEST: usize = 200;

/// A name for people to read: trimmed, 1 to 200 characters, at least one of them visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// The text cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "name must be 1 to {LONGEST} printable characters: nothing invisible, and nothing that turns the direction of writing around"
)]
pub struct NotAName;

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let name = text.trim();
        if name.chars().all(is_mark) || text.chars().count() > LONGEST || text.contains(is_unseen) {
            return Err(NotAName);
        }
        Ok(Self(name.to_owned()))
    }
}

impl Name {
    /// The name as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_or_turns_writing_around_is_in_no_name() {
        for c in [
            '\n',
            '\u{1b}',
            '\u{9b}',
            '\u{ad}',
            '\u{34f}',
            '\u{200b}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202b}',
            '\u{202c}',
            '\u{202d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2067}',
            '\u{2068}',
            '\u{2069}',
            '\u{3164}',
            '\u{feff}',
            '\u{e0001}',
            '\u{e0061}',
            '\u{e007f}',
        ] {
            assert_eq!(format!("Ada{c}Lovelace").parse::<Name>(), Err(NotAName), "{c:?}");
        }
        for nothing in ["", "  ", "\u{200d}", "\u{200e}\u{200f} \u{fe0f}"] {
            assert_eq!(nothing.parse::<Name>(), Err(NotAName), "{nothing:?}");
        }
        assert_eq!("x".repeat(201).parse::<Name>(), Err(NotAName));
    }

    #[test]
    fn what_names_are_written_with_stays() {
        for name in [
            "Zoë Åström",
            "Rene\u{301}e",
            "Nguyễn Thị Minh Khai",
            "東京 太郎",
            "葛\u{e0100}城",
            "علی\u{200c}رضا",
            "\u{200f}דוד\u{200e} (Dave)",
            "क्\u{200d}ष",
            "\u{1f469}\u{200d}\u{1f4bb}\u{fe0f} Ada",
            "ᠮᠣᠩᠭᠣᠯ\u{180b}",
        ] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
    }
}
