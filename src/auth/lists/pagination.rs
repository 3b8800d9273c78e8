//! Pages by key: a page begins after the last row of the previous one, so that new and removed rows shift
//! nothing.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use ipnetwork::IpNetwork;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// The most rows per page.
pub const LARGEST_PAGE: i64 = 200;

/// The search term of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Everything.
    All,
    /// Addresses of origin in this network.
    Network(IpNetwork),
    /// A part of a name or an email; its beginning, if shorter than three characters.
    Text(String),
}

/// Where a page begins: after the row with this time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) at: DateTime<Utc>,
    pub(super) id: Uuid,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// At most as many rows as requested.
    pub rows: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl From<&str> for Search {
    /// An address, a network, or the beginning of an IPv4 address such as `203.0.113.` is a network; other
    /// input is text.
    fn from(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::All;
        }
        text.parse()
            .ok()
            .or_else(|| beginning(text))
            .map_or_else(|| Self::Text(text.to_owned()), Self::Network)
    }
}

fn beginning(text: &str) -> Option<IpNetwork> {
    let parts: Vec<&str> = text.strip_suffix('.')?.split('.').collect();
    if parts.len() > 3 {
        return None;
    }
    let bits = parts.len() * 8;
    let address: Vec<&str> = parts.into_iter().chain(["0"; 3]).take(4).collect();
    format!("{}/{bits}", address.join(".")).parse().ok()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.at.timestamp_micros(), self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (at, id) = text.split_once('_')?;
            let at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
            // A time that PostgreSQL cannot hold was never that of a row.
            (1970..10_000).contains(&at.year()).then_some(Self {
                at,
                id: id.parse().ok()?,
            })
        };
        parse().ok_or("after must be the next of an earlier page")
    }
}

impl Search {
    /// A pattern for the folded text, with wildcards escaped.
    pub(super) fn pattern(text: &str) -> String {
        let text = folded(text);
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        // The index works on three letters in a row, or on the beginning of a word.
        if text.chars().count() < 3 {
            format!("{escaped}%")
        } else {
            format!("%{escaped}%")
        }
    }
}

/// The text without the differences that a search overlooks, as the columns `folded_...` of `users` have it. The
/// locale of the database does not matter.
fn folded(text: &str) -> String {
    let lower = text.nfc().map(|letter| match letter {
        // Unicode makes a letter and a mark of it, and no other letter becomes two.
        'İ' => 'i',
        letter => letter.to_lowercase().next().unwrap_or(letter),
    });
    let mut folded = String::with_capacity(text.len());
    for letter in lower {
        match letter {
            'ς' => folded.push('σ'),
            'ſ' => folded.push('s'),
            'ß' => folded.push_str("ss"),
            other => folded.push(other),
        }
    }
    folded.nfc().collect()
}

/// Removes the extra row that was queried beyond the page, and returns where the next page begins.
pub(super) fn page<T>(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(cursor);
    Page { rows, next }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_and_their_beginnings_are_networks_and_all_else_is_text() {
        for (text, network) in [
            ("203.0.113.9", "203.0.113.9/32"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("203.0.113.", "203.0.113.0/24"),
            ("10.", "10.0.0.0/8"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(
                Search::from(text),
                Search::Network(network.parse().unwrap()),
                "{text}"
            );
        }
        for text in ["ada", "10", "a.", "300.", "1.2.3.4.", "ada@example.org"] {
            assert_eq!(Search::from(text), Search::Text(text.to_owned()));
        }
        assert_eq!(Search::from("  "), Search::All);
    }

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor {
            at: DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap(),
            id: Uuid::new_v4(),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in [
            "",
            "1",
            "x_y",
            "1_",
            "_",
            "-210866803200000001_00000000-0000-0000-0000-000000000000",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_cursor_of_a_row_reads_back(micros in 0..253_402_300_800_000_000_i64, id: u128) {
            let at = DateTime::from_timestamp_micros(micros).unwrap();
            let cursor = Cursor { at, id: Uuid::from_u128(id) };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn whatever_is_sent_as_a_cursor_is_refused_or_understood(text in prop_oneof![
            any::<String>(),
            "-?[0-9]{0,20}_?[0-9a-fA-F-]{0,40}",
        ]) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
                prop_assert!((1970..10_000).contains(&cursor.at.year()));
            }
        }

        #[test]
        fn whatever_is_searched_for_is_never_a_pattern(text in prop_oneof![any::<String>(), "[%_\\\\a.0-9:/]{0,20}"]) {
            let _ = Search::from(text.as_str());
            let pattern = Search::pattern(&text);
            let text = folded(&text);
            // Between the outer signs, with every escape undone, is the text.
            let inner = pattern.strip_suffix('%').unwrap();
            let inner = if text.chars().count() < 3 { inner } else { inner.strip_prefix('%').unwrap() };
            let mut plain = String::new();
            let mut letters = inner.chars();
            while let Some(letter) = letters.next() {
                prop_assert!(letter != '%' && letter != '_');
                plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
            }
            prop_assert_eq!(plain, text);
        }
    }
}
