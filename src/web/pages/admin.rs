//! Live and past sessions, for admins.

use actix_web::web::Data;
use actix_web::{HttpRequest, Responder};
use askama::Template;
use chrono::SecondsFormat;
use uuid::Uuid;

use super::chart::Chart;
use super::moment::Moment;
use super::past::PastRow;
use super::session_times::SessionTimes;
use super::{AdminPage, Page};
use crate::auth::Auth;
use crate::auth::lists::{self, List, Position};
use crate::auth::statistics::Statistics;
use crate::sessions::Device;
use crate::sessions::{EndReason, Session};
use crate::shown as filters;
use crate::users::User;
use crate::web::extract::list_query::ListQuery;
use crate::web::problem::Problem;

/// A live session in the list.
struct LiveRow {
    id: Uuid,
    name: String,
    email: String,
    address: String,
    device: Device,
    signed_in: Moment,
    last_activity: Moment,
    expires: Moment,
    is_own: bool,
}

struct LockedRow {
    id: Uuid,
    name: String,
    email: String,
    until: Moment,
}

#[derive(Template)]
#[template(path = "admin_sessions.html")]
struct SessionsPage {
    page: &'static str,
    is_admin: bool,
    times: SessionTimes,
    statistics: Statistics,
    chart: Chart,
    q: String,
    total: i64,
    /// How many of `total` have signed in since the first page.
    newer: i64,
    /// How many of `total` are not the admin's own.
    others: i64,
    /// The address of the call that ends `others`, and nobody who signs in later.
    end_others: String,
    rows: Vec<LiveRow>,
    pages: Pages,
    locked: Vec<LockedRow>,
    locked_others: i64,
}

#[derive(Template)]
#[template(path = "admin_history.html")]
struct HistoryPage {
    page: &'static str,
    is_admin: bool,
    times: SessionTimes,
    q: String,
    reasons: Vec<Choice>,
    /// Whether a search or a reason filters the list.
    is_filtered: bool,
    rows: Vec<PastRow>,
    pages: Pages,
}

/// One reason in the filter.
struct Choice {
    value: &'static str,
    words: &'static str,
    is_chosen: bool,
}

impl Choice {
    fn of(reason: EndReason, chosen: Option<EndReason>) -> Self {
        Self {
            value: reason.as_str(),
            words: reason.in_words(),
            is_chosen: chosen == Some(reason),
        }
    }
}

impl LiveRow {
    fn badges(&self) -> Option<&'static str> {
        self.is_own.then_some("This device")
    }

    fn new(session: Session, user: User, own: Uuid) -> Self {
        Self {
            id: session.id,
            name: user.name,
            email: user.email,
            address: session.ip_address.ip().to_string(),
            device: Device::of(session.user_agent.as_deref()),
            signed_in: Moment(session.created_at),
            last_activity: Moment(session.last_activity),
            expires: Moment(session.expires_at),
            is_own: session.id == own,
        }
    }
}

/// The live sessions, with the figures on top.
pub async fn sessions(
    admin: AdminPage,
    auth: Data<Auth>,
    request: HttpRequest,
) -> Result<impl Responder, Problem> {
    let query = ListQuery::of(&request)?;
    let list = query.understood(List::Sessions)?;
    let statistics = auth.statistics().await?;
    let own = admin.0.session.id;
    let found = auth
        .find_sessions(list.search, list.position, list.limit, Some(own))
        .await?;
    let pages = Pages::of("/admin/sessions", query.q(), None, list.position, &found.page);
    let others = found.total - i64::from(found.has_own);
    let locked = auth.locked().await?;
    Ok(Page(SessionsPage {
        page: "sessions",
        is_admin: true,
        times: SessionTimes::of(&admin.0, &auth),
        chart: Chart::of(&statistics),
        statistics,
        q: query.q().to_owned(),
        total: found.total,
        newer: found.newer,
        others,
        end_others: with_query(
            "/api/admin/sessions",
            &[
                ("q", query.q()),
                (
                    "createdBefore",
                    &found.at.to_rfc3339_opts(SecondsFormat::Micros, true),
                ),
                ("atMost", &others.to_string()),
            ],
        ),
        rows: found
            .page
            .rows
            .into_iter()
            .map(|(session, user)| LiveRow::new(session, user, own))
            .collect(),
        pages,
        locked_others: locked.others,
        locked: locked
            .users
            .into_iter()
            .map(|(user, until)| LockedRow {
                id: user.id,
                name: user.name,
                email: user.email,
                until: Moment(until),
            })
            .collect(),
    }))
}

/// The past sessions.
pub async fn history(
    admin: AdminPage,
    auth: Data<Auth>,
    request: HttpRequest,
) -> Result<impl Responder, Problem> {
    let query = ListQuery::of(&request)?;
    let list = query.understood(List::History)?;
    let page = auth
        .past_sessions(list.search, list.reason, list.position, list.limit)
        .await?;
    let pages = Pages::of("/admin/history", query.q(), list.reason, list.position, &page);
    Ok(Page(HistoryPage {
        page: "history",
        is_admin: true,
        times: SessionTimes::of(&admin.0, &auth),
        q: query.q().to_owned(),
        reasons: EndReason::ALL
            .map(|reason| Choice::of(reason, list.reason))
            .into(),
        rows: page
            .rows
            .into_iter()
            .map(|(session, user)| PastRow::new(session, user))
            .collect(),
        is_filtered: list.reason.is_some() || !query.q().is_empty(),
        pages,
    }))
}

/// The addresses of the other pages of a list.
pub(super) struct Pages {
    pub(super) first: String,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    is_later: bool,
}

impl Pages {
    pub(super) fn of<T>(
        path: &str,
        q: &str,
        reason: Option<EndReason>,
        position: Position,
        page: &lists::Page<T>,
    ) -> Self {
        let reason = reason.map_or("", EndReason::as_str);
        let at = |beside: &[(&str, &str)]| {
            let list = [("q", q), ("reason", reason)];
            with_query(path, &[&list, beside].concat())
        };
        Self {
            first: at(&[]),
            previous: page.previous.map(|row| at(&[("before", &row.to_string())])),
            next: page.next.map(|row| at(&[("after", &row.to_string())])),
            // An empty page names no previous one, even where it is a later page.
            is_later: page.previous.is_some() || matches!(position, Position::After(_)),
        }
    }

    pub(super) fn is_later(&self) -> bool {
        self.is_later
    }
}

/// The path with those parameters that are not empty.
fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let parameters = parameters.iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}
