//! Reports that a session ended.

use uuid::Uuid;

use super::endings::settled;
use super::{Auth, Error};
use crate::sessions::store::SessionStatus;
use crate::sessions::watchers::{Full, Watcher};
use crate::users::{Role, store as users};

impl Auth {
    /// Registers a watcher. Call [`Auth::look`] afterwards: an earlier end is not reported again.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub fn watch(&self, session: Uuid) -> Result<Watcher, Error> {
        self.watchers.watch(session).map_err(|Full| Error::Busy)
    }

    /// The status of a session, without touching it. An expiry is written before it is reported.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn look(&self, session: Uuid) -> Result<SessionStatus, Error> {
        let policy = self.policy.sessions;
        self.db.run(move |conn| settled(conn, session, &policy)).await
    }

    /// Is the user an admin now?
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_admin(&self, user: Uuid) -> Result<bool, Error> {
        let user = self
            .db
            .run(move |conn| users::find_by_id(conn, user).map_err(Error::from))
            .await?;
        Ok(user.is_some_and(|user| user.role == Role::Admin && user.disabled_at.is_none()))
    }

    /// Ends every stream when the instance stops.
    pub fn close_streams(&self) {
        self.watchers.close();
    }
}
