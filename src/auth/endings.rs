//! Giving the seat up, taking it away, and finding out that its time is up.
//!
//! What is told as ended has been written as ended (law 2): no clock that steps back afterwards revives it. It is told by whatever
//! answers somebody about one session or its token: the answer to a request with the token, forward authentication, introspection, the
//! event `ended`, a sign-out, an admin's or operator's end of it. Lists and figures tell of nobody's end: they show who lives now, and
//! past sessions from what has been written.

use std::thread;
use std::time::Duration;

use diesel::QueryResult;
use diesel::pg::PgConnection;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::authority::{Authority, Subject};
use super::{Auth, Error};
use crate::config::SessionPolicy;
use crate::sessions::history::{self, Which};
use crate::sessions::store::{Look, look_at};
use crate::sessions::{EndReason, EndedSession};

/// How often, and how long after each other, to try to write an end whose row somebody else holds.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

impl Auth {
    /// Ends the caller's own session.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] when it ended in the meantime; [`Error::Unavailable`].
    pub async fn sign_out(&self, session: Uuid, reason: EndReason) -> Result<(), Error> {
        let policy = self.policy.sessions;
        self.db
            .run(move |conn| {
                let ended = history::end(conn, Which::Id(session), reason, &policy)?;
                // Here, after the commit and before the caller may have gone: what was done is always said.
                audit::ended(&ended, Actor::Own);
                match how_many_lived(&ended) {
                    0 => Err(why_ended(conn, session, &policy)?),
                    _ => Ok(()),
                }
            })
            .await
    }

    /// Ends any one session.
    ///
    /// # Errors
    /// [`Error::NoSuchSession`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke(&self, session: Uuid, by: Authority) -> Result<(), Error> {
        self.end(Subject::Session(session), Which::Id(session), by)
            .await?;
        Ok(())
    }

    /// Ends the session of a user.
    ///
    /// # Errors
    /// [`Error::NoSuchSession`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke_of(&self, user: Uuid, by: Authority) -> Result<(), Error> {
        self.end(Subject::User(user), Which::OfUser(user), by).await?;
        Ok(())
    }

    /// Ends every session. Returns how many lived.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_all(&self) -> Result<usize, Error> {
        self.end_many(Which::All, Authority::Operator).await
    }

    /// Ends every session but the holder's own. Returns how many lived.
    ///
    /// # Errors
    /// Those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke_all_but(&self, own: Uuid, by: Authority) -> Result<usize, Error> {
        self.end_many(Which::AllBut(own), by).await
    }

    async fn end(&self, subject: Subject, which: Which<'static>, by: Authority) -> Result<(), Error> {
        let policy = self.policy.sessions;
        let end = move |conn: &mut PgConnection| {
            by.confirm(conn, subject, &policy)?;
            Ok(history::end(conn, which, EndReason::Revoked, &policy)?)
        };
        let ended = self
            .act(by, end, |ended: &Vec<EndedSession>, by| audit::ended(ended, by))
            .await?;
        match how_many_lived(&ended) {
            0 => Err(Error::NoSuchSession),
            _ => Ok(()),
        }
    }

    async fn end_many(&self, which: Which<'static>, by: Authority) -> Result<usize, Error> {
        let policy = self.policy.sessions;
        let end = move |conn: &mut PgConnection| {
            by.confirm(conn, Subject::Everybody, &policy)?;
            Ok(history::end(conn, which, EndReason::Revoked, &policy)?)
        };
        let ended = self
            .act(by, end, |ended: &Vec<EndedSession>, by| audit::ended(ended, by))
            .await?;
        Ok(how_many_lived(&ended))
    }
}

/// A session whose time was up before was not there to be ended, as its row says.
fn how_many_lived(ended: &[EndedSession]) -> usize {
    let lived = |session: &&EndedSession| session.reason != EndReason::Expired;
    ended.iter().filter(lived).count()
}

/// Writes that the time of these is up, as far as it is, and says so in the log: here, by whoever was first. Returns how many it wrote.
pub(super) fn write_expired(
    conn: &mut PgConnection,
    ids: &[Uuid],
    policy: &SessionPolicy,
) -> QueryResult<usize> {
    let ended = history::end(conn, Which::Over(ids), EndReason::Expired, policy)?;
    audit::ended(&ended, Actor::Time);
    Ok(ended.len())
}

/// Writes that these ended with their users' accounts. Disabling does so in its own transaction; an operator's plain SQL may not.
pub(super) fn write_disabled(
    conn: &mut PgConnection,
    ids: &[Uuid],
    policy: &SessionPolicy,
) -> QueryResult<usize> {
    let ended = history::end(conn, Which::These(ids), EndReason::AccountDisabled, policy)?;
    audit::ended(&ended, Actor::Operator);
    Ok(ended.len())
}

/// A session as it may be told of: that its time is up has been written by then. Never [`Look::Over`].
///
/// # Errors
/// [`Error::Unavailable`], also when somebody holds the row for so long that it could not be written.
pub(super) fn settled(conn: &mut PgConnection, session: Uuid, policy: &SessionPolicy) -> Result<Look, Error> {
    for _ in 0..ATTEMPTS {
        match look_at(conn, session, policy)? {
            Look::Over if write_expired(conn, &[session], policy)? == 0 => thread::sleep(PAUSE),
            Look::Over => {}
            look => return Ok(look),
        }
    }
    Err(Error::Unavailable(
        "the end of the session is not written yet".to_owned(),
    ))
}

/// Why a session that was live a moment ago is not.
pub(super) fn why_ended(
    conn: &mut PgConnection,
    session: Uuid,
    policy: &SessionPolicy,
) -> Result<Error, Error> {
    Ok(match settled(conn, session, policy)? {
        Look::Ended(ending) => Error::SessionEnded(ending),
        Look::Forgotten => Error::TokenInvalid,
        // What was seen a moment ago is no longer so, and nobody was told: ask again.
        Look::Live(_) | Look::Over => Error::Unavailable("the session was changed meanwhile".to_owned()),
    })
}
