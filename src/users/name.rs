//! Names of users and services.

use std::fmt;
use std::str::FromStr;

use crate::unseen;

/// The most code points of a name; the column's check has the same limit.
const LONGEST: usize = 200;

/// A name for people to read: trimmed, 1 to 200 characters, all of them visible where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// The text cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    /// It is empty or too long.
    #[error("name must be 1 to {LONGEST} characters")]
    Length,
    /// It has a character that cannot be seen where it stands.
    #[error(
        "name must be 1 to {LONGEST} printable characters: nothing invisible, and nothing that turns the direction of writing around; \
         it has U+{:04X}", *.0 as u32
    )]
    Unseen(char),
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let name = text.trim();
        if name.is_empty() || text.chars().count() > LONGEST {
            return Err(NotAName::Length);
        }
        match unseen::of_text(text).next() {
            Some((_, unseen)) => Err(NotAName::Unseen(unseen)),
            None => Ok(Self(name.to_owned())),
        }
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
        f.write_str(&unseen::in_line(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_or_turns_writing_around_is_in_no_name() {
        for c in [
            '\n', '\u{1b}', '\u{200b}', '\u{200d}', '\u{200f}', '\u{202e}', '\u{2066}', '\u{3164}',
            '\u{2800}', '\u{e000}',
        ] {
            assert_eq!(
                format!("Ada{c}Lovelace").parse::<Name>(),
                Err(NotAName::Unseen(c))
            );
        }
        for nothing in ["", "  ", "\u{3000}"] {
            assert_eq!(nothing.parse::<Name>(), Err(NotAName::Length), "{nothing:?}");
        }
        for unseen in ["\u{200d}", "\u{fe0f}", "\u{301}", "\u{2800}"] {
            assert!(unseen.parse::<Name>().is_err(), "{unseen:?}");
        }
        assert_eq!("x".repeat(201).parse::<Name>(), Err(NotAName::Length));
        assert!(
            NotAName::Unseen('\u{202e}')
                .to_string()
                .ends_with("it has U+202E")
        );
    }

    #[test]
    fn what_names_are_written_with_stays() {
        for name in [
            "Zoë Åström",
            "東京　太郎",
            "علی\u{200c}رضا",
            "דוד (Dave)",
            "\u{1f469}\u{200d}\u{1f4bb} Ada",
        ] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
    }
}
