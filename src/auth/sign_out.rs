//! Giving the seat up.

use uuid::Uuid;

use super::{Auth, Error};
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
            .run(|conn| sessions::end_all(conn).map_err(Error::from))
            .await?;
        log::info!("{} sessions ended: {}", ended.len(), EndReason::Revoked);
        Ok(ended.len())
    }

    async fn end(&self, session: Uuid, reason: EndReason) -> Result<Option<()>, Error> {
        let ended = self
            .db
            .run(move |conn| sessions::end(conn, session).map_err(Error::from))
            .await?;
        Ok(ended.map(|ended| log::info!("session {} of {} ended: {reason}", ended.id, ended.user_id)))
    }
}
