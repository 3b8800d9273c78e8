//! The user's own session: since when, from where, and for how long.

use actix_web::Responder;
use actix_web::web::Data;
use askama::Template;
use chrono::TimeDelta;

use super::moment::Moment;
use super::past::PastRow;
use super::{Page, SignedIn};
use crate::auth::{Auth, Seat};
use crate::sessions::Device;
use crate::sessions::Session;
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
    /// Until the session expires; the page counts it down.
    expires_in_seconds: i64,
    /// How long before the end the page warns.
    warn_before_seconds: i64,
    /// Activity can move the expiry no further.
    is_final: bool,
    history: Vec<PastRow>,
}

/// Most past sessions shown.
const RECENT: i64 = 10;

/// Two minutes, or half of the time from the last activity to the end if that is shorter.
fn warn_before(session: &Session) -> TimeDelta {
    TimeDelta::minutes(2).min((session.expires_at - session.last_activity) / 2)
}

/// The page of a signed-in user.
pub async fn dashboard(seat: SignedIn, auth: Data<Auth>) -> Result<impl Responder, Problem> {
    let is_final = auth.is_final(&seat.0);
    let history = auth.history_of(seat.0.user.id, RECENT).await?;
    let Seat {
        session,
        user,
        checked_at,
    } = seat.0;
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
        // Rounded up: at zero it is over.
        expires_in_seconds: (session.expires_at - checked_at).num_seconds() + 1,
        warn_before_seconds: warn_before(&session).num_seconds(),
        is_final,
        history: history
            .into_iter()
            .map(|session| PastRow::new(session, None))
            .collect(),
    }))
}
