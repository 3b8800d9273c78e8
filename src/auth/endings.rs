//! Giving the seat up, and taking it away.

use diesel::Connection;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::validator::why_ended;
use super::{Auth, Error};
use crate::sessions::history::{self, Which};
use crate::sessions::{EndReason, EndedSession};
use crate::users::store as users;

impl Auth {
    /// Ends the caller's own session.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] when it ended in the meantime; [`Error::Unavailable`].
    pub async fn sign_out(&self, session: Uuid, reason: EndReason) -> Result<(), Error> {
        if self.end(Which::Id(session), reason, Actor::Own).await?.is_empty() {
            return Err(self.db.run(move |conn| why_ended(conn, session)).await?);
        }
        Ok(())
    }

    /// Ends any one session.
    ///
    /// # Errors
    /// [`Error::NoSuchSession`]; [`Error::Unavailable`].
    pub async fn revoke(&self, session: Uuid, by: Actor) -> Result<(), Error> {
        let ended = self.end(Which::Id(session), EndReason::Revoked, by).await?;
        was_live(&ended)
    }

    /// Ends the session of a user.
    ///
    /// # Errors
    /// [`Error::NoSuchSession`]; [`Error::Unavailable`].
    pub async fn revoke_of(&self, user: Uuid, by: Actor) -> Result<(), Error> {
        let ended = self
            .db
            .run(move |conn| {
                let ended = conn.transaction::<_, Error, _>(|conn| {
                    // Behind a sign-in under way, not beside it.
                    users::lock(conn, user)?.ok_or(Error::NoSuchSession)?;
                    Ok(history::end(conn, Which::OfUser(user), EndReason::Revoked)?)
                })?;
                audit::ended(&ended, by);
                Ok::<_, Error>(ended)
            })
            .await?;
        was_live(&ended)
    }

    /// Ends every session. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_all(&self, by: Actor) -> Result<usize, Error> {
        Ok(self.end(Which::All, EndReason::Revoked, by).await?.len())
    }

    /// Ends every session but one. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_all_but(&self, own: Uuid, by: Actor) -> Result<usize, Error> {
        Ok(self.end(Which::AllBut(own), EndReason::Revoked, by).await?.len())
    }

    async fn end(&self, which: Which, reason: EndReason, by: Actor) -> Result<Vec<EndedSession>, Error> {
        self.db
            .run(move |conn| {
                let ended = conn.transaction::<_, Error, _>(|conn| Ok(history::end(conn, which, reason)?))?;
                // Here, after the commit and before the caller may have gone: what was done is always said.
                audit::ended(&ended, by);
                Ok(ended)
            })
            .await
    }
}

/// A session whose time was up before was not there to be ended.
fn was_live(ended: &[EndedSession]) -> Result<(), Error> {
    if ended.iter().any(|session| session.reason != EndReason::Expired) {
        Ok(())
    } else {
        Err(Error::NoSuchSession)
    }
}
