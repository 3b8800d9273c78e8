//! The security log: one line per event, in the words of the OWASP Logging Vocabulary. Each event is counted
//! here too.
//!
//! A line names who, where and what; the logger adds the time in UTC and the request. The logger escapes what
//! users can choose, so that no input starts a line or a field of its own. No token, digest or password is
//! ever an argument here.
//!
//! An action is logged after its commit, on the thread that committed, and never after an `.await`, which a
//! leaving caller would cut off. Each action has a line, however many there are. Refusals (`refusals`) can
//! come a thousand times a second, so repeated ones are only counted.

mod refusals;

use std::fmt;

use metrics::counter;
use uuid::Uuid;

use super::metrics::{ENDED, SIGN_INS};
use crate::mail::Kind;
use crate::sessions::{EndReason, EndedSession, Origin, Session};
use crate::users::link::Purpose;
use crate::users::{Email, User};

pub(super) use refusals::{
    Attempt, client_refused, link_refused, link_requested, mail_not_sent, password_refused, shown_after_end,
};
pub use refusals::{Resource, forbidden, identity_claimed, tell_counted, used_after_end};
pub(crate) use refusals::{connection_refused, too_many_tries};

/// The log's target, for filters: `RUST_LOG=oneseat::security=info`.
const TARGET: &str = "oneseat::security";

/// The target for expired sessions, which a sweep may find by the million. A filter on [`TARGET`] covers it,
/// and a filter can name it alone.
pub(crate) const EXPIRED: &str = "oneseat::security::expired";

/// Does this target belong to the security log?
pub(crate) fn is_of_security(target: &str) -> bool {
    [TARGET, EXPIRED].contains(&target)
}

/// Who authorised an action.
#[derive(Clone, Copy, Debug)]
pub enum Actor {
    /// An operator at the command line.
    Operator,
    /// An admin, by id.
    Admin(Uuid),
    /// The user themselves.
    Own,
    /// The clock.
    Time,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Admin(id) => write!(f, "{id}"),
            Self::Own => f.write_str("self"),
            Self::Time => f.write_str("time"),
        }
    }
}

pub(super) fn signed_in(user: &User, session: &Session, origin: &Origin) {
    counter!(SIGN_INS, "outcome" => "success").increment(1);
    log::info!(target: TARGET, user:% = user.id, session:% = session.id, from:% = origin.address(), agent = agent(origin); "authn_login_success");
    log::info!(target: TARGET, user:% = user.id, session:% = session.id, from:% = origin.address(), agent = agent(origin); "session_created");
}

pub(super) fn locked(email: &Email, origin: &Origin) {
    log::warn!(target: TARGET, address:% = email.short_digest(), from:% = origin.address(), agent = agent(origin); "authn_login_lock");
}

/// Logs ended sessions. The clock ended those whose reason is expiry, not `by`.
pub(super) fn ended(sessions: &[EndedSession], by: Actor) {
    for EndedSession {
        id,
        user_id,
        reason,
        ended_at,
        ..
    } in sessions
    {
        let (target, by) = match reason {
            EndReason::Expired => (EXPIRED, Actor::Time),
            EndReason::SignedOut
            | EndReason::PageClosed
            | EndReason::Replaced
            | EndReason::Revoked
            | EndReason::PasswordChanged
            | EndReason::AccountDisabled => (TARGET, by),
        };
        counter!(ENDED, "reason" => reason.as_str()).increment(1);
        log::info!(target: target, user:% = user_id, session:% = id, reason:%, at:? = ended_at, by:%; "session_ended");
    }
}

pub(super) fn user_changed(what: &str, user: Uuid, by: Actor) {
    log::info!(target: TARGET, user:%, by:%; "{what}");
}

/// A mailed link was used.
pub(super) fn link_used(user: Uuid, purpose: Purpose, origin: &Origin) {
    let what = match purpose {
        Purpose::Verification => "user_verified",
        Purpose::Invitation | Purpose::PasswordReset => "authn_password_change",
    };
    log::info!(target: TARGET, user:%, by = "link", purpose:%, from:% = origin.address(), agent = agent(origin); "{what}");
}

pub(super) fn client_changed(what: &str, name: &str) {
    log::info!(target: TARGET, name, by:% = Actor::Operator; "{what}");
}

pub(super) fn unlocked(email: &Email, by: Actor) {
    log::info!(target: TARGET, address:% = email.short_digest(), by:%; "authn_login_unlock");
}

/// A mail server accepted the mail.
pub(super) fn mail_sent(kind: Kind, user: Uuid) {
    log::info!(target: TARGET, user:%, kind:%; "mail_sent");
}

/// The mail will not be tried again. `mail` is the id of its row in the outbox.
pub(super) fn mail_given_up(kind: Kind, mail: Uuid, why: &dyn fmt::Display) {
    log::error!(target: TARGET, mail:%, kind:%, reason:% = why; "mail_given_up");
}

fn agent(origin: &Origin) -> &str {
    origin.user_agent().unwrap_or_default()
}
