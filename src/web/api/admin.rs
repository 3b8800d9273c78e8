//! All users' sessions, for admins.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::views::{EndedSessionView, SessionView, UserView};
use crate::auth::Auth;
use crate::auth::lists::List;
use crate::web::extract::Admin;
use crate::web::extract::list_query::{BesideEnded, BesideSession, EndQuery, ListQuery, ReasonQuery};
use crate::web::problem::Problem;

/// One live session of the list.
#[derive(Serialize, ToSchema)]
pub struct LiveRow {
    #[serde(flatten)]
    session: SessionView<'static>,
    user: UserView<'static>,
    current: bool,
}

/// One page of live sessions.
#[derive(Serialize, ToSchema)]
pub struct SessionPage {
    sessions: Vec<LiveRow>,
    total: i64,
    /// How many have signed in since the first page; they stand before it.
    newer: i64,
    /// The `before` of the previous page; null on the first.
    #[schema(required)]
    previous: Option<String>,
    #[schema(required)]
    next: Option<String>,
}

/// Lists live sessions, the last to sign in first.
#[utoipa::path(
    get, path = "/api/admin/sessions", tag = "admin", operation_id = "list_sessions",
    params(ListQuery, BesideSession),
    responses((status = 200, body = SessionPage), Admin),
)]
pub async fn sessions(
    admin: Admin,
    auth: Data<Auth>,
    request: HttpRequest,
) -> Result<Json<SessionPage>, Problem> {
    let list = ListQuery::strict(&request, List::Sessions)?;
    let own = admin.0.seat.session.id;
    let found = auth
        .find_sessions(list.search, list.position, list.limit, None)
        .await?;
    let sessions = found.page.rows.into_iter().map(|(session, user)| LiveRow {
        current: session.id == own,
        session: session.into(),
        user: user.into(),
    });
    Ok(Json(SessionPage {
        sessions: sessions.collect(),
        total: found.total,
        newer: found.newer,
        previous: found.page.previous.map(|cursor| cursor.to_string()),
        next: found.page.next.map(|cursor| cursor.to_string()),
    }))
}

/// Ends one session.
#[utoipa::path(
    delete, path = "/api/admin/sessions/{id}", tag = "admin", operation_id = "end_session",
    params(("id" = Uuid, Path)),
    responses((status = 204), Admin),
)]
pub async fn end_session(admin: Admin, auth: Data<Auth>, id: Path<String>) -> Result<HttpResponse, Problem> {
    auth.revoke(parsed(&id)?, admin.authority()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends the session of a user.
#[utoipa::path(
    delete, path = "/api/admin/users/{id}/session", tag = "admin", operation_id = "end_session_of_user",
    params(("id" = Uuid, Path)),
    responses((status = 204), Admin),
)]
pub async fn end_session_of(
    admin: Admin,
    auth: Data<Auth>,
    user: Path<String>,
) -> Result<HttpResponse, Problem> {
    auth.revoke_of(parsed(&user)?, admin.authority()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `{"ended":n}`
#[derive(Serialize, ToSchema)]
pub struct Ended {
    ended: usize,
}

/// Ends every session but the caller's own, or those of them that a search finds.
///
/// Others may sign in after the caller has read the list: `createdBefore` leaves those alone, and with `atMost` nothing ends if there are
/// more than the caller knows of.
#[utoipa::path(
    delete, path = "/api/admin/sessions", tag = "admin", operation_id = "end_other_sessions",
    params(EndQuery),
    responses(
        (status = 200, body = Ended),
        (status = 409, description = "`number_changed`: there are more than the caller expects, and none was ended"),
        Admin,
    ),
)]
pub async fn end_others(
    admin: Admin,
    auth: Data<Auth>,
    request: HttpRequest,
) -> Result<Json<Ended>, Problem> {
    let (search, bound) = EndQuery::of(&request)?;
    let ended = auth.revoke_others(search, bound, admin.0.holder()).await?;
    Ok(Json(Ended { ended }))
}

/// One past session of the list; without a user when the account is gone.
#[derive(Serialize, ToSchema)]
pub struct PastRow {
    #[serde(flatten)]
    session: EndedSessionView,
    #[schema(required)]
    user: Option<UserView<'static>>,
}

/// One page of past sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryPage)]
pub struct HistoryPage {
    sessions: Vec<PastRow>,
    /// The `before` of the previous page; null on the first.
    #[schema(required)]
    previous: Option<String>,
    #[schema(required)]
    next: Option<String>,
}

/// Lists past sessions, the last to end first.
#[utoipa::path(
    get, path = "/api/admin/history", tag = "admin", operation_id = "list_history",
    params(ListQuery, BesideEnded, ReasonQuery),
    responses((status = 200, body = HistoryPage), Admin),
)]
pub async fn history(_: Admin, auth: Data<Auth>, request: HttpRequest) -> Result<Json<HistoryPage>, Problem> {
    let list = ListQuery::strict(&request, List::History)?;
    let page = auth
        .past_sessions(list.search, list.reason, list.position, list.limit)
        .await?;
    let sessions = page.rows.into_iter().map(|(session, user)| PastRow {
        session: session.into(),
        user: user.map(Into::into),
    });
    Ok(Json(HistoryPage {
        sessions: sessions.collect(),
        previous: page.previous.map(|cursor| cursor.to_string()),
        next: page.next.map(|cursor| cursor.to_string()),
    }))
}

/// Lifts the lock of a user's address.
#[utoipa::path(
    delete, path = "/api/admin/users/{id}/lock", tag = "admin", operation_id = "unlock_user",
    params(("id" = Uuid, Path)),
    responses((status = 204), Admin),
)]
pub async fn unlock(admin: Admin, auth: Data<Auth>, user: Path<String>) -> Result<HttpResponse, Problem> {
    auth.unlock_user(parsed(&user)?, admin.authority()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Parses an id; a text that is no id is a 404. An extractor would answer before the caller is authenticated.
pub(super) fn parsed(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| Problem::not_found())
}
