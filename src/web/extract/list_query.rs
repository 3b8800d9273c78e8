//! The query of a list.

use actix_web::HttpRequest;
use chrono::DateTime;
use serde::Deserialize;

use crate::auth::endings::Bound;
use crate::auth::lists::{Cursor, LARGEST_PAGE, List, Position, Search};
use crate::sessions::EndReason;
use crate::web::extract::query::{query, takes_only};
use crate::web::problem::Problem;
use crate::web::schemas;

/// Rows of a page unless the query says otherwise.
const PAGE: i64 = 50;

/// The query of a list: `q`, `limit` (1 to 200), `after` (the `next` of an earlier page) or `before` (the `previous` of a
/// later one), `reason` (history only).
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::web) struct ListQuery {
    /// Words to find in what a row shows, each anywhere: a part of a name, an email address, a device or a network
    /// address; an address or a network as a whole; the beginning of a state, a role or a reason.
    #[serde(default)]
    #[param(max_length = 1000, pattern = "^[^\\x00]*$")]
    q: String,
    #[param(schema_with = schemas::limit)]
    limit: Option<String>,
    #[param(ignore)]
    after: Option<String>,
    #[param(ignore)]
    before: Option<String>,
    #[param(ignore)]
    reason: Option<String>,
}

/// The query of a call that ends many sessions. An unknown parameter is refused: if it were ignored, the call would
/// end more sessions than was meant.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(in crate::web) struct EndQuery {
    /// Only those that a list with this `q` shows.
    #[param(value_type = String, required = false, max_length = 1000, pattern = "^[^\\x00]*[^\\x00\\s][^\\x00]*$")]
    q: Option<String>,
    /// Only those that began before then, such as before a list was read.
    #[param(value_type = DateTime<Utc>, required = false)]
    created_before: Option<String>,
    /// The most that may end. If there are more, none does.
    #[param(value_type = u32, required = false)]
    at_most: Option<String>,
}

impl EndQuery {
    /// Reads the query in the handler, as [`ListQuery::of`] does.
    pub(in crate::web) fn of(request: &HttpRequest) -> Result<(Search, Bound), Problem> {
        let takes = "The query takes q, createdBefore and atMost, each once";
        let query: Self = query(request, takes)?;
        let refused = |words, field| Problem::bad_request(words).in_field(field);
        let created_before = match query.created_before.as_deref().map(DateTime::parse_from_rfc3339) {
            None => None,
            Some(Ok(time)) => Some(time.to_utc()),
            Some(Err(_)) => {
                let words = "createdBefore must be a time as in answers (RFC 3339)";
                return Err(refused(words, "createdBefore"));
            }
        };
        let at_most = match query.at_most.as_deref().map(str::parse::<i32>) {
            None => None,
            Some(Ok(number)) if number >= 0 => usize::try_from(number).ok(),
            Some(_) => return Err(refused("atMost must be a number of sessions", "atMost")),
        };
        let bound = Bound {
            created_before,
            at_most,
        };
        Ok((query.search()?, bound))
    }

    fn search(self) -> Result<Search, Problem> {
        match self.q {
            None => Ok(Search::All),
            Some(q) if q.trim().is_empty() => {
                let words = "q must not be empty: without q all other sessions end";
                Err(Problem::bad_request(words).in_field("q"))
            }
            Some(q) => search(&q),
        }
    }
}

/// Where a page of live sessions begins or ends.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described: `ListQuery` reads it")]
pub(in crate::web) struct BesideSession {
    /// The `next` of an earlier page.
    #[param(value_type = String, required = false, pattern = "^(s[0-9]{1,16}_[0-9a-f]{32}_[0-9]{1,16})?$")]
    after: Option<String>,
    /// The `previous` of a later page. It is the first page, if there are fewer rows than fill one. `after` comes first.
    #[param(value_type = String, required = false, pattern = "^(s[0-9]{1,16}_[0-9a-f]{32}_[0-9]{1,16})?$")]
    before: Option<String>,
}

/// Where a page of accounts begins or ends.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described: `ListQuery` reads it")]
pub(in crate::web) struct BesideUser {
    /// The `next` of an earlier page.
    #[param(value_type = String, required = false, pattern = "^(u[0-9]{1,16}_[0-9a-f]{32}_[0-9]{1,16})?$")]
    after: Option<String>,
    /// The `previous` of a later page. It is the first page, if there are fewer rows than fill one. `after` comes first.
    #[param(value_type = String, required = false, pattern = "^(u[0-9]{1,16}_[0-9a-f]{32}_[0-9]{1,16})?$")]
    before: Option<String>,
}

