//! Ends that nobody has written yet: the session expired, a backup brought it back, or plain SQL disabled its
//! user.
//!
//! An end is written before it is reported (law 2), so a clock that steps back cannot revive the session.
//! Reports about one session or its token are: the answer to a request with the token, forward
//! authentication, introspection, the event `ended`, a sign-out, and an end by an admin or operator. Lists
//! and figures report no ends: they show live sessions, and past sessions that are already written.

use std::thread;
use std::time::Duration;

use diesel::QueryResult;
use uuid::Uuid;

use super::Error;
use super::audit::{self, Actor};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::sessions::EndReason;
use crate::sessions::history::{self, Which};
use crate::sessions::store::{SessionStatus, status};

/// How often to try to write an end while another transaction holds the row, and the pause between tries.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

/// Writes the end of each of these sessions that has expired or that a backup brought back. The process that
/// writes an end also logs it, so each is logged once. Returns how many it wrote.
pub(super) fn write_over(
    conn: &mut PgConnection,
    ids: &[Uuid],
    policy: &SessionPolicy,
) -> QueryResult<usize> {
    let ended = history::end(conn, Which::OverAmong(ids), EndReason::Expired, policy)?;
    audit::ended(&ended, Actor::Time);
    Ok(ended.len())
}

/// The most sessions that one transaction ends.
const BATCH: i64 = 1_000;

/// Writes the ends of some sessions that a backup has brought back. Returns how many. If none, other
/// transactions may still have some of the rows locked. Those transactions end the sessions, or the next
/// request with their tokens does.
pub(crate) fn write_restored(conn: &mut PgConnection) -> QueryResult<usize> {
    let ended = history::end_restored(conn, BATCH, &SessionPolicy::AS_STORED)?;
    audit::ended(&ended, Actor::Time);
    if !ended.is_empty() {
        audit::backup_restored(ended.len());
    }
    Ok(ended.len())
}

/// Writes that these sessions ended because their users' accounts were disabled. Disabling does so in its own
/// transaction; an operator's plain SQL may not.
pub(super) fn write_disabled(
    conn: &mut PgConnection,
    ids: &[Uuid],
    policy: &SessionPolicy,
) -> QueryResult<usize> {
    let ended = history::end(conn, Which::Among(ids), EndReason::AccountDisabled, policy)?;
    audit::ended(&ended, Actor::Operator);
    Ok(ended.len())
}

/// The status of a session, once an expiry has been written. Never [`SessionStatus::Over`].
///
/// # Errors
/// [`Error::Unavailable`], also when another transaction held the row too long for the expiry to be written.
pub(super) fn settled_status(
    conn: &mut PgConnection,
    session: Uuid,
    policy: &SessionPolicy,
) -> Result<SessionStatus, Error> {
    for _ in 0..ATTEMPTS {
        match status(conn, session, policy)? {
            SessionStatus::Over if write_over(conn, &[session], policy)? == 0 => thread::sleep(PAUSE),
            SessionStatus::Over => {}
            status => return Ok(status),
        }
    }
    Err(Error::Unavailable(
        "the end of the session is not written yet".to_owned(),
    ))
}

/// The error for a session that is no longer live.
pub(super) fn why_ended(
    conn: &mut PgConnection,
    session: Uuid,
    policy: &SessionPolicy,
) -> Result<Error, Error> {
    Ok(match settled_status(conn, session, policy)? {
        SessionStatus::Ended(ending) => Error::SessionEnded(ending),
        SessionStatus::Forgotten => Error::TokenInvalid,
        // The state changed and nothing was reported yet: the caller may ask again.
        SessionStatus::Live(_) | SessionStatus::Over => {
            Error::Unavailable("the session was changed meanwhile".to_owned())
        }
    })
}
