//! Giving the seat up, and taking it away.

use diesel::pg::PgConnection;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::authority::{Authority, Subject};
use super::validator::why_ended;
use super::{Auth, Error};
use crate::sessions::history::{self, Which};
use crate::sessions::{EndReason, EndedSession};

impl Auth {
    /// Ends the caller's own session.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] when it ended in the meantime; [`Error::Unavailable`].
    pub async fn sign_out(&self, session: Uuid, reason: EndReason) -> Result<(), Error> {
        let policy = self.policy.sessions;
        self.db
            .run(move |conn| {
                let ended = history::end(conn, Which::Id(session), reason)?;
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

    async fn end(&self, subject: Subject, which: Which, by: Authority) -> Result<(), Error> {
        let policy = self.policy.sessions;
        let end = move |conn: &mut PgConnection| {
            by.confirm(conn, subject, &policy)?;
            Ok(history::end(conn, which, EndReason::Revoked)?)
        };
        let ended = self
            .act(by, end, |ended: &Vec<EndedSession>, by| audit::ended(ended, by))
            .await?;
        match how_many_lived(&ended) {
            0 => Err(Error::NoSuchSession),
            _ => Ok(()),
        }
    }

    async fn end_many(&self, which: Which, by: Authority) -> Result<usize, Error> {
        let policy = self.policy.sessions;
        let end = move |conn: &mut PgConnection| {
            by.confirm(conn, Subject::Everybody, &policy)?;
            Ok(history::end(conn, which, EndReason::Revoked)?)
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
