//! The query for the keys of a page, and for the counts of its list.
//!
//! A search takes two steps, because one alone would be slow for some words. A word that many rows have usually fills
//! the page from the next rows of the list ([`NEAR`]); then all its rows are counted, without storing them. If they do
//! not fill the page, few rows have the word: they are found once and stored, and counted and shown from there.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::pagination::{Counted, Cursor, List, Page, Position};
use crate::db::PgConnection;

/// The number of rows of the list that are searched first.
const NEAR: i64 = 1000;

/// What to count besides finding the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    /// Nothing: counting would take long, and the caller does not need it.
    Nothing,
    /// All rows that the query finds.
    All,
}

/// The query for the keys of one page, out of the rows that the query `found` finds: `(id, time)`, newest
/// first.
pub(super) struct Keys<Q> {
    pub(super) found: Q,
    pub(super) list: List,
    /// Whether `found` is a search.
    pub(super) is_search: bool,
    pub(super) counting: Counting,
    pub(super) position: Position,
    /// The most rows on a page.
    pub(super) limit: i64,
    /// The caller's own row, to look for among all rows.
    pub(super) own: Option<Uuid>,
}

/// One statement of this query.
struct Asked<'a, Q> {
    keys: &'a Keys<Q>,
    what: What,
}

/// What one statement returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The part of the page that is among the next rows of the list.
    NearPage,
    /// The counts.
    Counts,
    /// Both, without storing the rows that were found.
    Both,
    /// Both, from rows that are found once and stored.
    BothOfFew,
}

type KeyTypes = (
    BigInt,
    BigInt,
    Bool,
    Timestamptz,
    Array<SqlUuid>,
    Array<Timestamptz>,
);

/// The result of a statement.
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
    list: List,
    ids: Vec<Uuid>,
    times: Vec<DateTime<Utc>>,
    has_previous: bool,
    has_next: bool,
    /// The time of the first row of the first page.
    top: Option<DateTime<Utc>>,
}

impl<Q: QueryFragment<Pg>> Keys<Q> {
    pub(super) fn load(mut self, conn: &mut PgConnection) -> QueryResult<KeyPage> {
        let fits = usize::try_from(self.limit).unwrap_or(usize::MAX);
        self.limit += 1;
        let mut answer = self.answer(fits, conn)?;
        // The page would not be full, or would be the first page under another URL. The first page takes its
        // place.
        if matches!(self.position, Position::Before(_)) && answer.ids.len() <= fits {
            self.position = Position::First;
            answer = self.answer(fits, conn)?;
        }
        Ok(KeyPage::of(answer, self.list, self.position, fits))
    }

    fn answer(&self, fits: usize, conn: &mut PgConnection) -> QueryResult<Answer> {
        if !self.is_search {
            return self.ask(What::Both, conn);
        }
        let near = self.ask(What::NearPage, conn)?;
        if near.ids.len() <= fits {
            return self.ask(What::BothOfFew, conn);
        }
        if self.counting == Counting::Nothing {
            return Ok(near);
        }
        let Answer { at, ids, times, .. } = near;
        let counts = self.ask(What::Counts, conn)?;
        Ok(Answer {
            at,
            ids,
            times,
            ..counts
        })
    }

    fn ask(&self, what: What, conn: &mut PgConnection) -> QueryResult<Answer> {
        Asked { keys: self, what }.get_result(conn)
    }
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Asked<'_, Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // A cached plan for all search words would be the wrong one for most of them.
        out.unsafe_to_cache_prepared();
        let is_counted = self.keys.counting == Counting::All && self.what != What::NearPage;
        out.push_sql(if is_counted && self.what == What::BothOfFew {
            "with found(id, at) as materialized ("
        } else {
            "with found(id, at) as not materialized ("
        });
        self.keys.found.walk_ast(out.reborrow())?;
        out.push_sql(")");
        if self.what == What::Counts {
            out.push_sql(" select counted.*, statement_timestamp(), '{}'::uuid[], '{}'::timestamptz[]");
        } else {
            self.push_page(out.reborrow())?;
            out.push_sql(
                " select counted.*, statement_timestamp(), array(select id from page order by at desc, id desc), array(select at from page order by at desc, id desc)",
            );
        }
        out.push_sql(" from (select ");
        if is_counted {
            self.keys.push_counts(out.reborrow())?;
        } else {
            out.push_sql("0::bigint, 0::bigint, false");
        }
        out.push_sql(") as counted");
        Ok(())
    }
}

impl<Q> Asked<'_, Q> {
    fn push_page<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(", page as materialized (select id, at from found where true");
        if self.what == What::NearPage {
            let (table, time) = self.keys.list.table();
            // An array makes PostgreSQL read these rows alone, however many rows it expects the search to find.
            out.push_sql(&format!(
                " and id = any(array(select near.id from {table} as near where true"
            ));
            self.keys
                .push_side(&format!("near.{time}"), "near.id", out.reborrow())?;
            out.push_sql(" limit ");
            out.push_bind_param::<BigInt, _>(&NEAR)?;
            out.push_sql("))");
        }
        self.keys.push_side("at", "id", out.reborrow())?;
        out.push_sql(" limit ");
        out.push_bind_param::<BigInt, _>(&self.keys.limit)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<Q> Keys<Q> {
    /// Adds the condition for rows on the page's side of the cursor, and the order in which to read them.
    fn push_side<'b>(&'b self, at: &str, id: &str, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let (side, order) = match self.position {
            Position::First | Position::After(_) => ("<", format!("{at} desc, {id} desc")),
            Position::Before(_) => (">", format!("{at}, {id}")),
        };
        if let Some(cursor) = self.position.cursor() {
            out.push_sql(&format!(" and ({at}, {id}) {side} ("));
            out.push_bind_param::<Timestamptz, _>(&cursor.at)?;
            out.push_sql(", ");
            out.push_bind_param::<SqlUuid, _>(&cursor.id)?;
            out.push_sql(")");
        }
        out.push_sql(&format!(" order by {order}"));
        Ok(())
    }

    /// Adds all counts, in one pass over the rows that were found.
    fn push_counts<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
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
impl<Q> QueryId for Asked<'_, Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Asked<'_, Q> {
    type SqlType = KeyTypes;
}

impl<Q, Conn> RunQueryDsl<Conn> for Asked<'_, Q> {}

impl KeyPage {
    /// Takes the keys that fit on the page from the answer.
    fn of(answer: Answer, list: List, position: Position, fits: usize) -> Self {
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
            list,
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
    pub(super) fn page<T>(&self, rows: Vec<T>) -> Page<T> {
        let cursor = |at: Option<&DateTime<Utc>>, id: Option<&Uuid>| {
            let (at, id, top) = (*at?, *id?, self.top?);
            Some(Cursor {
                list: self.list,
                at,
                id,
                top,
            })
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
