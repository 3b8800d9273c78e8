//! The security log: one line an event, in the words of the OWASP Logging Vocabulary. What is told here is counted here.
//!
//! Who, where and what, each under its name; the logger adds when, in UTC, and the request. It escapes what people can choose, so that
//! nothing they type starts a line or a field of its own. No token, digest or password is ever an argument here.

use std::fmt;

use metrics::counter;
use uuid::Uuid;

use super::measures;
use crate::mail::Kind;
use crate::sessions::{EndedSession, Ending, Origin, Session};
use crate::users::link::Purpose;
use crate::users::{Email, User};

/// The log's target, for filters: `RUST_LOG=oneseat::security=info`.
const TARGET: &str = "oneseat::security";

/// The same for sessions whose time was up, which a sweep may find by the million: part of [`TARGET`] to every filter but one that
/// names it.
pub(crate) const EXPIRED: &str = "oneseat::security::expired";

/// On whose word something was done.
#[derive(Clone, Copy, Debug)]
pub enum Actor {
    /// Somebody at the command line.
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
    counter!(measures::SIGN_INS, "outcome" => "success").increment(1);
    log::info!(target: TARGET, user:% = user.id, session:% = session.id, from:% = origin.address(), agent = agent(origin); "authn_login_success");
    log::info!(target: TARGET, user:% = user.id, session:% = session.id, from:% = origin.address(), agent = agent(origin); "session_created");
}

/// The address goes in as a name for the row that counts it, never in clear: people type passwords into the wrong field.
pub(super) fn sign_in_failed(email: &Email, why: &dyn fmt::Display, origin: &Origin) {
    let name = email.short_digest();
    counter!(measures::SIGN_INS, "outcome" => "failure").increment(1);
    log::warn!(target: TARGET, address:% = name, reason:% = why, from:% = origin.address(), agent = agent(origin); "authn_login_fail");
}

/// Turned away before anything was looked at.
pub(crate) fn too_many_sign_ins(origin: &Origin) {
    log::warn!(target: TARGET, what = "login", from:% = origin.address(), agent = agent(origin); "excess_rate_limit_exceeded");
}

pub(super) fn locked(email: &Email, origin: &Origin) {
    log::warn!(target: TARGET, address:% = email.short_digest(), from:% = origin.address(), agent = agent(origin); "authn_login_lock");
}

pub(super) fn ended(sessions: &[EndedSession], by: Actor) {
    let target = match by {
        Actor::Time => EXPIRED,
        Actor::Operator | Actor::Admin(_) | Actor::Own => TARGET,
    };
    for EndedSession {
        id,
        user_id,
        reason,
        ended_at,
        ..
    } in sessions
    {
        counter!(measures::ENDED, "reason" => reason.as_str()).increment(1);
        log::info!(target: target, user:% = user_id, session:% = id, reason:%, at:? = ended_at, by:%; "session_ended");
    }
}

pub(super) fn user_changed(what: &str, user: Uuid, by: Actor) {
    log::info!(target: TARGET, user:%, by:%; "{what}");
}

/// Somebody asked for a mail; whether there is an account is not known here.
pub(super) fn link_requested(email: &Email, kind: Kind, origin: &Origin) {
    log::info!(target: TARGET, kind:%, address:% = email.short_digest(), from:% = origin.address(), agent = agent(origin); "link_requested");
}

/// A mailed link was used.
pub(super) fn link_used(user: Uuid, purpose: Purpose, origin: &Origin) {
    let what = match purpose {
        Purpose::Verification => "user_verified",
        Purpose::Invitation | Purpose::PasswordReset => "authn_password_change",
    };
    log::info!(target: TARGET, user:%, by = "link", purpose:%, from:% = origin.address(), agent = agent(origin); "{what}");
}

/// A service showed an id and a secret that do not belong together.
pub(super) fn client_refused(client: Uuid, origin: &Origin) {
    log::warn!(target: TARGET, client:%, from:% = origin.address(), agent = agent(origin); "authn_login_fail");
}

pub(super) fn client_changed(what: &str, name: &str) {
    log::info!(target: TARGET, name, by:% = Actor::Operator; "{what}");
}

pub(super) fn unlocked(email: &Email, by: Actor) {
    log::info!(target: TARGET, address:% = email.short_digest(), by:%; "authn_login_unlock");
}

/// A token of an ended session was shown.
pub fn used_after_end(ending: &Ending, origin: &Origin) {
    let Ending { session, reason, .. } = ending;
    log::warn!(target: TARGET, session:%, reason:%, from:% = origin.address(), agent = agent(origin); "session_use_after_expire");
}

/// A user asked for what only admins may have.
pub fn forbidden(user: &User, path: &str, origin: &Origin) {
    log::warn!(target: TARGET, user:% = user.id, resource = path, from:% = origin.address(), agent = agent(origin); "authz_fail");
}

/// A user asked for what only admins may have, and was none any more when it was to be done.
pub(super) fn forbidden_meanwhile(user: Uuid) {
    log::warn!(target: TARGET, user:%, why = "the role was taken away meanwhile"; "authz_fail");
}

fn agent(origin: &Origin) -> &str {
    origin.user_agent().unwrap_or_default()
}
