//! Tell me when my session ends.

use std::time::Duration;

use uuid::Uuid;

use super::{Auth, Error};
use crate::sessions::Ending;
use crate::sessions::store::{self as sessions, Look};
use crate::sessions::watchers::{Full, Watcher};
use crate::users::{Role, store as users};

/// What a watcher learns when it looks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The session lives, and its time is up after this if nothing happens.
    Live(Duration),
    /// The session ended.
    Ended(Ending),
}

impl Auth {
    /// Takes a place among those who are told. Look afterwards: what ended before is not told again.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub fn watch(&self, session: Uuid) -> Result<Watcher, Error> {
        self.watchers.watch(session).map_err(|Full| Error::Busy)
    }

    /// Looks at a session without touching it.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`] when nobody remembers it; [`Error::Unavailable`].
    pub async fn look(&self, session: Uuid) -> Result<Watched, Error> {
        let looks = self
            .db
            .run(move |conn| sessions::look(conn, &[session]).map_err(Error::from))
            .await?;
        match looks.get(&session) {
            Some(Look::Live(left)) => Ok(Watched::Live(*left)),
            Some(Look::Ended(ending)) => Ok(Watched::Ended(*ending)),
            Some(Look::Forgotten) | None => Err(Error::TokenInvalid),
        }
    }

    /// Why a session that was live a moment ago is not.
    pub(super) async fn why_ended(&self, session: Uuid) -> Result<Error, Error> {
        match self.look(session).await? {
            Watched::Ended(ending) => Ok(Error::SessionEnded(ending)),
            // Not to be had: its own page asked for the end and did not get it.
            Watched::Live(_) => Ok(Error::TokenInvalid),
        }
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
        Ok(user.is_some_and(|user| user.role == Role::Admin))
    }

    /// Ends every stream, as the instance stops.
    pub fn close_streams(&self) {
        self.watchers.close();
    }
}
