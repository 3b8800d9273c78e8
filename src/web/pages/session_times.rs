//! How long the session of a page lasts, for its countdown and its warning.

use chrono::TimeDelta;

use super::moment::Moment;
use crate::auth::{Auth, Seat};
use crate::sessions::Session;

/// The times of a session, as the pages of signed-in users show them.
pub(super) struct SessionTimes {
    /// The time of the page, by the database's clock: relative times count from it.
    pub(super) now: Moment,
    /// Until the session expires; the page counts it down.
    pub(super) expires_in_seconds: i64,
    /// How long before the end the page warns.
    pub(super) warn_before_seconds: i64,
    /// Whether activity can move the expiry no further.
    pub(super) is_final: bool,
}

impl SessionTimes {
    pub(super) fn of(seat: &Seat, auth: &Auth) -> Self {
        Self {
            now: Moment(seat.checked_at),
            // Rounded up: at zero it is over.
            expires_in_seconds: (seat.session.expires_at - seat.checked_at).num_seconds() + 1,
            warn_before_seconds: warn_before(&seat.session).num_seconds(),
            is_final: auth.is_final(seat),
        }
    }
}

/// Two minutes, or half of the time from the last activity to the end if that is shorter.
fn warn_before(session: &Session) -> TimeDelta {
    TimeDelta::minutes(2).min((session.expires_at - session.last_activity) / 2)
}
