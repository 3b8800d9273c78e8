//! The security log: one line per event, in the words of the OWASP Logging Vocabulary. Each event is counted
//! here too.
//!
//! A line names who, where and what; the logger adds the time in UTC and the request. The logger escapes what
//! users can choose, so that no input starts a line or a field of its own. No token, digest or password is
//! ever an argument here.
//!
//! An action is logged after its commit, on the thread that committed, and never after an `.await`: there, a
//! client that disconnects would cancel it. Each action has a line, however many there are. Refusals
//! (`refusals`) can come a thousand times a second, so repeated ones are only counted.

mod event;
mod refusals;

use std::fmt;

use uuid::Uuid;

use crate::mail::Kind;
use crate::sessions::{EndReason, EndedSession, Origin, Session};
use crate::users::link::Purpose;
use crate::users::{Email, Role, User};
use event::Field;

pub(super) use event::Event;
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
    /// A backup that was put back.
    Backup,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Admin(id) => write!(f, "{id}"),
            Self::Own => f.write_str("self"),
            Self::Time => f.write_str("time"),
            Self::Backup => f.write_str("backup"),
        }
    }
}

pub(super) fn signed_in(user: &User, session: &Session, origin: &Origin) {
    for event in [Event::SignedIn, Event::SessionCreated] {
        event.tell(Some(origin), &[("user", &user.id), ("session", &session.id)]);
    }
}

pub(super) fn locked(email: &Email, origin: &Origin) {
    Event::Locked.tell(Some(origin), &[("address", &email.short_digest())]);
}

/// Logs ended sessions. A session that expired was ended by the clock, not by `by`.
pub(super) fn ended(sessions: &[EndedSession], by: Actor) {
    for session in sessions {
        let (event, by) = match session.reason {
            EndReason::Restored if matches!(by, Actor::Time) => (Event::SessionEnded, Actor::Backup),
            EndReason::Expired => (Event::SessionExpired, Actor::Time),
            EndReason::SignedOut
            | EndReason::PageClosed
            | EndReason::Replaced
            | EndReason::Revoked
            | EndReason::PasswordChanged
            | EndReason::AccountDisabled
            | EndReason::Restored
            | EndReason::Unknown => (Event::SessionEnded, by),
        };
        let EndedSession {
            user_id, id, reason, ..
        } = session;
        let (at, by) = (
            ("at", &format_args!("{:?}", session.ended_at) as _),
            ("by", &by as _),
        );
        event.tell(
            None,
            &[("user", user_id), ("session", id), ("reason", reason), at, by],
        );
    }
}

/// A backup was restored, and `ended` sessions that it had brought back were ended. Each also has its own
/// line.
pub(super) fn backup_restored(ended: usize) {
    Event::BackupRestored.tell(None, &[("ended", &ended)]);
}

pub(super) fn user_changed(event: Event, user: Uuid, by: Actor) {
    event.tell(None, &[("user", &user), ("by", &by)]);
}

/// Names the attribute that was changed, never its value: users choose that.
pub(super) fn user_updated(user: Uuid, attribute: &'static str, by: Actor) {
    Event::UserUpdated.tell(None, &[("user", &user), ("attribute", &attribute), ("by", &by)]);
}

pub(super) fn role_changed(user: Uuid, was: Role, role: Role, by: Actor) {
    let fields: [Field<'_>; 4] = [("user", &user), ("was", &was), ("role", &role), ("by", &by)];
    Event::RoleChanged.tell(None, &fields);
}

/// Users were imported from another system: a line for each admin, and one for all others of one transaction.
pub(super) fn users_imported(added: impl Iterator<Item = (Uuid, Role)>, by: Actor) {
    let (admins, others): (Vec<_>, Vec<_>) = added.partition(|(_, role)| *role == Role::Admin);
    for (user, role) in admins {
        Event::UserCreated.tell(None, &[("user", &user), ("role", &role), ("by", &by)]);
    }
    if let Ok(count @ 1..) = u64::try_from(others.len()) {
        Event::UserCreated.write(Some(count), None, &[("by", &by)]);
    }
}

/// A user asked for another address, of which the line has a short digest.
pub(super) fn email_change_requested(user: Uuid, session: Uuid, wanted: &Email, origin: &Origin) {
    let wanted = wanted.short_digest();
    let fields: [Field<'_>; 3] = [("user", &user), ("session", &session), ("address", &wanted)];
    Event::EmailChangeRequested.tell(Some(origin), &fields);
}

/// A user withdrew the change of address that they had asked for.
pub(super) fn email_change_withdrawn(user: Uuid, session: Uuid, origin: &Origin) {
    let fields: [Field<'_>; 2] = [("user", &user), ("session", &session)];
    Event::EmailChangeWithdrawn.tell(Some(origin), &fields);
}

/// A mailed link was used.
pub(super) fn link_used(user: Uuid, purpose: Purpose, origin: &Origin) {
    let event = match purpose {
        Purpose::Verification => Event::UserVerified,
        Purpose::EmailChange => Event::UserUpdated,
        Purpose::Invitation | Purpose::PasswordReset => Event::PasswordChanged,
    };
    let fields: [Field<'_>; 3] = [("user", &user), ("by", &"link"), ("purpose", &purpose)];
    event.tell(Some(origin), &fields);
}

pub(super) fn client_changed(event: Event, name: &str) {
    event.tell(None, &[("name", &name), ("by", &Actor::Operator)]);
}

pub(super) fn unlocked(email: &Email, by: Actor) {
    Event::Unlocked.tell(None, &[("address", &email.short_digest()), ("by", &by)]);
}

/// A mail server accepted the mail.
pub(super) fn mail_sent(kind: Kind, user: Uuid) {
    Event::MailSent.tell(None, &[("user", &user), ("kind", &kind)]);
}

/// The mail will not be tried again. `mail` is the id of its row in the outbox, `address` a short digest.
pub(super) fn mail_given_up(kind: Kind, mail: Uuid, address: &str, why: &dyn fmt::Display) {
    let fields: [Field<'_>; 4] = [
        ("mail", &mail),
        ("kind", &kind),
        ("address", &address),
        ("reason", why),
    ];
    Event::MailGivenUp.tell(None, &fields);
}
