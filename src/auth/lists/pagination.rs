//! Keyset pagination: a page begins after the last row of the page before it, or ends before the first row of
//! the page after it. A key never changes, so no row moves from one page to another when users are active or
//! rows are added or removed.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use uuid::Uuid;

/// The most rows per page.
pub const LARGEST_PAGE: i64 = 200;

/// A list that has pages, the newest rows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Live sessions, by the time of the sign-in.
    Sessions,
    /// Accounts, by the time of their creation.
    Users,
    /// Past sessions, by the time of their end.
    History,
}

impl List {
    const ALL: [Self; 3] = [Self::Sessions, Self::Users, Self::History];

    /// The table of its rows, and the column by which they are ordered.
    pub(super) const fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Sessions => ("sessions", "created_at"),
            Self::Users => ("users", "created_at"),
            Self::History => ("ended_sessions", "ended_at"),
        }
    }

    /// The first letter of its cursors.
    const fn letter(self) -> char {
        match self {
            Self::Sessions => 's',
            Self::Users => 'u',
            Self::History => 'h',
        }
    }
}

/// The place of a row in its list, by its time and id. The page before it ends there, the page after it
/// begins there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) list: List,
    pub(super) at: DateTime<Utc>,
    pub(super) id: Uuid,
    /// The time of the first row of the first page. Newer rows were added since that page was shown.
    pub(super) top: DateTime<Utc>,
}

impl Cursor {
    /// The list that the cursor is for.
    pub fn list(&self) -> List {
        self.list
    }
}

/// The position of a page in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The one with the newest rows.
    First,
    /// The one that begins after this row.
    After(Cursor),
    /// The one that ends before this row. If too few rows for a full page stand before it, the first page.
    Before(Cursor),
}

impl Position {
    pub(super) fn cursor(&self) -> Option<&Cursor> {
        match self {
            Self::First => None,
            Self::After(cursor) | Self::Before(cursor) => Some(cursor),
        }
    }
}

impl From<Option<Cursor>> for Position {
    fn from(after: Option<Cursor>) -> Self {
        after.map_or(Self::First, Self::After)
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// At most as many rows as requested.
    pub rows: Vec<T>,
    /// Where the previous page ends. `None` on the first page, and on a page without rows.
    pub previous: Option<Cursor>,
    /// Where the next page begins. `None` on the last page.
    pub next: Option<Cursor>,
}

/// A page, with counts of all rows of its list.
#[derive(Clone, Debug)]
pub struct Counted<T> {
    /// The page.
    pub page: Page<T>,
    /// How many rows all pages have.
    pub total: i64,
    /// How many of them were added since the first page was shown, and stand before it.
    pub newer: i64,
    /// Whether the caller's own row is among all of them.
    pub has_own: bool,
    /// When the database looked. What begins later is in none of these figures.
    pub at: DateTime<Utc>,
}

/// The error for a text that is no cursor of this version: no list returned it, or a list of an earlier
/// version did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, top) = (self.at.timestamp_micros(), self.top.timestamp_micros());
        write!(f, "{}{at}_{}_{top}", self.list.letter(), self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let list = List::ALL
                .into_iter()
                .find(|list| text.starts_with(list.letter()))?;
            let mut parts = text[1..].split('_');
            let cursor = Self {
                list,
                at: moment(parts.next()?)?,
                id: parts.next()?.parse().ok()?,
                top: moment(parts.next()?)?,
            };
            parts.next().is_none().then_some(cursor)
        };
        parse().ok_or(NotACursor)
    }
}

/// Reads a time in microseconds since 1970. `None` if no row can have it: PostgreSQL cannot hold every such
/// time.
fn moment(micros: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
    (1970..10_000).contains(&at.year()).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros).unwrap()
    }

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor {
            list: List::Sessions,
            at: time(1_795_000_000_123_456),
            id: Uuid::new_v4(),
            top: time(1_795_000_000_999_999),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in [
            "",
            "1",
            "x_y",
            "s1_",
            "_",
            "é1_00000000000000000000000000000000_1",
            "s1_00000000000000000000000000000000_1_1",
            // A cursor of an earlier version.
            "1795000000000000_00000000000000000000000000000000",
            "s-210866803200000001_00000000-0000-0000-0000-000000000000_1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_cursor_of_a_row_reads_back(micros in 0..253_402_300_800_000_000_i64, id: u128, list in 0..3_usize) {
            let cursor = Cursor { list: List::ALL[list], at: time(micros), id: Uuid::from_u128(id), top: time(micros) };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn whatever_is_sent_as_a_cursor_is_refused_or_understood(text in prop_oneof![
            any::<String>(),
            "[suh]?-?[0-9]{0,20}_?[0-9a-fA-F-]{0,40}_?[0-9]{0,20}",
        ]) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
                prop_assert!((1970..10_000).contains(&cursor.at.year()));
            }
        }
    }
}
