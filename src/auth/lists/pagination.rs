//! Keyset pagination: a page begins after the last row of the page before it, or ends before the first row of
//! the page after it. A key never changes, so no row moves from one page to another when users are active or
//! rows are added or removed.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::search::Search;
use crate::db::PgConnection;

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
    fn cursor(&self) -> Option<&Cursor> {
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

/// What to count besides finding the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    /// Nothing: counting would take long, and the caller does not need it.
    Nothing,
    /// All rows, which are quick to count, because there is no search.
    All,
    /// All rows that a search finds: they are found once, and both counted and shown from that result.
    Found,
}

impl Counting {
    pub(super) fn of(search: &Search) -> Self {
        match search {
            Search::All => Self::All,
            Search::For(_) => Self::Found,
        }
    }
}

/// The query for the keys of one page, out of the rows that the query `found` finds: `(id, time)`, newest
/// first.
pub(super) struct Keys<Q> {
    pub(super) found: Q,
    pub(super) counting: Counting,
    pub(super) position: Position,
    /// The most rows on a page.
    pub(super) limit: i64,
    /// The caller's own row, to look for among all rows.
    pub(super) own: Option<Uuid>,
}

type KeyTypes = (
    BigInt,
    BigInt,
    Bool,
    Timestamptz,
    Array<SqlUuid>,
    Array<Timestamptz>,
);

/// The result of the query.
#[derive(Debug, Queryable)]
struct Answer {
    total: i64,
    newer: i64,
    has_own: bool,
    at: DateTime<Utc>,
    /// The ids of the page, and one more if there are further rows in the direction of the query.
    ids: Vec<Uuid>,
    times: Vec<DateTime<Utc>>,
}

/// The keys of a page.
#[derive(Debug)]
pub(super) struct KeyPage {
    pub(super) total: i64,
    pub(super) newer: i64,
    pub(super) has_own: bool,
    at: DateTime<Utc>,
    ids: Vec<Uuid>,
    times: Vec<DateTime<Utc>>,
    has_previous: bool,
    has_next: bool,
    /// The time of the first row of the first page.
    top: Option<DateTime<Utc>>,
}

impl<Q> Keys<Q>
where
    for<'query> &'query Self: QueryFragment<Pg> + QueryId + Query<SqlType = KeyTypes>,
{
    pub(super) fn load(mut self, conn: &mut PgConnection) -> QueryResult<KeyPage> {
        let fits = usize::try_from(self.limit).unwrap_or(usize::MAX);
        self.limit += 1;
        let mut answer: Answer = (&self).get_result(conn)?;
        // The page would not be full, or would be the first page under another URL. The first page takes its
        // place.
        if matches!(self.position, Position::Before(_)) && answer.ids.len() <= fits {
            self.position = Position::First;
            answer = (&self).get_result(conn)?;
        }
        Ok(KeyPage::of(answer, self.position, fits))
    }
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Keys<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // A cached plan for all search words would be the wrong one for most of them.
        out.unsafe_to_cache_prepared();
        out.push_sql(match self.counting {
            Counting::Found => "with found(id, at) as materialized (",
            Counting::All | Counting::Nothing => "with found(id, at) as not materialized (",
        });
        self.found.walk_ast(out.reborrow())?;
        out.push_sql("), page as materialized (select id, at from found");
        let (side, order) = match self.position {
            Position::First | Position::After(_) => ("<", "at desc, id desc"),
            Position::Before(_) => (">", "at, id"),
        };
        if let Some(cursor) = self.position.cursor() {
            out.push_sql(" where (at, id) ");
            out.push_sql(side);
            out.push_sql(" (");
            out.push_bind_param::<Timestamptz, _>(&cursor.at)?;
            out.push_sql(", ");
            out.push_bind_param::<SqlUuid, _>(&cursor.id)?;
            out.push_sql(")");
        }
        out.push_sql(" order by ");
        out.push_sql(order);
        out.push_sql(" limit ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") select counted.*, statement_timestamp(), array(select id from page order by at desc, id desc), array(select at from page order by at desc, id desc) from (select ");
        self.push_counts(out.reborrow())?;
        out.push_sql(") as counted");
        Ok(())
    }
}

impl<Q> Keys<Q> {
    /// Adds all counts, in one pass over the rows that were found.
    fn push_counts<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if self.counting == Counting::Nothing {
            out.push_sql("0::bigint, 0::bigint, false");
            return Ok(());
        }
        out.push_sql("count(*), ");
        match self.position.cursor() {
            None => out.push_sql("0::bigint"),
            Some(cursor) => {
                out.push_sql("count(*) filter (where at > ");
                out.push_bind_param::<Timestamptz, _>(&cursor.top)?;
                out.push_sql(")");
            }
        }
        match &self.own {
            None => out.push_sql(", false"),
            Some(own) => {
                out.push_sql(", coalesce(bool_or(id = ");
                out.push_bind_param::<SqlUuid, _>(own)?;
                out.push_sql("), false)");
            }
        }
        out.push_sql(" from found");
        Ok(())
    }
}

/// The statement is never cached.
impl<Q> QueryId for Keys<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Keys<Q> {
    type SqlType = KeyTypes;
}

impl<Q, Conn> RunQueryDsl<Conn> for &Keys<Q> {}

impl KeyPage {
    /// Takes the keys that fit on the page from the answer.
    fn of(answer: Answer, position: Position, fits: usize) -> Self {
        let Answer {
            mut ids, mut times, ..
        } = answer;
        let is_more = ids.len() > fits;
        let top = match position {
            Position::First => times.first().copied(),
            Position::After(cursor) | Position::Before(cursor) => Some(cursor.top),
        };
        let (has_previous, has_next) = match position {
            Position::First => (false, is_more),
            Position::After(_) => (true, is_more),
            Position::Before(_) => (is_more, true),
        };
        let spare = usize::from(is_more && matches!(position, Position::Before(_)));
        ids.drain(..spare);
        times.drain(..spare);
        ids.truncate(fits);
        times.truncate(fits);
        Self {
            total: answer.total,
            newer: answer.newer,
            has_own: answer.has_own,
            at: answer.at,
            ids,
            times,
            has_previous,
            has_next,
            top,
        }
    }

    /// The ids of the rows of the page.
    pub(super) fn ids(&self) -> &[Uuid] {
        &self.ids
    }

    /// The page with these rows, which are those of [`ids`](Self::ids) that still exist.
    pub(super) fn page<T>(&self, rows: Vec<T>, list: List) -> Page<T> {
        let cursor = |at: Option<&DateTime<Utc>>, id: Option<&Uuid>| {
            let (at, id, top) = (*at?, *id?, self.top?);
            Some(Cursor { list, at, id, top })
        };
        let first = cursor(self.times.first(), self.ids.first());
        let last = cursor(self.times.last(), self.ids.last());
        Page {
            rows,
            previous: first.filter(|_| self.has_previous),
            next: last.filter(|_| self.has_next),
        }
    }

    /// This page, with its counts.
    pub(super) fn counted<T>(&self, page: Page<T>) -> Counted<T> {
        Counted {
            page,
            total: self.total,
            newer: self.newer,
            has_own: self.has_own,
            at: self.at,
        }
    }
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
