//! Ends sessions: sign-out, revocation and expiry.
//!
//! An end is written before it is reported (law 2), so a clock that steps back cannot revive the session.
//! Reports about one session or its token are: the answer to a request with the token, forward
//! authentication, introspection, the event `ended`, a sign-out, and an end by an admin or operator. Lists
//! and figures report no ends: they show live sessions, and past sessions that are already written.
//!
//! Nobody is told before `Auth::outwait` is over: an instance may still answer from memory.

use std::thread;
use std::time::Duration;

use diesel::QueryResult;
use diesel::pg::PgConnection;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::authority::{Authority, Holder, Subject};
use super::user_ref::UserRef;
use super::{Auth, Error};
use crate::config::SessionPolicy;
use crate::sessions::EndReason::{self, Revoked};
use crate::sessions::EndedSession;
use crate::sessions::history::{self, Which};
use crate::sessions::store::{SessionStatus, look_at};
use crate::users::store::Credentials;

/// How often to try to write an end while another transaction holds the row, and the pause between tries.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

impl Auth {
    /// Ends the caller's own session.
    ///
    /// # Errors
    /// Those of [`Authority`]; [`Error::Unavailable`].
    pub async fn sign_out(&self, holder: Holder, reason: EndReason) -> Result<(), Error> {
        let session = holder.session();
        let (subject, by) = (Subject::Session(session), Authority::Own(holder));
        self.end(subject, Which::Id(session), reason, by).await?;
        Ok(())
    }

    /// Ends any one session.
    ///
    /// # Errors
    /// [`Error::NoSuchSession`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke(&self, session: Uuid, by: Authority) -> Result<(), Error> {
        let ended = self.end(Subject::Session(session), Which::Id(session), Revoked, by);
        one_lived(&ended.await?)
    }

    /// Ends the session of a user.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::NoSuchSession`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke_of(&self, whom: impl Into<UserRef>, by: Authority) -> Result<(), Error> {
        let whom = whom.into();
        let (subject, policy) = (Subject::User(whom.clone()), self.policy.sessions);
        let end = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or_else(|| whom.unknown())?;
            Ok(history::end(
                conn,
                Which::OfUser(found.user.id),
                Revoked,
                &policy,
            )?)
        };
        let ended = self.act(by, subject, end, told).await?;
        one_lived(&ended)
    }

    /// Ends every session. Returns how many lived.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_all(&self) -> Result<usize, Error> {
        let ended = self.end(Subject::Everybody, Which::All, Revoked, Authority::Operator);
        Ok(how_many_lived(&ended.await?))
    }

    /// Ends every session but the holder's own. Returns how many lived.
    ///
    /// # Errors
    /// Those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke_all_others(&self, admin: Holder) -> Result<usize, Error> {
        let which = Which::AllBut(admin.session());
        let ended = self.end(Subject::Everybody, which, Revoked, Authority::Admin(admin));
        Ok(how_many_lived(&ended.await?))
    }

    async fn end(
        &self,
        subject: Subject,
        which: Which<'static>,
        reason: EndReason,
        by: Authority,
    ) -> Result<Vec<EndedSession>, Error> {
        let policy = self.policy.sessions;
        let end = move |conn: &mut PgConnection, _| Ok(history::end(conn, which, reason, &policy)?);
        self.act(by, subject, end, told).await
    }
}

#[expect(clippy::ptr_arg, reason = "it is given what `act` returns")]
fn told(ended: &Vec<EndedSession>, by: Actor) {
    audit::ended(ended, by);
}

fn one_lived(ended: &[EndedSession]) -> Result<(), Error> {
    match how_many_lived(ended) {
        0 => Err(Error::NoSuchSession),
        _ => Ok(()),
    }
}

/// Sessions that had already expired do not count: the caller did not end them.
fn how_many_lived(ended: &[EndedSession]) -> usize {
    let lived = |session: &&EndedSession| session.reason != EndReason::Expired;
    ended.iter().filter(lived).count()
}

/// Writes these sessions as expired, as far as their time is up, and logs each end once: by the process that
/// wrote it. Returns how many it wrote.
pub(super) fn write_expired(
    conn: &mut PgConnection,
    ids: &[Uuid],
    policy: &SessionPolicy,
) -> QueryResult<usize> {
    let ended = history::end(conn, Which::Over(ids), EndReason::Expired, policy)?;
    audit::ended(&ended, Actor::Time);
    Ok(ended.len())
}

/// Writes that these sessions ended with their users' accounts. Disabling does so in its own transaction; an
/// operator's plain SQL may not.
pub(super) fn write_disabled(
    conn: &mut PgConnection,
    ids: &[Uuid],
    policy: &SessionPolicy,
) -> QueryResult<usize> {
    let ended = history::end(conn, Which::These(ids), EndReason::AccountDisabled, policy)?;
    audit::ended(&ended, Actor::Operator);
    Ok(ended.len())
}

/// The status of a session, once an expiry has been written. Never [`SessionStatus::Over`].
///
/// # Errors
/// [`Error::Unavailable`], also when another transaction held the row too long for the expiry to be written.
pub(super) fn settled(
    conn: &mut PgConnection,
    session: Uuid,
    policy: &SessionPolicy,
) -> Result<SessionStatus, Error> {
    for _ in 0..ATTEMPTS {
        match look_at(conn, session, policy)? {
            SessionStatus::Over if write_expired(conn, &[session], policy)? == 0 => thread::sleep(PAUSE),
            SessionStatus::Over => {}
            look => return Ok(look),
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
    Ok(match settled(conn, session, policy)? {
        SessionStatus::Ended(ending) => Error::SessionEnded(ending),
        SessionStatus::Forgotten => Error::TokenInvalid,
        // The state changed and nothing was reported yet: the caller may ask again.
        SessionStatus::Live(_) | SessionStatus::Over => {
            Error::Unavailable("the session was changed meanwhile".to_owned())
        }
    })
}