/// Where a page of past sessions begins or ends.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described: `ListQuery` reads it")]
pub(in crate::web) struct BesideEnded {
    /// The `next` of an earlier page.
    #[param(value_type = String, required = false, pattern = "^(h[0-9]{1,16}_[0-9a-f]{32}_[0-9]{1,16})?$")]
    after: Option<String>,
    /// The `previous` of a later page. It is the first page, if there are fewer rows than fill one. `after` comes first.
    #[param(value_type = String, required = false, pattern = "^(h[0-9]{1,16}_[0-9a-f]{32}_[0-9]{1,16})?$")]
    before: Option<String>,
}

/// A further parameter of the history's query.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described: `ListQuery` reads it")]
pub(in crate::web) struct ReasonQuery {
    #[param(schema_with = schemas::wanted_reason)]
    reason: Option<String>,
}

/// A query that has been parsed.
pub(in crate::web) struct ListRequest {
    pub(in crate::web) search: Search,
    pub(in crate::web) limit: i64,
    pub(in crate::web) position: Position,
    pub(in crate::web) reason: Option<EndReason>,
}

impl ListQuery {
    /// Reads the query in the handler.
    pub(in crate::web) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        query(
            request,
            "The query takes q, limit, after, before and reason, each once",
        )
    }

    /// Reads the query of a call for programs. An unknown parameter is refused: the caller may have meant one that shows
    /// fewer rows.
    pub(in crate::web) fn strict(request: &HttpRequest, list: List) -> Result<ListRequest, Problem> {
        match list {
            List::History => takes_only(
                request,
                &["q", "limit", "after", "before", "reason"],
                "The query takes q, limit, after, before and reason, each once",
            ),
            List::Sessions | List::Users => takes_only(
                request,
                &["q", "limit", "after", "before"],
                "The query takes q, limit, after and before, each once",
            ),
        }?;
        Self::of(request)?.understood(list)
    }

    pub(in crate::web) fn q(&self) -> &str {
        self.q.trim()
    }

    fn position(&self, list: List) -> Result<Position, Problem> {
        let after = cursor(
            ("after", self.after.as_deref()),
            list,
            [
                "after must be the next of an earlier page; begin again without it",
                "after is the next of another list",
            ],
        )?;
        let before = cursor(
            ("before", self.before.as_deref()),
            list,
            [
                "before must be the previous of a later page; begin again without it",
                "before is the previous of another list",
            ],
        )?;
        Ok(match (after, before) {
            (Some(after), _) => Position::After(after),
            (None, Some(before)) => Position::Before(before),
            (None, None) => Position::First,
        })
    }

    /// Parses the query as one of this list.
    pub(in crate::web) fn understood(&self, list: List) -> Result<ListRequest, Problem> {
        let search = search(&self.q)?;
        let limit = match &self.limit {
            None => PAGE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
                .ok_or_else(|| {
                    let words = format!("limit must be a number from 1 to {LARGEST_PAGE}");
                    Problem::bad_request(words).in_field("limit")
                })?,
        };
        let reason = self.reason.as_deref().map(str::parse).transpose();
        let reason = reason
            .map_err(|words: String| Problem::bad_request(format!("reason {words}")).in_field("reason"))?;
        Ok(ListRequest {
            search,
            limit,
            position: self.position(list)?,
            reason,
        })
    }
}

/// Parses the cursor in a parameter of the query. Refuses the cursor of another list.
fn cursor(
    (name, text): (&'static str, Option<&str>),
    list: List,
    refused: [&'static str; 2],
) -> Result<Option<Cursor>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let [unknown, of_another] = refused.map(|words| Problem::bad_request(words).in_field(name));
    let cursor: Cursor = text.parse().map_err(|_| unknown)?;
    if cursor.list() == list {
        Ok(Some(cursor))
    } else {
        Err(of_another)
    }
}

fn search(q: &str) -> Result<Search, Problem> {
    if q.contains('\0') || q.len() > 1_000 {
        return Err(Problem::bad_request("q must be at most 1000 bytes, without NUL").in_field("q"));
    }
    Ok(Search::from(q))
}
