//! The user's own session: since when, from where, and for how long.

use actix_web::Responder;
use actix_web::web::Data;
use askama::Template;

use super::moment::Moment;
use super::past::PastRow;
use super::session_times::SessionTimes;
use super::{Page, SignedIn};
use crate::auth::address::PendingEmail;
use crate::auth::{Auth, Seat};
use crate::sessions::Device;
use crate::shown as filters;
use crate::users::Role;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    page: &'static str,
    name: String,
    email: String,
    is_admin: bool,
    address: String,
    device: Device,
    user_agent: String,
    signed_in: Moment,
    last_activity: Moment,
    expires: Moment,
    times: SessionTimes,
    history: Vec<PastRow>,
    /// A change of address that waits for its link to be used.
    pending: Option<PendingEmail>,
}

/// Most past sessions shown.
const RECENT: i64 = 10;

/// The page of a signed-in user.
pub async fn dashboard(seat: SignedIn, auth: Data<Auth>) -> Result<impl Responder, Problem> {
    let times = SessionTimes::of(&seat.0, &auth);
    let history = auth.history_of(seat.0.user.id, RECENT).await?;
    let pending = auth.pending_email(seat.0.user.id).await?;
    let Seat { session, user, .. } = seat.0;
    Ok(Page(DashboardPage {
        page: "dashboard",
        name: user.name.clone(),
        email: user.email.clone(),
        is_admin: user.role == Role::Admin,
        address: session.ip_address.ip().to_string(),
        device: Device::of(session.user_agent.as_deref()),
        user_agent: session.user_agent.clone().unwrap_or_default(),
        signed_in: Moment(session.created_at),
        last_activity: Moment(session.last_activity),
        expires: Moment(session.expires_at),
        times,
        history: history
            .into_iter()
            .map(|session| PastRow::new(session, None))
            .collect(),
        pending,
    }))
}
