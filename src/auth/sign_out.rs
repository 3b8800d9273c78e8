//! Giving the seat up.

use diesel::Connection;
use uuid::Uuid;

use super::{Auth, Error, log_end};
use crate::sessions::{EndReason, store as sessions};

impl Auth {
    /// Ends the caller's own session.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`] when it ended in the meantime; [`Error::Unavailable`].
    pub async fn sign_out(&self, session: Uuid, reason: EndReason) -> Result<(), Error> {
        self.end(session, reason).await?.ok_or(Error::TokenInvalid)
    }

    /// Ends any one session.
    ///
    /// # Errors
    /// [`Error::NoSuchSession`]; [`Error::Unavailable`].
    pub async fn revoke(&self, session: Uuid) -> Result<(), Error> {
        self.end(session, EndReason::Revoked)
            .await?
            .ok_or(Error::NoSuchSession)
    }

    /// Ends every session. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_all(&self) -> Result<usize, Error> {
        let ended = self
            .db
            .run(|conn| conn.transaction(|conn| Ok::<_, Error>(sessions::end_all(conn)?)))
            .await?;
        log_end(&ended, EndReason::Revoked);
        Ok(ended.len())
    }

    async fn end(&self, session: Uuid, reason: EndReason) -> Result<Option<()>, Error> {
        let ended = self
            .db
            .run(move |conn| sessions::end(conn, session).map_err(Error::from))
            .await?;
        log_end(ended.as_slice(), reason);
        Ok(ended.map(drop))
    }
}
