//! Who may sign in, and who is signed in: lists for people.

use diesel::prelude::*;

use super::{Auth, Error};
use crate::db::clock::now;
use crate::db::schema::{sessions, users};
use crate::sessions::Session;
use crate::users::{Email, User, store};

/// An account as an operator sees it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The account.
    pub user: User,
    /// The seat it holds.
    pub session: Option<Session>,
    /// Whether too many wrong passwords have locked its address.
    pub is_locked: bool,
}

impl Auth {
    /// Is there nobody yet?
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_no_users(&self) -> Result<bool, Error> {
        self.db.run(|conn| Ok::<_, Error>(!store::any(conn)?)).await
    }

    /// Every account, by address.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        self.db.run(|conn| store::list(conn).map_err(Error::from)).await
    }

    /// One account, with its seat and its lock.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn profile(&self, email: Email) -> Result<Profile, Error> {
        self.db
            .run(move |conn| {
                let user = store::find(conn, &email)?.ok_or_else(|| Error::NoSuchUser(email.to_string()))?;
                let session = sessions::table
                    .filter(sessions::user_id.eq(user.id))
                    .filter(sessions::expires_at.gt(now()))
                    .select(Session::as_select())
                    .first(conn)
                    .optional()?;
                let is_locked = crate::users::lockout::is_locked(conn, &email)?;
                Ok(Profile {
                    user,
                    session,
                    is_locked,
                })
            })
            .await
    }

    /// Every live session and whose it is, newest activity first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn live_sessions(&self) -> Result<Vec<(Session, User)>, Error> {
        self.db
            .run(|conn| {
                sessions::table
                    .inner_join(users::table)
                    .filter(sessions::expires_at.gt(now()))
                    .order((sessions::last_activity.desc(), sessions::id))
                    .select((Session::as_select(), User::as_select()))
                    .load(conn)
                    .map_err(Error::from)
            })
            .await
    }
}
